"""A person who signs in to a mailbox by browser, and what that leaves on disk."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

from responder.config import OAuth2
from responder.mail import oauth, oauth_login, oauth_store
from responder.mail.oauth_exchange import Grant
from responder.mail.oauth_store import StoredToken
from tests.token_server import TokenServer, visit

ACCOUNT = "lpse@contoh.go.id"


def settings(tokens: TokenServer, directory: Path, provider: str = "microsoft", **more: object) -> OAuth2:
    """Settings of the mailbox `pusat`, whose tokens are below `directory`."""
    return OAuth2.model_validate({"provider": provider, **tokens.settings, **more}).of("pusat", directory)


def by_browser(config: OAuth2, show: list[str] | None = None) -> Grant:
    """Sign in with a browser in which the person is signed in already."""
    pages: list[tuple[int, str]] = []
    visits: list[threading.Thread] = []

    def open_browser(url: str) -> None:
        if show is not None:
            show.append(url)
        visits.append(threading.Thread(target=lambda: pages.append(visit(url))))
        visits[0].start()

    try:
        return oauth_login.by_browser(config, ACCOUNT, open_browser, patience=60)
    finally:
        visits[0].join(60)
        assert pages[0][0] == 200


def signed_in(tokens: TokenServer, directory: Path, **more: object) -> OAuth2:
    """Settings of a mailbox that a person has just signed in to."""
    config = settings(tokens, directory, **more)
    oauth.keep(config, by_browser(config))
    return config


def kept(config: OAuth2) -> StoredToken:
    """What is on disk."""
    assert config.token_file is not None
    token = oauth_store.read(config.token_file)
    assert token is not None
    return token


def age(config: OAuth2, seconds: float) -> None:
    """Have the stored token be `seconds` older."""
    assert config.token_file is not None
    token = kept(config)
    with oauth_store.replacing(config.token_file) as put:
        put(replace(token, obtained_at=token.obtained_at - seconds, expires_at=token.expires_at - seconds))
