"""Signals as events: SIGTERM and SIGINT ask the service to end, SIGHUP to read its configuration again."""

from __future__ import annotations

import queue
import signal
import threading

_ENDING = (signal.SIGTERM, signal.SIGINT)


def listen() -> tuple[threading.Event, threading.Event]:
    """Return the events `stop` and `reload`, set by signals from here on; to be called in the main thread.

    A handler runs between any two instructions of the main thread, also while that holds the lock of an event: it
    only puts the number into a queue that may be entered again, and a thread does the rest.
    """
    stop, reload = threading.Event(), threading.Event()
    arrived: queue.SimpleQueue[int] = queue.SimpleQueue()

    def relay() -> None:
        while True:
            (stop if arrived.get() in _ENDING else reload).set()

    threading.Thread(target=relay, name="signals", daemon=True).start()
    for number in (*_ENDING, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: arrived.put(number))
    return stop, reload
