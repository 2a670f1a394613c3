"""A channel for alarms: an HTTP server that takes what apprise's json:// sends, or does not answer at all."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from tests.servers import HOST


class Channel:
    """Start with `with Channel() as channel`; read `messages`; `broken` refuses, `hanging` never answers."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.broken = False
        self.hanging = False
        self._ended = threading.Event()
        channel = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if channel.hanging:
                    channel._ended.wait()
                if not channel.broken:
                    channel.messages.append(json.loads(body))
                self.send_response(500 if channel.broken else 200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: the test reads `messages`."""

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    @property
    def url(self) -> str:
        return f"json://{HOST}:{self._server.server_address[1]}/?rto=2&cto=2"

    @property
    def text(self) -> str:
        """Everything told so far."""
        return "\n".join(f"{one['title']}\n{one['message']}" for one in self.messages)
