"""What is shown inside frames, and what is handed over as files: nothing of it runs or loads anything."""

from __future__ import annotations

from email import message_from_bytes, policy
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter
from fastapi.responses import Response
from sqlalchemy import select

from responder.errors import UnreadableMail
from responder.mail import masking
from responder.mail.html import preformatted
from responder.mail.message import IncomingMail
from responder.mail.parse import read_parts
from responder.pipeline import desk
from responder.pipeline.intake import unpack
from responder.tickets import audit, lifecycle
from responder.tickets.models import Message
from responder.web import attachments
from responder.web.guard import FRAME_POLICY
from responder.web.service import Service, UsesService
from responder.web.visitors import Decides, Reads

router = APIRouter()

_FRAME = (
    '<!DOCTYPE html><html><head><meta charset="utf-8"><style>body{{margin:12px;font:15px/1.5 sans-serif;'
    "overflow-wrap:break-word;background:#fff;color:#111}}blockquote{{margin-left:12px;padding-left:8px;"
    "border-left:2px solid #bbb}}pre{{white-space:pre-wrap;font:inherit}}</style></head><body>{body}</body></html>"
)


@router.get("/tiket/{ticket_id}/surat/{message_id}/html")
def mail(service: UsesService, visitor: Reads, ticket_id: int, message_id: int) -> Response:
    """The HTML of a vendor's mail, reduced to harmless tags, personal numbers masked."""
    with service.database.read() as connection:
        row = connection.execute(
            select(Message.raw, Message.parts, Message.size).where(
                Message.id == message_id, Message.ticket_id == ticket_id
            )
        ).first()
    if row is None or row.raw is None:
        return Response(status_code=404)
    try:
        found = _read(service, row)
        html = found.html or preformatted(found.text)
    except UnreadableMail as error:
        html = preformatted(str(error))
    return _framed(_FRAME.format(body=masking.mask_html(html)))


@router.get("/tiket/{ticket_id}/balasan/{reply_id}/html")
def reply(service: UsesService, visitor: Reads, ticket_id: int, reply_id: int) -> Response:
    """A reply as the vendor will see it: the HTML of its frozen bytes."""
    with service.database.read() as connection:
        row = lifecycle.reply(connection, reply_id)
        hidden = desk.blind(connection, ticket_id) is not None
    if row is None or row.ticket_id != ticket_id or hidden:
        return Response(status_code=404)
    part = message_from_bytes(row.data, policy=policy.default).get_body(("html", "plain"))
    html = str(part.get_content()) if part is not None else ""
    if part is not None and part.get_content_subtype() != "html":
        html = _FRAME.format(body=preformatted(html))
    return _framed(html)


@router.post("/tiket/{ticket_id}/surat/{message_id}/lampiran/{number}")
def attachment(
    service: UsesService, visitor: Decides, ticket_id: int, message_id: int, number: int
) -> Response:
    """Hand over an attachment of a passive kind; who took it is in the event log."""
    with service.database.begin() as connection:
        belongs = connection.scalar(select(Message.ticket_id).where(Message.id == message_id))
        found = attachments.fetch(connection, message_id, number) if belongs == ticket_id else None
        if found is None:
            return Response(status_code=404)
        name, data = found
        detail = {"message": message_id, "number": number}
        entry = audit.Entry(ticket_id, visitor.name, "attachment_taken", detail)
        audit.record(connection, [entry], service.clock())
    headers = {
        "content-disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
        "content-security-policy": FRAME_POLICY,
    }
    return Response(data, media_type="application/octet-stream", headers=headers)


def _read(service: Service, row: Any) -> IncomingMail:
    if row.parts is None:
        return service.reader.read(row.raw)
    return read_parts(row.raw, *unpack(row.parts), row.size)


def _framed(html: str) -> Response:
    return Response(
        html, media_type="text/html; charset=utf-8", headers={"content-security-policy": FRAME_POLICY}
    )
