"""The generated inbox: mails as vendors of an LPSE send them, the same for the same number.

Half are plain, a quarter text and HTML, 15 % carry an attachment of 50 to 800 KB, 6 % are Latin-1 and 4 % have an
inline image; the mean is 61 KB, the median 1.3 KB. Each comes from a domain of its own with a passing
Authentication-Results header, so that no brake and no screening keeps its acknowledgement from leaving (rules 14, 23).
"""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import cache
from html import escape

from responder.classifier import examples
from responder.classifier.decision import Classifier, Outcome
from responder.knowledge.checklist import check
from responder.knowledge.topic import Topic
from responder.mail import parse
from responder.mail.message import Setting, Verdict
from responder.mail.screen import screen
from responder.paths import shipped

AUTHSERV_ID = "mx.lpse.example"
POOL = 400  # different texts; an office does not get more of a kind in a day
SMALLEST_KB, LARGEST_KB = 50, 760  # of an attachment as encoded: 400 KB on average
ATTACHED = "foto layar.pdf"
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
BIG_ATTACHMENT = 30 * 1024 * 1024

_GREETINGS = (
    "Selamat pagi Bapak/Ibu,",
    "Yth. Helpdesk LPSE,",
    "Halo admin,",
    "Assalamualaikum,",
    "Dengan hormat,",
)
_CLOSINGS = (
    "Terima kasih.",
    "Mohon bantuannya.",
    "Demikian, atas perhatiannya kami ucapkan terima kasih.",
    "Tks",
)
_FIRMS = (
    "PT Bahari Jaya",
    "CV Sinar Teknik",
    "PT Nusantara Mesin",
    "Koperasi Tirta Makmur",
    "UD Rimba Abadi",
)
_PEOPLE = ("Ratna Dewi", "Bagus Pranata", "Sari Hidayat", "Agus Wijaya", "Wulan Kusuma", "Joko Saputra")
_FOOTER = (
    "Jl. Merdeka Raya No. {number}, Kelurahan Sukamaju, Kota Palembang\n"
    "Telp (0711) 0000 {number:04d}\n\n"
    "Surat elektronik ini hanya ditujukan kepada penerima yang namanya tercantum di atas."
)


@dataclass(frozen=True, slots=True)
class Text:
    """What a mail says, and who signs it."""

    person: str
    subject: str
    body: str


def texts(classifier: Classifier, topics: Sequence[Topic], automatic: frozenset[str]) -> Sequence[Text]:
    """Texts to which a reply leaves without a person: a person must answer (an acknowledgement goes out), or the
    machine is sure of topics that are all `automatic`."""
    chance = random.Random(5)
    found = examples.read(shipped("content"))
    staff = [one for one in found if one.label == examples.STAFF]
    sure = [one for one in found if one.label in automatic]
    drawn = [chance.choice(sure if chance.random() < 0.4 else staff) for _ in range(3 * POOL)]
    made = [_text(chance, one) for one in drawn]
    seen = [parse.read(_head(one, 0, AUTHSERV_ID, LONG_AGO) + _part("plain", one.body)) for one in made]
    decisions = classifier.classify([(one.subject, one.new_text) for one in seen])
    leaving = [
        text
        for text, mail, decision in zip(made, seen, decisions, strict=True)
        if (
            decision.outcome is Outcome.STAFF
            or (decision.outcome is Outcome.AUTO and automatic.issuperset(decision.topics))
        )
        and screen(mail, Setting(trust=True)).verdict is Verdict.AUTO
        # With an attachment it would be taken for documents that are handed in, which a person must confirm.
        and not any(check(topic, [ATTACHED], mail.new_text).seems_submission for topic in topics)
    ]
    return leaving[:POOL]


def _text(chance: random.Random, one: examples.Example) -> Text:
    person, number = chance.choice(_PEOPLE), chance.randrange(1, 999)
    return Text(
        person,
        one.subject or "Mohon informasi",
        f"{chance.choice(_GREETINGS)}\n\n{one.body}\n\n{chance.choice(_CLOSINGS)}\n\n"
        f"{person}\n{chance.choice(_FIRMS)}\n{_FOOTER.format(number=number)}\n",
    )


def vendor(number: int) -> str:
    """The address that mail `number` comes from."""
    return f"admin@vendor{number}.example"


