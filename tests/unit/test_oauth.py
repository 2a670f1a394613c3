"""Signing in by token: what is asked of providers, what is kept on disk, and where secrets may stand."""

from __future__ import annotations

import base64
import hashlib
import json
import multiprocessing
import resource
import stat
from multiprocessing.synchronize import Event
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from responder.config import OAuth2, Server, load
from responder.errors import ConfigError, LoginError, MailServerError
from responder.mail import oauth, oauth_login, oauth_store
from responder.mail.oauth_exchange import DeviceCode, Grant, Proof, authorization_url
from responder.mail.oauth_provider import provider_of
from responder.mail.oauth_store import StoredToken

HOUR = 3600.0
NOW = 1_750_000_000.0
SERVERS = """
[mailboxes.{name}]
unit = "LPSE"
address = "lpse@contoh.go.id"
[mailboxes.{name}.imap]
host = "imap.contoh.go.id"
username = "lpse"
{imap}
[mailboxes.{name}.smtp]
host = "smtp.contoh.go.id"
{smtp}
"""
OAUTH2 = '[mailboxes.pusat.oauth2]\nprovider = "google"\nclient_id = "klien"\n'


@pytest.fixture
def google(tmp_path: Path) -> OAuth2:
    return OAuth2(provider="google", client_id="klien").of("pusat", tmp_path)


def stored(config: OAuth2, **changes: object) -> StoredToken:
    values: dict[str, object] = {
        "client_id": config.client_id,
        "token_url": provider_of(config).token_url,
        "access_token": "akses-rahasia",
        "refresh_token": "segar-rahasia",
        "obtained_at": NOW,
        "expires_at": NOW + HOUR,
        "scope": "https://mail.google.com/",
    }
    return StoredToken(**(values | changes))  # type: ignore[arg-type]


def put(config: OAuth2, **changes: object) -> Path:
    assert config.token_file is not None
    with oauth_store.replacing(config.token_file) as replace:
        replace(stored(config, **changes))
    return config.token_file


def configured(tmp_path: Path, more: str = "", *, imap: str = "", smtp: str = 'username = "lpse"') -> Path:
    path = tmp_path / "config.toml"
    path.write_text(SERVERS.format(name="pusat", imap=imap, smtp=smtp) + more)
    return path


def test_password_comes_from_a_systemd_credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "imap").write_text("sandi uji\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert Server(host="a.example", password_credential="imap").password() == "sandi uji"


def test_credential_that_systemd_did_not_give_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(
        ConfigError, match=r"lpse at a\.example: CREDENTIALS_DIRECTORY .* LoadCredential=imap:"
    ):
        Server(host="a.example", username="lpse", password_credential="imap").password()


@pytest.mark.parametrize("name", ["../imap", "a/b", ".", "..", ".imap"])
def test_credential_name_is_no_path(name: str) -> None:
    with pytest.raises(ValueError, match="password_credential"):
        Server(host="a.example", password_credential=name)


def test_two_places_for_one_password_are_refused() -> None:
    with pytest.raises(ValueError, match="password_env or password_credential, not both"):
        Server(host="a.example", password_env="A", password_credential="b")


def test_empty_password_file_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "sandi").write_text("\n")
    with pytest.raises(ConfigError, match="sandi is empty"):
        Server(host="a.example", password_file=tmp_path / "sandi").password()


def test_one_table_signs_in_to_both_servers(tmp_path: Path) -> None:
    mailbox = load(configured(tmp_path, OAUTH2)).mailboxes["pusat"]
    assert mailbox.imap.oauth2 is not None
    assert mailbox.imap.oauth2 == mailbox.smtp.oauth2
    assert mailbox.imap.oauth2.token_file == tmp_path / "state" / "oauth2" / "pusat.json"
    assert mailbox.imap.oauth2.mailbox == "pusat"


def test_token_files_stand_in_the_state_directory(tmp_path: Path) -> None:
    mailbox = load(configured(tmp_path, OAUTH2 + '[state]\ndirectory = "keadaan"\n')).mailboxes["pusat"]
    assert mailbox.oauth2 is not None
    assert mailbox.oauth2.token_file == tmp_path / "keadaan" / "oauth2" / "pusat.json"


