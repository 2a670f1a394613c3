"""Handling: a received message becomes a ticket with a draft, a note on one, or is set aside with a reason.

Everything that costs time (reading, screening, classifying) happens outside the write transaction, for a batch of
messages together, and the next batch is read meanwhile. What is written is one transaction for the batch; when a mail
spoils it, each mail gets its own, so that one that cannot be handled takes no other with it. All of it is repeatable:
only a message in `received` is touched.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import Connection, Row
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from responder.classifier.decision import Decision
from responder.errors import ContentError, ModelError, ResponderError, StoreError, UnreadableMail
from responder.mail import compose, tokens
from responder.mail.message import IncomingMail, Kind, Screening, Setting
from responder.mail.parse import read_parts
from responder.mail.reader import Reader
from responder.mail.screen import screen
from responder.pipeline import ticketing
from responder.pipeline.batch import Batch
from responder.pipeline.case import Case, Handled, handled
from responder.pipeline.intake import unpack
from responder.pipeline.office import Office
from responder.tickets import audit, claims, ledger, lifecycle, threading
from responder.tickets.database import Database
from responder.tickets.status import Disposition, Filing, TicketStatus

log = structlog.get_logger("responder.handling")

_OF_PEOPLE = frozenset({Kind.PERSON, Kind.UNREADABLE})
"""Kinds that become tickets: somebody wrote the mail, be it encrypted (rule 17)."""

CLASSIFIED_TOGETHER = 16
"""Mails for one call of the classifier: most of what a batch gains, a third of its memory."""

_OF_VALUES = (DataError, IntegrityError)
"""Database errors that the values of one mail provoke."""

_FORWARD = re.compile(r"\s*(fwd?|tr|wg|teruskan|terusan)\s*:", re.IGNORECASE)


Read = IncomingMail | UnreadableMail


class Handler:
    """Handles the received messages of one office."""

    def __init__(self, database: Database, office: Office, reader: Reader) -> None:
        self._database = database
        self._office = office
        self._reader = reader
        self._own_addresses = office.settings.own_addresses

    def handle_due(self, now: datetime) -> list[Handled]:
        """Handle every message that is due; return what became of each, oldest first."""
        done: list[Handled] = []
        batch = self._next(0, now)
        if batch is None:
            return done
        with ThreadPoolExecutor(1, "read-ahead") as ahead:
            while batch is not None:
                rows, mails = batch
                coming = ahead.submit(self._next, rows[-1].id, now)
                done += self._handle_batch(rows, mails, now)
                batch = coming.result()
        return done

    def _next(self, after: int, now: datetime) -> tuple[Sequence[Row[Any]], list[Read]] | None:
        """The next batch, read; None when there is none."""
        with self._database.read() as connection:
            rows = ledger.work(connection, self._office.name, self._office.settings.limits.batch, now, after)
        return (rows, self._read(rows)) if rows else None

    def _handle_batch(self, rows: Sequence[Row[Any]], mails: Sequence[Read], now: datetime) -> list[Handled]:
        office = self._office
        try:
            work = self._judge(rows, mails, now)
            return self._database.write(lambda connection: _write_all(connection, office, work, now))
        except (ContentError, ModelError):
            raise
        except StoreError as error:
            # Every other database error is about the database.
            if not isinstance(error.__cause__, _OF_VALUES):
                raise
        except Exception:  # noqa: BLE001, S110 - which mail it was, and why, shows when each is handled alone
            pass
        return [self._handle_alone(row, mail, now) for row, mail in zip(rows, mails, strict=True)]

    def _handle_alone(self, row: Row[Any], mail: Read, now: datetime) -> Handled:
        assert self._office.classifier  # a model that cannot be had is no fault of this mail: it raises here
        try:
            (one,) = self._judge([row], [mail], now)
        except (ContentError, ModelError):
            raise
        except Exception as error:  # one mail must never stop the next (fault matrix, "classify")
            log.exception("mail could not be judged", message=row.id)
            why = str(error) or type(error).__name__
            return self._database.write(lambda connection: _failed(connection, row, why, now))
        return self._database.write(lambda connection: _attempt(connection, self._office, one, now))

    def _judge(self, rows: Sequence[Row[Any]], mails: Sequence[Read], now: datetime) -> list[_Work]:
        screenings = {
            row.id: screen(mail, self._setting(row, now))
            for row, mail in zip(rows, mails, strict=True)
            if isinstance(mail, IncomingMail)
        }
        decisions = self._classify(rows, mails, screenings)
        return [
            (row, mail)
            if isinstance(mail, UnreadableMail)
            else Case(row, mail, screenings[row.id], decisions.get(row.id))
            for row, mail in zip(rows, mails, strict=True)
        ]

    def _read(self, rows: Sequence[Row[Any]]) -> list[Read]:
        whole = [row for row in rows if row.parts is None]
        mails: dict[int, Read] = dict(
            zip(
                (row.id for row in whole),
                self._reader.read_many([row.raw or b"" for row in whole]),
                strict=True,
            )
        )
        for row in rows:
            if row.parts is not None:
                mails[row.id] = _read_parts(row)
        return [mails[row.id] for row in rows]

    def _setting(self, row: Row[Any], now: datetime) -> Setting:
        office = self._office
        return Setting(
            own_addresses=self._own_addresses,
            authserv_id=office.config.authserv_id,
            now=now,
            received=row.internal_date,
            max_age_hours=office.settings.policy.max_age_hours,
            flags=tuple(row.flags),
            own_token=office.key,
        )

    def _classify(
        self,
        rows: Sequence[Row[Any]],
        mails: Sequence[Read],
        screenings: Mapping[int, Screening],
    ) -> dict[int, Decision]:
        wanted = [
            (row.id, mail)
            for row, mail in zip(rows, mails, strict=True)
            if isinstance(mail, IncomingMail) and screenings[row.id].kind in _OF_PEOPLE
        ]
        if not wanted:
            return {}
        texts = [
            (tokens.strip_subject_tags(mail.subject), classified_text(mail))
            if screenings[row_id].kind is Kind.PERSON
            else ("", "")  # a subject above a text that nobody could read is no question
            for row_id, mail in wanted
        ]
        decisions = [
            decision
            for start in range(0, len(texts), CLASSIFIED_TOGETHER)
            for decision in self._office.classifier.classify(texts[start : start + CLASSIFIED_TOGETHER])
        ]
        return dict(zip((row_id for row_id, _ in wanted), decisions, strict=True))


_Work = Case | tuple[Row[Any], UnreadableMail]
"""A mail that was read, or the row of one that could not be, with the reason."""


def _write_all(connection: Connection, office: Office, work: Sequence[_Work], now: datetime) -> list[Handled]:
    """Write what becomes of `work` in one transaction; raises whatever a mail provokes."""
    cases = [one for one in work if isinstance(one, Case)]
    batch = Batch.begin(connection, office, cases, now)
    for one in work:
        if isinstance(one, Case):
            _handle_one(batch, one)
        else:
            batch.settled()
            row, why = one
            batch.done.append(_quarantine(connection, row, str(why), now))
    batch.write()
    return batch.done


def _attempt(connection: Connection, office: Office, one: _Work, now: datetime) -> Handled:
    """Write what becomes of one mail; what it provokes counts as a failed attempt."""
    try:
        with connection.begin_nested():
            return _write_all(connection, office, [one], now)[0]
    except (ContentError, ModelError):
        raise
    except Exception as error:  # one mail must never stop the next (fault matrix, "classify")
        if not isinstance(one, Case) or (
            isinstance(error, SQLAlchemyError) and not isinstance(error, _OF_VALUES)
        ):
            raise
        why = _words_of(error)
        if isinstance(error, _OF_VALUES):
            log.error("mail could not be stored", message=one.row.id, why=why)
        elif not isinstance(error, ResponderError):
            log.exception("mail could not be handled", message=one.row.id)
        state = ledger.failed_attempt(connection, one.row.id, why, now)
        return handled(one, "quarantined" if state is Disposition.QUARANTINED else "retry", why=why)


def _words_of(error: Exception) -> str:
    """What `error` says, without the statement's values: they are the mail itself (rule 71)."""
    lines = str(error.orig if isinstance(error, _OF_VALUES) else error).splitlines()
    return lines[0] if lines else type(error).__name__


