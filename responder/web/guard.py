"""What holds for every request before any page sees it, and for every response after.

Host and Origin are ours, the body is of bounded size, and the browser is told to run and load nothing but our files.
"""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from responder.config import LOOPBACK_HOSTS, Web

log = structlog.get_logger("responder.web")

API = "/api/"
"""Requests below it bring a token in a header that no browser adds by itself, so their Origin says nothing."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
FRAME_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'self'"
)
"""For a mail's HTML: nothing runs, nothing loads, it may only be shown inside our own pages."""

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    # `no-referrer` would make browsers send "Origin: null" with our own forms (Fetch 3.1).
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}


class _TooLarge(Exception):  # noqa: N818 - never leaves this module
    """The body went over the limit while it was read."""


class _Body:
    """Counts what a body without Content-Length, or with a wrong one, really brings."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._left = limit
        self.too_large = False

    async def receive(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            self.too_large = True
            raise _TooLarge
        return message


class Guard:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, web: Web) -> None:
        self._app = app
        self._web = web
        self._hosts = {urlsplit(web.base_url).netloc} if web.base_url else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if self._web.behind_proxy:
            _believe_proxy(scope, headers)
        send = self._with_headers(send)
        if refusal := self._refusal(scope, headers):
            status, words = refusal
            await PlainTextResponse(words, status)(scope, receive, send)
            return
        body = _Body(receive, self._web.body_bytes)
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            # What reads the body may take the error for a malformed one and answer by itself.
            if not body.too_large:
                begun = True
                await send(message)

        try:
            with suppress(_TooLarge):
                await self._app(scope, body.receive, sending)
        except Exception:  # the framework would answer it outside of this guard, without its headers
            log.exception("request failed", path=scope["path"])
            if not begun:
                await PlainTextResponse("Ada gangguan pada layanan.", 500)(scope, receive, send)
        if body.too_large:
            await PlainTextResponse("Permintaan terlalu besar.", 413)(scope, receive, send)

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if not self._is_ours(host):
            return 421, "Alamat ini tidak dilayani di sini."
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self._web.body_bytes:
            return 413, "Permintaan terlalu besar."
        if scope["method"] in _SAFE_METHODS or scope["path"].startswith(API):
            return None
        if not self._from_our_pages(host, headers):
            return 403, "Permintaan tidak berasal dari halaman ini."
        return None

    def _is_ours(self, host: str) -> bool:
        if self._hosts is not None:
            return host.lower() in self._hosts
        try:
            name = urlsplit(f"//{host}").hostname
        except ValueError:
            return False
        return name in {*LOOPBACK_HOSTS, self._web.host}

    def _from_our_pages(self, host: str, headers: Headers) -> bool:
        origin = headers.get("origin")
        if origin is None:
            return headers.get("sec-fetch-site") == "same-origin"
        scheme = "https" if self._web.secure else "http"
        return origin.lower() == f"{scheme}://{host}".lower()

    def _with_headers(self, send: Send) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if self._web.secure:
                    headers.setdefault("strict-transport-security", "max-age=31536000")
            await send(message)

        return sending


def _believe_proxy(scope: Scope, headers: Headers) -> None:
    """Take the client from the last address: the one that the proxy itself saw; earlier ones anybody can write."""
    last = headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    if last:
        scope["client"] = (last[:64], 0)
