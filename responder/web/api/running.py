"""The service itself: how it is, whether anything may leave, what is in quarantine."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path

from responder.pipeline import desk
from responder.tickets import queues, switches
from responder.tickets.switches import Arming
from responder.upkeep import situation
from responder.web.api import given
from responder.web.api.callers import Officer, Senior
from responder.web.api.given import LARGEST_ID
from responder.web.api.problems import described
from responder.web.api.shapes import Shape
from responder.web.service import UsesService

router = APIRouter(tags=["service"])


class SendingState(Shape):
    armed: bool  # whether anything leaves
    since: datetime | None
    by: str
    breaker: str  # why automatic sending is stopped until somebody arms again; "" = it is not
    hold: str  # why mailbox or database may be restored ones; "" = no reason to think so


class Mailbox(Shape):
    name: str
    last_good: datetime | None
    failures: int
    error: str
    differences: list[str]
    signed_out: str


class Waiting(Shape):
    count: int
    oldest: datetime | None


class Alarm(Shape):
    key: str
    text: str
    since: datetime


class Status(Shape):
    at: datetime
    sending: SendingState
    mailboxes: list[Mailbox]
    to_approve: Waiting
    to_answer: Waiting
    unsent: Waiting
    unfiled: Waiting
    unhandled: Waiting
    quarantined: Waiting
    uncertain: int
    failed: int
    dead_links: list[str]
    past_review: list[str]
    alarms: list[Alarm]


class Quarantined(Shape):
    id: int
    mailbox: str
    uid: int
    size: int
    received_at: datetime
    reason: str


class Quarantine(Shape):
    messages: list[Quarantined]


class Retried(Shape):
    message: int


@router.get("/status")
def status(service: UsesService, caller: Officer) -> Status:
    """What alarms and the daily summary are made from."""
    seen = situation.observe(service.database, service.settings, service.clock())
    queues_ = ("to_approve", "to_answer", "unsent", "unfiled", "unhandled", "quarantined")
    return Status(
        at=seen.at,
        sending=_state(seen.arming),
        mailboxes=[Mailbox.model_validate(one) for one in seen.mailboxes],
        **{name: Waiting.model_validate(getattr(seen, name)) for name in queues_},
        uncertain=seen.uncertain,
        failed=seen.failed,
        dead_links=list(seen.dead_links),
        past_review=list(seen.past_review),
        alarms=[Alarm.model_validate(one) for one in seen.alarms],
    )


@router.get("/sending")
def sending(service: UsesService, caller: Officer) -> SendingState:
    """Whether anything may leave."""
    with service.database.read() as connection:
        return _state(switches.arming(connection))


@router.put("/sending", responses=described(403))
def switch(service: UsesService, caller: Senior, wish: given.Sending) -> SendingState:
    """Arm, which also ends breaker and hold, or stop every send at once. Mail from before the arming is never
    answered automatically; arming what is armed changes nothing."""
    with service.database.begin() as connection:
        before = switches.arming(connection)
        if wish.armed and (not before.armed or before.breaker or before.hold):
            switches.arm(connection, caller.name, service.clock())
        elif before.armed and not wish.armed:
            switches.disarm(connection, caller.name, service.clock())
        return _state(switches.arming(connection))


@router.get("/quarantine")
def quarantine(service: UsesService, caller: Officer) -> Quarantine:
    """Mails that could not be read or handled, oldest first."""
    with service.database.read() as connection:
        rows = queues.quarantined(connection)
    return Quarantine(messages=[Quarantined.model_validate(row) for row in rows])


@router.post("/quarantine/{message_id}/retry", responses=described(409))
def retry(
    service: UsesService, caller: Officer, message_id: Annotated[int, Path(ge=1, le=LARGEST_ID)]
) -> Retried:
    """Put a message back to work; the next round handles it."""
    with service.database.begin() as connection:
        desk.retry_quarantined(connection, message_id, caller.name, service.clock())
    return Retried(message=message_id)


def _state(arming: Arming) -> SendingState:
    return SendingState(
        armed=arming.armed, since=arming.since, by=arming.by, breaker=arming.breaker, hold=arming.hold
    )
