"""What callers give: identifiers in paths, filters in queries, wishes in bodies. Checked here and nowhere else."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Literal

from fastapi import Depends, Path, Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from responder.pipeline import desk
from responder.tickets.models_staff import Role
from responder.tickets.queues import Filters, Queue
from responder.web.place import EARLIEST, LATEST, Place
from responder.web.service import UsesService
from responder.web.typed import Printable

LARGEST_ID = 2**53 - 1
"""Of every record: what programs that know only floating-point numbers still count exactly."""

MOST = 100  # rows of one page
CURSOR = r"^([0-9]{8}T[0-9]{12}-[0-9]{1,16})?$"
"""Where a page begins (`queues.Page.next`); "" = at the start."""

_ISO_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")

TicketId = Annotated[int, Path(ge=1, le=LARGEST_ID)]
RecordId = Annotated[int, Field(ge=1, le=LARGEST_ID), BeforeValidator(lambda given: _whole(given))]
Slug = Annotated[str, Field(min_length=1, max_length=80)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Reason = Annotated[str, Field(max_length=500), Printable]
Limit = Annotated[int, Query(ge=1, le=MOST)]
Day = Annotated[
    date | None,
    Query(description="A day of the office, inclusive"),
    BeforeValidator(lambda given: _iso_day(given)),
]


class Wish(BaseModel):
    """A body. Nothing unknown and nothing of another type is taken."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Approval(Wish):
    reply: RecordId
    sha256: Sha256 = Field(description="Of the text that was shown to the person who decides")


class Reasoned(Wish):
    reason: Reason = ""


class Closing(Reasoned):
    newest: RecordId | None = Field(
        default=None, description="As the ticket showed it; null closes it over a mail that came meanwhile"
    )


class OfReply(Wish):
    reply: RecordId


class Topics(Wish):
    topics: list[Slug] = Field(min_length=1, max_length=20)


class BlindChoice(Wish):
    topics: list[Slug] = Field(max_length=20, description="Empty: a person must answer")


class Typed(Wish):
    text: Annotated[str, Field(max_length=desk.LONGEST_TEXT), Printable]
    based_on: RecordId | None = Field(default=None, description="The draft that the text was written over")


class Draft(Typed):
    approve: bool = Field(default=False, description="Approve exactly this text at once")


class NoteText(Wish):
    text: Annotated[str, Field(max_length=desk.LONGEST_NOTE), Printable]


class Batch(Wish):
    topic: Slug = Field(description="Of every draft, alone")
    drafts: list[Approval] = Field(min_length=1, max_length=desk.BATCH)


class Sending(Wish):
    armed: bool


class Level(Wish):
    level: Literal["review", "automatic"]


class Fact(Wish):
    value: str | None = Field(
        default=None,
        max_length=2000,
        description="null takes the recorded reading; empty leaves the place out",
    )


class NewAccount(Wish):
    name: str = Field(max_length=60)
    full_name: str = Field(default="", max_length=200)
    role: Annotated[Role, Field(strict=False)] = Role.OFFICER
    password: str = Field(max_length=1000)


class AccountChange(Wish):
    """Whatever is null stays as it is."""

    role: Annotated[Role, Field(strict=False)] | None = None
    active: bool | None = None
    password: str | None = Field(default=None, max_length=1000)


def _whole(given: object) -> object:
    """To JSON 7.0 is the integer 7 (JSON Schema 6.1.1)."""
    return int(given) if isinstance(given, float) and given.is_integer() else given


def _iso_day(given: object) -> object:
    """Without this a number would be taken for seconds since 1970."""
    if isinstance(given, str) and not _ISO_DAY.fullmatch(given):
        raise ValueError("a day is written YYYY-MM-DD (RFC 3339)")
    return given


def _filters(
    service: UsesService,
    mailbox: Annotated[str, Query(max_length=40)] = "",
    topic: Annotated[str, Query(max_length=80)] = "",
    vendor: Annotated[str, Query(max_length=320, description="The whole address")] = "",
    since: Day = None,
    until: Day = None,
    senior: Annotated[bool, Query(description="Only what waits for a senior")] = False,
) -> Filters:
    days = ["" if day is None else min(max(day, EARLIEST), LATEST).isoformat() for day in (since, until)]
    place = Place(Queue.TO_APPROVE, mailbox, topic, vendor, days[0], days[1], senior)
    return place.filters(service.settings.service.zone)


Narrowed = Annotated[Filters, Depends(_filters)]
