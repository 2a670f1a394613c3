"""Names of attachments, made safe to show and to store: a base name and nothing else (rule 65)."""

from __future__ import annotations

import re

from responder.mail.headers import one_line

# Common file systems take 255 octets; four octets a character leave room for a prefix.
MAX_NAME = 60

_SEPARATORS = re.compile(r"[\\/]")
_UNSAFE = re.compile(r'[<>:"|?*\x00-\x1f]')
_EXTENSIONS = {
    "application/pdf": ".pdf",
    "application/zip": ".zip",
    "application/x-zip-compressed": ".zip",
    "application/vnd.rar": ".rar",
    "application/x-rar-compressed": ".rar",
    "application/msword": ".doc",
    "application/vnd.ms-excel": ".xls",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
    "application/ms-tnef": ".dat",
    "application/pkcs7-mime": ".p7m",
    "application/x-pkcs7-mime": ".p7m",
    "application/pkcs7-signature": ".p7s",
    "application/x-pkcs7-signature": ".p7s",
    "application/pgp-signature": ".asc",
    "application/pgp-encrypted": ".asc",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/gif": ".gif",
    "image/tiff": ".tif",
    "message/rfc822": ".eml",
    "text/calendar": ".ics",
    "text/csv": ".csv",
    "text/html": ".html",
    "text/plain": ".txt",
    "text/rfc822-headers": ".txt",
    "text/vcard": ".vcf",
    "text/x-vcard": ".vcf",
}


def safe(name: str) -> str:
    """The base name of `name` without controls, direction marks and characters that file systems refuse.

    "" when nothing is left. The extension survives shortening.
    """
    base = _SEPARATORS.split(one_line(name))[-1]
    base = _UNSAFE.sub("_", base).strip(" .")
    if len(base) <= MAX_NAME:
        return base
    stem, dot, extension = base.rpartition(".")
    if not dot or len(extension) > 10:
        return base[:MAX_NAME].strip(" .")
    return f"{stem[: MAX_NAME - len(extension) - 1].strip(' .')}.{extension}"


def given(name: str, content_type: str, number: int) -> str:
    """A safe name for attachment `number` (from 1): its own, else "lampiran-N" with the extension of its type."""
    return safe(name) or f"lampiran-{number}{_EXTENSIONS.get(content_type, '')}"
