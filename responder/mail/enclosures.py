"""The files that a mail carries, with their octets: for passing on what a colleague has enclosed.

Vendors' attachments are never opened; this is for mails of the office itself.
"""

from __future__ import annotations

from responder.mail import bodies, headers, mime, names

Enclosure = tuple[str, str, bytes]
"""(safe base name, MIME type, content), as `compose.Outgoing.attachments` takes it."""

# Made by a signing client over bytes that are composed anew here: it would verify nothing.
_SIGNATURES = frozenset(
    {"application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"}
)


def enclosures(raw: bytes) -> tuple[Enclosure, ...]:
    """Return every attachment of `raw` in order, pictures inside the text included.

    Raises UnreadableMail over a limit of `mime.walk`.
    """
    block, body = headers.split(raw)
    found: list[Enclosure] = []
    for leaf in mime.walk(raw, headers.fields(block)[0], body).leaves():
        kind = leaf.content_type
        if kind.startswith("multipart/") or kind in _SIGNATURES or not bodies.is_attached(leaf, kind):
            continue
        name = names.given(leaf.filename, kind, len(found) + 1)
        found.append((name, kind, mime.payload(raw, leaf)))
    return tuple(found)
