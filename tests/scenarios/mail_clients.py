"""The second client on the mailbox: how Thunderbird, Outlook and Gmail store a draft that somebody has changed.

Each gives the stored draft another Message-ID and Date, writes its own name of the sender, and drops the headers that
it does not know; Gmail keeps the Message-ID.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid
from html import escape

from imapclient import IMAPClient

from tests.scenarios.installation import DRAFTS, OFFICE, Installation, parsed, plain_text, signed_in

APPROVED, REJECTED = "Disetujui", "Ditolak"
FOLDERS = f'approved = "{APPROVED}"\nrejected = "{REJECTED}"\n'
SETTINGS = FOLDERS + "[policy]\nundo_seconds = 0"

Store = Callable[[EmailMessage, str], bytes]
Change = Callable[[str], str]


def _frame(draft: EmailMessage, *, keep_id: bool = False) -> EmailMessage:
    mail = EmailMessage(policy=SMTP)
    mail["From"] = f"Petugas LPSE <{OFFICE}>"
    mail["To"] = str(draft["To"])
    mail["Subject"] = str(draft["Subject"])
    mail["Date"] = format_datetime(datetime.now(UTC))
    mail["Message-ID"] = str(draft["Message-ID"]) if keep_id else make_msgid(domain="petugas.example")
    for name in ("In-Reply-To", "References"):
        if draft[name]:
            mail[name] = str(draft[name])
    return mail


def _as_html(text: str) -> str:
    paragraphs = "".join(f"<p>{escape(one)}</p>" for one in text.split("\n\n"))
    return f"<html><body>{paragraphs.replace(chr(10), '<br>')}</body></html>"


def thunderbird(draft: EmailMessage, text: str) -> bytes:
    """Plain text, format=flowed (RFC 3676)."""
    mail = _frame(draft)
    mail["User-Agent"] = "Mozilla Thunderbird"
    mail["X-Mozilla-Draft-Info"] = "internal/draft; vcard=0; receipt=0; DSN=0; uuencode=0"
    mail.set_content("\n".join(_flowed(line) for line in text.split("\n")), cte="8bit")
    mail.set_param("format", "flowed")
    return mail.as_bytes()


def _flowed(line: str, width: int = 60) -> str:
    lines = [""]
    for word in line.split(" "):
        if len(lines[-1]) + len(word) > width:
            lines.append("")
        lines[-1] += word + " "
    return "\n".join([*lines[:-1], lines[-1].rstrip(" ")])


def outlook(draft: EmailMessage, text: str) -> bytes:
    """HTML alone, without References."""
    mail = _frame(draft)
    del mail["References"]
    mail["Thread-Topic"] = str(draft["Subject"])
    mail["X-Mailer"] = "Microsoft Outlook 16.0"
    mail.set_content(_as_html(text), subtype="html", cte="quoted-printable")
    return mail.as_bytes()


def gmail(draft: EmailMessage, text: str) -> bytes:
    """Both forms, the Message-ID kept."""
    mail = _frame(draft, keep_id=True)
    mail.set_content(text, cte="base64")
    mail.add_alternative(_as_html(text), subtype="html", cte="base64")
    return mail.as_bytes()


@contextmanager
def on(office: Installation, folder: str = DRAFTS) -> Iterator[IMAPClient]:
    with signed_in(office.backend.imap()) as client:
        client.select_folder(folder)
        yield client


def only_draft(client: IMAPClient) -> tuple[int, EmailMessage]:
    """(UID, mail) of the one mail in the selected folder."""
    (uid,) = client.search("ALL")
    return uid, parsed(client.fetch([uid], ["BODY.PEEK[]"])[uid][b"BODY[]"])


def save(office: Installation, store: Store, change: Change) -> None:
    """Change the one draft and store it: the client appends its version, then removes the old one."""
    with on(office) as client:
        uid, draft = only_draft(client)
        client.append(DRAFTS, store(draft, change(plain_text(draft))), (b"\\Draft", b"\\Seen"))
        remove(client, [uid])


def move(office: Installation, target: str, source: str = DRAFTS) -> None:
    """Move everything from one folder to another."""
    with on(office, source) as client:
        uids = client.search("ALL")
        if b"MOVE" in client.capabilities():
            client.move(uids, target)
        else:
            client.copy(uids, target)
            remove(client, uids)


def copy(office: Installation, target: str, source: str = DRAFTS) -> None:
    with on(office, source) as client:
        client.copy(client.search("ALL"), target)


def put(office: Installation, folder: str, data: bytes) -> None:
    with on(office, folder) as client:
        client.append(folder, data, (b"\\Draft", b"\\Seen"))


def remove(client: IMAPClient, uids: list[int]) -> None:
    client.delete_messages(uids)
    client.expunge()
