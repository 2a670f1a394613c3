"""Tables of what keeps the service running: jobs, alarms, visits to the links of answers."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Boolean
from sqlalchemy.orm import Mapped, mapped_column

from responder.tickets.models import Base, ShortText


class Job(Base):
    """The last run of a scheduled job, on whatever node."""

    __tablename__ = "jobs"

    name: Mapped[str] = mapped_column(ShortText(80), primary_key=True)  # with the mailbox, where it is one's
    node: Mapped[str] = mapped_column(ShortText(100), default="")
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    succeeded_at: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(default=0)  # in a row
    error: Mapped[str] = mapped_column(default="")


class Alarm(Base):
    """Something that people must know of: told once when it begins, once when it is over."""

    __tablename__ = "alarms"

    key: Mapped[str] = mapped_column(ShortText(160), primary_key=True)
    text: Mapped[str]
    since: Mapped[datetime]
    seen_at: Mapped[datetime]
    told_at: Mapped[datetime | None]
    recovered_at: Mapped[datetime | None]
    recovery_told_at: Mapped[datetime | None]


class LinkVisit(Base):
    """The last visit to a link of an answer (rule 28a)."""

    __tablename__ = "link_visits"

    url: Mapped[str] = mapped_column(ShortText(500), primary_key=True)
    visited_at: Mapped[datetime]
    works: Mapped[bool] = mapped_column(Boolean)
    failing_since: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(default=0)  # in a row
    outcome: Mapped[str] = mapped_column(default="")