def _failed(connection: Connection, row: Row[Any], why: str, now: datetime) -> Handled:
    state = ledger.failed_attempt(connection, row.id, why, now)
    return Handled(row.id, "", "", "quarantined" if state is Disposition.QUARANTINED else "retry", why=why)


def classified_text(mail: IncomingMail) -> str:
    """The text that the classifier reads: the new text, with the forwarded one below it in a forward."""
    if mail.quoted_text and _FORWARD.match(mail.subject):
        return f"{mail.new_text}\n\n{mail.quoted_text}"
    return mail.new_text


def _read_parts(row: Row[Any]) -> IncomingMail | UnreadableMail:
    parts, attachments = unpack(row.parts)
    try:
        return read_parts(row.raw, parts, attachments, row.size)
    except UnreadableMail as error:
        return error


def _handle_one(batch: Batch, case: Case) -> None:
    mail, kind = case.mail, case.screening.kind
    seen = {
        "header_id": mail.message_id[:998],
        "from_address": mail.sender.address[:320] if mail.sender else "",
        "from_name": mail.sender.name if mail.sender else "",
        "subject": mail.subject,
        "text": mail.text,
        "new_text": mail.new_text,
        "attachments": [one.name for one in mail.attachments if not one.inline],
        "reply_references": list(
            compose.reply_references(mail.message_id, mail.references, mail.in_reply_to)
        ),
        "reply_address": case.screening.reply_address,
        "verdict": case.screening.verdict.value,
        # For the records an unreadable mail is a person's: staff answer it as any other.
        "kind": (Kind.PERSON if kind in _OF_PEOPLE else kind).value,
        "reasons": list(case.screening.reasons),
    }
    known = batch.known.get(case.row.identity)
    if known is not None and known.id != case.row.id:
        why = f"the same mail as message {known.id}"
        ledger.finish(
            batch.settled(), case.row.id, Disposition.DUPLICATE, reason=why, ticket_id=known.ticket_id, **seen
        )
        batch.done.append(handled(case, "duplicate", known.ticket_id, why=why))
    elif kind in _OF_PEOPLE:
        ticketing.write(batch, case, seen)
    else:
        other = _bounce if kind is Kind.BOUNCE else _set_aside
        done = other(batch, case, seen)
        batch.done.append(done)
        batch.seen(case, done.ticket_id)


