"""Carrying alarms to people over channels other than the mailbox (apprise): a thread of its own, so that a channel
that hangs keeps nothing else waiting.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog

from responder.config import Settings
from responder.errors import ConfigError, StoreError
from responder.pipeline.node import is_dead
from responder.tickets import leases
from responder.tickets.database import Database
from responder.upkeep import alarms
from responder.upkeep.alarms import Notice

log = structlog.get_logger("responder.alarms")

CONNECT_SECONDS, ANSWER_SECONDS = 10.0, 20.0
"""Time-outs of a channel, where its address does not say others (`cto`, `rto`)."""

FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 10.0, 300.0
LOOK_SECONDS = 60.0
"""How often is looked for something to tell when nobody asks; other nodes and commands raise alarms too."""

ATTEMPTS = 5
"""A channel that failed so often for one notice is not tried for it again, once another one has told it."""

LEASE = "alarms"


def channels(settings: Settings) -> list[str]:
    """The addresses of apprise, one a line of the secret; "#" begins a remark. Raises ConfigError."""
    lines = (line.strip() for line in settings.alarms.urls.read().splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def deliver(url: str, title: str, text: str) -> bool:
    """Hand one message to one channel; return whether it took it. The address holds secrets and is never told.

    Raises ConfigError when it is no address of apprise.
    """
    from apprise import Apprise, AppriseAsset, NotifyFormat

    # One message at a time, with the time-outs of the channel: no thread of apprise's own is left behind.
    joint = "&" if "?" in url else "?"
    limits = "" if "cto=" in url else f"{joint}cto={CONNECT_SECONDS}&rto={ANSWER_SECONDS}"
    door = Apprise(asset=AppriseAsset(async_mode=False, app_id="responder", app_desc="LPSE"))
    if not door.add(url + limits):
        raise ConfigError(f"[alarms]: {scheme(url)}://… is not an address that apprise knows")
    return bool(door.notify(title=title, body=text, body_format=NotifyFormat.TEXT))


def scheme(url: str) -> str:
    """What may be shown of an address: its kind."""
    return url.partition("://")[0][:20]


@dataclass(slots=True)
class _Owed:
    """A notice that some channels have not taken."""

    channels: set[str]
    attempts: int = 0
    told: bool = False


@dataclass(slots=True)
class Delivery:
    """What one pass came to."""

    told: int = 0
    failed: list[str] = field(default_factory=list)  # kinds of the channels that did not take it


class Courier:
    """Delivers what `alarms.untold` says, until stopped."""

    def __init__(
        self, settings: Settings, database: Database, clock: Callable[[], datetime], node: str
    ) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._node = node
        self._wanted = threading.Event()
        self._stop = threading.Event()
        self._owed: dict[Notice, _Owed] = {}
        self._blind: Notice | None = None  # since when the database cannot be used
        self._blind_told = False
        self._thread = threading.Thread(target=self._run, name="alarms", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def look(self) -> None:
        """There may be something to tell."""
        self._wanted.set()

    def use(self, settings: Settings) -> None:
        self._settings = settings
        self.look()

    def stop(self) -> None:
        """End; a channel that hangs is left to the end of the process."""
        self._stop.set()
        self._wanted.set()

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            self._wanted.clear()
            failures = 0 if self._pass() else failures + 1
            if failures:
                # A channel that does not work is not asked again because something else happened.
                self._stop.wait(min(FIRST_RETRY_SECONDS * 2 ** min(failures - 1, 5), LONGEST_RETRY_SECONDS))
            else:
                self._wanted.wait(LOOK_SECONDS)

    def _pass(self) -> bool:
        """One pass; whether everything came to its end."""
        try:
            done = self.tell()
            self._with_database()
        except StoreError as error:
            log.error("alarms not delivered", error=str(error))
            self._without_database(error)
            return False
        except Exception:  # a fault in one of apprise's hundred channels must not silence the others for ever
            log.exception("alarms not delivered")
            return False
        return not done.failed

    def _without_database(self, error: StoreError) -> None:
        """The one alarm that the table cannot hold: this process remembers it."""
        if self._blind is None:
            self._blind = Notice("database", self._clock(), f"basis data tidak dapat dipakai: {error}", False)
        limit = timedelta(minutes=self._settings.alarms.poll_minutes)
        if not self._blind_told and self._clock() - self._blind.since >= limit:
            self._blind_told = self._say(self._blind)

    def _with_database(self) -> None:
        if self._blind is not None and (
            not self._blind_told or self._say(replace(self._blind, recovered=True))
        ):
            self._blind, self._blind_told = None, False

    def _say(self, notice: Notice) -> bool:
        """Tell of one notice at once; whether any channel took it."""
        title, text = alarms.message([notice], office_name(self._settings))
        try:
            taken = [deliver(url, title, text) for url in channels(self._settings)]
        except ConfigError as error:
            log.error("alarms not delivered", error=str(error))
            return False
        return any(taken)

    def tell(self) -> Delivery:
        """One pass over what is to be told, on one node at a time. Raises ConfigError or StoreError."""
        done = Delivery()
        urls = channels(self._settings)
        with leases.lease(
            self._database, LEASE, self._node, self._clock, lambda node: is_dead(node, self._node)
        ) as renew:
            if renew is None:
                return done
            with self._database.read() as connection:
                notices = alarms.untold(connection)
            if not urls:
                self._note_untellable(notices)
                return done
            for notice in notices:
                self._owed.setdefault(notice, _Owed(set(urls)))
            for url in urls:
                self._deliver(url, done, renew)
            self._forget(notices)
        return done

    def _deliver(self, url: str, done: Delivery, renew: leases.Renew) -> None:
        owed = [notice for notice, state in self._owed.items() if url in state.channels]
        if not owed or self._stop.is_set():
            return
        title, text = alarms.message(owed, office_name(self._settings))
        began = time.monotonic()
        taken = deliver(url, title, text)
        renew()
        if not taken:
            done.failed.append(scheme(url))
            log.error(
                "a channel did not take the alarms",
                channel=scheme(url),
                seconds=round(time.monotonic() - began),
            )
        for notice in owed:
            state = self._owed[notice]
            state.attempts += not taken
            if taken:
                state.channels.discard(url)
                if not state.told:
                    self._note_told(notice)
                    state.told = True
                    done.told += 1

    def _forget(self, current: Sequence[Notice]) -> None:
        """Drop what all channels took, what one took and the others refuse, and what is over untold."""
        for notice, state in list(self._owed.items()):
            given_up = state.told and (not state.channels or state.attempts >= ATTEMPTS)
            if given_up or (not state.told and notice not in current):
                del self._owed[notice]

    def _note_untellable(self, notices: Sequence[Notice]) -> None:
        """Without a channel the log and `responder status` are all there is."""
        for notice in notices:
            log.error("alarm", key=notice.key, recovered=notice.recovered, text=notice.text)
            self._note_told(notice)

    def _note_told(self, notice: Notice) -> None:
        self._database.write(lambda connection: alarms.told(connection, notice, self._clock()))


def office_name(settings: Settings) -> str:
    """How messages name this installation: the first mailbox's unit."""
    return next(iter(settings.mailboxes.values())).unit


def tell_once(
    settings: Settings, database: Database, clock: Callable[[], datetime], node: str, patience: float
) -> bool:
    """One pass for a command that ends soon, waiting `patience` seconds at most; whether it came to its end."""
    courier = Courier(settings, database, clock, node)

    def run() -> None:
        try:
            courier.tell()
        except (ConfigError, StoreError) as error:
            log.error("alarms not delivered", error=str(error))

    thread = threading.Thread(target=run, name="alarms", daemon=True)
    thread.start()
    thread.join(patience)
    return not thread.is_alive()
