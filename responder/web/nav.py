"""What stands around every page: the queues with their sizes, the state of sending, what was decided last."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from responder.tickets import queues, switches
from responder.tickets.queues import Queue
from responder.web import reading
from responder.web.place import Place
from responder.web.service import Service

SHOWN = (
    Queue.TO_APPROVE,
    Queue.NEEDS_ANSWER,
    Queue.FAILED,
    Queue.QUARANTINED,
    Queue.SENT_TODAY,
    Queue.ANSWERED,
    Queue.CLOSED,
)


def context(connection: Connection, service: Service, at: Place, decided: int) -> dict[str, Any]:
    """For the templates: `at`, `sizes`, `titles`, `arming`, and the ticket that was `decided` last (0 = none)."""
    last, undoable = reading.last_event(connection, decided) if decided else (None, None)
    return {
        "at": at,
        "sizes": queues.sizes(connection, at.filters(service.settings.service.zone), service.day_start()),
        "shown_queues": SHOWN,
        "counted": queues.COUNTED,
        "titles": service.titles(),
        "arming": switches.arming(connection),
        "decided": decided,
        "last": last,
        "undoable": undoable if undoable is not None and undoable.next_try > service.clock() else None,
    }
