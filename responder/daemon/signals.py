"""Signals as events: what asks a service to end, or to read its configuration again."""

from __future__ import annotations

import queue
import signal
import threading

ENDING = (signal.SIGTERM, signal.SIGINT)


def listen(*numbers: signal.Signals) -> threading.Event:
    """Return an event that each of these signals sets from here on; to be called in the main thread.

    A handler runs between any two instructions of the main thread, also while that holds the lock of an event: it
    only tells a queue that may be entered again, and a thread does the rest.
    """
    event = threading.Event()
    arrived: queue.SimpleQueue[None] = queue.SimpleQueue()

    def relay() -> None:
        while True:
            arrived.get()
            event.set()

    threading.Thread(target=relay, name="signals", daemon=True).start()
    for number in numbers:
        signal.signal(number, lambda *_: arrived.put(None))
    return event
