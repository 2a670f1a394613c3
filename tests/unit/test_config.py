"""Configuration: typed, overridable, and every mistake named with its key and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from responder.config import load
from responder.errors import ConfigError

MINIMAL = """\
[mailboxes.kemenperin]
unit = "LPSE"
address = "Helpdesk@LPSE.example"
[mailboxes.kemenperin.imap]
host = "imap.example"
[mailboxes.kemenperin.smtp]
host = "smtp.example"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text)
    return path


def test_a_mailbox_and_two_hosts_are_enough(tmp_path: Path) -> None:
    settings = load(write(tmp_path, MINIMAL))
    mailbox = settings.mailboxes["kemenperin"]
    assert mailbox.address == "helpdesk@lpse.example"
    assert (mailbox.imap.effective_port, mailbox.smtp.effective_port) == (993, 465)
    assert settings.policy.mode == "review"
    assert settings.own_addresses == {"helpdesk@lpse.example"}


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    settings = load(write(tmp_path, MINIMAL + '[state]\ndirectory = "data"\n'))
    assert settings.state.directory == tmp_path / "data"
    assert settings.database.url == f"sqlite:///{tmp_path}/state/responder.db"


def test_the_environment_overrides_any_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESPONDER_MAILBOXES__KEMENPERIN__IMAP__HOST", "other.example")
    monkeypatch.setenv("RESPONDER_POLICY__UNDO_SECONDS", "7")
    settings = load(write(tmp_path, MINIMAL))
    assert settings.mailboxes["kemenperin"].imap.host == "other.example"
    assert settings.mailboxes["kemenperin"].smtp.host == "smtp.example"
    assert settings.policy.undo_seconds == 7


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('[polcy]\nmode = "auto"\n', "config.toml:8: polcy: unknown key"),
        ('[policy]\nmode = "yes"\n', "config.toml:9: policy.mode: Input should be 'review' or 'auto'"),
        ("[policy]\nundo_seconds = -1\n", "config.toml:9: policy.undo_seconds"),
        ('[service]\ntime_zone = "Asia/Djakarta"\n', "config.toml:9: service.time_zone: unknown time zone"),
        (
            "[limits]\nmessage_bytes = 70000\n",
            "config.toml:8: limits: raw_kept_bytes is more than message_bytes",
        ),
        ('[database]\nurl = "mysql://x"\n', "config.toml:9: database.url: must start with"),
        ('[database]\nurl = "sqlite:///:memory:"\n', "forgets everything"),
    ],
)
def test_a_mistake_is_one_line_with_file_line_and_key(tmp_path: Path, more: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, MINIMAL + more))
    assert said in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_plain_text_is_for_this_machine_only(tmp_path: Path) -> None:
    text = MINIMAL.replace('host = "imap.example"', 'host = "imap.example"\nsecurity = "none"')
    with pytest.raises(ConfigError, match="loopback host only"):
        load(write(tmp_path, text))


def test_a_wrong_override_names_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESPONDER_POLICY__MODE", "perhaps")
    with pytest.raises(ConfigError, match=r"RESPONDER_POLICY__MODE \(environment\)"):
        load(write(tmp_path, MINIMAL))


def test_no_mailbox_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="mailboxes"):
        load(write(tmp_path, ""))


def test_broken_toml_says_where(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="line 1"):
        load(write(tmp_path, "[mailboxes\nx = 1"))


def test_a_password_comes_from_a_file_or_a_named_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pw").write_text("rahasia\n")
    text = MINIMAL.replace('host = "imap.example"', 'host = "imap.example"\npassword_file = "pw"')
    text = text.replace('host = "smtp.example"', 'host = "smtp.example"\npassword_env = "SMTP_PW"')
    mailbox = load(write(tmp_path, text)).mailboxes["kemenperin"]
    assert mailbox.imap.password() == "rahasia"
    with pytest.raises(ConfigError, match="SMTP_PW is not set"):
        mailbox.smtp.password()
    monkeypatch.setenv("SMTP_PW", "lain")
    assert mailbox.smtp.password() == "lain"


def test_the_shipped_example_is_valid() -> None:
    assert load(Path(__file__).parents[2] / "config.toml").policy.mode == "review"


@pytest.mark.parametrize("value", ["<>", "tanpa-domain", "a b@lpse.example"])
def test_an_envelope_sender_that_no_bounce_could_reach_is_refused(tmp_path: Path, value: str) -> None:
    """Rule 31: the null sender neither, since then no bounce would stop further mail (rule 28)."""
    text = MINIMAL.replace(
        "[mailboxes.kemenperin.imap]", f'envelope_from = "{value}"\n[mailboxes.kemenperin.imap]'
    )
    with pytest.raises(ConfigError, match=r"config\.toml:4: .*envelope_from: .*is not an email address"):
        load(write(tmp_path, text))


def test_an_answer_to_the_final_dot_is_waited_for_at_least_ten_minutes(tmp_path: Path) -> None:
    """Rule 76 (RFC 5321 4.5.3.2.6)."""
    assert load(write(tmp_path, MINIMAL)).mailboxes["kemenperin"].smtp.data_timeout_seconds == 600
    with pytest.raises(ConfigError, match="data_timeout_seconds"):
        load(write(tmp_path, MINIMAL + "data_timeout_seconds = 599\n"))
