"""Reading: the queues, the search, one ticket with everything about it."""

from __future__ import annotations

from dataclasses import replace
from email import message_from_bytes, policy
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response
from sqlalchemy import Connection, select

from responder.errors import Refused
from responder.mail import masking
from responder.pipeline import desk
from responder.tickets import audit, lifecycle, queues, search
from responder.tickets.models import Message
from responder.tickets.queues import Queue
from responder.tickets.status import TicketStatus
from responder.web import attachments, reading
from responder.web.api import shapes
from responder.web.api.callers import Officer
from responder.web.api.given import CURSOR, LARGEST_ID, Limit, Narrowed, TicketId
from responder.web.api.problems import ApiProblem, Code, conflict, described, not_found
from responder.web.reading import Desk
from responder.web.service import Service, UsesService
from responder.web.ticket import predicted

router = APIRouter(tags=["reading"])

Id = Annotated[int, Path(ge=1, le=LARGEST_ID)]


@router.get("/me")
def me(caller: Officer) -> shapes.Me:
    """Whose token this is, and how long it lasts."""
    return shapes.Me.model_validate(caller)


@router.get("/queues")
def sizes(service: UsesService, caller: Officer, filters: Narrowed) -> shapes.Sizes:
    """How many items each queue has, counted up to 999."""
    with service.database.read() as connection:
        counted = queues.sizes(connection, filters, service.day_start())
    most = queues.COUNTED - 1
    return shapes.Sizes(
        queues=[
            shapes.QueueSize(queue=queue, size=min(size, most), more=size > most)
            for queue, size in counted.items()
        ]
    )


@router.get("/queues/{queue}", responses=described(404))
def page(
    service: UsesService,
    caller: Officer,
    queue: Queue,
    filters: Narrowed,
    after: Annotated[str, Query(pattern=CURSOR, description="`next` of the page before")] = "",
    limit: Limit = 40,
) -> shapes.Page:
    """One page of a queue; work is oldest first, what is over newest first."""
    with service.database.read() as connection:
        try:
            found = queues.page(connection, queue, filters, service.day_start(), after, limit)
        except Refused as error:
            raise ApiProblem(404, Code.NOT_FOUND, error) from error
    return shapes.Page(rows=[shapes.Row.of(line) for line in found.rows], next=found.next)


@router.get("/search")
def find(
    service: UsesService,
    caller: Officer,
    q: Annotated[str, Query(max_length=200, description="Words, or a ticket's number")],
    filters: Narrowed,
    status: TicketStatus | None = None,
    limit: Limit = 40,
    offset: Annotated[int, Query(ge=0, le=10_000)] = 0,
) -> shapes.Found:
    """Tickets in which one mail or reply holds all the words, newest first."""
    with service.database.read() as connection:
        found = search.find(connection, q, replace(filters, status=status), limit, offset)
    return shapes.Found(rows=[shapes.Row.of(line) for line in found.rows], more=found.more)


@router.get("/tickets/{ticket_id}", responses=described(404))
def ticket(
    service: UsesService,
    caller: Officer,
    ticket_id: TicketId,
    unmask: Annotated[bool, Query(description="Show personal numbers; who did is in the event log")] = False,
) -> shapes.Ticket:
    """A ticket with its mails, replies, notes and events, and what the machine thinks of it."""
    if unmask:
        with service.database.begin() as connection:
            existing(connection, ticket_id)
            desk.reveal(connection, ticket_id, caller.name, service.clock())
    with service.database.read() as connection:
        found = reading.read(connection, ticket_id, caller.user_id, service.clock())
        if found is None:
            raise not_found(f"ticket {ticket_id}")
        files = attachments.of_mail(connection, found.newest)
    seen: shapes.Seen = str if unmask else masking.mask
    return shapes.Ticket(
        **shapes.ticket_fields(found, seen),
        **_thought(service, found, seen),
        masked=not unmask,
        files=[shapes.File(name=seen(one.name), size=one.size, number=one.number) for one in files],
    )


@router.get("/tickets/{ticket_id}/replies/{reply_id}", responses=described(404, 409))
def reply(service: UsesService, caller: Officer, ticket_id: TicketId, reply_id: Id) -> shapes.ReplyView:
    """One reply, also as the vendor will see it."""
    with service.database.read() as connection:
        row = lifecycle.reply(connection, reply_id)
        if row is None or row.ticket_id != ticket_id:
            raise not_found(f"reply {reply_id} of ticket {ticket_id}")
        not_blind(connection, ticket_id)
    part = message_from_bytes(row.data, policy=policy.default).get_body(("html",))
    html = str(part.get_content()) if part is not None else ""
    return shapes.ReplyView(**shapes.Reply.of(row).model_dump(), html=html)


@router.get(
    "/tickets/{ticket_id}/mails/{mail_id}/attachments/{number}",
    response_class=Response,
    responses={
        200: {
            "description": "The file",
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        },
        **described(404),
    },
)
def attachment(
    service: UsesService,
    caller: Officer,
    ticket_id: TicketId,
    mail_id: Id,
    number: Annotated[int, Path(ge=1, le=LARGEST_ID)],
) -> Response:
    """An attachment of a passive kind; who took it is in the event log."""
    with service.database.begin() as connection:
        belongs = connection.scalar(select(Message.ticket_id).where(Message.id == mail_id))
        found = attachments.fetch(connection, mail_id, number) if belongs == ticket_id else None
        if found is None:
            raise not_found(f"attachment {number} that can be handed over")
        name, data = found
        detail = {"message": mail_id, "number": number}
        entry = audit.Entry(ticket_id, caller.name, "attachment_taken", detail)
        audit.record(connection, [entry], service.clock())
    return Response(
        data,
        media_type="application/octet-stream",
        headers={"content-disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}"},
    )


def existing(connection: Connection, ticket_id: int) -> Any:
    """The ticket's row. Raises ApiProblem when there is none."""
    row = lifecycle.ticket(connection, ticket_id)
    if row is None:
        raise not_found(f"ticket {ticket_id}")
    return row


def not_blind(connection: Connection, ticket_id: int) -> None:
    """Raises ApiProblem while a blind choice is open: nothing that was predicted may be seen or decided before."""
    if desk.blind(connection, ticket_id) is not None:
        raise conflict(Code.BLIND, f"ticket {ticket_id} is a blind audit: POST its topics to …/audit first")


def _thought(service: Service, found: Desk, seen: shapes.Seen) -> dict[str, Any]:
    """What was predicted, drafted and decided: nothing of it while a blind choice is open."""
    office = service.offices().get(found.ticket.mailbox)
    known = predicted(service, office, found, revealed=False)
    papers = known["papers"]
    titles = service.titles()
    return {
        "reason": "" if found.blind else seen(found.ticket.reason),
        "topics": [] if found.blind else list(found.ticket.topics),
        "choices": [
            shapes.Choice(topic=slug, title=titles.get(slug, slug), confidence=share)
            for slug, share in known["choices"]
        ],
        "deciding_words": [seen(word) for word in known["words_marked"]],
        "draft": None if found.blind or found.draft is None else shapes.Reply.of(found.draft),
        "unconfirmed": list(known["markers"]),
        "content_problems": [
            shapes.ContentProblem(title=title, problem=problem)
            for title, problem in known["content_problems"]
        ],
        "papers": None if papers is None else shapes.Papers.of(*papers),
        "replies": [] if found.blind else [shapes.Reply.of(one) for one in found.replies],
        "events": [] if found.blind else [shapes.Event.of(one, seen) for one in found.events],
    }
