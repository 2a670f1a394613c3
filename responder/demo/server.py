"""mail-devel on loopback: a real IMAP and SMTP server with a web mailbox, in a process of its own."""

from __future__ import annotations

import secrets
import socket
import subprocess
import sys
import time
from importlib.util import find_spec
from types import TracebackType
from typing import Self

from responder.errors import ConfigError, MailServerError

START_SECONDS = 30


class DemoServer:
    """Every address is a mailbox with the same password; what is sent to it lands in its INBOX."""

    def __init__(self, user: str) -> None:
        if find_spec("mail_devel") is None:
            raise ConfigError("the demo needs mail-devel: pip install 'lpse-responder[demo]'")
        self.user = user
        self.password = secrets.token_urlsafe(12)
        self.imap_port, self.smtp_port, self.http_port = _free_ports(3)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter, fixed arguments
            [
                sys.executable, "-m", "mail_devel",
                "--host", "127.0.0.1", "--multi-user", "--user", self.user, "--password", self.password,
                "--imap-port", str(self.imap_port),
                "--smtp-port", str(self.smtp_port),
                "--http-port", str(self.http_port),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            for port in (self.imap_port, self.smtp_port, self.http_port):
                self._wait_for(port)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _wait_for(self, port: int) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process is not None and self._process.poll() is not None:
                raise MailServerError(f"mail-devel ended at once with status {self._process.returncode}")
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise MailServerError(f"mail-devel did not open port {port} within {START_SECONDS} s")

    def _stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
