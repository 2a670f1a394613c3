"""The MIME structure of a mail, found by one pass over its delimiter lines (RFC 2046 5.1).

No recursion and no copying: an entity is a pair of offsets. A leaf is decoded when somebody asks for its payload,
so the attachments of a mail, which nobody opens, cost only the pass. Attached messages are leaves too.
The stdlib's parser was measured to need 9 s for 1 MB of parts and to exhaust its stack at 300 levels.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from responder.errors import UnreadableMail
from responder.mail import limits
from responder.mail.headers import Fields, Parameters, decode_words, fields, first, parameters, unbase64

# All texts of a mail are cut at this many octets: no person writes more, and each later step has to read it.
MAX_TEXT_OCTETS = 1024 * 1024

# Lines that begin like delimiters are one in thousands of honest octets; each costs 0.2 µs.
MAX_CANDIDATES = 100_000

_DELIMITER = re.compile(rb"\n--([^\n]{1,200})")
# RFC 2046 5.1.5
_DIGEST_TYPE = "message/rfc822"
_PART_BODY = re.compile(rb"\n\r?\n")
_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+")


@dataclass(frozen=True, slots=True)
class Part:
    """A leaf of a mail, by value: what the partial fetch of a large mail stores, and what reports are read from."""

    content_type: str  # lower case, without parameters
    payload: bytes  # decoded from the transfer encoding
    filename: str  # as the sender wrote it, decoded; "" when nameless
    headers: Fields

    @property
    def charset(self) -> str:
        """The declared charset label, "" when there is none."""
        return parameters(first(self.headers, "content-type")).by_name.get("charset", "")


@dataclass(slots=True)
class Entity:
    """A node of the structure: `raw[start:end]` is its body."""

    headers: Fields
    content: Parameters
    start: int
    end: int
    children: list[Entity] = field(default_factory=list)

    @property
    def content_type(self) -> str:
        return self.content.value

    @property
    def encoding(self) -> str:
        return parameters(first(self.headers, "content-transfer-encoding")).value

    @property
    def disposition(self) -> Parameters:
        return parameters(first(self.headers, "content-disposition"))

    @property
    def filename(self) -> str:
        """The name from Content-Disposition or, as older senders do, Content-Type."""
        name = self.disposition.by_name.get("filename") or self.content.by_name.get("name", "")
        return decode_words(name).text

    def leaves(self) -> Iterator[Entity]:
        """All leaves in order. The depth is bounded by `limits.MAX_NESTING`."""
        if not self.children:
            yield self
        for child in self.children:
            yield from child.leaves()

    def walk(self) -> Iterator[Entity]:
        """This entity and all below it, outermost first."""
        yield self
        for child in self.children:
            yield from child.walk()


def walk(raw: bytes, headers: Fields, body: int) -> Entity:
    """Return the structure of a mail with `headers` whose body starts at `body`.

    Raises UnreadableMail over `limits.MAX_PARTS`, `limits.MAX_NESTING` or a header limit inside a part.
    """
    root = _entity(headers, body, len(raw))
    if root.content_type.startswith("multipart/") and not _declares_boundary(raw, root):
        root.content.by_name["boundary"] = _likely_boundary(raw, body)
    opened = _Opened(root)
    parts, header_octets = 1, 0
    candidates = _DELIMITER.finditer(raw, max(body - 1, 0)) if opened.levels else iter(())
    for number, match in enumerate(candidates):
        if number == MAX_CANDIDATES:
            raise UnreadableMail(f"more than {MAX_CANDIDATES} lines that look like part delimiters")
        line = match[1].rstrip()
        closing = line not in opened.levels
        boundary = line.removesuffix(b"--") if closing else line
        if boundary not in opened.levels:
            continue
        # The line end before a delimiter belongs to it (RFC 2046 5.1.1).
        parent = opened.close(boundary, match.start() - raw.endswith(b"\r", 0, match.start()))
        if closing:
            continue
        child = _part(
            raw, match.end(), _DIGEST_TYPE if parent.content_type == "multipart/digest" else "text/plain"
        )
        parts += 1
        header_octets += child.start - match.end()
        if parts > limits.MAX_PARTS:
            raise UnreadableMail(f"more than {limits.MAX_PARTS} parts")
        if header_octets > limits.MAX_PART_HEADERS:
            raise UnreadableMail(f"headers of parts are over the limit of {limits.MAX_PART_HEADERS} octets")
        parent.children.append(child)
        opened.open(child)
    return root


class _Opened:
    """The multiparts that are open at a place, outermost first, and the last part begun."""

    def __init__(self, root: Entity) -> None:
        self.levels: dict[bytes, int] = {}
        self._entities: list[Entity] = []
        self.open(root)

    def open(self, entity: Entity) -> None:
        self._entities.append(entity)
        boundary = _boundary(entity)
        # A boundary used again inside itself belongs to the outer level: its parts become siblings.
        if boundary and boundary not in self.levels:
            self.levels[boundary] = len(self._entities) - 1
        if len(self.levels) > limits.MAX_NESTING:
            raise UnreadableMail(f"parts nested deeper than {limits.MAX_NESTING}")

    def close(self, boundary: bytes, end: int) -> Entity:
        """End everything inside the multipart with `boundary` at `end`; return that multipart."""
        level = self.levels[boundary]
        for entity in self._entities[level + 1 :]:
            entity.end = max(end, entity.start)
        del self._entities[level + 1 :]
        self.levels = {name: at for name, at in self.levels.items() if at <= level}
        return self._entities[level]


def payload(raw: bytes, entity: Entity, most: int | None = None) -> bytes:
    """The body of a leaf decoded from its transfer encoding; at most about `most` octets."""
    end = entity.end if most is None else min(entity.end, entity.start + 2 * most)
    data = raw[entity.start : end]
    encoding = entity.encoding
    if encoding == "base64":
        return unbase64(data)[:most]
    if encoding == "quoted-printable":
        return binascii.a2b_qp(data)[:most]
    if encoding in ("x-uuencode", "uuencode", "x-uue"):
        return unuuencode(data)[:most]
    return data[:most]


def size(raw: bytes, entity: Entity) -> int:
    """Octets of a leaf when decoded, about: computed from the encoded length."""
    length = entity.end - entity.start
    if entity.encoding == "base64":
        line_ends = raw.count(b"\n", entity.start, entity.end) + raw.count(b"\r", entity.start, entity.end)
        padding = raw.count(b"=", max(entity.end - 6, entity.start), entity.end)
        return max((length - line_ends) * 3 // 4 - padding, 0)
    return max(length, 0)


def unuuencode(data: bytes) -> bytes:
    """Decode the lines between "begin" and "end"; a broken line is skipped."""
    out: list[bytes] = []
    for line in data.splitlines():
        if line.startswith((b"begin ", b"end")) or not line.strip():
            continue
        # Encoders differ in padding: the first character says how many of the octets count.
        needed = ((line[0] - 32 & 63) + 2) // 3 * 4 + 1
        try:
            out.append(binascii.a2b_uu(line[:needed]))
        except binascii.Error:
            continue
    return b"".join(out)


def part(raw: bytes, entity: Entity, most: int | None = None) -> Part:
    """The leaf as a value, its payload cut at `most` octets."""
    return Part(entity.content_type, payload(raw, entity, most), entity.filename, entity.headers)


def _part(raw: bytes, line_end: int, default_type: str) -> Entity:
    """The part whose header starts after its delimiter line; its end is set when the next delimiter is found."""
    most = line_end + limits.MAX_HEADER
    blank = _PART_BODY.search(raw, line_end, most)
    stop = raw.find(b"\n--", line_end, blank.start() if blank else most)
    if blank is None and stop < 0:
        return _entity((), min(line_end + 1, len(raw)), len(raw), default_type)
    block = raw[line_end + 1 : stop if stop >= 0 else blank.start() + 1 if blank else most]
    start = stop if stop >= 0 else blank.end() if blank else most
    limits.check_headers(block)
    headers, _ = fields(block)
    if block.strip() and not headers:
        start = line_end + 1
    return _entity(headers, start, len(raw), default_type)


def _entity(headers: Fields, start: int, end: int, default_type: str = "text/plain") -> Entity:
    value = first(headers, "content-type")
    content = parameters(value) if value else Parameters(default_type, {})
    if not _TYPE.fullmatch(content.value):
        # RFC 2045 5.2: what cannot be understood is plain text, except that a named thing is no text.
        named = "name" in content.by_name or _has_filename(headers)
        content = Parameters("application/octet-stream" if named else "text/plain", content.by_name)
    return Entity(headers, content, start, end)


def _declares_boundary(raw: bytes, root: Entity) -> bool:
    """Whether the declared boundary occurs at all."""
    boundary = _boundary(root)
    return bool(boundary) and b"\n--" + boundary in raw


def _likely_boundary(raw: bytes, body: int) -> str:
    """The boundary of a multipart whose header lost it: the first delimiter line that is also closed, or ""."""
    line = _DELIMITER.search(raw, max(body - 1, 0))
    name = line[1].rstrip() if line else b""
    return name.decode("utf-8", "replace") if name and b"\n--" + name + b"--" in raw else ""


def _has_filename(headers: Fields) -> bool:
    """Whether Content-Disposition names a file."""
    return "filename" in parameters(first(headers, "content-disposition")).by_name


def _boundary(entity: Entity) -> bytes:
    """The boundary of a multipart as octets, b"" when it has none."""
    if not entity.content_type.startswith("multipart/"):
        return b""
    return entity.content.by_name.get("boundary", "").rstrip().encode("utf-8", "replace")
