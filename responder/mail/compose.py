"""A reply as frozen bytes: headers (rules 29 to 45), MIME, and the subject and threading of a reply.

The frame of header lines and boundaries is written here and only the encodings come from the standard library:
EmailMessage takes three times as long for the same reply, writes long ids as encoded words (rule 38) and folds by its
own version's rules, while these bytes must stay the same for the same input on every interpreter.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.header import Header
from email.utils import encode_rfc2231, format_datetime
from functools import lru_cache

from responder.errors import UnsendableMail
from responder.mail import headers, wirecheck
from responder.mail.domains import wire_address
from responder.mail.message import Address
from responder.mail.tokens import LOOP_HEADER, strip_subject_tags

CRLF = "\r\n"
SOFT_LINE = 76  # RFC 2047 2: a line with an encoded word; RFC 5322 2.1.1 recommends 78 for the rest
MAX_SUBJECT = 250  # code points (rule 35)
MAX_NAME = 100  # code points of a display or file name: more is no name
MAX_REFERENCES = 21  # root and the last 20 (rule 37)
MAX_ID = 900  # octets: the longest id in the wild that still fits one line (rule 38)

_ID = re.compile(r"[!-;=?-~]+")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*")
_LINE_END = re.compile("\r\n|[\r\n\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_NOT_TEXT = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_PREFIX = re.compile(
    r"(?:re|fwd?|aw|wg|sv|vs|vb|bls|balas|balasan|tr|trs|terusan|rif|res|enc|antw|antwort)"
    r"\s*(?:\[\d{1,3}\]|\(\d{1,3}\))?\s*[:\uff1a]\s*",
    re.IGNORECASE,
)
_OTHER_TAG = re.compile(r"\[[^\[\]]{0,60}\d[^\[\]]{0,60}\]")
_MIME_TYPE = re.compile(r"(?!multipart/|message/)[a-z0-9][a-z0-9.+-]*/[a-z0-9][a-z0-9.+-]*")
_UNSAFE_HTML = re.compile(
    r"<(?:script|link|iframe|frame|object|embed|applet|img|image|picture|video|audio|source|track|svg|base|form|input)"
    r"[\s/>]|<[^<>]*[\s/\"'](?:src|srcset|background|poster|http-equiv|on[a-z]+)\s*=|url\s*\(|@import|javascript:",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Everything that a reply's bytes depend on; the same value always gives the same bytes (rule 39)."""

    from_name: str
    from_address: str
    to: Address  # exactly one recipient (rule 33)
    subject: str
    text: str  # any line ends; never empty (rule 41)
    html: str  # "": no HTML part
    message_id: str  # without angle brackets
    date: datetime  # aware
    in_reply_to: str  # without angle brackets; "": none
    references: tuple[str, ...]  # without angle brackets, oldest first
    automatic: bool  # no person approved it (rule 29)
    loop_token: str  # value of X-LPSE-Loop; "": no such header
    precedence_bulk: bool  # rule 30
    reply_to: str = ""  # "": replies go to from_address
    attachments: tuple[tuple[str, str, bytes], ...] = ()  # (file name, MIME type, content)


def compose(outgoing: Outgoing) -> bytes:
    """Return the finished mail: CRLF, 7bit/quoted-printable/base64, lines of at most 998 octets.

    Raises UnsendableMail when the rules allow no such mail: an address that is none, an empty text, HTML that loads
    something (rule 42), or bytes that a second reading understands otherwise (rule 43).
    """
    if not outgoing.text.strip():
        raise UnsendableMail("a reply without text")
    if outgoing.date.tzinfo is None:
        raise UnsendableMail("a reply needs a Date with a time zone")
    fields = _fields(outgoing)
    content, body = _body(outgoing)
    lines = [_line(name, value) for name, value in fields]
    data = CRLF.join([*lines, *content, "", ""]).encode() + body
    intended = [name for name, _ in fields] + [line.partition(":")[0] for line in content]
    wirecheck.check(data, frozenset(name.lower() for name in intended))
    return data


