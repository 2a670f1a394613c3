"""Promise: an answer with a link that does not work is never sent automatically, and staff see why (rule 28a)."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from responder.paths import shipped
from responder.tickets import links
from responder.tickets.database import Database
from tests.scenarios.faults import TOPIC
from tests.scenarios.installation import Installation

URL = "https://spse.lpse.example/masuk"
QUESTION = "Kami lupa password akun LPSE. Bagaimana cara reset password? Email terdaftar masih aktif."


def test_an_answer_with_a_dead_link_waits_for_a_person(dovecot_office: Installation, tmp_path: Path) -> None:
    """Rule 28a."""
    office = dovecot_office
    content = tmp_path / "content"
    shutil.copytree(shipped("content"), content)
    answer = content / TOPIC / "answer.md"
    link = f"links:\n  - label: SPSE\n    url: {URL}\n"
    answer.write_text(answer.read_text().replace("---\n", f"---\n{link}", 1))
    office.write_config('[policy]\nundo_seconds = 0\nmode = "auto"\nrequire_evidence = false\n')
    text = office.config.read_text()
    start = text.index('content = "')
    office.config.write_text(text[:start] + f'content = "{content}"\n' + text[text.index("templates =") :])
    office.ready(TOPIC)
    database = Database(f"sqlite:///{office.directory}/state/responder.db")
    now = datetime.now(UTC)
    for days in (3, 2, 0):
        at = now - timedelta(days=days)
        database.write(lambda connection, at=at: links.note(connection, URL, "HTTP 404", at))
    office.deliver("Lupa password", QUESTION)
    office.poll()
    (ticket,) = office.tickets()
    assert ticket["status"] == "needs_approval"
    assert f"tidak dapat dibuka: {URL}" in ticket["reason"]
    assert office.replies_to() == []

    database.write(lambda connection: links.note(connection, URL, "", now))
    office.deliver("Lupa password", QUESTION, sender="admin@lain.example")
    office.poll()
    assert URL not in office.tickets()[1]["reason"]
    database.close()
