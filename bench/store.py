"""A store of any size as years of service leave it: for benchmarks, and for tests of queries at that size.

    python bench/store.py sqlite:////tmp/big.db 100000

The same arguments always give the same rows. Rows are made in memory and written in bulk, past every transition of
`responder.tickets`; what they say is consistent all the same: `responder prove` finds no fault in them.
"""

from __future__ import annotations

import hashlib
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Connection, Table, func, select, text

from responder.classifier import examples
from responder.paths import shipped
from responder.tickets import audit, ledger, switches
from responder.tickets.database import Database
from responder.tickets.ledger import Cursor
from responder.tickets.models import Counter, Event, Message, Participant, Reply, StaffVerdict, Ticket
from responder.tickets.status import Disposition, Filing, ReplyKind, ReplyStatus, TicketStatus

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
MAILBOX = "kemenperin"
OFFICE = "helpdesk@lpse.example"
UIDVALIDITY = 7
YEARS = 2
OPEN_SHARE = 0.02
"""Of all tickets, the newest: an office that answers within days has this many open."""

CHUNK = 2_000  # tickets in memory at a time
TICKETS_A_VENDOR = 5


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_FIRMS = ("PT", "CV", "UD", "Koperasi")
_NAMES = _words(
    "Bahari Sinar Nusantara Cipta Karya Mitra Surya Rimba Tirta Mega Bintang Samudra Andalan Prima"
)
_TRADES = _words("Jaya Teknik Mandiri Abadi Sejahtera Konstruksi Medika Pangan Logam Persada Utama Makmur")
_PEOPLE = _words(
    "Ratna Budi Sari Agus Dewi Bagus Wulan Hendra Lestari Joko Putri Rahmat Yanti Eko Fitri Dimas"
)
_FAMILIES = _words("Santoso Wijaya Pranata Kusuma Hidayat Nasution Siregar Simanjuntak Saputra Anggraini")
_CITIES = _words("Palembang Surabaya Makassar Medan Bandung Denpasar Banjarmasin Kupang Ambon Pontianak")


