"""Writing an answer: the text is saved while it is typed, and is never lost, whatever happens to the session."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from markupsafe import escape

from responder.errors import Refused
from responder.pipeline import desk
from responder.refusal import Refusal
from responder.tickets import lifecycle
from responder.web import marking, nav, reading
from responder.web.decisions import Deciding, Sitting
from responder.web.pages import Formats, render
from responder.web.place import At, Place
from responder.web.service import Service, UsesService
from responder.web.typed import Printable
from responder.web.visitors import Beats, Reads, SignedOut, Types, Visitor
from responder.web.wording import refusal

router = APIRouter()

Text = Annotated[str, Form(max_length=desk.LONGEST_TEXT), Printable]
Basis = Annotated[str, Form(max_length=20)]


@router.get("/tiket/{ticket_id}/sunting")
def edit(
    request: Request, service: UsesService, visitor: Reads, ticket_id: int, at: At, kosong: int = 0
) -> Response:
    """The editor: what this account left unfinished, else the draft, else (or with `kosong`) an empty letter."""
    with service.database.begin() as connection:
        if desk.blind(connection, ticket_id) is not None:
            return RedirectResponse(at.ticket_url(ticket_id), 303)
        desk.present(connection, ticket_id, visitor.user_id, service.clock(), editing=True)
    return _editor(request, service, visitor, ticket_id, at, empty=bool(kosong))


@router.post("/tiket/{ticket_id}/sunting")
def hand_in(
    request: Request,
    service: UsesService,
    visitor: Types,
    ticket_id: int,
    at: At,
    teks: Text = "",
    dari: Basis = "",
    aksi: Annotated[str, Form(max_length=20)] = "simpan",
) -> Response:
    """Make the text the draft, or (with `aksi` "setujui") approve it at once."""
    _keep(service, visitor, ticket_id, dari, teks)
    if visitor.over:
        raise SignedOut(f"/tiket/{ticket_id}/sunting?{at.query}", expired=True, kept=True)
    sitting = Sitting(request, service, visitor, ticket_id, at)
    based_on, now = _number(dari), service.clock()
    following: int | None = None
    try:
        with service.database.begin() as connection:
            sitting.not_blind(connection)
            office = sitting.office(connection)
            if aksi == "setujui":
                following = sitting.next_item(connection)
                desk.hand_in_and_approve(connection, office, ticket_id, teks, based_on, visitor.name, now)
            else:
                desk.hand_in(connection, office, ticket_id, teks, based_on, visitor.name, now)
            desk.drop_edits(connection, ticket_id, visitor.user_id)
            desk.gone(connection, ticket_id, visitor.user_id)
    except Refused as error:
        return _editor(request, service, visitor, ticket_id, at, refused=error, text=teks)
    if aksi == "setujui":
        return sitting.decided(following)
    return sitting.stay()


@router.post("/tiket/{ticket_id}/simpan")
def autosave(
    service: UsesService, visitor: Types, ticket_id: int, teks: Text = "", dari: Basis = ""
) -> Response:
    """Save what stands in the editor; says when, in a few words. After the session's end it still saves."""
    _keep(service, visitor, ticket_id, dari, teks)
    if visitor.over:
        return HTMLResponse(str(escape(visitor.words("edit.saved_but_over"))), 401)
    with service.database.begin() as connection:
        desk.present(connection, ticket_id, visitor.user_id, service.clock(), editing=True)
    at = Formats(service, visitor.words).clock(service.clock())
    return HTMLResponse(str(escape(visitor.words("edit.saved", at=at))))


@router.post("/tiket/{ticket_id}/buang")
def discard(sitting: Deciding) -> Response:
    """Give up what was typed and not handed in."""
    with sitting.service.database.begin() as connection:
        desk.drop_edits(connection, sitting.ticket_id, sitting.visitor.user_id)
        desk.gone(connection, sitting.ticket_id, sitting.visitor.user_id)
    return sitting.stay()


@router.post("/tiket/{ticket_id}/hadir")
def present(request: Request, service: UsesService, visitor: Beats, ticket_id: int) -> Response:
    """Sign of life of an open page; answers with who else is there."""
    if visitor is None:
        return Response(status_code=204)
    with service.database.begin() as connection:
        if lifecycle.ticket(connection, ticket_id) is None:
            return Response(status_code=404)
        desk.present(connection, ticket_id, visitor.user_id, service.clock())
        others = desk.others(connection, ticket_id, visitor.user_id, service.clock())
    return render(request, service, "_others.html", visitor, push="false", others=others)


def _editor(
    request: Request,
    service: Service,
    visitor: Visitor,
    ticket_id: int,
    at: Place,
    *,
    empty: bool = False,
    refused: Refused | None = None,
    text: str = "",
) -> Response:
    with service.database.read() as connection:
        found = reading.read(connection, ticket_id, visitor.user_id, service.clock())
        if found is None:
            raise Refused(Refusal.NO_TICKET, ticket=ticket_id)
        context = nav.context(connection, service, at, 0)
    draft, kept = found.draft, found.edit
    basis = draft.id if draft is not None else None
    restored = refused is None and kept is not None
    if kept is not None and restored:
        text = kept.text
    elif refused is None:
        text = draft.text if draft is not None and not empty else _letter(service, found.ticket.mailbox)
    moved = kept is not None and kept.reply_id != basis and draft is not None
    return render(
        request,
        service,
        "edit.html",
        visitor,
        409 if refused is not None else 200,
        push="false" if refused is not None else None,
        d=found,
        text=text,
        basis=basis,
        restored=kept if restored else None,
        problem=_problem(visitor, refused, moved=moved),
        difference=marking.differences(draft.text, text) if moved and draft is not None else (),
        mail_pieces=marking.mail_pieces(found.newest.new_text if found.newest is not None else ""),
        longest=desk.LONGEST_TEXT,
        **context,
    )


def _problem(visitor: Visitor, refused: Refused | None, *, moved: bool) -> str:
    if moved:
        return visitor.words("edit.moved")
    return refusal(visitor.words, refused) if refused is not None else ""


def _letter(service: Service, mailbox: str) -> str:
    """What an answer from an empty page begins with; vendors read it, so it is in Indonesian."""
    office = service.office(mailbox)
    return f"Yth. Bapak/Ibu,\n\n\n\nHormat kami,\n{office.config.unit}\n"


def _keep(service: Service, visitor: Visitor, ticket_id: int, basis: str, text: str) -> None:
    """Store the text before anything can go wrong with it."""
    if not text.strip():
        return
    with service.database.begin() as connection:
        if lifecycle.ticket(connection, ticket_id) is None:
            raise Refused(Refusal.NO_TICKET, ticket=ticket_id)
        number = _number(basis)
        reply = lifecycle.reply(connection, number) if number is not None else None
        based_on = reply.id if reply is not None and reply.ticket_id == ticket_id else None
        desk.keep_edit(
            connection, ticket_id, visitor.user_id, based_on, text.replace("\r\n", "\n"), service.clock()
        )


def _number(basis: str) -> int | None:
    return int(basis) if basis.isdecimal() else None