def clean_header_text(value: str) -> str:
    """Return decoded text as one line that is safe in a header (rule 44).

    C0/C1 controls, line separators, bidirectional controls and surrogates go; so does every `=?`, since a relay that
    decodes and writes the header anew would act on what an encoded word in it hides.
    """
    value = headers.one_line(value)
    while "=?" in value:
        value = value.replace("=?", "")
    return " ".join(value.split())


def reply_subject(subject: str, tag: str) -> str:
    """Return the subject of a reply: one "Re: ", our `tag`, then what is left of `subject` (rule 35).

    Reply and forward prefixes of many languages are collapsed, our own tags are taken out, a tag of another ticket
    system is kept once, so the subject does not grow when two systems answer each other. At most 250 code points.
    """
    rest = strip_subject_tags(clean_header_text(subject))
    others: list[str] = []
    while found := _PREFIX.match(rest) or _OTHER_TAG.match(rest):
        if found.re is _OTHER_TAG:
            others.append(found[0])
        rest = rest[found.end() :].lstrip()
    others = list(dict.fromkeys(others))
    for other in others:
        rest = rest.replace(other, "")
    whole = " ".join(["Re:", tag, *others, rest] if tag else ["Re:", *others, rest])
    whole = " ".join(whole.split())
    return whole if len(whole) <= MAX_SUBJECT else whole[: MAX_SUBJECT - 1].rstrip() + "…"


def reply_references(
    message_id: str, references: Sequence[str], in_reply_to: Sequence[str]
) -> tuple[str, ...]:
    """Return References of a reply to the mail with these headers (RFC 5322 3.6.4, rule 37), ids without brackets.

    The parent's References, else its single In-Reply-To, then its Message-ID; a repeated id keeps its last place;
    at most the root and the last 20. Empty when the parent has no usable Message-ID: then the reply carries neither
    References nor In-Reply-To.
    """
    if not _usable_id(message_id):
        return ()
    before = references or (in_reply_to if len(in_reply_to) == 1 else ())
    ids = [i for i in (*before, message_id) if _usable_id(i)]
    once = tuple(reversed(dict.fromkeys(reversed(ids))))
    return once if len(once) <= MAX_REFERENCES else (once[0], *once[1 - MAX_REFERENCES :])


def _usable_id(value: str) -> bool:
    return bool(_ID.fullmatch(value)) and len(value) <= MAX_ID and "=?" not in value


def _fields(outgoing: Outgoing) -> list[tuple[str, str]]:
    fields = [
        ("From", _mailbox(outgoing.from_name, outgoing.from_address)),
        ("To", _mailbox(outgoing.to.name, outgoing.to.address)),
        ("Subject", _text("Subject", outgoing.subject[:MAX_SUBJECT])),
        ("Date", format_datetime(outgoing.date)),
        ("Message-ID", _ids((outgoing.message_id,))),
    ]
    if outgoing.reply_to:
        fields.insert(2, ("Reply-To", wire_address(outgoing.reply_to)))
    if outgoing.in_reply_to:
        fields.append(("In-Reply-To", _ids((outgoing.in_reply_to,))))
    if outgoing.references:
        fields.append(("References", _ids(outgoing.references)))
    if outgoing.automatic:
        fields += [("Auto-Submitted", "auto-replied"), ("X-Auto-Response-Suppress", "All")]
    if outgoing.loop_token:
        fields.append((LOOP_HEADER, clean_header_text(outgoing.loop_token)))
    if outgoing.precedence_bulk:
        fields.append(("Precedence", "bulk"))
    fields.append(("MIME-Version", "1.0"))
    return fields


def _line(name: str, value: str) -> str:
    """One header, folded at spaces where it would pass the soft limit; a value that is folded already stays."""
    if len(name) + 2 + len(value) <= SOFT_LINE or CRLF in value:
        return f"{name}: {value}"
    lines = [f"{name}:"]
    for word in value.split(" "):
        # The first word stays on the name's line however long it is: a name alone on its line confuses old readers.
        if len(lines[-1]) + 1 + len(word) > SOFT_LINE and lines != [f"{name}:"]:
            lines.append("")
        lines[-1] += f" {word}"
    return CRLF.join(lines)


