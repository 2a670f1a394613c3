"""The one factory of test mails, for all tests of the project.

`build_mail` gives an ordinary mail of a vendor; whatever a test is about, it names. Octets, not objects, come out,
because mail is octets.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import NamedTuple

SENDER = "Budi Santoso <budi@penyedia.example>"
MAILBOX = "lpse@instansi.example"
DATE = "Mon, 03 Mar 2025 09:15:00 +0700"


class File(NamedTuple):
    """An attachment: name, content and MIME type."""

    name: str
    content: bytes = b"%PDF-1.4 isi"
    type: str = "application/pdf"


def build_mail(
    subject: str = "Lupa kata sandi",
    body: str | None = "Selamat pagi, bagaimana cara mengganti kata sandi akun SPSE kami?",
    sender: str | None = SENDER,
    to: str | None = MAILBOX,
    headers: Mapping[str, str | Sequence[str] | None] | None = None,
    html: str | None = None,
    attachments: Sequence[File | tuple[str, bytes, str] | str] = (),
    message_id: str | None = "vendor-1@penyedia.example",
    date: str | None = DATE,
) -> bytes:
    """A mail as CRLF octets, header text as UTF-8 (RFC 6532).

    `body` and `html` together make a multipart/alternative; None leaves a form out. `attachments` may be names
    alone. `headers` are added or replace the usual ones: a sequence gives several instances, None removes one.
    """
    fields: dict[str, str | Sequence[str] | None] = {
        "From": sender,
        "To": to,
        "Subject": subject,
        "Date": date,
        "Message-ID": message_id and f"<{message_id}>",
        "MIME-Version": "1.0",
    }
    added = dict(headers or {})
    usual = {name.lower(): name for name in fields}
    for name, value in added.items():
        fields[usual.get(name.lower(), name)] = value
    part = _content(body, html, [File(f) if isinstance(f, str) else File(*f) for f in attachments])
    said = {name.lower() for name in added}
    own = [line for line in part[0] if line.partition(":")[0].lower() not in said]
    lines = [f"{name}: {value}" for name, values in fields.items() for value in _each(values)]
    return wire("\n".join([*lines, *own, "", part[1]]))


def wire(text: str) -> bytes:
    """Text as the octets of a mail: UTF-8, CRLF."""
    return text.replace("\r\n", "\n").replace("\n", "\r\n").encode("utf-8", "surrogateescape")


def multipart(kind: str, *parts: str, boundary: str = "batas", preamble: str = "") -> tuple[str, str]:
    """Return (Content-Type value, body) of a multipart whose `parts` are header, blank line, content."""
    body = "".join(f"--{boundary}\n{part}\n" for part in parts)
    return f'multipart/{kind}; boundary="{boundary}"', f"{preamble}\n{body}--{boundary}--\n"


def text_part(content: str, kind: str = "plain", charset: str = "utf-8", extra: str = "") -> str:
    """A text part for `multipart`."""
    return (
        f"Content-Type: text/{kind}; charset={charset}\nContent-Transfer-Encoding: 8bit\n{extra}\n{content}"
    )


def file_part(file: File) -> str:
    """An attachment for `multipart`, base64 in lines of 76."""
    return (
        f'Content-Type: {file.type}; name="{file.name}"\nContent-Transfer-Encoding: base64\n'
        f'Content-Disposition: attachment; filename="{file.name}"\n\n{base64.encodebytes(file.content).decode()}'
    )


def _content(body: str | None, html: str | None, files: Sequence[File]) -> tuple[list[str], str]:
    """Return (header lines, body) of the mail's content."""
    forms = [text_part(body)] if body is not None else []
    forms += [text_part(html, "html")] if html is not None else []
    if len(forms) == 2:
        kind, content = multipart("alternative", *forms, boundary="bentuk")
        forms = [f"Content-Type: {kind}\n\n{content}"]
    if files:
        kind, content = multipart("mixed", *forms, *map(file_part, files))
        return [f"Content-Type: {kind}"], content
    header, _, content = (forms[0] if forms else "Content-Type: text/plain\n\n").partition("\n\n")
    return header.split("\n"), content


def _each(values: str | Sequence[str] | None) -> Sequence[str]:
    if values is None:
        return ()
    return [values] if isinstance(values, str) else values
