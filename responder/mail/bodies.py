"""Which parts of a mail are its text, and what plain text looks like once its wrapping is undone.

multipart/alternative gives one text in several forms, every other multipart a sequence (RFC 2046 5.1). What is not
text is an attachment: named and measured, never opened.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from responder.mail import charset, mime, names
from responder.mail.headers import decode_words, fields, first, parameters, split
from responder.mail.message import Attachment

# Of an attached message only the header is read, for its subject.
_SUBJECT_OCTETS = 16 * 1024
_SUBJECT_CHARACTERS = 500
_TEXT_TYPES = frozenset({"text/plain", "text/html", "text/enriched", "text/richtext"})
_ENCRYPTED_TYPES = frozenset(
    {"multipart/encrypted", "application/pgp-encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime"}
)
_TNEF_TYPES = frozenset({"application/ms-tnef", "application/vnd.ms-tnef"})

_STUB = re.compile(
    r"\b(html|browser|peramban|web version|versi web|e-?mail client|mail reader)\b", re.IGNORECASE
)
_MAX_STUB = 400

_UUENCODED = re.compile(
    r"^begin(?:-base64)? [0-7]{3,4} ([^\n]{1,200})\n((?:[ -`]{1,86}\n)*+)(?:end|====)[ \t]*$", re.MULTILINE
)
_PGP_MESSAGE = re.compile(
    r"-----BEGIN PGP MESSAGE-----(?:[^-]++|-(?!----END PGP MESSAGE-----))*+(?:-----END PGP MESSAGE-----)?"
)
_PGP_SIGNED = re.compile(r"-----BEGIN PGP SIGNED MESSAGE-----\n(?:[A-Za-z]+: [^\n]*\n)*+\n")
_PGP_SIGNATURE = re.compile(
    r"-----BEGIN PGP SIGNATURE-----(?:[^-]++|-(?!----END PGP SIGNATURE-----))*+(?:-----END PGP SIGNATURE-----)?"
)

_META_CHARSET = re.compile(rb"<meta[^>]{1,200}?charset\s*=\s*[\"']?([A-Za-z0-9_:.-]{1,40})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Text:
    """One stretch of a mail's text: either form may be missing ("")."""

    plain: str
    html: str

    @property
    def stub(self) -> bool:
        """Whether the plain form is nothing, or only says that there is HTML to be read."""
        if not self.html:
            return False
        return not self.plain.strip() or (len(self.plain) < _MAX_STUB and bool(_STUB.search(self.plain)))


@dataclass(frozen=True, slots=True)
class Content:
    """Everything below the header: texts in order, attachments, and what stood in the way of reading."""

    texts: tuple[Text, ...]
    attachments: tuple[Attachment, ...]
    encrypted: bool
    doubts: tuple[str, ...]


def read(raw: bytes, root: mime.Entity) -> Content:
    """Sort the leaves of a mail into texts and attachments."""
    collector = _Collector(raw)
    texts = collector.texts(root)
    return collector.content(texts)


def read_parts(parts: Iterable[mime.Part], attachments: Sequence[Attachment]) -> Content:
    """The same for a partially fetched mail: its text parts are taken as forms of one text, plain and HTML."""
    collector = _Collector(b"")
    for number, given in enumerate(attachments, 1):
        collector.attachments.append(replace(given, name=names.given(given.name, given.type, number)))
    texts = [collector.text(part.content_type, part.payload, part.charset, flowed(part)) for part in parts]
    return collector.content(_merge(texts))


def is_attached(entity: mime.Entity, kind: str) -> bool:
    """Whether a leaf of the type `kind` is an attachment and not a text to be read."""
    attached = entity.disposition.value == "attachment" or (entity.filename and kind.startswith("text/"))
    return kind not in _TEXT_TYPES or bool(attached)


def flowed(part: mime.Part) -> str:
    """The format=flowed mode of a part: "" (fixed), "flowed", or "delsp"."""
    return _flow(parameters(first(part.headers, "content-type")).by_name)