def _text(name: str, value: str) -> str:
    value = clean_header_text(value)
    if value.isascii():
        return value
    return Header(value, "utf-8", maxlinelen=SOFT_LINE, header_name=name).encode(linesep=CRLF)


def _mailbox(name: str, address: str) -> str:
    wire = wire_address(address)
    name = clean_header_text(name)[:MAX_NAME].strip()
    if not name:
        return wire
    if not name.isascii():
        return f"{_encoded_name(name)}{CRLF} <{wire}>"
    if not _ATOMS.fullmatch(name):
        name = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{name} <{wire}>"


@lru_cache(maxsize=64)  # our own name stands in every mail, and Header takes a quarter of the whole time
def _encoded_name(name: str) -> str:
    return Header(name, "utf-8", maxlinelen=SOFT_LINE, header_name="Reply-To").encode(linesep=CRLF)


def _ids(ids: tuple[str, ...]) -> str:
    for value in ids:
        if not _usable_id(value):
            raise UnsendableMail(f"not usable as a message id: {value[:100]!r}")
    return " ".join(f"<{value}>" for value in ids)


def _body(outgoing: Outgoing) -> tuple[list[str], bytes]:
    """Return (content header lines, body) of the whole mail."""
    part = _text_part("plain", outgoing.text)
    if outgoing.html:
        if found := _UNSAFE_HTML.search(outgoing.html):
            raise UnsendableMail(f"the HTML would load or run something: {found[0][:60]!r}")
        html = _text_part("html", outgoing.html)
        part = _multipart("alternative", outgoing.message_id, [part, html])
    if outgoing.attachments:
        files = [_attachment(*attachment) for attachment in outgoing.attachments]
        part = _multipart("mixed", outgoing.message_id, [part, *files])
    return part


def _text_part(subtype: str, text: str) -> tuple[list[str], bytes]:
    text = _NOT_TEXT.sub("", _LINE_END.sub("\n", text))
    lines = (text if text.endswith("\n") else text + "\n").split("\n")
    data = CRLF.join(lines).encode()
    plain = data.isascii() and max(map(len, lines)) <= SOFT_LINE and b"=_" not in data
    encoding = "7bit" if plain else "quoted-printable"
    # "=_" starts every boundary and cannot stand in quoted-printable or base64: no part can end another.
    body = data if plain else binascii.b2a_qp(data, istext=True)
    return [
        f'Content-Type: text/{subtype}; charset="{"us-ascii" if plain else "utf-8"}"',
        f"Content-Transfer-Encoding: {encoding}",
    ], body


def _attachment(name: str, mime_type: str, content: bytes) -> tuple[list[str], bytes]:
    mime_type = mime_type.lower()
    if not _MIME_TYPE.fullmatch(mime_type):
        mime_type = "application/octet-stream"
    name = (
        clean_header_text(name).replace("\\", "/").rpartition("/")[2].replace('"', "'")[:MAX_NAME]
        or "lampiran"
    )
    filename = f'filename="{name}"' if name.isascii() else f"filename*={encode_rfc2231(name, 'utf-8')}"
    return [
        f"Content-Type: {mime_type}",
        f"Content-Disposition: attachment;{CRLF} {filename}",
        "Content-Transfer-Encoding: base64",
    ], base64.encodebytes(content).replace(b"\n", CRLF.encode())


def _multipart(subtype: str, seed: str, parts: list[tuple[list[str], bytes]]) -> tuple[list[str], bytes]:
    boundary = "=_" + hashlib.sha256(f"{subtype} {seed}".encode()).hexdigest()[:32]
    out = bytearray()
    for content, body in parts:
        # The CRLF in front of a boundary belongs to the boundary (RFC 2046 5.1.1): the part keeps its own.
        out += CRLF.join([f"--{boundary}", *content, "", ""]).encode() + body + b"\r\n"
    out += f"--{boundary}--{CRLF}".encode()
    return [f'Content-Type: multipart/{subtype};{CRLF} boundary="{boundary}"'], bytes(out)
