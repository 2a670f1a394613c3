"""One round of everything for each office: intake, handling, take-overs, outbox, filing."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import TracebackType
from typing import Self

import structlog

from responder.config import Settings
from responder.errors import (
    ConfigError,
    ContentError,
    MailServerError,
    ModelError,
    ResponderError,
)
from responder.mail.imap import FolderState, ImapSession
from responder.mail.reader import Reader, Result
from responder.mail.smtp_sessions import SmtpSessions
from responder.pipeline import learning, reconcile
from responder.pipeline.case import Handled
from responder.pipeline.filing import Filer, FilingTally
from responder.pipeline.glance import Glance
from responder.pipeline.handling import Handler
from responder.pipeline.intake import IntakeTally, take_in, take_missing
from responder.pipeline.node import is_dead, this_node
from responder.pipeline.office import Office, offices
from responder.replies.outbox import Outbox, Tally
from responder.tickets import leases
from responder.tickets.database import Database

log = structlog.get_logger("responder.round")


@dataclass(slots=True)
class OfficeRound:
    """What one round did for one office; `error` when it could not be finished."""

    mailbox: str
    busy: bool = False
    calm: bool = False  # a glance showed that there is nothing to do
    intake: IntakeTally = field(default_factory=IntakeTally)
    handled: list[Handled] = field(default_factory=list)
    outbox: Tally = field(default_factory=Tally)
    filing: FilingTally = field(default_factory=FilingTally)
    differences: Sequence[str] = ()  # between server and ledger, one line each
    error: ResponderError | None = None
    unsent: ResponderError | None = None  # why the SMTP server could not be used; everything else was done

    @property
    def problem(self) -> ResponderError | None:
        return self.error or self.unsent

    @property
    def idle(self) -> bool:
        """Whether there was nothing to do."""
        nothing = OfficeRound(self.mailbox, intake=IntakeTally(state=self.intake.state))
        return replace(self, differences=tuple(self.differences)) == nothing


class SharedReader(Reader):
    """One reader process for all mailboxes of this one, which are served side by side."""

    def __init__(self) -> None:
        super().__init__()
        self._turn = threading.Lock()

    def read_many(self, mails: Sequence[bytes]) -> list[Result]:
        with self._turn:
            return super().read_many(mails)


class Rounds:
    """The worker: keeps reader process, offices, outboxes and IMAP connections between rounds.

    Rounds of different offices may run side by side; two of one office never do, in whatever process (`leases`).
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        clock: Callable[[], datetime],
        earlier: Rounds | None = None,  # with another configuration: what is the same is not loaded again
    ) -> None:
        self.settings = settings
        self.database = database
        self.offices: dict[str, Office] = {
            name: office.taking_over(earlier.offices.get(name) if earlier is not None else None)
            for name, office in offices(settings, learning.source(database, clock)).items()
        }
        self.node = this_node()
        self._clock = clock
        self._reader: SharedReader = earlier._reader if earlier is not None else SharedReader()
        self._sessions: dict[str, ImapSession] = {}
        self._glances = defaultdict[str, Glance](Glance)
        self._agreed: dict[str, FolderState] = {}  # how the server's inbox was when it agreed with the ledger
        self._outboxes = {
            name: Outbox(database, self.node, name, office.envelope_from)
            for name, office in self.offices.items()
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End reader process and connections."""
        self._reader.close()
        self.disconnect()

    def disconnect(self) -> None:
        """Close the connections; the reader process belongs to the rounds that took it over."""
        for session in self._sessions.values():
            session.close()
        self._sessions.clear()

    def run(self) -> list[OfficeRound]:
        """Do one round for every office. What fails for one office does not stop the others."""
        return [self.run_office(name) for name in self.offices]

    def run_office(
        self, name: str, *, compare_everything: bool = False, glance_first: bool = False, send: bool = True
    ) -> OfficeRound:
        """Do one round for one office; with `compare_everything` also compare every UID with the ledger.

        With `glance_first` a mailbox that is as the last round left it gets none; without `send` nothing leaves.
        What went wrong with the servers or the content is in the result. Raises StoreError.
        """
        office = self.offices[name] = self.offices[name].refreshed()
        glance = self._glances[name]
        if not glance_first or compare_everything:
            glance.forget()
        elif glance.is_calm(office, self._sessions.get(name), self.database, self._clock()):
            return OfficeRound(name, calm=True)
        done = self._whole_round(name, office, compare_everything, send)
        if done.idle:
            glance.left_calm(office)
        return done

    def _whole_round(self, name: str, office: Office, compare_everything: bool, send: bool) -> OfficeRound:
        done = OfficeRound(name)
        with leases.lease(
            self.database, name, self.node, self._clock, lambda node: is_dead(node, self.node)
        ) as renew:
            if renew is None:
                done.busy = True
                return done
            for reply_id in self._outboxes[name].recover(self._clock()):
                log.warning("send outcome unknown", mailbox=name, reply=reply_id)
            try:
                session = self._session(office)
                self._steps(office, session, done, renew, compare_everything, send)
            except (MailServerError, ContentError, ConfigError, ModelError) as error:
                self._failed(done, error)
            finally:
                self._keep_only_sound(name, done)
        return done

    def _session(self, office: Office) -> ImapSession:
        """The connection kept from the last round, or a fresh one."""
        kept = self._sessions.get(office.name)
        if kept is not None and kept.still_there():
            return kept
        server = office.config.imap
        self._sessions[office.name] = ImapSession.connect(
            server, password=server.password(), folders=office.config.folders
        )
        return self._sessions[office.name]

    def _keep_only_sound(self, name: str, done: OfficeRound) -> None:
        """After a round that failed nothing is taken for granted, neither connection nor folder list."""
        session = self._sessions.get(name)
        if session is not None and (done.error is not None or not session.usable):
            session.close()
            del self._sessions[name]

    def _steps(
        self,
        office: Office,
        session: ImapSession,
        done: OfficeRound,
        renew: leases.Renew,
        compare_everything: bool,
        send: bool,
    ) -> None:
        inbox = office.config.folders.inbox
        filer = Filer(self.database, office, session, self._reader)
        news = None
        try:
            # Before new mail is answered: Sent may show that this database is an old one.
            news = filer.read_sent(self._clock())
        except MailServerError as error:
            # A Sent folder that is refused to us must not stop the service; a lost connection must.
            self._failed(done, error)
            if not session.usable:
                return
        done.intake = take_in(session, self.database, office.name, inbox, self.settings.limits, self._clock())
        if done.intake.renumbered:
            log.warning("all read again", mailbox=office.name, why=done.intake.renumbered)
        self._compare(office, session, done, compare_everything)
        renew()
        self._handle(office, done)
        renew()
        filer.note_sent(news, done.filing, self._clock())
        if send:
            self._send(office, done, renew)
            renew()
        filer.do_wishes(done.filing, self._clock())
        for refused in done.filing.refused:
            log.warning("filing refused, tried again later", mailbox=office.name, error=refused)

    def _handle(self, office: Office, done: OfficeRound) -> None:
        handler = Handler(self.database, office, self._reader)
        try:
            done.handled = handler.handle_due(self._clock())
        except (ContentError, ModelError) as error:
            # The mail waits in the ledger; approved replies still leave and filing goes on.
            self._failed(done, error)

    def _send(self, office: Office, done: OfficeRound, renew: leases.Renew) -> None:
        outbox = self._outboxes[office.name]
        wanted = outbox.due(self._clock())
        if not wanted:
            return
        server = office.config.smtp
        try:
            # Connected before anything is claimed: a kill until then leaves no outcome in doubt.
            with SmtpSessions.connect(server, server.password(), wanted) as sessions:
                done.outbox = outbox.send_due(sessions, self._clock, renew)
        except (MailServerError, ConfigError) as error:
            log.error("nothing can be sent", mailbox=office.name, error=str(error))
            done.unsent = error

    def _compare(self, office: Office, session: ImapSession, done: OfficeRound, everything: bool) -> None:
        inbox, now = office.config.folders.inbox, self._clock()
        if everything:
            found = reconcile.compare(session, self.database, office.name, inbox, now)
            if missing := found.missing:
                # Reported as it was found, and healed: what the cursor has passed is taken in after all.
                limits = self.settings.limits
                done.intake.new += take_missing(
                    session, self.database, office.name, inbox, missing, limits, now
                )
            done.differences = found.differences
        elif done.intake.state is not None:
            state = done.intake.state
            if done.intake.new or self._agreed.get(office.name) != state:
                done.differences = reconcile.compare_counters(state, self.database, office.name, inbox, now)
            self._agreed.pop(office.name, None)
            if not done.differences:
                self._agreed[office.name] = state
        for difference in done.differences:
            log.error("server and ledger differ", mailbox=office.name, difference=difference)

    def _failed(self, done: OfficeRound, error: ResponderError) -> None:
        log.error("round not finished", mailbox=done.mailbox, error=str(error))
        done.error = error
