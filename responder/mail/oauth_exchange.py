"""The requests to a token server (RFC 6749, RFC 7636, RFC 8628): a form goes there, JSON comes back.

The libraries at hand did not fit: oauthlib refuses a loopback redirect unless a variable of the whole process turns
its TLS check off, and treats a scope list that the server shortens (as Microsoft does with offline_access) as an
exception; authlib, msal and google-auth bring a second HTTP client and 20 MB of cryptography that nothing here uses.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import secrets
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from responder.config import LOOPBACK_HOSTS, OAuth2
from responder.errors import LoginError, MailServerError
from responder.mail import connection
from responder.mail.oauth_provider import provider_of

TIMEOUT = 30.0  # seconds to wait for each answer of a token server
MAX_ANSWER = 64 * 1024  # octets; real answers stay below 8 KiB
DEFAULT_LIFETIME = 3600.0  # seconds, when the server does not say (RFC 6749 5.1 leaves it out then)
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"

# RFC 6749 4.1.2.1: may pass without anybody doing anything. Token servers use them in JSON too.
_PASSING = frozenset({"temporarily_unavailable", "server_error"})
_CLIENT = "check client_id and the client secret"
_REMEDIES = {
    "invalid_client": _CLIENT,
    "unauthorized_client": _CLIENT,
    "invalid_scope": "check scopes, and that the client may ask for them",
}
_SECRET_FIELDS = ("client_secret", "refresh_token", "code", "code_verifier", "device_code")


class TokenRefused(LoginError):  # noqa: N818 - what the server did, in RFC 6749's word
    """The token server refused for good; `code` is its word for why (RFC 6749 5.2, RFC 8628 3.5)."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token server gave (RFC 6749 5.1)."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)  # "": none, the one before stays good
    lifetime: float  # seconds that the access token is good for
    scope: str  # "": what was asked for
    refresh_lifetime: float = (
        0  # seconds until the sign-in itself ends; 0: not said, mostly until it is revoked
    )


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """What a person is to enter where, and how to ask whether they did (RFC 8628 3.2)."""

    device_code: str = field(repr=False)
    user_code: str
    verification_url: str
    lifetime: float  # seconds
    interval: float  # seconds between questions


@dataclass(frozen=True, slots=True)
class Proof:
    """PKCE (RFC 7636 4.1, 4.2): the secret that only who began a sign-in knows, and its S256 challenge."""

    verifier: str = field(repr=False)
    challenge: str

    @classmethod
    def make(cls) -> Proof:
        verifier = secrets.token_urlsafe(48)
        digest = hashlib.sha256(verifier.encode("ascii")).digest()
        return cls(verifier, base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii"))


def authorization_url(config: OAuth2, redirect: str, state: str, proof: Proof, login_hint: str) -> str:
    """Return the address where a person signs in and allows access (RFC 6749 4.1.1)."""
    provider = provider_of(config)
    query = {
        "response_type": "code",
        "client_id": config.client_id,
        "redirect_uri": redirect,
        "scope": " ".join(provider.scopes),
        "state": state,
        "code_challenge": proof.challenge,
        "code_challenge_method": "S256",
        "login_hint": login_hint,
        **provider.extra,
    }
    joint = "&" if urlsplit(provider.authorization_url).query else "?"
    return f"{provider.authorization_url}{joint}{urlencode(query)}"


def redeem_code(config: OAuth2, code: str, redirect: str, proof: Proof) -> Grant:
    """Exchange an authorization code for tokens (RFC 6749 4.1.3). Raises TokenRefused, MailServerError."""
    fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect}
    return _granted(config, fields | {"code_verifier": proof.verifier})


def refresh(config: OAuth2, refresh_token: str) -> Grant:
    """Get a fresh access token (RFC 6749 6). Raises TokenRefused, MailServerError."""
    return _granted(config, {"grant_type": "refresh_token", "refresh_token": refresh_token})


