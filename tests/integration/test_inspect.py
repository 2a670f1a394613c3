"""`responder inspect` and `classify` as staff and programs use them: no configuration, no network, no database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from responder.inspection import split_mbox
from tests.command import run
from tests.mails import build_mail

FIELDS = {
    "file", "verdict", "reasons", "kind", "from", "subject", "new_text", "quoted", "attachments", "language",
    "decision", "topics",
}  # fmt: skip


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, models: Path) -> Path:
    """An empty directory with a configuration whose model is trained; without one each command would train anew."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "models").symlink_to(models)
    (tmp_path / "config.toml").write_text(
        '[mailboxes.kemenperin]\nunit = "LPSE"\naddress = "lpse@instansi.example"\n'
        '[mailboxes.kemenperin.imap]\nhost = "x"\n[mailboxes.kemenperin.smtp]\nhost = "x"\n'
    )
    return tmp_path


def rows(*arguments: str, stdin: bytes = b"") -> list[dict[str, Any]]:
    done = run("inspect", "--json", *arguments, stdin=stdin)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_mail_is_shown_with_everything_the_machine_saw(here: Path) -> None:
    (here / "a.eml").write_bytes(build_mail(attachments=["surat.pdf"]))
    (row,) = rows("a.eml", "--trust")
    assert row.keys() >= FIELDS
    assert (row["verdict"], row["kind"], row["language"]) == ("auto", "person", "id")
    assert row["topics"][0] == "lupa-password"
    assert row["attachments"][0]["name"] == "surat.pdf"
    assert row["attachments"][0].keys() == {"name", "size", "type"}


def test_without_trust_the_live_setting_counts(here: Path) -> None:
    (here / "a.eml").write_bytes(build_mail())
    (row,) = rows("a.eml")
    assert row["verdict"] == "draft"
    assert any("rule 14" in reason for reason in row["reasons"])


def test_a_directory_means_every_regular_file_below_it_one_row_each(here: Path) -> None:
    (here / "mails" / "deep").mkdir(parents=True)
    (here / "mails" / "1").write_bytes(build_mail())
    (here / "mails" / "deep" / "2.eml").write_bytes(b"From x Thu Jan  1 00:00:00 2026\n" + build_mail())
    (here / "mails" / "3").write_bytes(b"")
    (here / "mails" / "4").symlink_to(here / "mails" / "1")
    found = rows("mails")
    assert [Path(row["file"]).name for row in found] == ["1", "3", "2.eml"]
    assert [row["subject"] for row in found] == ["Lupa kata sandi", "", "Lupa kata sandi"]


def test_an_mbox_gives_a_row_for_each_mail(here: Path) -> None:
    separator = b"From vendor@x.example Thu Jan  1 00:00:00 2026\n"
    mbox = b"".join(
        separator + build_mail(subject=f"ke-{n}").replace(b"\r\n", b"\n") + b"\n" for n in range(3)
    )
    (here / "box").write_bytes(mbox)
    assert [row["subject"] for row in rows("box")] == ["ke-0", "ke-1", "ke-2"]
    assert [row["subject"] for row in rows("-", stdin=mbox)] == ["ke-0", "ke-1", "ke-2"]


def test_one_leading_from_line_makes_no_mbox() -> None:
    mail = b"From vendor@x.example Thu Jan  1 00:00:00 2026\nSubject: a\n\nFrom here on it is text\n"
    assert split_mbox(mail) == [mail]


@pytest.mark.parametrize(
    "octets", [b"", b"\0" * 5000, b"\xff\xfe" * 999, b"Subject: " + b"x" * 200_000, b"From: \r\n" * 50_000]
)
def test_any_octets_end_as_a_row(here: Path, octets: bytes) -> None:
    (here / "x").write_bytes(octets)
    (row,) = rows("x")
    assert row["kind"] == "unreadable" or row["verdict"] != "auto"
    assert row["reasons"]


def test_text_output_says_why(here: Path) -> None:
    (here / "a.eml").write_bytes(build_mail(headers={"Auto-Submitted": "auto-replied"}))
    done = run("inspect", "a.eml", "--explain")
    assert "no_auto (auto_reply)" in done.stdout
    assert "because  rule 2" in done.stdout
    assert "words" in done.stdout


def test_a_path_that_does_not_exist_is_one_clear_line(here: Path) -> None:
    done = run("inspect", "missing.eml")
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["responder: missing.eml: No such file or directory"]


def test_classify_gives_one_row_for_each_line_in_order(here: Path) -> None:
    lines = [
        {
            "id": "a",
            "subject": "Lupa password",
            "body": "Bagaimana cara reset password akun LPSE kami?",
            "gold": [],
        },
        {"id": 2, "subject": "", "body": ""},
        {"subject": None, "body": "Apa syarat ikut tender cepat, kami tidak pernah diundang?"},
    ]
    done = run("classify", "-", stdin="\n".join(json.dumps(line) for line in lines).encode())
    out = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["id"] for row in out] == ["a", 2, None]
    assert [row["decision"] for row in out][1] == "staff"
    assert out[0]["topics"] == ["lupa-password"]
    assert all(len(row["confidence"]) == 9 and row["reason"] for row in out)


def test_a_line_that_is_not_json_is_named(here: Path) -> None:
    done = run("classify", "-", stdin=b'{"subject": "a"}\nxx\n')
    assert done.returncode == 1
    assert "line 2 is not JSON" in done.stderr
