"""Telling systemd how the service is: sd_notify(3), one datagram to the socket that it names."""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress

STATUS_LENGTH = 200  # characters that `systemctl status` shows in a line of usual width


class Notifier:
    """Says nothing where no service manager listens. A message that cannot be delivered is not worth a failure."""

    def __init__(self) -> None:
        self._address = os.environ.get("NOTIFY_SOCKET", "")
        pid = os.environ.get("WATCHDOG_PID", "")
        ours = pid in {"", str(os.getpid())}
        self.watchdog_seconds = int(os.environ.get("WATCHDOG_USEC") or 0) / 1e6 if ours else 0.0
        """The unit's WatchdogSec=: silent for this long means hung. 0: nobody watches."""

    def ready(self) -> None:
        self._say("READY=1")

    def reloading(self) -> None:
        # Type=notify-reload matches this time with the moment of its SIGHUP (sd_notify(3)).
        self._say(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        self._say("STOPPING=1")

    def alive(self) -> None:
        self._say("WATCHDOG=1")

    def status(self, text: str) -> None:
        self._say(f"STATUS={' '.join(text.split())[:STATUS_LENGTH]}")

    def more_time(self, seconds: float) -> None:
        """Starting goes on for reasons outside: the unit's TimeoutStartSec= counts anew."""
        self._say(f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}")

    def _say(self, message: str) -> None:
        if not self._address:
            return
        # "@" stands for the NUL that begins a name in Linux's abstract namespace (unix(7)).
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with (
            suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as door,
        ):
            door.connect(address)
            door.sendall(message.encode())