class _Collector:
    """Walks the structure once; holds what accumulates on the way."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.attachments: list[Attachment] = []
        self.doubts: list[str] = []
        self.encrypted = False
        self.left = mime.MAX_TEXT_OCTETS

    def content(self, texts: Sequence[Text]) -> Content:
        return Content(tuple(texts), tuple(self.attachments), self.encrypted, tuple(self.doubts))

    def texts(self, entity: mime.Entity) -> list[Text]:
        if entity.content_type in _ENCRYPTED_TYPES:
            self.encrypted = True
        if entity.children:
            found = [text for child in entity.children for text in self.texts(child)]
            return _merge(found) if entity.content_type == "multipart/alternative" else found
        return self._leaf(entity)

    def _leaf(self, entity: mime.Entity) -> list[Text]:
        kind = entity.content_type
        if kind.startswith("multipart/"):
            if entity.end <= entity.start or not self.raw[entity.start : entity.end].strip():
                return []
            self.doubts.append("a multipart without parts, read as text")
            kind = "text/plain"
        if is_attached(entity, kind):
            self._attach(entity, kind, entity.filename, entity.disposition.value == "inline")
            return []
        data = mime.payload(self.raw, entity, self.left)
        self.left -= len(data)
        if self.left <= 0:
            self.doubts.append(f"text cut at {mime.MAX_TEXT_OCTETS} octets")
        said = entity.content.by_name
        return [self.text(kind, data, said.get("charset", ""), _flow(said))]

    def text(self, kind: str, data: bytes, label: str, flow: str) -> Text:
        if kind == "text/html":
            label = label or html_charset(data)
        text, doubt = charset.decode(data, label)
        if doubt:
            self.doubts.append(doubt)
        if kind == "text/html":
            return Text("", text)
        return Text(self._unwrap(unflow(text, delsp=flow == "delsp") if flow else text), "")

    def _unwrap(self, text: str) -> str:
        """Plain text without uuencoded files and PGP armour."""
        if "begin" in text:
            text = _UUENCODED.sub(self._uuencoded, text)
        if "-----BEGIN PGP" in text:
            text, count = _PGP_MESSAGE.subn("", text)
            self.encrypted = self.encrypted or bool(count)
            text = _PGP_SIGNATURE.sub("", _PGP_SIGNED.sub("", text))
        return text

    def _uuencoded(self, match: re.Match[str]) -> str:
        name = names.given(match[1], "application/octet-stream", len(self.attachments) + 1)
        self.attachments.append(Attachment(name, len(match[2]) * 3 // 4, "application/octet-stream"))
        return ""

    def _attach(self, entity: mime.Entity, kind: str, filename: str, inline: bool) -> None:
        if kind == "message/rfc822" and not filename:
            head = mime.payload(self.raw, entity, _SUBJECT_OCTETS)
            subject = decode_words(first(fields(split(head)[0])[0], "subject")[:_SUBJECT_CHARACTERS]).text
            filename = f"{subject}.eml" if subject else ""
        name = names.given(filename, kind, len(self.attachments) + 1)
        if kind in _TNEF_TYPES or name.lower() == "winmail.dat":
            self.doubts.append(
                "winmail.dat: Outlook packed text or attachments where only Outlook reads them"
            )
        inline = inline or bool(first(entity.headers, "content-id"))
        self.attachments.append(Attachment(name, mime.size(self.raw, entity), kind, inline))


def _merge(texts: Sequence[Text]) -> list[Text]:
    """The forms of one text: everything plain, everything HTML."""
    plain = "\n\n".join(text.plain for text in texts if text.plain)
    html = "\n".join(text.html for text in texts if text.html)
    return [Text(plain, html)] if plain or html else []


def _flow(said: dict[str, str]) -> str:
    if said.get("format", "").lower() != "flowed":
        return ""
    return "delsp" if said.get("delsp", "").lower() == "yes" else "flowed"


def unflow(text: str, *, delsp: bool = False) -> str:
    """Undo format=flowed (RFC 3676 4): join lines that end in a space with the next of the same quote depth."""
    lines: list[list[str]] = []
    open_depth = -1
    for line in text.split("\n"):
        content = line.lstrip(">")
        depth = len(line) - len(content)
        content = content.removeprefix(" ")
        signature = content == "-- "
        soft = content.endswith(" ") and not signature
        joined = content[:-1] if soft and delsp else content
        if open_depth == depth and not signature:
            lines[-1].append(joined)
        else:
            lines.append([">" * depth + (" " if depth else ""), joined])
        open_depth = depth if soft else -1
    return "\n".join(map("".join, lines))


def html_charset(data: bytes) -> str:
    """The charset that an HTML text declares in itself within its first 2 KiB, "" when none."""
    found = _META_CHARSET.search(data, 0, 2048)
    return found[1].decode("ascii") if found else ""
