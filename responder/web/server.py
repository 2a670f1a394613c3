"""Serving the pages: uvicorn in a thread, on a socket that is bound before anything else starts."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import structlog
import uvicorn

from responder.config import Settings
from responder.errors import ConfigError
from responder.tickets.database import Database
from responder.web.app import create_app

log = structlog.get_logger("responder.web")

STOP_SECONDS = 10  # requests in hand may finish; none of ours takes longer
BACKLOG = 128


@dataclass(frozen=True)
class Handle:
    """Pages that are being served."""

    address: str  # "http://127.0.0.1:8080"
    _server: uvicorn.Server
    _thread: threading.Thread

    def stop(self) -> None:
        """Finish the requests in hand and end. May be called twice."""
        self._server.should_exit = True
        self._thread.join(STOP_SECONDS + 5)


def serve_in_thread(settings: Settings, database: Database, clock: Callable[[], datetime]) -> Handle:
    """Serve the pages in a thread of this process until `Handle.stop`.

    Port 0 takes a free one. Raises ConfigError when the address cannot be listened on.
    """
    web = settings.web
    listening = _listen(web.host, web.port)
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(settings, database, clock),
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # the guard reads the one header that it may believe
            ws="none",
            timeout_graceful_shutdown=STOP_SECONDS,
            ssl_certfile=web.tls_certificate_file,
            ssl_keyfile=web.tls_key_file,
        )
    )
    thread = threading.Thread(target=server.run, args=([listening],), name="web", daemon=True)
    thread.start()
    scheme = "https" if web.tls_certificate_file else "http"
    host = f"[{web.host}]" if ":" in web.host else web.host
    address = f"{scheme}://{host}:{listening.getsockname()[1]}"
    log.info("pages are served", address=web.base_url or address)
    return Handle(address, server, thread)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise ConfigError(f"web.listen: cannot listen on {host}:{port}: {error.strerror or error}") from error
    # Connections inherit it. asyncio sets it only for sockets that it opens itself; without it each page waits for a
    # delayed acknowledgement between its headers and its body (RFC 1122 4.2.3.2), 40 ms on Linux.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening
