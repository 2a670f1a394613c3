"""The access token of a mailbox: kept fresh, renewed by one at a time, and what SASL XOAUTH2 makes of it (rule 70)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from responder.config import OAuth2
from responder.errors import LoginError
from responder.mail import oauth_store
from responder.mail.oauth_exchange import Grant, TokenRefused, refresh
from responder.mail.oauth_provider import provider_of
from responder.mail.oauth_store import StoredToken

EXPIRY_MARGIN = 300.0
"""Seconds before its end that a token is renewed: longer than opening a connection takes, and than clocks drift."""

RENEWAL_PAUSE = 3600.0
"""Seconds for which a token that took the place of a refused one, and is refused too, is not replaced again: then the
token is not the reason, and the token server is left alone (rule 62)."""

# RFC 6749 5.2 and OpenID Connect Core 3.1.2.6: only a person can end these.
_NEEDS_PERSON = frozenset({"invalid_grant", "interaction_required", "login_required", "consent_required"})

T = TypeVar("T")
Clock = Callable[[], float]


def xoauth2(username: str, access_token: str) -> str:
    """Return the initial client response of SASL XOAUTH2, not yet in Base64."""
    return f"user={username}\1auth=Bearer {access_token}\1\1"


def signed_in(config: OAuth2, attempt: Callable[[str], T], *, clock: Clock = time.time) -> T:
    """Return `attempt(access token)`; when it raises LoginError, try once more with a renewed token.

    Raises LoginError when a person must sign in, MailServerError when it may work later, ConfigError when the token
    file or the client secret cannot be used.
    """
    token = access_token(config, clock=clock)
    try:
        return attempt(token)
    except LoginError:
        renewed = access_token(config, refused=token, clock=clock)
        if renewed == token:
            raise
    return attempt(renewed)


def access_token(config: OAuth2, *, refused: str = "", clock: Clock = time.time) -> str:
    """Return an access token that is good for some minutes; a renewed one in place of one that a server `refused`.

    `refused` itself is returned when it was given in place of a refused one within the last hour.

    Renewing is done by one thread of one process at a time; the others find its result. Raises as `signed_in` does.
    """
    token = present(config)
    if _good(token, refused, clock()):
        return token.access_token
    path = _path(config)
    with oauth_store.locked(path):
        token = present(config)
        if not _good(token, refused, clock()):
            token = _renewed(config, token, bool(refused), clock)
    return token.access_token


def present(config: OAuth2) -> StoredToken:
    """Return the stored token. Raises LoginError when there is none that this client could renew."""
    token = oauth_store.read(_path(config))
    if token is None:
        raise needs_login(config, "not signed in yet")
    if (token.client_id, token.token_url) != (config.client_id, provider_of(config).token_url):
        raise needs_login(config, "the stored token belongs to another client_id or token server")
    if token.refused:
        raise needs_login(config, f"signed out by the provider ({token.refused})")
    return token


def keep(config: OAuth2, grant: Grant, *, clock: Clock = time.time) -> StoredToken:
    """Store what a person's sign-in gave. Raises LoginError when it holds no refresh token, ConfigError."""
    if not grant.refresh_token:
        raise LoginError(
            f"mailbox {config.mailbox}: the provider gave no refresh token, so the sign-in would end within the hour; "
            "check the scopes (offline_access), or remove this application's access in the account and sign in again"
        )
    path = _path(config)
    with oauth_store.locked(path), oauth_store.replacing(path) as put:
        token = _stored(config, grant, grant.refresh_token, clock())
        put(token)
    return token


def needs_login(config: OAuth2, why: str) -> LoginError:
    return LoginError(f"mailbox {config.mailbox}: {why}; run `responder login {config.mailbox}`")


def _renewed(config: OAuth2, token: StoredToken, was_refused: bool, clock: Clock) -> StoredToken:
    with oauth_store.replacing(_path(config)) as put:
        try:
            grant = refresh(config, token.refresh_token)
        except TokenRefused as error:
            if error.code not in _NEEDS_PERSON:
                raise LoginError(f"mailbox {config.mailbox}: {error}") from None
            # Remembered, so that nobody asks again until a person has signed in (rule 62).
            put(replace(token, refused=error.code))
            raise needs_login(config, f"signed out by the provider ({error})") from None
        renewed = _stored(config, grant, grant.refresh_token or token.refresh_token, clock())
        renewed = replace(
            renewed,
            scope=renewed.scope or token.scope,
            ends_at=renewed.ends_at or token.ends_at,
            after_refusal=was_refused,
        )
        put(renewed)
    return renewed


def _stored(config: OAuth2, grant: Grant, refresh_token: str, now: float) -> StoredToken:
    provider = provider_of(config)
    return StoredToken(
        client_id=config.client_id,
        token_url=provider.token_url,
        access_token=grant.access_token,
        refresh_token=refresh_token,
        obtained_at=now,
        expires_at=now + grant.lifetime,
        scope=grant.scope,
        ends_at=now + grant.refresh_lifetime if grant.refresh_lifetime else 0,
    )


def _good(token: StoredToken, refused: str, now: float) -> bool:
    age, lifetime = now - token.obtained_at, token.expires_at - token.obtained_at
    if token.access_token == refused:
        return token.after_refusal and 0 <= age < RENEWAL_PAUSE
    # A clock that was set back makes no token live longer; a short-lived token is used for half its life.
    return -EXPIRY_MARGIN < age < lifetime - min(EXPIRY_MARGIN, lifetime / 2)


def _path(config: OAuth2) -> Path:
    assert config.token_file is not None, "set when the configuration is read"
    return config.token_file
