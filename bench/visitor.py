"""Members of staff for the benchmarks: one asks the application in this process, the other one asks over HTTP."""

from __future__ import annotations

import asyncio
import http.client
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html import unescape
from typing import Any
from urllib.parse import urlencode, urlsplit

HOST = "127.0.0.1:8080"
NAME, PASSWORD = "bench", "kuda-laut-berenang-7"
"""Of an account that lives as long as the benchmark."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request."""

    path: str
    form: Mapping[str, str] | None = None  # None = GET
    boosted: bool = False  # as htmx asks


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]  # lower case; of several with one name the first
    body: bytes


Ask = Callable[[Asked], Answer]


@dataclass
class Client:
    """A browser's session at the application itself."""

    app: Any
    loop: asyncio.AbstractEventLoop
    cookie: str = ""
    csrf: str = ""

    def __call__(self, asked: Asked) -> Answer:
        return self.loop.run_until_complete(self._ask(asked))

    async def _ask(self, asked: Asked) -> Answer:
        method, body, given = _encoded(asked, self.cookie, self.csrf, HOST)
        url = urlsplit(asked.path)
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
            "path": url.path, "raw_path": url.path.encode(), "query_string": url.query.encode(), "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
            "client": ("127.0.0.1", 40000), "server": ("127.0.0.1", 8080), "state": {},
        }  # fmt: skip
        received, parts = False, []
        start: dict[str, Any] = {}

        async def receive() -> dict[str, Any]:
            nonlocal received
            if received:
                return {"type": "http.disconnect"}
            received = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            else:
                parts.append(message.get("body", b""))

        await self.app(scope, receive, send)
        headers = {name.decode().lower(): value.decode() for name, value in reversed(start["headers"])}
        return Answer(start["status"], headers, b"".join(parts))


@dataclass
class Remote:
    """A browser's session over HTTP, one connection kept open."""

    host: str
    cookie: str = ""
    csrf: str = ""
    _connection: http.client.HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        self._connection = http.client.HTTPConnection(self.host, timeout=120)

    def __call__(self, asked: Asked) -> Answer:
        method, body, headers = _encoded(asked, self.cookie, self.csrf, self.host)
        self._connection.request(method, asked.path, body or None, headers)
        answer = self._connection.getresponse()
        given = {name.lower(): value for name, value in reversed(answer.getheaders())}
        return Answer(answer.status, given, answer.read())


def _encoded(asked: Asked, cookie: str, csrf: str, host: str) -> tuple[str, bytes, dict[str, str]]:
    headers = {"host": host, "cookie": cookie, "accept-encoding": "gzip"}
    if asked.boosted:
        headers["hx-request"] = "true"
    if asked.form is None:
        return "GET", b"", headers
    body = urlencode({"csrf": csrf, **asked.form}).encode()
    headers |= {
        "origin": f"http://{host}",
        "content-type": "application/x-www-form-urlencoded",
        "content-length": str(len(body)),
    }
    return "POST", body, headers


def log_in(client: Client | Remote) -> None:
    answer = client(Asked("/masuk", {"nama": NAME, "sandi": PASSWORD}))
    assert answer.status == 303, answer.body[:500]
    client.cookie = re.search(r"lpse=[^;]+", answer.headers["set-cookie"])[0]  # type: ignore[index]
    client.csrf = unescape(re.search(r'name="csrf" value="([^"]+)"', client(Asked("/saya")).body.decode())[1])  # type: ignore[index]
