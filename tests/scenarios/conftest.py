"""Installations for the scenarios: the real command line against real servers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import require_dovecot
from tests.faulty_smtp import FaultySmtp
from tests.scenarios.faults import HEADINGS
from tests.scenarios.installation import OFFICE, DovecotBackend, Installation, MailDevelBackend
from tests.servers import Dovecot, MailDevel


@pytest.fixture(autouse=True)
def no_audits(monkeypatch: pytest.MonkeyPatch) -> None:
    """No mail is chosen for a blind audit: which ones would be depends on each installation's own key."""
    monkeypatch.setenv("RESPONDER_POLICY__REQUIRE_EVIDENCE", "false")
    monkeypatch.setenv("RESPONDER_POLICY__AUDIT_SHARE", "0")


@pytest.fixture(params=["mail-devel", "dovecot"])
def office(request: pytest.FixtureRequest, tmp_path: Path, models: Path) -> Iterator[Installation]:
    """An installation on each kind of server: mail-devel for everything, and Dovecot with an SMTP server."""
    with ExitStack() as stack:
        if request.param == "mail-devel":
            server = stack.enter_context(MailDevel(OFFICE))
            yield Installation(tmp_path / "office", MailDevelBackend(server), models)
        else:
            require_dovecot()
            dovecot = stack.enter_context(Dovecot((OFFICE,)))
            sink = stack.enter_context(FaultySmtp())
            yield Installation(tmp_path / "office", DovecotBackend(dovecot, sink), models)


@pytest.fixture
def dovecot_office(tmp_path: Path, models: Path) -> Iterator[Installation]:
    """An installation on Dovecot, whose SMTP server takes orders (`backend.sink.fail`)."""
    require_dovecot()
    with Dovecot((OFFICE,)) as dovecot, FaultySmtp() as sink:
        yield Installation(tmp_path / "office", DovecotBackend(dovecot, sink), models)


@pytest.fixture(scope="session")
def record_faults(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """Rows of the table in docs/reliability.md, printed at the end of the run."""
    rows: list[str] = []
    yield rows
    if rows:
        lines = ["| " + " | ".join(HEADINGS) + " |", "|" + " --- |" * len(HEADINGS), *rows]
        reporter = request.config.pluginmanager.getplugin("terminalreporter")
        reporter.write_line("\n" + "\n".join(lines))
