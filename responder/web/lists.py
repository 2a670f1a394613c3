"""The queues, the search, the quarantine, and approving several drafts of one topic at once."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import Connection, Row, select

from responder.errors import Refused
from responder.pipeline import desk
from responder.refusal import Refusal
from responder.tickets import lifecycle, queues, search
from responder.tickets.models import Message
from responder.tickets.queues import Queue
from responder.web import nav
from responder.web.pages import render
from responder.web.place import At, Place
from responder.web.service import Service, UsesService
from responder.web.visitors import Decides, Reads
from responder.web.wording import refusal

router = APIRouter()

ROWS = 40  # of a list: a screen and a half
_CHOSEN = re.compile(r"(\d{1,18}):([0-9a-f]{64})")
LONGEST_MAIL = 3_000  # characters of each mail on the page of a batch


@router.get("/")
def start(visitor: Reads) -> Response:
    return RedirectResponse(Place().list_url(), 303)


@router.get("/antrean")
def queue(
    request: Request,
    service: UsesService,
    visitor: Reads,
    at: At,
    sesudah: Annotated[str, Query(max_length=60)] = "",
    setelah: int = 0,
) -> Response:
    """One page of a queue."""
    filters, day = at.filters(service.settings.service.zone), service.day_start()
    with service.database.read() as connection:
        page = queues.page(connection, at.queue, filters, day, sesudah, ROWS)
        context = nav.context(connection, service, at, setelah)
    return render(
        request,
        service,
        "queue.html",
        visitor,
        page=page,
        continued=bool(sesudah),
        mailboxes=tuple(service.settings.mailboxes),
        **context,
    )


@router.get("/cari")
def find(
    request: Request,
    service: UsesService,
    visitor: Reads,
    at: At,
    kata: Annotated[str, Query(max_length=200)] = "",
    lewati: Annotated[int, Query(ge=0, le=10_000)] = 0,
) -> Response:
    """Search results; a ticket's number opens the ticket."""
    jump = search.number(kata)
    with service.database.read() as connection:
        if jump is not None and lifecycle.ticket(connection, jump) is not None:
            return RedirectResponse(at.ticket_url(jump), 303)
        found = search.find(connection, kata, at.filters(service.settings.service.zone), ROWS, lewati)
        context = nav.context(connection, service, at, 0)
    return render(
        request,
        service,
        "search.html",
        visitor,
        words_sought=kata,
        found=found,
        skipped=lewati,
        rows_a_page=ROWS,
        **context,
    )


@router.get("/bantuan")
def help_page(request: Request, service: UsesService, visitor: Reads, at: At) -> Response:
    with service.database.read() as connection:
        context = nav.context(connection, service, at, 0)
    return render(request, service, "help.html", visitor, **context)


@router.get("/sekaligus")
def batch(request: Request, service: UsesService, visitor: Reads, at: At) -> Response:
    """Drafts of one topic with all their texts, for approving them together."""
    return _batch_page(request, service, visitor, at, ())


@router.post("/sekaligus")
def approve_batch(
    request: Request,
    service: UsesService,
    visitor: Decides,
    at: At,
    pilih: Annotated[list[str], Form()] = [],  # noqa: B006 - FastAPI copies the default
) -> Response:
    """Approve the drafts that were ticked; each value is "reply:sha256" as it stood on the page."""
    chosen = [match for one in pilih if (match := _CHOSEN.fullmatch(one))]
    shown = [desk.Shown(int(match[1]), match[2]) for match in chosen]
    with service.database.begin() as connection:
        done = desk.approve_batch(
            connection,
            shown,
            at.topic,
            visitor.name,
            service.clock(),
            undo_seconds=service.settings.policy.undo_seconds,
        )
    messages = [
        visitor.words("batch.done", count=len(done.approved)),
        *(refusal(visitor.words, one) for one in done.refused),
    ]
    return _batch_page(request, service, visitor, at, tuple(messages))


@router.post("/karantina/{message_id}/ulangi")
def retry(service: UsesService, visitor: Decides, message_id: int) -> Response:
    """Put a quarantined mail back to work."""
    with service.database.begin() as connection:
        desk.retry_quarantined(connection, message_id, visitor.name, service.clock())
    return RedirectResponse(Place(Queue.QUARANTINED).list_url(), 303)


def _batch_page(
    request: Request, service: Service, visitor: Reads, at: Place, messages: tuple[str, ...]
) -> Response:
    if not at.topic:
        raise Refused(Refusal.BATCH_OF_NO_TOPIC)
    at = at.at(Queue.TO_APPROVE)
    filters, day = at.filters(service.settings.service.zone), service.day_start()
    with service.database.read() as connection:
        page = queues.page(connection, at.queue, filters, day, "", desk.BATCH)
        items = []
        for line in page.rows:
            draft = None if line.blind or line.ticket_id is None else _alone(connection, line.ticket_id, at)
            if draft is not None:
                items.append((line, draft, _text(connection, draft.message_id)))
        context = nav.context(connection, service, at, 0)
    return render(
        request, service, "batch.html", visitor, items=items, messages=messages, push=None, **context
    )


def _alone(connection: Connection, ticket_id: int, at: Place) -> Row[Any] | None:
    """The waiting draft, if it answers the one topic alone and the newest mail."""
    draft = lifecycle.current_draft(connection, ticket_id)
    if draft is None or list(draft.topics) != [at.topic]:
        return None
    return draft if lifecycle.latest_message_id(connection, ticket_id) == draft.message_id else None


def _text(connection: Connection, message_id: int) -> str:
    text = connection.scalar(select(Message.new_text).where(Message.id == message_id)) or ""
    return text[:LONGEST_MAIL]
