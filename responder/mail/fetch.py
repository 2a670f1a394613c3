"""Fetching mails: small ones whole, of large ones the header and the texts, so attachments stay on the server.

Only BODY.PEEK is used (rule 52). Sizes are asked for first (rule 60), and whatever an answer lacks is said to be
missing instead of being guessed (rule 59).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from responder.errors import UnreadableMail
from responder.mail import headers, limits, mime, structure
from responder.mail.message import Attachment
from responder.mail.structure import Section, Structure

COMMAND_OCTETS = (
    2 * 1024 * 1024
)  # whole mails per FETCH: bounds memory, and is past the gain of larger batches
HEADER_OCTETS = limits.MAX_HEADER_BLOCK + 1  # one more than is read, so that the reader sees that it is over
PART_OCTETS = 96 * 1024  # of one text part, as encoded; no person writes more
TEXTS_OCTETS = 160 * 1024  # of all text parts of one mail
MIME_HEADER_OCTETS = 8 * 1024

Answer = Mapping[bytes, Any]
Fetch = Callable[[Sequence[int], Sequence[str]], Mapping[int, Answer]]


@dataclass(frozen=True, slots=True)
class FetchedMail:
    """One mail as the server gave it."""

    uid: int
    size: int  # RFC822.SIZE
    internal_date: datetime | None  # aware, UTC; None when the server gave none
    flags: tuple[str, ...]
    raw: bytes | None = None  # the whole mail; None when it is larger than `keep_whole`, or missing
    header: bytes = b""  # the header block, cut at `HEADER_OCTETS`
    parts: tuple[mime.Part, ...] = ()  # the texts of a large mail, each cut at `PART_OCTETS`
    structure: str = ""  # BODYSTRUCTURE of a large mail
    attachments: tuple[Attachment, ...] = ()  # of a large mail: what stayed on the server
    missing: bool = False  # the server lists it but gave no body: ask again


def fetch_batch(
    fetch: Fetch,
    fetch_structure: Callable[[int], Any],
    listed: Callable[[Sequence[int]], Sequence[int]],
    uids: Sequence[int],
    keep_whole: int,
    limit: int,
) -> Iterator[FetchedMail]:
    """Yield the mails `uids`, in no particular order; those expunged meanwhile are left out.

    Whole up to `keep_whole` octets; above, header, texts and structure; above `limit`, the header alone.
    """
    known = {
        uid: _known(uid, answer)
        for uid, answer in fetch(uids, ["RFC822.SIZE", "INTERNALDATE", "FLAGS"]).items()
    }
    small = [mail for mail in known.values() if mail.size <= keep_whole]
    for group in _groups(small):
        answers = fetch([mail.uid for mail in group], ["BODY.PEEK[]"])
        for mail in group:
            yield _whole(mail, answers.get(mail.uid, {}).get(b"BODY[]"))
    for mail in known.values():
        if mail.size > keep_whole:
            yield _partial(mail, fetch, fetch_structure if mail.size <= limit else None)
    unanswered = [uid for uid in uids if uid not in known]
    for uid in listed(unanswered) if unanswered else ():
        yield FetchedMail(uid, 0, None, (), missing=True)


def _known(uid: int, answer: Answer) -> FetchedMail:
    date = answer.get(b"INTERNALDATE")
    return FetchedMail(
        uid=uid,
        size=int(answer.get(b"RFC822.SIZE") or 0),
        internal_date=date.astimezone(UTC) if isinstance(date, datetime) else None,
        flags=tuple(flag.decode("ascii", "replace") for flag in answer.get(b"FLAGS") or ()),
    )


def _groups(mails: Iterable[FetchedMail]) -> Iterator[list[FetchedMail]]:
    group: list[FetchedMail] = []
    octets = 0
    for mail in mails:
        if group and octets + mail.size > COMMAND_OCTETS:
            yield group
            group, octets = [], 0
        group.append(mail)
        octets += mail.size
    if group:
        yield group


def _whole(mail: FetchedMail, raw: bytes | None) -> FetchedMail:
    # A literal of no octets is what some servers send for a mail that vanished.
    if not raw:
        return replace(mail, missing=True)
    return replace(mail, raw=raw, header=headers.split(raw)[0])


def _partial(mail: FetchedMail, fetch: Fetch, fetch_structure: Callable[[int], Any] | None) -> FetchedMail:
    answer = fetch([mail.uid], [f"BODY.PEEK[HEADER]<0.{HEADER_OCTETS}>"]).get(mail.uid, {})
    block = _value(answer, b"BODY[HEADER]")
    if block is None:
        return replace(mail, missing=True)
    header = headers.split(block)[0]
    body = fetch_structure(mail.uid) if fetch_structure is not None else None
    if body is None:
        return replace(mail, header=header)
    try:
        found = structure.read(body)
    except UnreadableMail:
        return replace(mail, header=header)
    return replace(
        mail,
        header=header,
        parts=tuple(_texts(mail.uid, header, found, fetch)),
        structure=found.text,
        attachments=found.attachments,
    )


def _texts(uid: int, header: bytes, found: Structure, fetch: Fetch) -> Iterator[mime.Part]:
    sections, room = [], TEXTS_OCTETS
    for section in found.sections:
        if room > 0:
            sections.append(section)
            room -= min(section.size, PART_OCTETS) + MIME_HEADER_OCTETS
    if not sections:
        return
    items = [item for section in sections for item in _items(section, found.multipart)]
    answer = fetch([uid], items).get(uid, {})
    for section in sections:
        content = _value(answer, f"BODY[{section.number}{'.HEADER' if section.only_header else ''}]".encode())
        if content is None:
            continue
        if section.only_header:
            yield mime.Part(section.content_type, content, "", ())
            continue
        block = _value(answer, f"BODY[{section.number}.MIME]".encode()) if found.multipart else header
        part_fields = headers.fields(headers.split(block or b"")[0])[0]
        entity = mime.Entity(part_fields, headers.parameters(section.content_type), 0, len(content))
        yield mime.part(content, entity)


def _items(section: Section, multipart: bool) -> Iterator[str]:
    if section.only_header:
        yield f"BODY.PEEK[{section.number}.HEADER]<0.{MIME_HEADER_OCTETS}>"
        return
    # The only part of a mail without multipart has no MIME header of its own (RFC 9051 6.4.5.1).
    if multipart:
        yield f"BODY.PEEK[{section.number}.MIME]<0.{MIME_HEADER_OCTETS}>"
    yield f"BODY.PEEK[{section.number}]<0.{PART_OCTETS}>"


def _value(answer: Answer, section: bytes) -> bytes | None:
    """The octets of a section that was asked for in part; servers that ignore `<0.n>` answer without `<0>`."""
    value = answer.get(section + b"<0>", answer.get(section))
    return value if isinstance(value, bytes) else None
