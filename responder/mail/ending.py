"""Ending the mail dialogues of this process: first no reply is begun any more, then those that still wait are cut.

A cut connection looks like a lost one, so every phase ends as it always does: before the final dot the reply is due
again, after it the outcome is uncertain (rules 74 and 75). Signals concern a whole process, and so does this.
"""

from __future__ import annotations

import socket
import threading
import weakref
from contextlib import suppress
from typing import Protocol

from responder.errors import MailServerError


class Dialogue(Protocol):
    """A connection that another thread may end."""

    def cut(self) -> None: ...


_begun = threading.Event()
_lock = threading.Lock()
_dialogues: weakref.WeakSet[Dialogue] = weakref.WeakSet()


def joined(dialogue: Dialogue) -> None:
    """`dialogue` may have a connection from here on; it leaves by itself when nobody holds it."""
    with _lock:
        _dialogues.add(dialogue)


def begin() -> None:
    """From here on no reply is handed to a server."""
    _begun.set()


def begun() -> bool:
    return _begun.is_set()


def over() -> None:
    """Replies may be sent again: the service that ended was not the whole process."""
    _begun.clear()


def refuse_if_begun(where: str) -> None:
    """Raise MailServerError when this process is ending: the reply leaves later, or from another node."""
    if _begun.is_set():
        raise MailServerError(f"{where}: not begun, because the service is ending")


def cut_all() -> None:
    """Whoever waits for a server finds the connection lost."""
    with _lock:
        dialogues = list(_dialogues)
    for dialogue in dialogues:
        dialogue.cut()


def cut(connection: socket.socket | None) -> None:
    """End `connection`, on which another thread may wait; that thread closes it."""
    if connection is not None:
        with suppress(OSError):
            # Not SSLSocket.shutdown: it takes the TLS state away under the hands of the thread that reads.
            socket.socket.shutdown(connection, socket.SHUT_RDWR)