def test_server_with_a_password_of_its_own_or_without_log_in_gets_no_token(tmp_path: Path) -> None:
    own = load(configured(tmp_path, OAUTH2, imap='password_env = "SANDI"', smtp="")).mailboxes["pusat"]
    assert (own.imap.oauth2, own.smtp.oauth2) == (None, None)


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ('provider = "google"', "client_id"),
        ('provider = "yahoo"\nclient_id = "a"', "provider"),
        ('provider = "custom"\nclient_id = "a"', "needs authorization_url, token_url and scopes"),
        ('provider = "google"\nclient_id = "a"\ntoken_url = "http://a.example/"', "https://"),
        ('provider = "google"\nclient_id = "a"\ntoken_url = "http://127.0.0.1.a.example/"', "https://"),
        ('provider = "microsoft"\nclient_id = "a"\ntenant = "a/../b"', "tenant"),
        (
            'provider = "google"\nclient_id = "a"\nclient_secret_env = "A"\nclient_secret_file = "b"',
            "client_secret_file or client_secret_env, not both",
        ),
        ('provider = "google"\nclient_id = "a"\nclient_secret = "b"', "client_secret: unknown key"),
    ],
)
def test_wrong_oauth2_table_is_one_clear_line(tmp_path: Path, table: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=r"pusat\.oauth2") as caught:
        load(configured(tmp_path, f"[mailboxes.pusat.oauth2]\n{table}\n"))
    assert problem in str(caught.value)


def test_proof_is_the_one_of_rfc_7636() -> None:
    proof = Proof.make()
    assert 43 <= len(proof.verifier) <= 128
    digest = hashlib.sha256(proof.verifier.encode()).digest()
    assert base64.urlsafe_b64decode(proof.challenge + "=") == digest
    assert proof.verifier not in repr(proof)


def test_google_is_asked_for_mail_and_for_a_lasting_sign_in(google: OAuth2) -> None:
    proof = Proof.make()
    url = urlsplit(authorization_url(google, "http://127.0.0.1:1234", "keadaan", proof, "lpse@gmail.com"))
    query = {name: value for name, (value,) in parse_qs(url.query).items()}
    assert (url.scheme, url.hostname) == ("https", "accounts.google.com")
    assert query == {
        "response_type": "code",
        "client_id": "klien",
        "redirect_uri": "http://127.0.0.1:1234",
        "scope": "https://mail.google.com/",
        "state": "keadaan",
        "code_challenge": proof.challenge,
        "code_challenge_method": "S256",
        "login_hint": "lpse@gmail.com",
        "access_type": "offline",
        "prompt": "consent",
    }


def test_microsoft_is_asked_for_both_protocols_in_the_offices_own_directory() -> None:
    provider = provider_of(OAuth2(provider="microsoft", client_id="klien", tenant="contoh.go.id"))
    assert provider.token_url == "https://login.microsoftonline.com/contoh.go.id/oauth2/v2.0/token"
    assert provider.redirect_host == "localhost"
    assert set(provider.scopes) == {
        "https://outlook.office.com/IMAP.AccessAsUser.All",
        "https://outlook.office.com/SMTP.Send",
        "offline_access",
    }


def test_google_has_no_device_flow_for_mail(google: OAuth2) -> None:
    def show(_device: DeviceCode) -> None:
        raise AssertionError("a code was asked for")

    with pytest.raises(ConfigError, match="Google's device flow excludes the mail scope"):
        oauth_login.by_device(google, show)


def test_xoauth2_is_what_the_providers_write() -> None:
    assert oauth.xoauth2("lpse@contoh.go.id", "abc") == "user=lpse@contoh.go.id\1auth=Bearer abc\1\1"


