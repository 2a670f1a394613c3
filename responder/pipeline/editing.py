"""Staff change what a draft says: another text, other topics. Each makes a new version; bytes are frozen again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from responder.errors import Refused
from responder.mail import compose, tokens
from responder.mail.enclosures import Enclosure, enclosures
from responder.mail.message import Address
from responder.pipeline.office import Office
from responder.refusal import Refusal
from responder.replies.freeze import Origin, Wording, freeze
from responder.replies.render import VendorContext, html_from_text, link_hosts
from responder.tickets import audit, lifecycle
from responder.tickets.models import Message
from responder.tickets.status import ReplyKind, ReplyStatus, TicketStatus


def edit(
    connection: Connection,
    office: Office,
    ticket_id: int,
    text: str,
    actor: str,
    now: datetime,
    *,
    over: Row[Any] | None = None,
    subject: str = "",
    enclosed: Sequence[Enclosure] | None = None,
) -> int:
    """Replace the draft's text, or write an answer where there is no draft; return the new reply's id.

    `over` is the version that was edited where that is not the waiting draft; `subject` (default: the ticket's)
    gets our tag; `enclosed` are the files (default: those of the version that was edited).
    Raises Refused when the ticket does not exist, is closed, or the text is empty.
    """
    if not text.strip():
        raise Refused(Refusal.EMPTY_TEXT, ticket=ticket_id)
    ticket, message = _ticket_and_newest_mail(connection, ticket_id)
    draft = over if over is not None else lifecycle.current_draft(connection, ticket_id)
    if draft is not None and draft.message_id == message.id:
        kind, topics, version = draft.kind, tuple(draft.topics), draft.content_version
        enclosed = enclosures(draft.data) if enclosed is None else enclosed
    else:
        kind, topics, version = ReplyKind.MANUAL, (), ""
    wanted = compose.reply_subject(subject or ticket.subject, tokens.subject_tag(office.key, ticket_id))
    body = text.replace("\r\n", "\n").strip() + "\n"
    html = html_from_text(body, link_hosts(list(office.topics.values())))
    wording = Wording(wanted, body, html, topics, version, enclosed=tuple(enclosed or ()))
    reply_id = _replace(connection, office, ticket, message, kind, wording, now, f"edited by {actor}")
    audit.record(connection, [audit.Entry(ticket_id, actor, "edited", {"reply": reply_id})], now)
    return reply_id


def retopic(
    connection: Connection, office: Office, ticket_id: int, topics: Sequence[str], actor: str, now: datetime
) -> int:
    """Draft again with other topics; return the new reply's id. Raises Refused for an unknown topic or ticket."""
    if unknown := [slug for slug in topics if slug not in office.topics]:
        raise Refused(Refusal.NO_TOPIC, topic=unknown[0], known=", ".join(office.topics))
    if not topics:
        raise Refused(Refusal.NAME_A_TOPIC)
    ticket, message = _ticket_and_newest_mail(connection, ticket_id)
    chosen = [office.topics[slug] for slug in dict.fromkeys(topics)]
    tag = tokens.subject_tag(office.key, ticket_id)
    rendered = office.renderer.render_answer(
        chosen,
        VendorContext(name=ticket.vendor_name, language=ticket.language),
        office.text,
        tag,
        now.astimezone(office.settings.service.zone).date(),
    )
    wording = Wording.of(rendered, compose.reply_subject(ticket.subject, tag), chosen)
    reply_id = _replace(
        connection, office, ticket, message, ReplyKind.ANSWER, wording, now, f"retopiced by {actor}"
    )
    lifecycle.decide_verdict(
        connection,
        message.id,
        decision="retopiced",
        topics=wording.topics,
        manner="single",
        actor=actor,
        now=now,
    )
    detail = {"reply": reply_id, "topics": list(wording.topics)}
    audit.record(connection, [audit.Entry(ticket_id, actor, "retopiced", detail)], now)
    return reply_id


def _ticket_and_newest_mail(connection: Connection, ticket_id: int) -> tuple[Row[Any], Row[Any]]:
    ticket = lifecycle.ticket(connection, ticket_id)
    if ticket is None:
        raise Refused(Refusal.NO_TICKET, ticket=ticket_id)
    if ticket.status is TicketStatus.CLOSED:
        raise Refused(Refusal.CLOSED, ticket=ticket_id)
    newest = lifecycle.latest_message_id(connection, ticket_id)
    message = connection.execute(select(Message.__table__).where(Message.id == newest)).first()
    if message is None:
        raise Refused(Refusal.NO_MAIL, ticket=ticket_id)
    if not message.reply_address:
        raise Refused(Refusal.NO_ADDRESS, ticket=ticket_id)
    return ticket, message


def _replace(
    connection: Connection,
    office: Office,
    ticket: Row[Any],
    message: Row[Any],
    kind: ReplyKind,
    wording: Wording,
    now: datetime,
    reason: str,
) -> int:
    lifecycle.retire_drafts(connection, ticket.id, ReplyStatus.SUPERSEDED, reason)
    origin = Origin(
        id=message.id,
        mailbox=message.mailbox,
        identity=message.identity,
        message_id=message.header_id,
        reply_references=tuple(message.reply_references),
        reply_to=Address(message.from_name, message.reply_address),
    )
    values = freeze(
        office.letterhead,
        origin,
        wording,
        ticket_id=ticket.id,
        kind=kind,
        version=lifecycle.next_version(connection, message.id),
        automatic=False,
        now=now,
    )
    reply_id = lifecycle.add_reply(connection, values)
    # A ticket that waits already keeps its place in the queue: who works through it meets the others next.
    since = ticket.updated_at if ticket.status is TicketStatus.NEEDS_APPROVAL else now
    lifecycle.set_ticket(
        connection, ticket.id, TicketStatus.NEEDS_APPROVAL, since, topics=list(wording.topics)
    )
    return reply_id
