"""What every page stands on: settings, database, clock, the offices as their files are at the moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta
from functools import lru_cache, partial
from typing import Annotated

from fastapi import Depends, Request

from responder.classifier.evidence import topic_evidence
from responder.classifier.model import Model, load
from responder.config import Settings
from responder.errors import ModelError, Refused
from responder.mail.reader import Reader
from responder.pipeline.office import Office, offices
from responder.refusal import Refusal
from responder.tickets.database import Database
from responder.web.figures import Figures
from responder.web.marking import deciding_words

REFRESH_SECONDS = 5.0
"""How soon a change of content or templates shows; looking takes a millisecond for each mailbox."""


EXPLAINED = 512
"""Mails whose deciding words are remembered: finding them takes longer than the rest of the page."""

Explainer = Callable[[str, str, str], tuple[str, ...]]


class Service:
    """One for each application; threads share it."""

    def __init__(self, settings: Settings, database: Database, clock: Callable[[], datetime]) -> None:
        self.settings = settings
        self.database = database
        self.clock = clock
        self.reader = Reader()
        self.figures = Figures(settings, database, clock)
        self._lock = threading.Lock()
        self._offices: dict[str, Office] = {}
        self._looked = 0.0
        self._explainers: dict[str, tuple[int, Explainer]] = {}

    def close(self) -> None:
        self.reader.close()

    def offices(self) -> dict[str, Office]:
        """Every office by name. Raises ConfigError and ContentError."""
        with self._lock:
            if not self._offices:
                self._offices = offices(self.settings)
            elif time.monotonic() - self._looked > REFRESH_SECONDS:
                self._offices = {name: office.refreshed() for name, office in self._offices.items()}
            else:
                return self._offices
            self._looked = time.monotonic()
            return self._offices

    def look_again(self) -> None:
        """Content was changed from here: the next page shows it."""
        with self._lock:
            self._offices = {}

    def office(self, mailbox: str) -> Office:
        """The office of a ticket. Raises Refused when config.toml no longer has its mailbox."""
        try:
            return self.offices()[mailbox]
        except KeyError:
            raise Refused(Refusal.MAILBOX_GONE, mailbox=mailbox) from None

    def deciding_words(self, office: Office, subject: str, text: str, topic: str) -> tuple[str, ...]:
        """The words of a mail that spoke for `topic`, or ("" or unknown) for a person to answer.

        () while the model's file is missing or stale: pages never train.
        """
        try:
            changed = office.model_file.stat().st_mtime_ns
        except OSError:
            return ()
        with self._lock:
            known = self._explainers.get(office.name)
            if known is None or known[0] != changed:
                try:
                    model = load(office.model_file, office.config.content)
                    known = (changed, lru_cache(maxsize=EXPLAINED)(partial(_explained, model)))
                except ModelError:
                    known = (changed, _unexplained)
                self._explainers[office.name] = known
        return known[1](subject, text, topic)

    def titles(self) -> dict[str, str]:
        """Slug → title of every topic of every mailbox."""
        return {
            slug: topic.title for office in self.offices().values() for slug, topic in office.topics.items()
        }

    @property
    def idle(self) -> timedelta:
        return timedelta(minutes=self.settings.web.session_idle_minutes)

    @property
    def lasts(self) -> timedelta:
        return timedelta(hours=self.settings.web.session_hours)

    def day_start(self) -> datetime:
        """When the office's day began."""
        local = self.clock().astimezone(self.settings.service.zone)
        return local.replace(hour=0, minute=0, second=0, microsecond=0)

    def today(self) -> date:
        """The office's day."""
        return self.day_start().date()


def _explained(model: Model, subject: str, text: str, topic: str) -> tuple[str, ...]:
    column = model.topics.index(topic) if topic in model.topics else len(model.topics)
    document = model.lexicon.sentences(subject, text)
    evidence = topic_evidence(document, model.vectorizer, model.lexicon, model.weights, column)
    return tuple(deciding_words(evidence))


def _unexplained(subject: str, text: str, topic: str) -> tuple[str, ...]:
    return ()


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


UsesService = Annotated[Service, Depends(_service)]