def test_token_file_can_be_read_by_its_owner_only_and_is_replaced_as_a_whole(google: OAuth2) -> None:
    """Rule 70."""
    path = put(google)
    first = path.stat()
    assert stat.S_IMODE(first.st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    with path.open() as still_open:
        put(google, access_token="lain")
        assert json.load(still_open)["access_token"] == "akses-rahasia"
    assert path.stat().st_ino != first.st_ino
    assert oauth_store.read(path) == stored(google, access_token="lain")
    assert [one.name for one in path.parent.iterdir()] == ["pusat.json"]


def test_interrupted_replacement_leaves_the_old_token(google: OAuth2) -> None:
    """Rule 70."""
    path = put(google)
    with pytest.raises(KeyboardInterrupt), oauth_store.replacing(path):
        raise KeyboardInterrupt
    assert oauth_store.read(path) == stored(google)
    assert [one.name for one in path.parent.iterdir()] == ["pusat.json"]


def test_draft_that_a_kill_left_behind_is_written_over(google: OAuth2) -> None:
    path = put(google)
    path.with_name("pusat.json.new").write_text('{"half": ' + "x" * 100_000)
    put(google, access_token="lain")
    assert oauth_store.read(path) == stored(google, access_token="lain")
    assert [one.name for one in path.parent.iterdir()] == ["pusat.json"]


def test_full_disk_is_found_before_the_token_server_is_asked(google: OAuth2) -> None:
    """Rule 70: a refresh token that was exchanged and could not be kept would end the sign-in."""
    path = put(google)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, limits[1]))
    try:
        with pytest.raises(ConfigError, match=r"pusat\.json: cannot keep the token: File too large"):
            oauth.access_token(google, clock=lambda: NOW + 2 * HOUR)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert oauth_store.read(path) == stored(google)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"access_token": 3}', "\x00"])
def test_damaged_token_file_is_one_clear_line(google: OAuth2, content: str) -> None:
    put(google).write_text(content)
    with pytest.raises(ConfigError, match=r"pusat\.json: not a token file; run `responder login` again"):
        oauth.access_token(google)


def test_tokens_are_not_in_what_is_printed(google: OAuth2) -> None:
    """Rules 70 and 71."""
    printed = repr(stored(google)) + repr(Grant("akses-rahasia", "segar-rahasia", HOUR, ""))
    assert "rahasia" not in printed


def test_stored_token_is_used_while_it_is_good(google: OAuth2) -> None:
    put(google)
    assert oauth.access_token(google, clock=lambda: NOW + HOUR / 2) == "akses-rahasia"


def test_nobody_signed_in_yet_says_what_to_run(google: OAuth2) -> None:
    with pytest.raises(LoginError, match="mailbox pusat: not signed in yet; run `responder login pusat`"):
        oauth.access_token(google)


def test_token_of_another_client_goes_nowhere(google: OAuth2) -> None:
    put(google, client_id="klien-lain")
    with pytest.raises(LoginError, match="belongs to another client_id"):
        oauth.access_token(google)
    put(google, token_url="https://lain.example/token")
    with pytest.raises(LoginError, match="token server"):
        oauth.access_token(google)


def test_signed_out_account_asks_nobody_until_a_person_signs_in(google: OAuth2) -> None:
    """Rules 62 and 70."""
    put(google, refused="invalid_grant")
    with pytest.raises(
        LoginError, match=r"signed out by the provider \(invalid_grant\); run `responder login pusat`"
    ):
        oauth.access_token(google)
    oauth.keep(google, Grant("baru", "segar-baru", HOUR, ""), clock=lambda: NOW)
    assert oauth.access_token(google, clock=lambda: NOW) == "baru"


def test_sign_in_that_would_end_within_the_hour_is_refused(google: OAuth2) -> None:
    with pytest.raises(LoginError, match="gave no refresh token"):
        oauth.keep(google, Grant("baru", "", HOUR, ""))


def test_token_directory_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "oauth2").write_text("a file where the folder should be")
    config = OAuth2(provider="google", client_id="klien").of("pusat", tmp_path)
    with pytest.raises(ConfigError, match=r"cannot keep the token"):
        oauth.keep(config, Grant("a", "b", HOUR, ""))


def _hold(path: Path, held: Event, release: Event) -> None:
    with oauth_store.locked(path):
        held.set()
        release.wait(60)


def test_lock_excludes_other_processes_and_ends_with_its_holder(tmp_path: Path) -> None:
    """Rule 70: a killed process leaves no stale lock."""
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    path = tmp_path / "pusat.json"
    holder = context.Process(target=_hold, args=(path, held, release))
    holder.start()
    assert held.wait(60)
    with pytest.raises(MailServerError, match="another process"), oauth_store.locked(path, patience=0.1):
        pass
    holder.kill()
    holder.join()
    holder.close()
    with oauth_store.locked(path, patience=60):
        pass
