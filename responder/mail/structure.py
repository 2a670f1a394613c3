"""What a BODYSTRUCTURE says (RFC 9051 7.5.2): which sections hold readable text, and which attachments there are.

The parts of an attached message are not looked into: as for whole mails, an attached message is an attachment.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from responder.errors import UnreadableMail
from responder.mail import limits, names
from responder.mail.headers import Parameters, parameters
from responder.mail.message import Attachment

MAX_TEXT = 64 * 1024  # characters kept of the written structure

_READ = frozenset(
    {
        "text/plain",
        "text/html",
        "text/enriched",
        "text/richtext",
        "text/rfc822-headers",
        "message/delivery-status",
        "message/disposition-notification",
        "message/feedback-report",
    }
)
_DISPOSITION_AT = {"text": 9, "message/rfc822": 11}  # index of the disposition; 8 for every other type
_BASE64_LINE = 78  # octets that carry 57 octets of content


@dataclass(frozen=True, slots=True)
class Section:
    """One part that is worth fetching."""

    number: str  # such as "1.2"; "1" also for the only part of a mail without multipart
    content_type: str
    size: int  # octets as encoded
    only_header: bool = False  # of an attached message: who it was from and its Message-ID


@dataclass(frozen=True, slots=True)
class Structure:
    """The structure of one mail."""

    sections: tuple[Section, ...]
    attachments: tuple[Attachment, ...]
    multipart: bool
    text: str  # the server's answer written out again, for the record


def read(body: Any) -> Structure:
    """Read a parsed BODYSTRUCTURE: nested sequences of bytes, int and None, a multipart's parts as a list in front.

    Raises UnreadableMail when it nests too deep, has too many parts, or is malformed.
    """
    try:
        leaves = list(_leaves(body, "", "", 0))
        if len(leaves) > limits.MAX_PARTS:
            raise UnreadableMail(f"more than {limits.MAX_PARTS} parts")
        sections = tuple(section for leaf in leaves if (section := leaf.section()))
        attachments = tuple(leaf.attachment() for leaf in leaves if not leaf.wanted)
        return Structure(sections, attachments, isinstance(body[0], list), _written(body)[:MAX_TEXT])
    except (IndexError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableMail(f"the server's BODYSTRUCTURE is malformed: {error}") from error


@dataclass(frozen=True, slots=True)
class _Leaf:
    number: str
    parent: str  # subtype of the multipart around it
    content: Parameters
    disposition: Parameters
    encoding: str
    size: int

    @property
    def wanted(self) -> bool:
        named = self.filename and self.content.value.startswith("text/")
        return self.content.value in _READ and self.disposition.value != "attachment" and not named

    @property
    def filename(self) -> str:
        return self.disposition.by_name.get("filename") or self.content.by_name.get("name", "")

    def section(self) -> Section | None:
        if self.wanted:
            return Section(self.number, self.content.value, self.size)
        if self.parent == "report" and self.content.value == "message/rfc822":
            return Section(self.number, "text/rfc822-headers", 0, only_header=True)
        return None

    def attachment(self) -> Attachment:
        size = self.size * 57 // _BASE64_LINE if self.encoding == "base64" else self.size
        return Attachment(
            names.safe(self.filename), size, self.content.value, self.disposition.value == "inline"
        )


def _leaves(body: Any, number: str, parent: str, depth: int) -> Iterator[_Leaf]:
    if depth > limits.MAX_NESTING:
        raise UnreadableMail(f"parts nested deeper than {limits.MAX_NESTING}")
    if isinstance(body[0], list):
        prefix = f"{number}." if number else ""
        for count, part in enumerate(body[0], start=1):
            yield from _leaves(part, f"{prefix}{count}", _str(body[1]).lower(), depth + 1)
        return
    kind = f"{_str(body[0])}/{_str(body[1])}".lower()
    at = _DISPOSITION_AT.get(kind) or _DISPOSITION_AT.get(kind.partition("/")[0], 8)
    disposition = body[at] if len(body) > at and isinstance(body[at], tuple) else (b"", None)
    yield _Leaf(
        number or "1",
        parent,
        _parameters(kind, body[2]),
        _parameters(_str(disposition[0]), disposition[1]),
        _str(body[5]).lower(),
        int(body[6] or 0),
    )


def _parameters(value: str, pairs: Sequence[Any] | None) -> Parameters:
    """The parameters decoded as in a header (RFC 2231), since servers pass them through as they stood there."""
    line = value
    for name, text in zip((pairs or ())[::2], (pairs or ())[1::2], strict=False):
        quoted = _str(text).replace("\\", "\\\\").replace('"', '\\"')
        line += f'; {_str(name)}="{quoted}"'
    return parameters(line)


def _str(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return "" if value is None else str(value)


def _written(value: Any) -> str:
    if isinstance(value, list):
        return "".join(_written(one) for one in value)
    if isinstance(value, tuple):
        return f"({' '.join(_written(one) for one in value)})"
    if value is None or isinstance(value, int):
        return "NIL" if value is None else str(value)
    return '"' + _str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
