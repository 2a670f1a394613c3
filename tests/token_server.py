"""An OAuth 2 server on loopback: codes with PKCE, codes for devices, rotated refresh tokens, and token lookup for Dovecot.

It keeps what providers keep and refuses what they refuse (RFC 6749, 7636, 8628, and 9700 4.14.2: a refresh token that
is used twice ends the whole sign-in). `account` is who is signed in to the browser that visits it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.servers import HOST

CLIENT = "klien-uji"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
INTERVAL = 5  # seconds between questions of a device
DEVICE_LIFETIME = 60  # seconds that a device's code can be entered in
POLL = 0.02  # seconds until an ordered end is noticed


class Refused(Exception):  # noqa: N818 - an answer, not a fault
    """An OAuth 2 error answer."""

    def __init__(self, error: str, description: str = "", status: int = 400) -> None:
        super().__init__(error)
        self.body = {"error": error, "error_description": description}
        self.status = status


@dataclass
class SignIn:
    """One time that a person allowed access, with all tokens that came of it."""

    account: str
    scope: str
    refresh_token: str = ""
    used: set[str] = field(default_factory=set)  # refresh tokens before it
    ended: bool = False


@dataclass
class _Code:
    account: str
    scope: str
    redirect: str
    challenge: str


@dataclass
class _Device:
    scope: str
    user_code: str
    until: float
    account: str = ""  # who has entered the code
    declined: bool = False
    asked_at: float = field(default=float("-inf"))


class TokenServer:
    """Start with `with TokenServer() as server`; read `requests`; order `lifetime`, `rotates`, `declines`, `outage`."""

    def __init__(self, *, account: str = "lpse@contoh.go.id", secret: str = "") -> None:
        self.secret = secret  # of the client; "": a public client
        self._lock = threading.Lock()
        self.reset(account)
        self._server = ThreadingHTTPServer((HOST, 0), type("Handler", (_Handler,), {"tokens": self}))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(POLL,), daemon=True)
        self.url = f"http://{HOST}:{self._server.server_port}"

    def reset(self, account: str) -> None:
        """Forget everything; `account` is signed in to the browser."""
        self.account = account
        self.lifetime = 3600  # seconds that access tokens are good for
        self.rotates = True  # a refresh gives another refresh token and ends the one it was asked with
        self.testing = (
            0  # seconds that sign-ins last, as Google says for a client in status "Testing"; 0: not said
        )
        self.declines = False  # the person says no
        self.outage = 0  # HTTP status of every answer, 0: none
        self.skew = 0.0  # seconds that this server's clock is ahead
        self.delay = threading.Event()  # while cleared, refreshes wait
        self.delay.set()
        self.requests: list[dict[str, str]] = []  # forms that came to the token endpoint
        self.authorizations: list[dict[str, str]] = []  # queries that came to the authorization endpoint
        self._sign_ins: list[SignIn] = []
        self._access: dict[str, tuple[SignIn, float]] = {}
        self._codes: dict[str, _Code] = {}
        self._devices: dict[str, _Device] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.delay.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    @property
    def settings(self) -> dict[str, str]:
        """Endpoints and client, as keys of an [mailboxes.NAME.oauth2] table."""
        return {
            "client_id": CLIENT,
            "authorization_url": f"{self.url}/authorize",
            "token_url": f"{self.url}/token",
            "device_url": f"{self.url}/device",
        }

    @property
    def refreshes(self) -> int:
        return sum(request["grant_type"] == "refresh_token" for request in self.requests)

    def now(self) -> float:
        return time.time() + self.skew

    def owns(self, account: str, access_token: str) -> bool:
        """Whether `access_token` signs in `account` at present."""
        with self._lock:
            sign_in, until = self._access.get(access_token, (SignIn("", ""), 0.0))
            return sign_in.account == account and not sign_in.ended and self.now() < until

    def forget_access_tokens(self) -> None:
        """End all access tokens before their time; refresh tokens stay good."""
        with self._lock:
            self._access.clear()

    def revoke(self, account: str) -> None:
        """What happens when the account's password is changed or the application's access is removed."""
        with self._lock:
            for sign_in in self._sign_ins:
                sign_in.ended |= sign_in.account == account

    def enter(self, user_code: str, *, declined: bool = False) -> None:
        """The person enters a device's code."""
        with self._lock:
            (device,) = [device for device in self._devices.values() if device.user_code == user_code]
            device.account, device.declined = self.account, declined

    def authorize(self, query: dict[str, str]) -> str:
        """The authorization endpoint: return where the browser is sent."""
        with self._lock:
            self.authorizations.append(query)
            redirect = query["redirect_uri"]
            if urlsplit(redirect).hostname not in ("127.0.0.1", "localhost") or query["client_id"] != CLIENT:
                raise Refused("invalid_request", "unknown client or redirect_uri")
            back = {"state": query["state"]}
            if self.declines:
                back |= {"error": "access_denied", "error_description": "the person said no"}
            elif query["response_type"] != "code" or query["code_challenge_method"] != "S256":
                back["error"] = "invalid_request"
            else:
                back["code"] = secrets.token_urlsafe(16)
                challenge = query["code_challenge"]
                self._codes[back["code"]] = _Code(self.account, query["scope"], redirect, challenge)
            return f"{redirect}?{urlencode(back)}"

    def device(self, form: dict[str, str]) -> dict[str, Any]:
        with self._lock:
            self._check_client(form, secret="")
            code = secrets.token_urlsafe(16)
            device = _Device(form["scope"], secrets.token_hex(4).upper(), self.now() + DEVICE_LIFETIME)
            self._devices[code] = device
            return {
                "device_code": code,
                "user_code": device.user_code,
                "verification_uri": f"{self.url}/link",
                "expires_in": DEVICE_LIFETIME,
                "interval": INTERVAL,
            }

    def token(self, form: dict[str, str]) -> dict[str, Any]:
        """The token endpoint."""
        if form["grant_type"] == "refresh_token":
            self.delay.wait()
        with self._lock:
            self.requests.append(form)
            self._check_client(form, self.secret)
            match form["grant_type"]:
                case "authorization_code":
                    sign_in = self._redeem_code(form)
                case "refresh_token":
                    sign_in = self._refresh(form["refresh_token"])
                case _ if form["grant_type"] == DEVICE_GRANT:
                    sign_in = self._redeem_device(form["device_code"])
                case _:
                    raise Refused("unsupported_grant_type")
            access = f"akses-{secrets.token_urlsafe(600)}"  # as long as Microsoft's
            self._access[access] = (sign_in, self.now() + self.lifetime)
            answer = {"access_token": access, "token_type": "Bearer", "expires_in": self.lifetime}
            if form["grant_type"] != "refresh_token" or self.rotates:
                sign_in.used.add(sign_in.refresh_token)
                sign_in.refresh_token = f"segar-{secrets.token_urlsafe(32)}"
                answer["refresh_token"] = sign_in.refresh_token
            if self.testing:
                answer["refresh_token_expires_in"] = self.testing
            # Microsoft leaves offline_access out of what it grants.
            granted = [scope for scope in sign_in.scope.split() if scope != "offline_access"]
            return answer | {"scope": " ".join(granted)}

    def _check_client(self, form: dict[str, str], secret: str) -> None:
        if form["client_id"] != CLIENT or (secret and form.get("client_secret") != secret):
            raise Refused("invalid_client", f"no such client, or not {form.get('client_secret')}", 401)

    def _redeem_code(self, form: dict[str, str]) -> SignIn:
        code = self._codes.pop(form["code"], None)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if code is None or (code.redirect, code.challenge) != (form["redirect_uri"], challenge):
            raise Refused("invalid_grant", "code, redirect_uri or code_verifier does not fit")
        return self._begin(code.account, code.scope)

    def _redeem_device(self, code: str) -> SignIn:
        device = self._devices[code]
        soon, device.asked_at = self.now() - device.asked_at < INTERVAL, self.now()
        if self.now() > device.until:
            raise Refused("expired_token")
        if soon:
            raise Refused("slow_down")
        if device.declined:
            raise Refused("access_denied")
        if not device.account:
            raise Refused("authorization_pending")
        return self._begin(device.account, device.scope)

    def _refresh(self, token: str) -> SignIn:
        for sign_in in self._sign_ins:
            if sign_in.refresh_token == token and not sign_in.ended:
                return sign_in
        for sign_in in self._sign_ins:
            # Whoever holds the other copy is signed out as well.
            sign_in.ended |= token in sign_in.used
        raise Refused("invalid_grant", f"Token {token} has been expired or revoked.")

    def _begin(self, account: str, scope: str) -> SignIn:
        sign_in = SignIn(account, scope)
        self._sign_ins.append(sign_in)
        return sign_in

    def lookup(self, access_token: str) -> dict[str, Any]:
        """Whose access token it is, for Dovecot's tokeninfo_url."""
        with self._lock:
            sign_in, until = self._access.get(access_token, (SignIn("", "", ended=True), 0.0))
            if sign_in.ended or self.now() >= until:
                raise Refused("invalid_token")
            return {"email": sign_in.account, "scope": sign_in.scope}


class _Handler(BaseHTTPRequestHandler):
    tokens: TokenServer
    timeout = 30

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        if address.path == "/tokeninfo":
            self._answer(lambda: self.tokens.lookup(query.get("access_token", "")))
            return
        try:
            target = self.tokens.authorize(query)
        except Refused as refused:
            self._say(refused.status, refused.body)
            return
        self.send_response(302)
        self.send_header("Location", target)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {name: values[0] for name, values in parse_qs(body, strict_parsing=True).items()}
        endpoint = {"/device": self.tokens.device, "/token": self.tokens.token}.get(self.path)
        if endpoint is None:
            self._say(404, {})
        else:
            self._answer(lambda: endpoint(form))

    def _answer(self, make: Any) -> None:
        if self.tokens.outage:
            self._say(self.tokens.outage, {})
            return
        try:
            self._say(200, make())
        except Refused as refused:
            self._say(refused.status, refused.body)

    def _say(self, status: int, content: dict[str, Any]) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


def visit(url: str) -> tuple[int, str]:
    """Open `url` as a browser does, redirects and all; return the status and text of the page it ends on."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=30) as page:
            return page.status, page.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()
