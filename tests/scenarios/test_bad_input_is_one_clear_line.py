"""Promise: what is wrong is said in one line, with what and where; commands end non-zero; no mail is lost."""

from __future__ import annotations

import shutil

import pytest

from tests.scenarios.installation import ROOT, Installation
from tests.servers import free_port

SUBJECT, BODY = "Lupa password", "Kami lupa password akun LPSE. Bagaimana cara reset password?"


def one_line(text: str) -> str:
    """The only line of ours on stderr; log lines (with a time stamp) aside."""
    lines = [line for line in text.splitlines() if line.startswith("responder: ")]
    assert len(lines) == 1, text
    assert "Traceback" not in text
    return lines[0]


def test_an_unreachable_server(dovecot_office: Installation) -> None:
    port = free_port()
    done = dovecot_office.run(
        "poll", status=4, environment={"RESPONDER_MAILBOXES__KEMENPERIN__IMAP__PORT": str(port)}
    )
    assert f"127.0.0.1:{port}" in one_line(done.stderr)


def test_a_wrong_password(dovecot_office: Installation) -> None:
    (dovecot_office.directory / "password").write_text("salah")
    assert "helpdesk@lpse.example" in one_line(dovecot_office.run("poll", status=4).stderr)


def test_a_missing_password_file(dovecot_office: Installation) -> None:
    (dovecot_office.directory / "password").unlink()
    assert "password" in one_line(dovecot_office.run("poll", status=2).stderr)


def test_an_unknown_key_names_file_and_line(dovecot_office: Installation) -> None:
    with dovecot_office.config.open("a") as file:
        file.write("\n[policy.brakes]\nper_hours = 3\n")
    line = one_line(dovecot_office.run("poll", status=2).stderr)
    number = len(dovecot_office.config.read_text().splitlines())
    assert f"config.toml:{number}: policy.brakes.per_hours: unknown key" in line


def test_a_missing_configuration(dovecot_office: Installation) -> None:
    dovecot_office.config.unlink()
    assert "cannot read the configuration" in one_line(dovecot_office.run("poll", status=2).stderr)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("templates/replies/answer.txt.j2", "", "{{ tidak_ada }}"),
        ("content/lupa-password/answer.md", "review_by: 2", "review_by: besok 2"),
    ],
)
def test_broken_content_or_template_keeps_the_mail_until_it_is_mended(
    dovecot_office: Installation, file: str, old: str, new: str
) -> None:
    office = dovecot_office
    for name in ("content", "templates"):
        shutil.copytree(ROOT / name, office.directory / name)
    text = office.config.read_text().replace(str(ROOT / "content"), "content")
    office.config.write_text(text.replace(str(ROOT / "templates"), "templates"))
    office.ready()
    path = office.directory / file
    whole = path.read_text()
    path.write_text(whole.replace(old, new, 1) if old else whole + new)
    office.deliver(SUBJECT, BODY)
    done = office.run("poll", status=3)
    assert path.name in one_line(done.stderr)
    path.write_text(whole)
    office.poll()
    assert [ticket["status"] for ticket in office.tickets()] == ["needs_approval"]


def test_check_says_what_to_do_about_each_failure(dovecot_office: Installation) -> None:
    healthy = dovecot_office.run("check")
    assert "signed in" in healthy.stdout
    (dovecot_office.directory / "password").write_text("salah")
    (dovecot_office.directory / "state" / "secret.key").chmod(0o644)
    broken = dovecot_office.run("check", status=1)
    assert "chmod 600" in broken.stdout
    assert "failed" in broken.stdout


def test_a_mail_that_cannot_be_read_is_kept_in_quarantine_and_the_next_is_handled(
    dovecot_office: Installation,
) -> None:
    """Rules 63 and 64."""
    office = dovecot_office
    office.ready()
    bomb = b"From: a@b.example\r\nSubject: " + b"x" * 20_000 + b"\r\n\r\nisi\r\n"
    office.backend.deliver(bomb)
    office.deliver(SUBJECT, BODY)
    round_ = office.poll()
    assert [row["result"] for row in round_["handled"]] == ["quarantined", "approval"]
    listed = office.run("quarantine", "list", "--json").stdout
    assert "limit" in listed or "header" in listed
    message = round_["handled"][0]["message"]
    target = office.directory / "bomb.eml"
    office.run("quarantine", "export", str(message), str(target))
    assert target.read_bytes() == bomb
    office.run("quarantine", "retry", str(message))
    assert [row["result"] for row in office.poll()["handled"]] == ["quarantined"]


def test_the_daemon_waits_for_a_server_that_is_away_and_goes_on(dovecot_office: Installation) -> None:
    office = dovecot_office
    office.write_config("[policy]\nundo_seconds = 0\n[schedule]\npoll = 1")
    office.ready()
    server = office.backend.dovecot  # type: ignore[attr-defined]
    server.stop()
    daemon = office.start("run")
    try:
        assert daemon.stdout is not None
        for line in daemon.stdout:
            if "round not finished" in line:
                break
        server.start()
        office.deliver(SUBJECT, BODY)
        for line in daemon.stdout:
            if "handled=1" in line:
                break
    finally:
        daemon.terminate()
        daemon.communicate(timeout=30)
    assert daemon.returncode == 0
    assert [ticket["status"] for ticket in office.tickets()] == ["needs_approval"]