def begin_device(config: OAuth2) -> DeviceCode:
    """Ask for a code to be entered on another device (RFC 8628 3.1). Raises TokenRefused, MailServerError."""
    provider = provider_of(config)
    fields = {"client_id": config.client_id, "scope": " ".join(provider.scopes)}
    answer = _post(provider.device_url, fields)
    try:
        return DeviceCode(
            device_code=str(answer["device_code"]),
            user_code=str(answer["user_code"]),
            verification_url=str(answer["verification_uri"]),
            lifetime=float(answer["expires_in"]),
            interval=float(answer.get("interval", 5)),  # RFC 8628 3.2
        )
    except (KeyError, TypeError, ValueError):
        raise _unclear(provider.device_url) from None


def redeem_device(config: OAuth2, device: DeviceCode) -> Grant:
    """Ask whether the code was entered (RFC 8628 3.4); TokenRefused with code `authorization_pending`: not yet."""
    return _granted(config, {"grant_type": DEVICE_GRANT, "device_code": device.device_code})


def _granted(config: OAuth2, fields: Mapping[str, str]) -> Grant:
    url = provider_of(config).token_url
    client = {"client_id": config.client_id}
    if config.client_secret.given:
        client["client_secret"] = config.client_secret.read()
    answer = _post(url, {**fields, **client})
    token = answer.get("access_token")
    if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable():
        raise _unclear(url)
    try:
        return Grant(
            access_token=token,
            refresh_token=str(answer.get("refresh_token") or ""),
            lifetime=float(answer.get("expires_in", DEFAULT_LIFETIME)),
            scope=str(answer.get("scope") or ""),
            # Google says it for a client in status "Testing" and for access that was allowed for a time.
            refresh_lifetime=float(answer.get("refresh_token_expires_in", 0)),
        )
    except (TypeError, ValueError):
        raise _unclear(url) from None


def _post(url: str, fields: Mapping[str, str]) -> dict[str, Any]:
    request = urllib.request.Request(  # noqa: S310 - the configuration takes https only (http: 127.0.0.1)
        url, urlencode(fields).encode("ascii"), {"Accept": "application/json"}
    )
    try:
        with _opener(url).open(request, timeout=TIMEOUT) as response:
            status, body = response.status, response.read(MAX_ANSWER)
    except urllib.error.HTTPError as error:
        with error:
            status, body = error.code, error.read(MAX_ANSWER)
    except (OSError, http.client.HTTPException) as error:
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        raise connection.explain(_name(url), cause if isinstance(cause, Exception) else error) from None
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    if status == 200 and isinstance(answer, dict):
        return answer
    raise _refusal(url, status, answer if isinstance(answer, dict) else {}, fields)


def _opener(url: str) -> urllib.request.OpenerDirector:
    handlers: list[urllib.request.BaseHandler] = [
        urllib.request.HTTPSHandler(context=connection.tls_context()),
        _NoRedirect(),
    ]
    if urlsplit(url).hostname in LOOPBACK_HOSTS:
        handlers.append(urllib.request.ProxyHandler({}))
    return urllib.request.build_opener(*handlers)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Follow none: tokens go to the configured server only."""


def _refusal(url: str, status: int, answer: Mapping[str, Any], fields: Mapping[str, str]) -> MailServerError:
    code = connection.one_line(answer.get("error", ""))
    words = connection.one_line(answer.get("error_description", ""))
    for name in _SECRET_FIELDS:
        if secret := fields.get(name):
            words = words.replace(secret, f"({name})")
    said = f"{code}: {words}" if words else code
    remedy = f"; {_REMEDIES[code]}" if code in _REMEDIES else ""
    if not code:
        return MailServerError(f"{_name(url)}: answered {status} without a reason; check its address")
    if status == 429 or status >= 500 or code in _PASSING:
        return MailServerError(f"{_name(url)}: not available at present: {status} {said}")
    return TokenRefused(f"{_name(url)}: refused: {said}{remedy}", code)


def _unclear(url: str) -> MailServerError:
    return MailServerError(f"{_name(url)}: the answer is not one of a token server; check its address")


def _name(url: str) -> str:
    return f"token server {urlsplit(url).netloc}"
