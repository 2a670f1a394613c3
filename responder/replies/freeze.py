"""Freezing a reply: the bytes that will be shown for approval, sent, filed and hashed, made exactly once."""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from responder.errors import ContentError
from responder.knowledge.topic import Topic
from responder.mail import tokens
from responder.mail.compose import Outgoing, compose
from responder.mail.enclosures import Enclosure
from responder.mail.message import Address
from responder.replies.render import RenderedReply
from responder.tickets.status import DraftCopy, ReplyKind, ReplyStatus


@dataclass(frozen=True, slots=True)
class Origin:
    """The mail that is answered, as the ledger knows it."""

    id: int
    mailbox: str
    identity: str
    message_id: str  # "" when it has none
    reply_references: tuple[str, ...]
    reply_to: Address


@dataclass(frozen=True, slots=True)
class Wording:
    """What is said: subject, both bodies, the office's forms, and from which content."""

    subject: str
    text: str
    html: str
    topics: tuple[str, ...] = ()
    content_version: str = ""
    attachments: tuple[Path, ...] = ()
    enclosed: tuple[Enclosure, ...] = ()  # files that come from a person or an earlier version

    @classmethod
    def of(cls, rendered: RenderedReply, subject: str, topics: Sequence[Topic]) -> Wording:
        return cls(
            subject,
            rendered.text,
            rendered.html,
            tuple(topic.slug for topic in topics),
            content_version([topic.digest for topic in topics]),
            rendered.attachments,
        )


@dataclass(frozen=True, slots=True)
class Letterhead:
    """On whose behalf a mailbox speaks."""

    name: str
    address: str
    key: bytes
    precedence_bulk: bool = False
    plus_addressing: bool = False  # the provider delivers "address+token" to the address (RFC 5233)

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]


def freeze(
    letterhead: Letterhead,
    origin: Origin,
    wording: Wording,
    *,
    ticket_id: int,
    kind: ReplyKind,
    version: int,
    automatic: bool,
    now: datetime,
) -> dict[str, Any]:
    """Return the values of a `replies` row, its bytes composed (rules 29 to 45). Raises what `compose` raises.

    The status is DRAFTED, or APPROVED for an automatic reply; the caller sets when it may leave.
    """
    header_id = tokens.message_id(
        letterhead.key,
        mailbox=origin.mailbox,
        identity=origin.identity,
        kind=kind.value,
        n=version,
        domain=letterhead.domain,
    )
    data = compose(
        Outgoing(
            from_name=letterhead.name,
            from_address=letterhead.address,
            to=origin.reply_to,
            subject=wording.subject,
            text=wording.text,
            html=wording.html,
            message_id=header_id,
            date=now,
            # A parent id that no header can carry stands in neither (rule 37).
            in_reply_to=origin.message_id if origin.reply_references else "",
            references=origin.reply_references,
            automatic=automatic,
            loop_token=tokens.loop_token(letterhead.key, header_id),
            precedence_bulk=automatic and letterhead.precedence_bulk,
            reply_to=_reply_to(letterhead, ticket_id),
            attachments=(*(_form(path) for path in wording.attachments), *wording.enclosed),
        )
    )
    return {
        "ticket_id": ticket_id,
        "message_id": origin.id,
        "mailbox": origin.mailbox,
        "version": version,
        "kind": kind,
        "status": ReplyStatus.APPROVED if automatic else ReplyStatus.DRAFTED,
        "automatic": automatic,
        "topics": list(wording.topics),
        "content_version": wording.content_version,
        "recipient": origin.reply_to.address,
        "subject": wording.subject,
        "text": wording.text,
        "header_id": header_id,
        "data": data,
        "sha256": hashlib.sha256(data).hexdigest(),
        "created_at": now,
        "draft_copy": DraftCopy.NONE if automatic else DraftCopy.PENDING,
    }


def _reply_to(letterhead: Letterhead, ticket_id: int) -> str:
    """A Reply-To that names the ticket, for clients that lose both subject and threading (rule 49)."""
    if not letterhead.plus_addressing:
        return ""
    return tokens.plus_address(letterhead.address, letterhead.key, ticket_id)


def _form(path: Path) -> tuple[str, str, bytes]:
    """(name, MIME type, bytes) of a form from a topic's folder. Raises ContentError when it cannot be read."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ContentError(f"{path}: cannot be attached: {error.strerror}") from error
    return path.name, mimetypes.guess_type(path.name)[0] or "application/octet-stream", data


def content_version(digests: Sequence[str]) -> str:
    """One short name for the versions of several topics: the first 12 hex digits each, joined by `+`."""
    return "+".join(digest[:12] for digest in digests)