def _bounce(batch: Batch, case: Case, seen: dict[str, Any]) -> Handled:
    """Tie a bounce to the reply it concerns (rules 4 and 28)."""
    connection, now = batch.settled(), batch.now
    report = case.mail.report
    reply = threading.reply_with_ids(connection, report.original_ids) if report else None
    if reply is None or report is None:
        why = "bounce of a mail that is not ours"
        ledger.finish(connection, case.row.id, Disposition.IGNORED, reason=why, **seen)
        return handled(case, "ignored", why=why)
    ledger.finish(connection, case.row.id, Disposition.TICKETED, ticket_id=reply.ticket_id, **seen)
    words = next((one.diagnostic or one.status for one in report.recipients), "")
    # Whatever the report says, our Message-ID in it proves that the server had taken the mail (rule 75).
    claims.proved_sent(connection, reply.id, "named in a delivery report", now, Filing.PENDING)
    if report.recipients and not report.failed:
        entry = audit.Entry(
            reply.ticket_id, audit.MACHINE, "delivery_note", {"reply": reply.id, "answer": words}
        )
        audit.record(connection, [entry], now)
        return handled(case, "note", reply.ticket_id, why="delivery note, not a failure")
    lifecycle.mark_undelivered(connection, reply.id, words or "undelivered")
    refused = f"balasan kami kembali: {words}".strip(": ")
    batch.note_address(reply.recipient, refused)
    why = f"Balasan tidak sampai ke {reply.recipient}: {words or 'ditolak'}"
    lifecycle.set_ticket(connection, reply.ticket_id, TicketStatus.NEEDS_STAFF, now, reason=why)
    entry = audit.Entry(reply.ticket_id, audit.MACHINE, "bounced", {"reply": reply.id, "answer": words})
    audit.record(connection, [entry], now)
    return handled(case, "flagged", reply.ticket_id, why=why)


def _set_aside(batch: Batch, case: Case, seen: dict[str, Any]) -> Handled:
    """Machine, list and own mail: noted on the ticket it belongs to, otherwise only in the ledger."""
    connection = batch.settled()
    joined = ticketing.find_ticket(connection, batch.office, case)
    why = "; ".join(case.screening.reasons) or case.screening.kind.value
    if joined.ticket_id is not None and case.screening.kind is not Kind.OWN:
        ledger.finish(
            connection, case.row.id, Disposition.TICKETED, ticket_id=joined.ticket_id, reason=why, **seen
        )
    else:
        ledger.finish(connection, case.row.id, Disposition.IGNORED, reason=why, **seen)
    return handled(case, "note" if joined.ticket_id else "ignored", joined.ticket_id, why=why)


def _quarantine(connection: Connection, row: Row[Any], reason: str, now: datetime) -> Handled:
    ledger.finish(connection, row.id, Disposition.QUARANTINED, reason=reason)
    entry = audit.Entry(
        audit.INSTALLATION, audit.MACHINE, "quarantined", {"message": row.id, "reason": reason}
    )
    audit.record(connection, [entry], now)
    return Handled(row.id, "", "", "quarantined", why=reason)
