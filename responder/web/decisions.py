"""What staff decide at a ticket. After each decision the next item of the queue comes in the same answer."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import Connection

from responder.errors import Refused
from responder.pipeline import desk, editing
from responder.pipeline.office import Office
from responder.refusal import Refusal
from responder.replies import approval
from responder.tickets import lifecycle, queues, switches
from responder.tickets.status import ReplyStatus
from responder.web.marking import Piece, differences
from responder.web.place import At, Place
from responder.web.service import Service, UsesService
from responder.web.ticket import ticket_page
from responder.web.typed import Printable
from responder.web.visitors import Decides, SeniorDecides, SignedOut, Types, Visitor
from responder.web.wording import refusal

router = APIRouter()

Reason = Annotated[str, Form(max_length=desk.LONGEST_NOTE), Printable]


@router.post("/tiket/{ticket_id}/setujui")
def approve(
    request: Request,
    service: UsesService,
    visitor: Decides,
    ticket_id: int,
    at: At,
    balasan: Annotated[int, Form()],
    sha256: Annotated[str, Form(max_length=64)],
) -> Response:
    """Approve exactly the text that was shown; when it is no longer current, show what has changed."""
    try:
        with service.database.begin() as connection:
            not_blind(connection, ticket_id)
            shown = lifecycle.reply(connection, balasan)
            if shown is None or shown.ticket_id != ticket_id:
                raise Refused(Refusal.NO_DRAFT, reply=balasan)
            following = next_item(connection, service, at, ticket_id)
            approval.approve(
                connection,
                balasan,
                sha256,
                visitor.name,
                service.clock(),
                undo_seconds=service.settings.policy.undo_seconds,
            )
    except Refused as error:
        with service.database.read() as connection:
            problem, difference = _why_not(connection, visitor, ticket_id, balasan, sha256, error)
        return _refused(request, service, visitor, ticket_id, at, problem, difference)
    return decided(request, service, visitor, ticket_id, at, following)


@router.post("/tiket/{ticket_id}/topik")
def retopic(
    request: Request,
    service: UsesService,
    visitor: Decides,
    ticket_id: int,
    at: At,
    topik: Annotated[list[str], Form()] = [],  # noqa: B006 - FastAPI copies the default
) -> Response:
    """Draft again with other topics; the ticket stays in view, for the new text has to be read."""
    try:
        with service.database.begin() as connection:
            not_blind(connection, ticket_id)
            office = _office(connection, service, ticket_id)
            editing.retopic(connection, office, ticket_id, topik, visitor.name, service.clock())
    except Refused as error:
        return _refused(request, service, visitor, ticket_id, at, refusal(visitor.words, error))
    return stay(request, service, visitor, ticket_id, at)


@router.post("/tiket/{ticket_id}/tolak")
def reject(
    request: Request,
    service: UsesService,
    visitor: Decides,
    ticket_id: int,
    at: At,
    alasan: Reason = "",
    aksi: Annotated[str, Form()] = "tolak",
) -> Response:
    """Discard the draft: a person must answer; or, with `aksi` "tutup", end the ticket without an answer."""
    act = approval.close if aksi == "tutup" else approval.reject
    try:
        with service.database.begin() as connection:
            not_blind(connection, ticket_id)
            following = next_item(connection, service, at, ticket_id)
            act(connection, ticket_id, visitor.name, service.clock(), alasan.strip())
    except Refused as error:
        return _refused(request, service, visitor, ticket_id, at, refusal(visitor.words, error))
    return decided(request, service, visitor, ticket_id, at, following)


@router.post("/tiket/{ticket_id}/urungkan")
def undo(request: Request, service: UsesService, visitor: Decides, ticket_id: int, at: At) -> Response:
    """Take an approval back while the reply has not begun to leave."""
    try:
        with service.database.begin() as connection:
            approved = [
                row
                for row in lifecycle.replies(connection, ticket_id)
                if row.status is ReplyStatus.APPROVED and not row.automatic
            ]
            if not approved:
                raise Refused(Refusal.NOTHING_TO_UNDO, ticket=ticket_id)
            approval.undo(connection, approved[-1].id, visitor.name, service.clock())
    except Refused as error:
        return _refused(request, service, visitor, ticket_id, at, refusal(visitor.words, error))
    return stay(request, service, visitor, ticket_id, at)


@router.post("/tiket/{ticket_id}/kirim-lagi")
def send_again(
    request: Request,
    service: UsesService,
    visitor: Decides,
    ticket_id: int,
    at: At,
    balasan: Annotated[int, Form()],
) -> Response:
    """Queue the same bytes of a failed or uncertain reply once more."""
    try:
        with service.database.begin() as connection:
            row = lifecycle.reply(connection, balasan)
            if row is None or row.ticket_id != ticket_id:
                raise Refused(Refusal.NO_REPLY, reply=balasan)
            approval.send_again(connection, balasan, visitor.name, service.clock())
    except Refused as error:
        return _refused(request, service, visitor, ticket_id, at, refusal(visitor.words, error))
    return stay(request, service, visitor, ticket_id, at)


@router.post("/tiket/{ticket_id}/senior")
def flag_senior(
    request: Request, service: UsesService, visitor: Decides, ticket_id: int, at: At, alasan: Reason = ""
) -> Response:
    """Ask a senior to look, and go on to the next."""
    try:
        with service.database.begin() as connection:
            following = next_item(connection, service, at, ticket_id)
            desk.flag_senior(connection, ticket_id, visitor.name, service.clock(), alasan)
    except Refused as error:
        return _refused(request, service, visitor, ticket_id, at, refusal(visitor.words, error))
    return decided(request, service, visitor, ticket_id, at, following)


@router.post("/tiket/{ticket_id}/senior-selesai")
def unflag_senior(
    request: Request, service: UsesService, visitor: SeniorDecides, ticket_id: int, at: At
) -> Response:
    with service.database.begin() as connection:
        desk.unflag_senior(connection, ticket_id, visitor.name, service.clock())
    return stay(request, service, visitor, ticket_id, at)


@router.post("/tiket/{ticket_id}/catatan")
def note(
    request: Request,
    service: UsesService,
    visitor: Types,
    ticket_id: int,
    at: At,
    catatan: Reason = "",
) -> Response:
    """Write a note; when the session is over it goes on with the log-in form."""
    if visitor.over:
        raise SignedOut(at.ticket_url(ticket_id), expired=True, note=catatan)
    try:
        with service.database.begin() as connection:
            desk.note(connection, ticket_id, catatan, visitor.name, service.clock())
    except Refused as error:
        return _refused(request, service, visitor, ticket_id, at, refusal(visitor.words, error))
    return stay(request, service, visitor, ticket_id, at)


@router.post("/tiket/{ticket_id}/tampilkan")
def reveal(request: Request, service: UsesService, visitor: Decides, ticket_id: int, at: At) -> Response:
    """Show what is masked, once, in this very answer: an address that shows it does not exist."""
    with service.database.begin() as connection:
        desk.reveal(connection, ticket_id, visitor.name, service.clock())
    return ticket_page(request, service, visitor, ticket_id, at, revealed=True, push="false")


@router.post("/tiket/{ticket_id}/audit")
def choose_blind(
    request: Request,
    service: UsesService,
    visitor: Decides,
    ticket_id: int,
    at: At,
    topik: Annotated[list[str], Form()] = [],  # noqa: B006 - FastAPI copies the default
    petugas: Annotated[str, Form()] = "",
) -> Response:
    """The blind choice of an audit: topics, or that a person must answer. Then the draft is shown."""
    if not topik and not petugas:
        return _refused(request, service, visitor, ticket_id, at, visitor.words("audit.choose"))
    try:
        with service.database.begin() as connection:
            office = _office(connection, service, ticket_id)
            desk.choose_blind(
                connection, office, ticket_id, () if petugas else topik, visitor.name, service.clock()
            )
    except Refused as error:
        return _refused(request, service, visitor, ticket_id, at, refusal(visitor.words, error))
    return stay(request, service, visitor, ticket_id, at)


@router.post("/pengiriman/hentikan")
def disarm(service: UsesService, visitor: SeniorDecides) -> Response:
    """The global stop."""
    with service.database.begin() as connection:
        switches.disarm(connection, visitor.name, service.clock())
    return RedirectResponse("/", 303)


@router.post("/pengiriman/aktifkan")
def arm(service: UsesService, visitor: SeniorDecides) -> Response:
    with service.database.begin() as connection:
        found = switches.arming(connection)
        # Arming again would move the time from which mail is answered automatically.
        if not found.armed or found.breaker or found.hold:
            switches.arm(connection, visitor.name, service.clock())
    return RedirectResponse("/", 303)


def decided(
    request: Request, service: Service, visitor: Visitor, ticket_id: int, at: Place, following: int | None
) -> Response:
    """The next item of the queue, with a line about what was decided; without scripts by a redirect."""
    after = f"&setelah={ticket_id}"
    if following is None:
        return RedirectResponse(at.list_url() + after, 303)
    onward = at.ticket_url(following, after)
    if "hx-request" not in request.headers:
        return RedirectResponse(onward, 303)
    return ticket_page(request, service, visitor, following, at, decided=ticket_id, push=onward)


def stay(request: Request, service: Service, visitor: Visitor, ticket_id: int, at: Place) -> Response:
    """The same ticket as it is after what was done."""
    onward = at.ticket_url(ticket_id, f"&setelah={ticket_id}")
    if "hx-request" not in request.headers:
        return RedirectResponse(onward, 303)
    return ticket_page(request, service, visitor, ticket_id, at, decided=ticket_id, push=onward)


def next_item(connection: Connection, service: Service, at: Place, ticket_id: int) -> int | None:
    """Whose turn it is after `ticket_id`: the next in the queue, at its end the first."""
    if at.of_messages:
        return None
    filters, day = at.filters(service.settings.service.zone), service.day_start()
    _, following = queues.neighbours(connection, at.queue, filters, day, ticket_id)
    if following is None:
        # Of an item that is in no queue the second neighbour is the first of the queue.
        _, following = queues.neighbours(connection, at.queue, filters, day, 0)
    return following if following != ticket_id else None


def _office(connection: Connection, service: Service, ticket_id: int) -> Office:
    ticket = lifecycle.ticket(connection, ticket_id)
    if ticket is None:
        raise Refused(Refusal.NO_TICKET, ticket=ticket_id)
    return service.office(ticket.mailbox)


def not_blind(connection: Connection, ticket_id: int) -> None:
    """Raises Refused while a blind choice is open: nothing else is decided before."""
    if desk.blind(connection, ticket_id) is not None:
        raise Refused(Refusal.BLIND, ticket=ticket_id)


def _refused(
    request: Request,
    service: Service,
    visitor: Visitor,
    ticket_id: int,
    at: Place,
    problem: str,
    difference: tuple[Piece, ...] = (),
) -> Response:
    return ticket_page(
        request,
        service,
        visitor,
        ticket_id,
        at,
        problem=problem,
        difference=difference,
        status=409,
        push="false",
    )


def _why_not(
    connection: Connection, visitor: Visitor, ticket_id: int, reply_id: int, sha256: str, error: Refused
) -> tuple[str, tuple[Piece, ...]]:
    """Why an approval was refused, in the visitor's words, and how the text differs from the one that was shown."""
    shown = lifecycle.reply(connection, reply_id)
    current = lifecycle.current_draft(connection, ticket_id)
    if shown is None or shown.ticket_id != ticket_id or current is None:
        return refusal(visitor.words, error), ()
    if (current.id, current.sha256) == (reply_id, sha256):
        return refusal(visitor.words, error), ()
    changed = Refused(Refusal.CHANGED, ticket=ticket_id)
    return refusal(visitor.words, changed), differences(shown.text, current.text)
