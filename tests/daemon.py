"""`responder run` as a process of its own, watched through its log and its notifications."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench.accounting import tree
from tests.scenarios.installation import ROOT, Installation
from tests.servers import wait_until


class ServiceManager:
    """The socket that systemd would listen on (sd_notify(3)); in the abstract namespace, as systemd's may be."""

    def __init__(self, name: str) -> None:
        self.address = f"@responder-test-{os.getpid()}-{name}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + self.address[1:])
        self._socket.setblocking(False)
        self._said: list[str] = []

    def close(self) -> None:
        self._socket.close()

    @property
    def said(self) -> list[str]:
        """Every assignment told so far, in order."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self._said += self._socket.recv(65536).decode().splitlines()
        return self._said

    def hears(self, what: str) -> None:
        wait_until(lambda: any(what in line for line in self.said), f"{what!r} told to the service manager")


@dataclass
class Daemon:
    """One running service."""

    office: Installation
    process: subprocess.Popen[bytes]
    log_file: Path
    manager: ServiceManager
    _marks: dict[str, int] = field(default_factory=dict)

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def logs(self, words: str, times: int = 1) -> None:
        """Wait until it has logged `words` so often."""
        wait_until(lambda: self.log.count(words) >= times, f"{times} times {words!r} in the log:\n{self.log}")

    def children(self) -> set[int]:
        """The processes that it has started and that run."""
        return set(tree(self.process.pid)) - {self.process.pid}

    def reload(self) -> None:
        self.process.send_signal(signal.SIGHUP)

    def stop(self, *signals: signal.Signals) -> float:
        """Ask it to end; return the seconds it took."""
        began = time.monotonic()
        for one in signals or (signal.SIGTERM,):
            self.process.send_signal(one)
        self.process.wait(60)
        return time.monotonic() - began


@contextlib.contextmanager
def running(office: Installation, **environment: str) -> Iterator[Daemon]:
    """`responder run` until the end of the block."""
    manager = ServiceManager(office.directory.parent.name[-40:])
    log_file = office.directory / "daemon.log"
    with log_file.open("ab") as log:
        process = subprocess.Popen(
            office.arguments("run"),
            cwd=ROOT,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "NOTIFY_SOCKET": manager.address, **environment},
        )
    daemon = Daemon(office, process, log_file, manager)
    try:
        yield daemon
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(30)
        manager.close()
