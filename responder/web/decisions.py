"""What staff decide at a ticket. After each decision the next item of the queue comes in the same answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
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


@dataclass(frozen=True, slots=True)
class Sitting:
    """A visitor who decides at a ticket: what the next page is made from."""

    request: Request
    service: Service
    visitor: Visitor
    ticket_id: int
    at: Place

    @property
    def now(self) -> datetime:
        return self.service.clock()

    def do(self, operation: Callable[..., object], *, onward: bool = False) -> Response:
        """Do `operation(connection, actor, now)`; then show the ticket, or with `onward` the next of the queue.

        What was refused is told on the ticket's page.
        """
        following: int | None = None
        try:
            with self.service.database.begin() as connection:
                if onward:
                    following = self.next_item(connection)
                operation(connection, actor=self.visitor.name, now=self.now)
        except Refused as error:
            return self.refused(refusal(self.visitor.words, error))
        return self.decided(following) if onward else self.stay()

    def office(self, connection: Connection) -> Office:
        """Raises Refused when there is no such ticket, or its mailbox is gone."""
        ticket = lifecycle.ticket(connection, self.ticket_id)
        if ticket is None:
            raise Refused(Refusal.NO_TICKET, ticket=self.ticket_id)
        return self.service.office(ticket.mailbox)

    def not_blind(self, connection: Connection) -> None:
        """Raises Refused while a blind choice is open: nothing else is decided before."""
        if desk.blind(connection, self.ticket_id) is not None:
            raise Refused(Refusal.BLIND, ticket=self.ticket_id)

    def next_item(self, connection: Connection) -> int | None:
        """Whose turn it is after the ticket: the next in the queue, at its end the first."""
        at = self.at
        if at.of_messages:
            return None
        filters, day = at.filters(self.service.settings.service.zone), self.service.day_start()
        _, following = queues.neighbours(connection, at.queue, filters, day, self.ticket_id)
        if following is None:
            # Of an item that is in no queue the second neighbour is the first of the queue.
            _, following = queues.neighbours(connection, at.queue, filters, day, 0)
        return following if following != self.ticket_id else None

    def decided(self, following: int | None) -> Response:
        """The next item of the queue, with a line about what was decided; without scripts by a redirect."""
        if following is None:
            return RedirectResponse(f"{self.at.list_url()}&setelah={self.ticket_id}", 303)
        return self._after(following)

    def stay(self) -> Response:
        """The same ticket as it is after what was done."""
        return self._after(self.ticket_id)

    def refused(self, problem: str, difference: tuple[Piece, ...] = ()) -> Response:
        return self.show(self.ticket_id, problem=problem, difference=difference, status=409, push="false")

    def show(self, ticket_id: int, **said: Any) -> Response:
        """The page of a ticket; `said` as `ticket_page` takes it."""
        return ticket_page(self.request, self.service, self.visitor, ticket_id, self.at, **said)

    def _after(self, ticket_id: int) -> Response:
        onward = self.at.ticket_url(ticket_id, f"&setelah={self.ticket_id}")
        if "hx-request" not in self.request.headers:
            return RedirectResponse(onward, 303)
        return self.show(ticket_id, decided=self.ticket_id, push=onward)


def _deciding(request: Request, service: UsesService, visitor: Decides, ticket_id: int, at: At) -> Sitting:
    return Sitting(request, service, visitor, ticket_id, at)


Deciding = Annotated[Sitting, Depends(_deciding)]


@router.post("/tiket/{ticket_id}/setujui")
def approve(
    sitting: Deciding, balasan: Annotated[int, Form()], sha256: Annotated[str, Form(max_length=64)]
) -> Response:
    """Approve exactly the text that was shown; when it is no longer current, show what has changed."""
    service = sitting.service
    try:
        with service.database.begin() as connection:
            sitting.not_blind(connection)
            shown = lifecycle.reply(connection, balasan)
            if shown is None or shown.ticket_id != sitting.ticket_id:
                raise Refused(Refusal.NO_DRAFT, reply=balasan)
            following = sitting.next_item(connection)
            approval.approve(
                connection,
                balasan,
                sha256,
                sitting.visitor.name,
                sitting.now,
                undo_seconds=service.settings.policy.undo_seconds,
            )
    except Refused as error:
        with service.database.read() as connection:
            problem, difference = _why_not(connection, sitting, balasan, sha256, error)
        return sitting.refused(problem, difference)
    return sitting.decided(following)


@router.post("/tiket/{ticket_id}/topik")
def retopic(
    sitting: Deciding,
    topik: Annotated[list[str], Form()] = [],  # noqa: B006 - FastAPI copies the default
) -> Response:
    """Draft again with other topics; the ticket stays in view, for the new text has to be read."""

    def operation(connection: Connection, actor: str, now: datetime) -> None:
        sitting.not_blind(connection)
        editing.retopic(connection, sitting.office(connection), sitting.ticket_id, topik, actor, now)

    return sitting.do(operation)


@router.post("/tiket/{ticket_id}/tolak")
def reject(
    sitting: Deciding,
    alasan: Reason = "",
    aksi: Annotated[str, Form()] = "tolak",
    surat: Annotated[int, Form()] = 0,
) -> Response:
    """Discard the draft: a person must answer; or, with `aksi` "tutup", end the ticket without an answer.

    `surat` is the newest mail on the page: a ticket is not closed over one that nobody has seen.
    """
    act = partial(approval.close, seen=surat) if aksi == "tutup" else approval.reject

    def operation(connection: Connection, actor: str, now: datetime) -> None:
        sitting.not_blind(connection)
        act(connection, sitting.ticket_id, actor, now, alasan.strip())

    return sitting.do(operation, onward=True)


@router.post("/tiket/{ticket_id}/urungkan")
def undo(sitting: Deciding) -> Response:
    """Take an approval back while the reply has not begun to leave."""

    def operation(connection: Connection, actor: str, now: datetime) -> None:
        approved = [
            row
            for row in lifecycle.replies(connection, sitting.ticket_id)
            if row.status is ReplyStatus.APPROVED and not row.automatic
        ]
        if not approved:
            raise Refused(Refusal.NOTHING_TO_UNDO, ticket=sitting.ticket_id)
        approval.undo(connection, approved[-1].id, actor, now)

    return sitting.do(operation)


@router.post("/tiket/{ticket_id}/kirim-lagi")
def send_again(sitting: Deciding, balasan: Annotated[int, Form()]) -> Response:
    """Queue the same bytes of a failed or uncertain reply once more."""

    def operation(connection: Connection, actor: str, now: datetime) -> None:
        row = lifecycle.reply(connection, balasan)
        if row is None or row.ticket_id != sitting.ticket_id:
            raise Refused(Refusal.NO_REPLY, reply=balasan)
        approval.send_again(connection, balasan, actor, now)

    return sitting.do(operation)


@router.post("/tiket/{ticket_id}/senior")
def flag_senior(sitting: Deciding, alasan: Reason = "") -> Response:
    """Ask a senior to look, and go on to the next."""
    return sitting.do(partial(desk.flag_senior, ticket_id=sitting.ticket_id, reason=alasan), onward=True)


@router.post("/tiket/{ticket_id}/senior-selesai")
def unflag_senior(
    request: Request, service: UsesService, visitor: SeniorDecides, ticket_id: int, at: At
) -> Response:
    """A senior has looked."""
    sitting = Sitting(request, service, visitor, ticket_id, at)
    return sitting.do(partial(desk.unflag_senior, ticket_id=ticket_id))


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
    sitting = Sitting(request, service, visitor, ticket_id, at)
    return sitting.do(partial(desk.note, ticket_id=ticket_id, text=catatan))


@router.post("/tiket/{ticket_id}/tampilkan")
def reveal(sitting: Deciding) -> Response:
    """Show what is masked, once, in this very answer: an address that shows it does not exist."""
    with sitting.service.database.begin() as connection:
        desk.reveal(connection, sitting.ticket_id, sitting.visitor.name, sitting.now)
    return sitting.show(sitting.ticket_id, revealed=True, push="false")


@router.post("/tiket/{ticket_id}/audit")
def choose_blind(
    sitting: Deciding,
    topik: Annotated[list[str], Form()] = [],  # noqa: B006 - FastAPI copies the default
    petugas: Annotated[str, Form()] = "",
) -> Response:
    """The blind choice of an audit: topics, or that a person must answer. Then the draft is shown."""
    if not topik and not petugas:
        return sitting.refused(sitting.visitor.words("audit.choose"))
    topics = () if petugas else topik

    def operation(connection: Connection, actor: str, now: datetime) -> None:
        desk.choose_blind(connection, sitting.office(connection), sitting.ticket_id, topics, actor, now)

    return sitting.do(operation)


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


def _why_not(
    connection: Connection, sitting: Sitting, reply_id: int, sha256: str, error: Refused
) -> tuple[str, tuple[Piece, ...]]:
    """Why an approval was refused, in the visitor's words, and how the text differs from the one that was shown."""
    ticket_id, words = sitting.ticket_id, sitting.visitor.words
    shown = lifecycle.reply(connection, reply_id)
    current = lifecycle.current_draft(connection, ticket_id)
    if shown is None or shown.ticket_id != ticket_id or current is None:
        return refusal(words, error), ()
    if (current.id, current.sha256) == (reply_id, sha256):
        return refusal(words, error), ()
    changed = Refused(Refusal.CHANGED, ticket=ticket_id)
    return refusal(words, changed), differences(shown.text, current.text)