def fill(
    database: Database,
    tickets: int = 100_000,
    *,
    mailbox: str = MAILBOX,
    now: datetime = NOW,
    open_share: float = OPEN_SHARE,
    seed: int = 1,
) -> None:
    """Add `tickets` conversations of the last two years to the migrated `database`, and gather its statistics.

    About 1.6 mails, 1.5 replies, 6 events and 1.6 verdicts each; every state of tickets and replies but `sending` is
    there. Most are closed or answered; the newest `open_share` wait for staff.
    """
    writer = _Writer(random.Random(seed), mailbox, now, tickets, round(tickets * (1 - open_share)))
    with database.begin() as connection:
        writer.start_after(connection)
    for start in range(0, tickets, CHUNK):
        for number in range(start, min(start + CHUNK, tickets)):
            writer.ticket(number)
        with database.begin() as connection:
            for table, rows in writer.taken():
                _bulk(connection, table, rows)
    with database.begin() as connection:
        at = Cursor(UIDVALIDITY, writer.uid)
        ledger.move_cursor(connection, mailbox, "INBOX", at, now)
        if not database.is_sqlite:
            _move_sequences(connection)
        for note in range(tickets // 1000):
            switches.note_address(connection, f"kotak{note}@penuh.example", "balasan kami kembali", now)
    with database.session() as connection:
        connection.execute(text("ANALYZE"))


@dataclass
class _Writer:
    """Makes the rows of one ticket after the other."""

    chance: random.Random
    mailbox: str
    now: datetime
    total: int
    closed: int  # tickets before this one are over
    uid: int = 0
    rows: dict[Table, list[dict[str, Any]]] = field(default_factory=dict)
    last: dict[Table, int] = field(default_factory=dict)  # highest id in use

    def start_after(self, connection: Connection) -> None:
        models: tuple[Any, ...] = (Ticket, Message, Reply, StaffVerdict, Event)
        for model in models:
            self.last[_table(model)] = connection.scalar(select(func.max(model.id))) or 0
        here = select(func.max(Message.uid)).where(Message.mailbox == self.mailbox)
        self.uid = connection.scalar(here) or 0

    def taken(self) -> Iterator[tuple[Table, list[dict[str, Any]]]]:
        """The rows made since the last call, in an order that foreign keys allow."""
        for model in (Ticket, Participant, Message, Reply, StaffVerdict, Event, Counter):
            table = _table(model)
            yield table, self.rows.pop(table, [])

    def ticket(self, number: int) -> None:
        chance = self.chance
        opened = self.now - timedelta(days=365 * YEARS) * (1 - number / self.total)
        vendor = _vendor(chance.randrange(max(self.total // TICKETS_A_VENDOR, 1)))
        question = chance.choice(_questions())
        over = number < self.closed
        status = self._status(over)
        ticket_id = self._add(
            Ticket,
            mailbox=self.mailbox,
            status=status,
            subject=question.subject or "Mohon informasi",
            vendor_address=vendor.address,
            vendor_name=vendor.name,
            language="id",
            topics=[question.topic] if question.topic else [],
            confidence={question.topic: 0.93} if question.topic else {},
            reason="" if over else "Tidak yakin topiknya; periksa konsep.",
            created_at=opened,
            updated_at=opened + timedelta(minutes=chance.randint(1, 4000)),
        )
        self._row(Participant, ticket_id=ticket_id, address=vendor.address)
        events = _Chain(self, ticket_id)
        mails = 1 + (chance.random() < 0.4) + (chance.random() < 0.2)
        at = opened
        for count in range(mails):
            last = count + 1 == mails
            message_id, header_id = self._message(ticket_id, vendor, question, at)
            events.add(at, "received", {"message": message_id, "topics": [question.topic]})
            self._verdict(ticket_id, message_id, question, at, decided=over or not last)
            kind = ReplyStatus.SENT if over or not last else self._open_reply(status)
            if kind is not None:
                self._replies(ticket_id, message_id, header_id, vendor, question, at, kind, events)
            at += timedelta(minutes=chance.randint(20, 3000))
        if status is TicketStatus.CLOSED:
            events.add(at, "closed", {})

    def _status(self, over: bool) -> TicketStatus:
        if over:
            return TicketStatus.CLOSED if self.chance.random() < 0.4 else TicketStatus.ANSWERED
        return TicketStatus.NEEDS_APPROVAL if self.chance.random() < 0.6 else TicketStatus.NEEDS_STAFF

    def _open_reply(self, status: TicketStatus) -> ReplyStatus | None:
        """The state of what is said to the newest mail of an open ticket."""
        if status is TicketStatus.NEEDS_APPROVAL:
            return ReplyStatus.DRAFTED
        states = (None, None, None, ReplyStatus.UNCERTAIN, ReplyStatus.FAILED, ReplyStatus.DISCARDED)
        return self.chance.choice(states)

    def _message(self, ticket_id: int, vendor: _Vendor, question: _Question, at: datetime) -> tuple[int, str]:
        self.uid += 1
        header_id = f"{self.uid}.{self.chance.getrandbits(48):x}@{vendor.domain}"
        said = f"{question.body}\n\n{vendor.name}\n{vendor.firm}, {vendor.city}"
        head = (
            f"Authentication-Results: mx.lpse.example; dmarc=pass header.from={vendor.domain}\r\n"
            f"From: {vendor.name} <{vendor.address}>\r\nTo: {OFFICE}\r\nSubject: {question.subject}\r\n"
            f"Message-ID: <{header_id}>\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
        )
        raw = (head + said.replace("\n", "\r\n")).encode()
        message_id = self._add(
            Message,
            mailbox=self.mailbox,
            folder="INBOX",
            uidvalidity=UIDVALIDITY,
            uid=self.uid,
            identity=hashlib.sha256(raw).hexdigest(),
            size=len(raw),
            internal_date=at,
            received_at=at,
            flags=["\\Seen"],
            raw=raw,
            header_id=header_id,
            from_address=vendor.address,
            from_name=vendor.name,
            subject=question.subject,
            text=said,
            new_text=said,
            reply_references=[header_id],
            reply_address=vendor.address,
            verdict="auto",
            kind="person",
            disposition=Disposition.TICKETED,
            ticket_id=ticket_id,
            marked=True,
        )
        return message_id, header_id

    def _verdict(
        self, ticket_id: int, message_id: int, question: _Question, at: datetime, *, decided: bool
    ) -> None:
        kept = self.chance.random() < 0.9
        decision = ("approved" if kept else "retopiced") if decided else ""
        topics = [question.topic] if question.topic else []
        self._add(
            StaffVerdict,
            ticket_id=ticket_id,
            message_id=message_id,
            predicted="draft" if topics else "staff",
            topics=topics,
            confidence={question.topic: 0.93} if topics else {},
            reason="",
            model_version="bench",
            content_version="bench",
            predicted_at=at,
            decision=decision,
            decided_topics=topics if decision else [],
            manner="single" if decision else "",
            decided_by="petugas" if decision else "",
            decided_at=at + timedelta(minutes=30) if decision else None,
        )

    def _replies(
        self,
        ticket_id: int,
        message_id: int,
        header_id: str,
        vendor: _Vendor,
        question: _Question,
        at: datetime,
        last: ReplyStatus,
        events: _Chain,
    ) -> None:
        """Versions that were given up, then the one that stands in `last`."""
        given_up = self.chance.random() < 0.25
        # A machine answers once in a ticket (rule 20).
        first = events.count == 1
        automatic = first and last is ReplyStatus.SENT and not given_up and self.chance.random() < 0.3
        states = [ReplyStatus.SUPERSEDED, last] if given_up else [last]
        for version, state in enumerate(states, 1):
            made = at + timedelta(minutes=version)
            reply_id = self._reply(
                ticket_id, message_id, header_id, vendor, question, made, state, version, automatic
            )
            actor = audit.MACHINE if automatic else "petugas"
            events.add(made, "automatic" if automatic else "approval", {"message": message_id})
            if state is ReplyStatus.SENT:
                events.add(made + timedelta(minutes=20), "approved", {"reply": reply_id}, actor)
                events.add(made + timedelta(minutes=21), "sent", {"reply": reply_id, "phase": "dot"})
        if automatic:
            day = at.strftime("%Y-%m-%d")
            self._row(Counter, key=f"to:{vendor.address}:{message_id}", window=day, n=1, at=at)

    def _reply(
        self,
        ticket_id: int,
        message_id: int,
        header_id: str,
        vendor: _Vendor,
        question: _Question,
        at: datetime,
        status: ReplyStatus,
        version: int,
        automatic: bool,
    ) -> int:
        own_id = f"{self.chance.getrandbits(160):040x}@lpse.example"
        said = (
            f"Yth. Bapak/Ibu {vendor.name},\n\nTerima kasih atas email Bapak/Ibu mengenai {question.title}. "
            f"Silakan mengikuti langkah pada {question.title} dan melampirkan dokumen yang diminta.\n\nLPSE\n"
        )
        data = (
            f"From: LPSE <{OFFICE}>\r\nTo: {vendor.address}\r\nMessage-ID: <{own_id}>\r\n"
            f"In-Reply-To: <{header_id}>\r\n\r\n" + said.replace("\n", "\r\n")
        ).encode()
        sent = status is ReplyStatus.SENT
        decided = status not in {ReplyStatus.DRAFTED, ReplyStatus.SUPERSEDED}
        return self._add(
            Reply,
            ticket_id=ticket_id,
            message_id=message_id,
            mailbox=self.mailbox,
            version=version,
            kind=ReplyKind.ANSWER,
            status=status,
            automatic=automatic,
            topics=[question.topic] if question.topic else [],
            content_version="bench",
            recipient=vendor.address,
            subject=f"Re: [LPSE-{ticket_id:06d}-aaaaa] {question.subject}",
            text=said,
            header_id=own_id,
            data=data,
            sha256=hashlib.sha256(data).hexdigest(),
            created_at=at,
            decided_by=(audit.MACHINE if automatic else "petugas") if decided else "",
            decided_at=at + timedelta(minutes=20) if decided else None,
            next_try=at + timedelta(minutes=21) if decided else None,
            attempts=1 if decided else 0,
            outcome="250 2.0.0 Ok: queued" if sent else "",
            sent_at=at + timedelta(minutes=21) if sent else None,
            filing=Filing.DONE if sent else Filing.NONE,
        )

    def _add(self, model: type[Any], **values: Any) -> int:
        table = _table(model)
        self.last[table] += 1
        self._row(model, id=self.last[table], **values)
        return self.last[table]

    def _row(self, model: type[Any], **values: Any) -> None:
        self.rows.setdefault(_table(model), []).append(values)


class _Chain:
    """The events of one ticket."""

    def __init__(self, writer: _Writer, ticket_id: int) -> None:
        self._writer = writer
        self._ticket_id = ticket_id
        self.count = 0
        self._hash = ""

    def add(self, at: datetime, action: str, detail: dict[str, Any], actor: str = audit.MACHINE) -> None:
        self.count += 1
        self._hash = audit.event_hash(self._hash, self._ticket_id, self.count, at, actor, action, detail)
        self._writer._add(
            Event,
            ticket_id=self._ticket_id,
            seq=self.count,
            at=at,
            actor=actor,
            action=action,
            detail=detail,
            hash=self._hash,
        )


@dataclass(frozen=True, slots=True)
class _Vendor:
    name: str
    firm: str
    city: str
    address: str
    domain: str


@cache
def _vendor(number: int) -> _Vendor:
    chance = random.Random(number)
    name = f"{chance.choice(_PEOPLE)} {chance.choice(_FAMILIES)}"
    firm = f"{chance.choice(_NAMES)} {chance.choice(_TRADES)}"
    domain = f"{firm.replace(' ', '').lower()}{number}.example"
    return _Vendor(name, f"{chance.choice(_FIRMS)} {firm}", chance.choice(_CITIES), f"admin@{domain}", domain)


@dataclass(frozen=True, slots=True)
class _Question:
    topic: str  # "" = a person must answer
    title: str
    subject: str
    body: str


@cache
def _questions() -> Sequence[_Question]:
    """What vendors ask: the phrasings of the shipped content."""
    found = []
    for one in examples.read(shipped("content")):
        topic = "" if one.label.startswith("_") else one.label
        title = topic.replace("-", " ") or "pertanyaan"
        found.append(_Question(topic, title, one.subject or title.capitalize(), one.body))
    return found


def _table(model: type[Any]) -> Table:
    table: Table = model.__table__
    return table


def _bulk(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Write `rows` by the driver's fastest way, each value as the column's type would bind it."""
    if not rows:
        return
    dialect = connection.dialect
    columns = list(table.columns)
    binders = [column.type.dialect_impl(dialect).bind_processor(dialect) for column in columns]
    defaults = [_default(column) for column in columns]
    values = [
        tuple(
            bind(value) if bind is not None else value
            for bind, value in zip(
                binders,
                (row.get(column.name, default()) for column, default in zip(columns, defaults, strict=True)),
                strict=True,
            )
        )
        for row in rows
    ]
    names = ", ".join(f'"{column.name}"' for column in columns)
    cursor: Any = connection.connection.cursor()
    if dialect.name == "sqlite":
        marks = ", ".join("?" * len(columns))
        cursor.executemany(f'INSERT INTO "{table.name}" ({names}) VALUES ({marks})', values)
        return
    with cursor.copy(f'COPY "{table.name}" ({names}) FROM STDIN') as copy:
        for value in values:
            copy.write_row(value)


def _default(column: Any) -> Any:
    default = column.default
    if default is None:
        return lambda: None
    if default.is_callable:
        return lambda: default.arg(None)
    return lambda: default.arg


def _move_sequences(connection: Connection) -> None:
    """Ids were given here: PostgreSQL has to count on after them."""
    for model in (Ticket, Message, Reply, StaffVerdict, Event):
        name = _table(model).name
        connection.execute(
            text(f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), (SELECT max(id) FROM {name}))")
        )


if __name__ == "__main__":
    started = time.perf_counter()
    store = Database(sys.argv[1])
    store.migrate()
    fill(store, int(sys.argv[2]) if len(sys.argv) > 2 else 100_000)
    print(f"{time.perf_counter() - started:.1f} s")
