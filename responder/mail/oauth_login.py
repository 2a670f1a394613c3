"""A person allows access to a mailbox: in a browser that comes back to this machine, or by a code on another device."""

from __future__ import annotations

import queue
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

from responder.config import OAuth2
from responder.errors import ConfigError, LoginError, MailServerError
from responder.mail import connection
from responder.mail.oauth_exchange import (
    DeviceCode,
    Grant,
    Proof,
    TokenRefused,
    authorization_url,
    begin_device,
    redeem_code,
    redeem_device,
)
from responder.mail.oauth_provider import provider_of

PATIENCE = 900.0
"""Seconds that a person has for signing in, 2-step verification and consent included."""

SLOW_DOWN = 5.0
"""Seconds added to the interval at each `slow_down` (RFC 8628 3.5)."""

POLL = 0.1
"""Seconds until the listener notices that it is to end."""

_DECLINED = frozenset({"access_denied", "authorization_declined"})  # the second is Microsoft's word
_PAGE = """<!doctype html><html lang="id"><meta charset="utf-8"><title>Responder</title>
<p>{text}</p></html>"""

Show = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the browser brought back (RFC 6749 4.1.2)."""

    code: str
    error: str


def by_browser(
    config: OAuth2, login_hint: str, show: Show, *, port: int = 0, patience: float = PATIENCE
) -> Grant:
    """Have a person sign in at the address given to `show`, and wait for the browser's return (RFC 8252 7.3).

    The listener is on 127.0.0.1, at `port` or any free one. Raises LoginError when the person declines or `patience`
    seconds pass, ConfigError when the port is taken, and what `redeem_code` raises.
    """
    proof, state = Proof.make(), secrets.token_urlsafe(24)
    with _listen(port, state) as listener:
        redirect = f"http://{provider_of(config).redirect_host}:{listener.server_port}"
        thread = threading.Thread(target=listener.serve_forever, args=(POLL,), daemon=True)
        thread.start()
        try:
            show(authorization_url(config, redirect, state, proof, login_hint))
            answer = listener.answers.get(timeout=patience)
        except queue.Empty:
            raise LoginError(f"nobody signed in within {patience:.0f} s; nothing was changed") from None
        finally:
            listener.shutdown()
            thread.join()
    if not answer.code:
        raise LoginError(f"the sign-in was not allowed: {answer.error or 'no code came back'}")
    return redeem_code(config, answer.code, redirect, proof)


def by_device(
    config: OAuth2,
    show: Callable[[DeviceCode], None],
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> Grant:
    """Have a person enter a code, given to `show`, on another device, and wait for it (RFC 8628).

    Raises LoginError when the person declines or the code expires, ConfigError when the provider has no such flow.
    """
    refuse_without_device_flow(config)
    device = begin_device(config)
    show(device)
    interval, left = device.interval, device.lifetime
    while left > 0:
        sleep(interval)
        left -= interval
        try:
            return redeem_device(config, device)
        except TokenRefused as error:
            if error.code == "slow_down":
                interval += SLOW_DOWN
            elif error.code in _DECLINED:
                raise LoginError("the sign-in was declined; nothing was changed") from None
            elif error.code == "expired_token":
                break
            elif error.code != "authorization_pending":
                raise
        except MailServerError:
            # RFC 8628 3.5: after a connection that failed, ask less often.
            interval *= 2
    raise LoginError("the code expired before it was entered; nothing was changed")


def refuse_without_device_flow(config: OAuth2) -> None:
    """Raise ConfigError when no code for another device can be had."""
    if provider_of(config).device_url:
        return
    if config.provider == "google":
        raise ConfigError(
            "--device: Google's device flow excludes the mail scope; sign in by browser, from another machine through "
            "`ssh -L` (docs/gmail.md)"
        )
    raise ConfigError(f"--device: mailboxes.{config.mailbox}.oauth2.device_url is not set")


class _Listener(ThreadingHTTPServer):
    daemon_threads = True  # browsers open connections in advance and leave them idle

    def __init__(self, port: int, state: str) -> None:
        super().__init__(("127.0.0.1", port), _Return)
        self.state = state
        self.answers: queue.Queue[_Answer] = queue.Queue()


def _listen(port: int, state: str) -> _Listener:
    try:
        return _Listener(port, state)
    except OSError as error:
        raise ConfigError(f"--port {port}: cannot listen on 127.0.0.1: {error.strerror}") from error


class _Return(BaseHTTPRequestHandler):
    """The browser's return. Whatever else calls here, without our `state`, changes nothing."""

    timeout = 30  # seconds for a request to arrive

    def do_GET(self) -> None:
        listener = cast(_Listener, self.server)
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        if not secrets.compare_digest(query.get("state", "").encode(), listener.state.encode()):
            self._say(
                HTTPStatus.BAD_REQUEST, "Alamat ini bukan bagian dari proses masuk yang sedang berjalan."
            )
            return
        words = " ".join((query.get("error", ""), query.get("error_description", "")))
        answer = _Answer(query.get("code", ""), connection.one_line(words))
        if answer.code:
            self._say(HTTPStatus.OK, "Izin diterima. Jendela ini boleh ditutup; hasilnya ada di terminal.")
        else:
            self._say(HTTPStatus.OK, "Izin tidak diberikan. Jendela ini boleh ditutup.")
        listener.answers.put(answer)

    def _say(self, status: HTTPStatus, text: str) -> None:
        page = _PAGE.format(text=text).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_: Any) -> None:
        """Say nothing: the request line holds the code."""
