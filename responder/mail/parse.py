"""Octets to an `IncomingMail`. Never raises on any octets but `UnreadableMail`, with the reason.

Pure: no clock, no network, no file. What was not sure is told as a doubt; doubts only ever make a person look.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from responder.mail import addresses, bodies, bounce, headers, html, language, limits, mime, quotes
from responder.mail.headers import Fields
from responder.mail.message import Attachment, IncomingMail
from responder.mail.mime import Part

__all__ = ["Part", "read", "read_parts"]

# Reports say all that matters in their first lines; returned mails may follow whole.
MAX_REPORT_OCTETS = 64 * 1024
MAX_DOUBTS = 20
# RFC 5322 3.6: each at most once. More than one is a sender that hides something, or is broken.
_SINGLE = ("from", "subject", "message-id", "date", "reply-to", "to", "content-type")


def read(raw: bytes, *, size: int | None = None, max_size: int = limits.MAX_SIZE) -> IncomingMail:
    """Read a whole mail. `size` is the server's RFC822.SIZE where known, else the octets given.

    Raises UnreadableMail over a limit (rule 63) or `max_size` octets. Identity is computed over the octets as
    they are, so a mail read again from the same server has the same.
    """
    limits.check_size(max(len(raw), size or 0), max_size)
    if b"\n" not in raw:
        raw = raw.replace(b"\r", b"\n")
    block, body = headers.split(raw)
    limits.check_headers(block)
    fields, doubts = headers.fields(block)
    root = mime.walk(raw, fields, body)
    content = bodies.read(raw, root)
    reportable = (leaf for leaf in root.leaves() if leaf.content_type.startswith(("text/", "message/")))
    return _assemble(
        identity=headers.identity(block, size if size is not None else len(raw)),
        size=size if size is not None else len(raw),
        fields=fields,
        content=content,
        parts=tuple(mime.part(raw, leaf, MAX_REPORT_OCTETS) for leaf in reportable),
        content_types=tuple(entity.content_type for entity in root.walk()),
        doubts=doubts,
    )


def read_parts(
    header: bytes,
    parts: Sequence[Part],
    attachments: Sequence[Attachment],
    size: int,
    *,
    content_types: Sequence[str] = (),
) -> IncomingMail:
    """Read a large mail of which only the header block and the text parts were fetched.

    `attachments` and `content_types` (every part, outermost first) come from the BODYSTRUCTURE; without the
    latter the types of header, parts and attachments stand in. Names are made safe here. The identity is the one
    that `read` computes from the whole mail. Raises UnreadableMail when the header block is over a limit.
    """
    block, _ = headers.split(header.rstrip(b"\r\n") + b"\r\n\r\n")
    limits.check_headers(block)
    fields, doubts = headers.fields(block)
    outer = headers.parameters(headers.first(fields, "content-type")).value or "text/plain"
    types = content_types or [outer, *(p.content_type for p in parts), *(a.type for a in attachments)]
    return _assemble(
        identity=headers.identity(block, size),
        size=size,
        fields=fields,
        content=bodies.read_parts(parts, attachments),
        parts=tuple(parts),
        content_types=tuple(kind.lower() for kind in types),
        doubts=doubts,
    )


def _assemble(
    *,
    identity: str,
    size: int,
    fields: Fields,
    content: bodies.Content,
    parts: tuple[Part, ...],
    content_types: tuple[str, ...],
    doubts: tuple[str, ...],
) -> IncomingMail:
    """Put together what header and content say."""
    by_name: dict[str, list[str]] = {}
    for name, value in fields:
        by_name.setdefault(name.lower(), []).append(value)

    def one(name: str) -> str:
        return by_name.get(name, [""])[0]

    sender, from_addresses = addresses.sender(by_name.get("from", []))
    subject = headers.decode_words(one("subject"))
    text, safe_html, text_doubts = _text(content.texts)
    split = quotes.split(text)
    repeated = (f"more than one {name} header" for name in _SINGLE if len(by_name.get(name, ())) > 1)
    return IncomingMail(
        identity=identity,
        size=size,
        headers=fields,
        message_id=next(iter(addresses.message_ids(one("message-id"))), ""),
        in_reply_to=addresses.message_ids(one("in-reply-to")),
        references=addresses.message_ids(" ".join(by_name.get("references", ()))),
        sender=sender,
        from_addresses=from_addresses,
        reply_to=addresses.mailboxes(by_name.get("reply-to", ())),
        to=addresses.mailboxes(by_name.get("to", ())),
        cc=addresses.mailboxes(by_name.get("cc", ())),
        return_path=addresses.null_or_address(by_name.get("return-path", ())),
        subject=subject.text,
        date=addresses.date(one("date")),
        text=text,
        new_text=split.new_text,
        quoted_text=split.quoted_text,
        html=safe_html,
        attachments=content.attachments,
        language=language.detect(split.new_text),
        content_types=content_types,
        report=bounce.report_from(parts, fields, text),
        signed_or_encrypted=content.encrypted and not text.strip(),
        doubts=_unique([*doubts, subject.doubt, *repeated, *content.doubts, *text_doubts]),
    )


def _text(texts: Iterable[bodies.Text]) -> tuple[str, str, list[str]]:
    """Return (the visible text, safe HTML or "", doubts) of all texts in order."""
    plains: list[str] = []
    shown: list[str] = []
    doubts: list[str] = []
    any_html = False
    left = html.MAX_HTML
    for item in texts:
        if not item.html or left <= 0:
            plains.append(item.plain)
            shown.append(html.preformatted(item.plain))
            continue
        any_html = True
        page = html.read(item.html, most=left)
        left -= len(item.html)
        # A stub gives way only to a page that says something.
        plains.append(page.text if item.stub and page.text.strip() else item.plain)
        shown.append(page.safe)
        doubts.append(page.doubt)
    text = "\n\n".join(stripped for plain in plains if (stripped := plain.strip("\n")))
    return text, "\n".join(shown) if any_html else "", doubts


def _unique(doubts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, doubts)))[:MAX_DOUBTS]