def mails(pool: Sequence[Text], count: int, to: str, now: datetime, first: int = 0) -> Iterator[bytes]:
    """Yield `count` mails as CRLF octets, numbered from `first`."""
    for number in range(first, first + count):
        yield mail(pool, number, to, now)


def mail(pool: Sequence[Text], number: int, to: str, now: datetime, attachment: int = 0) -> bytes:
    """One mail; with `attachment` it carries one of so many octets, else what its number gives it."""
    chance = random.Random(number)
    text = chance.choice(pool)
    body = text.body
    kind = chance.random()
    if attachment:
        content = _mixed(body, ATTACHED, "application/pdf", _octets(chance, attachment), "attachment")
    elif kind < 0.50:
        content = _part("plain", body)
    elif kind < 0.75:
        content = _alternative(body)
    elif kind < 0.90:
        size = chance.uniform(SMALLEST_KB, LARGEST_KB) * 1000
        content = _mixed(body, ATTACHED, "application/pdf", _octets(chance, int(size)), "attachment")
    elif kind < 0.96:
        content = _part("plain", body, "iso-8859-1")
    else:
        content = _mixed(body, "logo.png", "image/png", _octets(chance, 24_000), "inline")
    return _head(text, number, to, now) + content


def _head(text: Text, number: int, to: str, now: datetime) -> bytes:
    domain = vendor(number).rpartition("@")[2]
    unique = random.Random(-number).getrandbits(64)
    head = (
        f"Return-Path: <{vendor(number)}>\n"
        f"Received: from mail.{domain} (mail.{domain} [192.0.2.{number % 250}])\n"
        f"\tby {AUTHSERV_ID} (Postfix) with ESMTPS id 4{number:09X}\n\tfor <{to}>; {format_datetime(now)}\n"
        f"Authentication-Results: {AUTHSERV_ID};\n\tdkim=pass header.d={domain};\n"
        f"\tspf=pass smtp.mailfrom={vendor(number)};\n\tdmarc=pass header.from={domain}\n"
        f"From: {text.person} <{vendor(number)}>\nTo: {to}\nSubject: {_encoded(text.subject)}\n"
        f"Date: {format_datetime(now)}\nMessage-ID: <{number}.{unique:x}@{domain}>\n"
        "MIME-Version: 1.0\n"
    )
    return head.replace("\n", "\r\n").encode("ascii")


def _encoded(subject: str) -> str:
    if subject.isascii():
        return subject
    return f"=?utf-8?B?{base64.b64encode(subject.encode()).decode()}?="


def _part(kind: str, text: str, charset: str = "utf-8") -> bytes:
    head = f"Content-Type: text/{kind}; charset={charset}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    return head.encode() + text.replace("\n", "\r\n").encode(charset, "replace")


def _alternative(text: str, boundary: str = "=_bentuk") -> bytes:
    lines = "".join(f'<p style="margin:0">{escape(line)}</p>\n' for line in text.split("\n"))
    page = f"<html><head><style>p {{color:#222}}</style></head><body><div>{lines}</div></body></html>\n"
    return _multipart("alternative", boundary, [_part("plain", text), _part("html", page)])


def _mixed(text: str, name: str, kind: str, octets: bytes, disposition: str) -> bytes:
    head = (
        f'Content-Type: {kind}; name="{name}"\r\nContent-Transfer-Encoding: base64\r\n'
        f'Content-Disposition: {disposition}; filename="{name}"\r\n\r\n'
    )
    return _multipart("mixed", "=_campuran", [_part("plain", text), head.encode() + octets])


def _multipart(kind: str, boundary: str, parts: Sequence[bytes]) -> bytes:
    line = f"\r\n--{boundary}".encode()
    inner = b"".join(line + b"\r\n" + part for part in parts)
    return f'Content-Type: multipart/{kind}; boundary="{boundary}"\r\n'.encode() + inner + line + b"--\r\n"


def _octets(chance: random.Random, size: int) -> bytes:
    """`size` octets of base64, whole lines of one block over and over from somewhere."""
    block = _block()
    start = chance.randrange(len(block) // 78) * 78
    whole = block[start:] + block * (size // len(block) + 1)
    return whole[: size // 78 * 78]


@cache
def _block() -> bytes:
    return base64.encodebytes(random.Random(1).randbytes(570_000)).replace(b"\n", b"\r\n")
