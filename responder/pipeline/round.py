"""One round of everything for each office: intake, handling, take-overs, outbox, filing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Self

import structlog

from responder.config import Settings
from responder.errors import ConfigError, ContentError, MailServerError, ModelError, ResponderError
from responder.mail.imap import ImapSession
from responder.mail.reader import Reader
from responder.mail.smtp import SendResult, SmtpSession
from responder.pipeline.case import Handled
from responder.pipeline.filing import Filer, FilingTally
from responder.pipeline.handling import Handler
from responder.pipeline.intake import IntakeTally, take_in
from responder.pipeline.node import is_dead, this_node
from responder.pipeline.office import Office, offices
from responder.replies.outbox import Outbox, Tally, sweep_abandoned
from responder.tickets import leases, lifecycle
from responder.tickets.database import Database

log = structlog.get_logger("responder.round")


@dataclass(slots=True)
class OfficeRound:
    """What one round did for one office; `error` when it could not be finished."""

    mailbox: str
    busy: bool = False
    intake: IntakeTally = field(default_factory=IntakeTally)
    handled: list[Handled] = field(default_factory=list)
    outbox: Tally = field(default_factory=Tally)
    filing: FilingTally = field(default_factory=FilingTally)
    error: ResponderError | None = None


class LazySmtp:
    """An SMTP connection that is opened for the first reply only: most rounds have nothing to send."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._session: SmtpSession | None = None

    def send(
        self,
        envelope_from: str,
        recipient: str,
        data: bytes,
        *,
        before_data: Callable[[], None] | None = None,
    ) -> SendResult:
        """See `SmtpSession.send`. Raises MailServerError when no connection can be had: nothing was transmitted."""
        if self._session is None:
            server = self._office.config.smtp
            self._session = SmtpSession.connect(server, server.password())
        return self._session.send(envelope_from, recipient, data, before_data=before_data)

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None


class Rounds:
    """The worker: keeps database, reader process and offices between rounds."""

    def __init__(self, settings: Settings, database: Database, clock: Callable[[], datetime]) -> None:
        self.settings = settings
        self.database = database
        self.offices: Mapping[str, Office] = offices(settings)
        self.node = this_node()
        self._clock = clock
        self._reader = Reader()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.close()

    def run(self) -> list[OfficeRound]:
        """Do one round for every office. What fails for one office does not stop the others."""
        self._sweep()
        return [self._office_round(office) for office in self.offices.values()]

    def _sweep(self) -> None:
        now = self._clock()
        with self.database.read() as connection:
            dead = [node for node in lifecycle.claimants(connection) if is_dead(node, self.node)]
        for reply_id in sweep_abandoned(self.database, dead, now):
            log.warning("send outcome unknown", reply=reply_id)

    def _office_round(self, office: Office) -> OfficeRound:
        done = OfficeRound(office.name)
        with ExitStack() as stack:
            if not stack.enter_context(self._lease(office.name)):
                done.busy = True
                return done
            try:
                session = stack.enter_context(self._imap(office))
                self._steps(office, session, done)
            except (MailServerError, ContentError, ConfigError, ModelError) as error:
                log.error("round not finished", mailbox=office.name, error=str(error))
                done.error = error
        return done

    def _steps(self, office: Office, session: ImapSession, done: OfficeRound) -> None:
        limits = self.settings.limits
        inbox = office.config.folders.inbox
        done.intake = take_in(session, self.database, office.name, inbox, limits, self._clock())
        try:
            done.handled = Handler(self.database, {office.name: office}, self._reader).handle_due(
                self._clock()
            )
        except (ContentError, ModelError) as error:
            # The mail waits in the ledger; approved replies still leave and filing goes on.
            log.error("mail waits for repaired content", mailbox=office.name, error=str(error))
            done.error = error
        filer = Filer(self.database, office, session)
        done.filing = filer.look_for_takeovers(self._clock())
        self._send(office, done)
        filer.do_wishes(done.filing, self._clock())

    def _send(self, office: Office, done: OfficeRound) -> None:
        outbox = Outbox(self.database, self.node, office.name, office.envelope_from)
        if not outbox.due(self._clock()):
            return
        smtp = LazySmtp(office)
        try:
            done.outbox = outbox.send_due(smtp, self._clock)
        except MailServerError as error:
            log.error("outbox not finished", mailbox=office.name, error=str(error))
            done.error = error
        finally:
            smtp.close()

    @contextmanager
    def _lease(self, mailbox: str) -> Iterator[bool]:
        with self.database.begin() as connection:
            held = leases.acquire(
                connection, mailbox, self.node, self._clock(), lambda node: is_dead(node, self.node)
            )
        try:
            yield held
        finally:
            if held:
                with self.database.begin() as connection:
                    leases.release(connection, mailbox, self.node)

    @contextmanager
    def _imap(self, office: Office) -> Iterator[ImapSession]:
        server = office.config.imap
        with ImapSession.connect(
            server, password=server.password(), folders=office.config.folders
        ) as session:
            yield session
