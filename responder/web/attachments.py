"""Attachments of a stored mail: named and measured for the page, handed over only as a download (rule 65)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from responder.errors import UnreadableMail
from responder.mail import headers, mime, names
from responder.mail.message import Attachment
from responder.pipeline.intake import unpack
from responder.tickets.models import Message

PASSIVE = frozenset({
    "pdf", "jpg", "jpeg", "png", "gif", "tif", "tiff", "webp", "heic",
    "txt", "csv", "docx", "xlsx", "odt", "ods",
})  # fmt: skip
"""Extensions that are handed over: no page, script or program, no document with macros, no archive."""


@dataclass(frozen=True, slots=True)
class File:
    """One attachment."""

    name: str
    size: int | None  # octets; None = not known here
    number: int | None = None  # for fetching it; None = its bytes are not stored, or it is of an active kind


def of_mail(connection: Connection, mail: Row[Any] | None) -> list[File]:
    """The attachments of a row of `reading.Desk.mails`."""
    if mail is None or not mail.attachments:
        return []
    row = connection.execute(select(Message.raw, Message.parts).where(Message.id == mail.id)).first()
    if row is None or row.raw is None:
        return [File(name, None) for name in mail.attachments]
    if row.parts is not None:
        _, listed = unpack(row.parts)
        return [_known(one, number) for number, one in enumerate(listed, 1) if not one.inline]
    return [
        File(name, mime.size(row.raw, leaf), number if passive(name) else None)
        for number, name, leaf in _leaves(row.raw)
        if name in mail.attachments
    ]


def fetch(connection: Connection, message_id: int, number: int) -> tuple[str, bytes] | None:
    """(name, bytes) of an attachment by its number; None when it is not stored or of an active kind."""
    row = connection.execute(select(Message.raw, Message.parts).where(Message.id == message_id)).first()
    if row is None or row.raw is None or row.parts is not None:
        return None
    for found, name, leaf in _leaves(row.raw):
        if found == number and passive(name):
            return name, mime.payload(row.raw, leaf)
    return None


def passive(name: str) -> bool:
    """Whether a file of this name may be handed over."""
    return name.rpartition(".")[2].lower() in PASSIVE


def _leaves(raw: bytes) -> list[tuple[int, str, mime.Entity]]:
    """(number from 1, safe name, leaf) of everything in a mail that is no text of its own."""
    try:
        block, body = headers.split(raw)
        fields, _ = headers.fields(block)
        leaves = list(mime.walk(raw, fields, body).leaves())
    except UnreadableMail:
        return []
    found: list[tuple[int, str, mime.Entity]] = []
    for number, leaf in enumerate(leaves, 1):
        named = leaf.filename or not leaf.content_type.startswith(("text/", "multipart/"))
        if named:
            found.append((number, names.given(leaf.filename, leaf.content_type, len(found) + 1), leaf))
    return found


def _known(one: Attachment, number: int) -> File:
    return File(names.given(one.name, one.type, number), one.size)
