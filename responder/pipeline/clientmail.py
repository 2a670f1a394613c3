"""A mail as somebody's mail client left it in a folder of the office: what it says, and how near it is to ours.

Clients store a draft anew for every change, mostly under another Message-ID, without the headers they don't know, with
the text encoded or wrapped otherwise, and sometimes as HTML alone. So drafts are compared by their words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rapidfuzz import fuzz

from responder.mail import addresses, bodies, enclosures, headers, html, mime, parse, quotes
from responder.mail.enclosures import Enclosure
from responder.mail.message import IncomingMail

HEAD_FIELDS = (
    "Message-ID",
    "In-Reply-To",
    "References",
    "To",
    "Cc",
    "Bcc",
    "Subject",
    "Received",
    "Return-Path",
    "Delivered-To",
)

UNCHANGED = 100.0
EDITED = 60.0
"""Percent of likeness from which a text counts as our draft, edited: below it less of ours than of theirs is left."""


@dataclass(frozen=True, slots=True)
class Head:
    """What the header of a mail in Drafts, Approved, Rejected or Sent says about our replies."""

    uid: int
    own_id: str  # its Message-ID, without angle brackets
    answered: tuple[str, ...]  # ids of its In-Reply-To, else the last of its References
    subject: str
    recipients: tuple[str, ...]  # addresses of To, Cc and Bcc, lower case
    delivered: bool  # a mail server has handled it: nobody's draft

    @classmethod
    def of(cls, uid: int, block: bytes) -> Head:
        """Read a header block, or the lines `HEAD_FIELDS` of one."""
        values: dict[str, list[str]] = {}
        for name, value in headers.fields(block)[0]:
            values.setdefault(name.lower(), []).append(value)
        to = [value for name in ("to", "cc", "bcc") for value in values.get(name, ())]
        return cls(
            uid=uid,
            own_id=next(iter(addresses.message_ids(" ".join(values.get("message-id", ())))), ""),
            answered=_answered(values),
            subject=headers.decode_words(next(iter(values.get("subject", ())), "")).text,
            recipients=tuple(dict.fromkeys(one.address.lower() for one in addresses.mailboxes(to))),
            delivered=any(name in values for name in ("received", "return-path", "delivered-to")),
        )


@dataclass(frozen=True, slots=True)
class Content:
    """What a mail says."""

    text: str  # as the plain part says it; from HTML where there is no plain part
    html_text: str  # the same as the HTML part says it; "" where there is none
    enclosed: tuple[Enclosure, ...]

    @classmethod
    def of(cls, raw: bytes, read: Callable[[bytes], IncomingMail] = parse.read) -> Content:
        """Read whole octets; `read` is the reader process where they are not our own. Raises UnreadableMail."""
        text = read(raw).text
        # Whatever could hang or exhaust a parser has ended the reader by now (rule 64).
        block, body = headers.split(raw)
        texts = bodies.read(raw, mime.walk(raw, headers.fields(block)[0], body)).texts
        html_text = "\n\n".join(html.to_text(one.html) for one in texts if one.html)
        return cls(text, html_text, enclosures.enclosures(raw))


@dataclass(frozen=True, slots=True)
class ClientMail:
    """One mail in a folder that staff move drafts into; `content` is None where `unread` says why."""

    head: Head
    content: Content | None
    unread: str = ""  # Indonesian


def text_over(content: Content, row: Any) -> str:
    """The text that `content` gives for our version `row`: some clients write a change into the HTML part alone."""
    if content.html_text and same_words(content.text, row.text):
        ours = Content.of(row.data)
        if ours.html_text and not same_words(content.html_text, ours.html_text):
            return content.html_text
    return content.text


def says_the_same(head: Head, content: Content, row: Any) -> bool:
    """Whether the mail says exactly what our version `row` says: words, subject and files."""
    if not same_words(text_over(content, row), row.text) or not same_words(head.subject, row.subject):
        return False
    return _files(content.enclosed) == _files(enclosures.enclosures(row.data))


def same_words(one: str, other: str) -> bool:
    """Whether two texts differ at most in white space: wrapping and encoding are the client's business."""
    return _words(one) == _words(other)


def nearness(proposed: str, sent: str) -> float:
    """How like our text a person's is, in percent, without quotes and signatures."""
    return fuzz.ratio(_words(quotes.split(proposed).new_text), _words(quotes.split(sent).new_text))


def judged(proposed: Any | None, sent: str) -> tuple[str, Sequence[str]]:
    """(decision, topics) for the verdict on a mail that a person answered from the mail client.

    `proposed` is the version of ours that stood there, if any.
    """
    near = nearness(proposed.text, sent) if proposed is not None and proposed.topics else 0.0
    if proposed is None or near < EDITED:
        return "by_hand", ()
    return "approved" if near == UNCHANGED else "edited", tuple(proposed.topics)


def _answered(values: dict[str, list[str]]) -> tuple[str, ...]:
    ids = addresses.message_ids(" ".join(values.get("in-reply-to", ())))
    return ids or addresses.message_ids(" ".join(values.get("references", ())))[-1:]


def _words(text: str) -> str:
    return " ".join(text.split())


def _files(enclosed: Sequence[Enclosure]) -> list[tuple[str, bytes]]:
    return sorted((name, content) for name, _, content in enclosed)
