"""A second, independent reading of finished bytes before they may be queued (rule 43).

It shares no code with `compose` and knows nothing of MIME: it splits the header block the plain way of RFC 5322 2.2
and compares the names it finds with the names that were meant to be there.
"""

from __future__ import annotations

import re

from responder.errors import UnsendableMail

MAX_LINE = 998  # octets without CRLF, RFC 5322 2.1.1

ALLOWED = frozenset(
    name.lower()
    for name in (
        "From",
        "To",
        "Reply-To",
        "Subject",
        "Date",
        "Message-ID",
        "In-Reply-To",
        "References",
        "Auto-Submitted",
        "X-Auto-Response-Suppress",
        "X-LPSE-Loop",
        "Precedence",
        "MIME-Version",
        "Content-Type",
        "Content-Transfer-Encoding",
    )
)
REQUIRED = frozenset({"from", "to", "subject", "date", "message-id", "mime-version", "content-type"})

_FIELD_NAME = re.compile(rb"[A-Za-z][A-Za-z-]*")
_THREADING = frozenset({"message-id", "in-reply-to", "references"})


def check(data: bytes, intended: frozenset[str]) -> None:
    """Raise UnsendableMail unless `data` is a mail with exactly the `intended` header names (lower case), each once.

    Also checked: CRLF line ends only, no NUL, lines of at most 998 octets, octets above 127 only in address headers
    (RFC 6532), no RFC 2047 word in a threading header (rule 38), a body after the header block.
    """
    if b"\0" in data:
        raise UnsendableMail("the finished mail holds a NUL")
    lines = data.split(b"\r\n")
    if any(b"\r" in line or b"\n" in line for line in lines):
        raise UnsendableMail("the finished mail holds a bare CR or LF")
    if any(len(line) > MAX_LINE for line in lines):
        raise UnsendableMail(f"the finished mail holds a line of more than {MAX_LINE} octets")
    if b"" not in lines:
        raise UnsendableMail("the finished mail has no body")
    end = lines.index(b"")
    fields = _fields(lines[:end])
    names = [name for name, _ in fields]
    if len(set(names)) != len(names):
        raise UnsendableMail(f"header twice in the finished mail: {', '.join(sorted(names))}")
    if set(names) != intended or not (REQUIRED <= intended <= ALLOWED):
        wrong = sorted(set(names) ^ intended | (intended - ALLOWED) | (REQUIRED - intended))
        raise UnsendableMail(f"headers of the finished mail are not those intended: {', '.join(wrong)}")
    for name, value in fields:
        if not value.isascii() and name not in {"from", "to", "reply-to"}:
            raise UnsendableMail(f"octets above 127 in header {name}")
        if name in _THREADING and b"=?" in value:
            raise UnsendableMail(f"header {name} holds an encoded word")
    if not all(line.isascii() for line in lines[end:]):
        raise UnsendableMail("octets above 127 in the body of the finished mail")


def _fields(lines: list[bytes]) -> list[tuple[str, bytes]]:
    fields: list[tuple[str, bytes]] = []
    for line in lines:
        if line.startswith((b" ", b"\t")):
            if not fields or not line.strip():
                raise UnsendableMail("a continuation line of the finished mail's header continues nothing")
            fields[-1] = (fields[-1][0], fields[-1][1] + line)
            continue
        name, colon, value = line.partition(b":")
        if not colon or not _FIELD_NAME.fullmatch(name):
            raise UnsendableMail(f"not a header line: {line[:40]!r}")
        fields.append((name.decode().lower(), value))
    return fields
