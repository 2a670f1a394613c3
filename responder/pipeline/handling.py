"""Handling: a received message becomes a ticket with a draft, a note on one, or is set aside with a reason.

Everything that costs time (reading, screening, classifying) happens outside the write transaction, for a batch of
messages together; what is written is one transaction for the batch, with a savepoint for each message so that one
that cannot be handled takes no other with it. All of it is repeatable: only a message in `received` is touched.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import Connection, Row
from sqlalchemy.exc import DataError, SQLAlchemyError

from responder.classifier.decision import Decision
from responder.errors import ContentError, ModelError, ResponderError, UnreadableMail
from responder.mail import addresses, compose, tokens
from responder.mail.message import IncomingMail, Kind, Screening, Setting
from responder.mail.parse import read_parts
from responder.mail.reader import Reader
from responder.mail.screen import screen
from responder.pipeline import ticketing
from responder.pipeline.case import Case, Handled, handled
from responder.pipeline.intake import unpack
from responder.pipeline.office import Office
from responder.tickets import audit, claims, ledger, lifecycle, switches, threading
from responder.tickets.database import Database
from responder.tickets.ledger import Known
from responder.tickets.status import Disposition, Filing, TicketStatus

log = structlog.get_logger("responder.handling")

_OF_PEOPLE = frozenset({Kind.PERSON, Kind.UNREADABLE})
"""Kinds that become tickets: somebody wrote the mail, be it encrypted (rule 17)."""

_FORWARD = re.compile(r"\s*(fwd?|tr|wg|teruskan|terusan)\s*:", re.IGNORECASE)


class Handler:
    """Handles received messages of any office."""

    def __init__(self, database: Database, offices: Mapping[str, Office], reader: Reader) -> None:
        self._database = database
        self._offices = offices
        self._reader = reader
        self._own_addresses = next(iter(offices.values())).settings.own_addresses

    def handle_due(self, now: datetime) -> list[Handled]:
        """Handle every message that is due; return what became of each, oldest first."""
        done: list[Handled] = []
        limit = next(iter(self._offices.values())).settings.limits.batch
        while True:
            with self._database.read() as connection:
                rows = ledger.work(connection, list(self._offices), limit, now)
            if not rows:
                return done
            for office in self._offices.values():
                if batch := [row for row in rows if row.mailbox == office.name]:
                    done += self._handle_batch(office, batch, now)

    def _handle_batch(self, office: Office, rows: Sequence[Row[Any]], now: datetime) -> list[Handled]:
        mails = self._read(rows)
        screenings = {
            row.id: screen(mail, self._setting(office, row, now))
            for row, mail in zip(rows, mails, strict=True)
            if isinstance(mail, IncomingMail)
        }
        decisions = self._classify(office, rows, mails, screenings)
        done = []
        with self._database.begin() as connection:
            known = ledger.known_identities(connection, office.name, [row.identity for row in rows])
            switched = ticketing.live(connection, office)
            for row, mail in zip(rows, mails, strict=True):
                if isinstance(mail, UnreadableMail):
                    done.append(_quarantine(connection, row, str(mail), now))
                    continue
                case = Case(row, mail, screenings[row.id], decisions.get(row.id), known.get(row.identity))
                done.append(self._write(connection, office, switched, case, now))
                known.setdefault(row.identity, Known(row.id, done[-1].ticket_id))
        return done

    def _read(self, rows: Sequence[Row[Any]]) -> list[IncomingMail | UnreadableMail]:
        whole = [row for row in rows if row.parts is None]
        mails = dict(
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

    def _setting(self, office: Office, row: Row[Any], now: datetime) -> Setting:
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
        office: Office,
        rows: Sequence[Row[Any]],
        mails: Sequence[IncomingMail | UnreadableMail],
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
        return dict(zip((row_id for row_id, _ in wanted), office.classifier.classify(texts), strict=True))

    def _write(
        self, connection: Connection, office: Office, switched: ticketing.Live, case: Case, now: datetime
    ) -> Handled:
        try:
            with connection.begin_nested():
                return _handle_one(connection, office, switched, case, now)
        except (ContentError, ModelError):
            raise
        except Exception as error:  # one mail must never stop the next (fault matrix, "classify")
            # DataError is about the values of this mail; every other database error is about the database.
            if isinstance(error, SQLAlchemyError) and not isinstance(error, DataError):
                raise
            why = _words_of(error)
            if isinstance(error, DataError):
                log.error("mail could not be stored", message=case.row.id, why=why)
            elif not isinstance(error, ResponderError):
                log.exception("mail could not be handled", message=case.row.id)
            state = ledger.failed_attempt(connection, case.row.id, why, now)
            quarantined = state is Disposition.QUARANTINED
            return handled(case, "quarantined" if quarantined else "retry", why=why)


def _words_of(error: Exception) -> str:
    """What `error` says, without the statement's parameters: they are the mail itself (rule 71)."""
    return str(error.orig if isinstance(error, DataError) else error) or type(error).__name__


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


def _handle_one(
    connection: Connection, office: Office, switched: ticketing.Live, case: Case, now: datetime
) -> Handled:
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
    if case.known is not None and case.known.id != case.row.id:
        why = f"the same mail as message {case.known.id}"
        ledger.finish(
            connection, case.row.id, Disposition.DUPLICATE, reason=why, ticket_id=case.known.ticket_id, **seen
        )
        return handled(case, "duplicate", case.known.ticket_id, why=why)
    if kind is Kind.BOUNCE:
        return _bounce(connection, case, seen, now)
    if kind not in _OF_PEOPLE:
        return _set_aside(connection, office, case, seen)
    return ticketing.write(connection, office, switched, case, seen, now)


def _bounce(connection: Connection, case: Case, seen: dict[str, Any], now: datetime) -> Handled:
    """Tie a bounce to the reply it concerns (rules 4 and 28)."""
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
    switches.note_address(connection, addresses.mailbox_key(reply.recipient), refused, now)
    why = f"Balasan tidak sampai ke {reply.recipient}: {words or 'ditolak'}"
    lifecycle.set_ticket(connection, reply.ticket_id, TicketStatus.NEEDS_STAFF, now, reason=why)
    entry = audit.Entry(reply.ticket_id, audit.MACHINE, "bounced", {"reply": reply.id, "answer": words})
    audit.record(connection, [entry], now)
    return handled(case, "flagged", reply.ticket_id, why=why)


def _set_aside(connection: Connection, office: Office, case: Case, seen: dict[str, Any]) -> Handled:
    """Machine, list and own mail: noted on the ticket it belongs to, otherwise only in the ledger."""
    joined = ticketing.find_ticket(connection, office, case)
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
