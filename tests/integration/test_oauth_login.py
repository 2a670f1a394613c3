"""A person signs in: by a browser that comes back to this machine, or by a code on another device."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from responder.config import OAuth2
from responder.errors import ConfigError, LoginError
from responder.mail import oauth_login
from responder.mail.oauth_exchange import DeviceCode, Grant, TokenRefused
from tests.servers import HOST
from tests.sign_in import ACCOUNT, by_browser, settings
from tests.token_server import TokenServer, visit


@pytest.fixture
def tokens() -> Iterator[TokenServer]:
    with TokenServer(account=ACCOUNT) as server:
        yield server


@pytest.mark.parametrize("provider", ["google", "microsoft"])
def test_person_signs_in_by_browser_with_pkce(tokens: TokenServer, tmp_path: Path, provider: str) -> None:
    """RFC 7636 and RFC 8252: only who began the sign-in can end it, on this machine."""
    config = settings(tokens, tmp_path, provider)
    shown: list[str] = []
    grant = by_browser(config, shown)
    (asked,), (redeemed,) = tokens.authorizations, tokens.requests
    assert asked["code_challenge_method"] == "S256"
    assert asked["redirect_uri"] == redeemed["redirect_uri"]
    host = urlsplit(asked["redirect_uri"]).hostname
    assert host == ("127.0.0.1" if provider == "google" else "localhost")
    assert redeemed["code_verifier"] not in shown[0]
    assert tokens.owns(ACCOUNT, grant.access_token)
    assert grant.refresh_token


def test_code_that_another_program_caught_is_of_no_use_to_it(tokens: TokenServer, tmp_path: Path) -> None:
    config = settings(tokens, tmp_path)

    def intercept(url: str) -> None:
        query = {name: value for name, (value,) in parse_qs(urlsplit(url).query).items()}
        query["code_challenge"] = "A" * 43
        visit(f"{tokens.url}/authorize?{urlencode(query)}")

    with pytest.raises(TokenRefused, match="invalid_grant"):
        oauth_login.by_browser(config, ACCOUNT, intercept, patience=60)


def test_visit_with_another_state_changes_nothing(tokens: TokenServer, tmp_path: Path) -> None:
    """RFC 6749 10.12."""
    config = settings(tokens, tmp_path)
    strangers: list[int] = []

    def attack_first(url: str) -> None:
        home = parse_qs(urlsplit(url).query)["redirect_uri"][0]
        strangers.append(visit(f"{home}?code=curian&state=tebakan")[0])
        strangers.append(visit(f"{home}?code=curian")[0])
        strangers.append(visit(f"{home}/favicon.ico")[0])
        assert visit(url)[0] == 200

    grant = oauth_login.by_browser(config, ACCOUNT, attack_first, patience=60)
    assert strangers == [400, 400, 400]
    assert tokens.owns(ACCOUNT, grant.access_token)


def test_idle_connection_of_a_browser_does_not_hold_the_sign_in(tokens: TokenServer, tmp_path: Path) -> None:
    config = settings(tokens, tmp_path)
    idle: list[socket.socket] = []

    def connect_first(url: str) -> None:
        home = urlsplit(parse_qs(urlsplit(url).query)["redirect_uri"][0])
        assert home.port is not None
        idle.append(socket.create_connection((HOST, home.port), 10))
        assert visit(url)[0] == 200

    try:
        assert oauth_login.by_browser(config, ACCOUNT, connect_first, patience=60).refresh_token
    finally:
        idle[0].close()


def test_person_who_declines_in_the_browser_changes_nothing(tokens: TokenServer, tmp_path: Path) -> None:
    tokens.declines = True
    config = settings(tokens, tmp_path)
    with pytest.raises(LoginError, match="not allowed: access_denied the person said no"):
        by_browser(config)
    assert tokens.requests == []


def test_nobody_signs_in(tokens: TokenServer, tmp_path: Path) -> None:
    with pytest.raises(LoginError, match="nobody signed in"):
        oauth_login.by_browser(settings(tokens, tmp_path), ACCOUNT, lambda _url: None, patience=0.05)


def test_taken_port_is_one_clear_line(tokens: TokenServer, tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"--port {port}: cannot listen on 127\.0\.0\.1"):
            oauth_login.by_browser(settings(tokens, tmp_path), ACCOUNT, lambda _url: None, port=port)


def by_device(
    tokens: TokenServer, config: OAuth2, enter_after: int | None, **how: bool
) -> tuple[Grant, list[float]]:
    """Sign in by device code; the person enters it after so many questions. Return the pauses too."""
    codes: list[DeviceCode] = []
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        tokens.skew += seconds
        if len(pauses) == enter_after:
            tokens.enter(codes[0].user_code, **how)

    return oauth_login.by_device(config, codes.append, sleep=sleep), pauses


def test_person_signs_in_with_a_code_on_another_device(tokens: TokenServer, tmp_path: Path) -> None:
    """RFC 8628 3.4, 3.5: asked every 5 s until the code was entered."""
    grant, pauses = by_device(tokens, settings(tokens, tmp_path), enter_after=3)
    assert pauses == [5, 5, 5]
    assert tokens.owns(ACCOUNT, grant.access_token)


def test_device_that_asks_too_often_slows_down(tokens: TokenServer, tmp_path: Path) -> None:
    """RFC 8628 3.5: 5 s more for each `slow_down`, for good."""
    config = settings(tokens, tmp_path)
    codes: list[DeviceCode] = []
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        tokens.skew += 1 if len(pauses) == 2 else seconds  # the server finds the second question too early
        if len(pauses) == 4:
            tokens.enter(codes[0].user_code)

    oauth_login.by_device(config, codes.append, sleep=sleep)
    assert pauses == [5, 5, 10, 10]


def test_token_server_away_while_a_device_asks_is_asked_less_often(
    tokens: TokenServer, tmp_path: Path
) -> None:
    """RFC 8628 3.5."""
    config = settings(tokens, tmp_path)
    codes: list[DeviceCode] = []
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        tokens.skew += seconds
        tokens.outage = 503 if len(pauses) == 1 else 0
        if len(pauses) == 2:
            tokens.enter(codes[0].user_code)

    oauth_login.by_device(config, codes.append, sleep=sleep)
    assert pauses == [5, 10]


def test_code_that_expires_or_is_declined_says_so(tokens: TokenServer, tmp_path: Path) -> None:
    config = settings(tokens, tmp_path)
    with pytest.raises(LoginError, match="expired before it was entered"):
        by_device(tokens, config, enter_after=None)
    with pytest.raises(LoginError, match="declined"):
        by_device(tokens, config, enter_after=1, declined=True)


def test_client_secret_is_sent_and_never_shown(tokens: TokenServer, tmp_path: Path) -> None:
    """Rule 70: not even when the token server repeats it in its answer."""
    tokens.secret = "rahasia-klien"
    (tmp_path / "secret").write_text("rahasia-klien\n")
    assert by_browser(settings(tokens, tmp_path, client_secret_file=tmp_path / "secret")).refresh_token
    (tmp_path / "secret").write_text("salah-klien\n")
    with pytest.raises(TokenRefused, match="invalid_client") as caught:
        by_browser(settings(tokens, tmp_path, client_secret_file=tmp_path / "secret"))
    assert "salah-klien" not in str(caught.value)
