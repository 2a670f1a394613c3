"""Installation-wide switches kept in the database: armed or not, hold, breaker; topic levels; address notes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select

from responder.tickets import audit
from responder.tickets.database import upsert_insert
from responder.tickets.models import AddressNote, Base, Setting, TopicLevel

AUTOMATIC = "automatic"
REVIEW = "review"
# One row each: a machine that trips the breaker cannot overwrite a person who disarms at the same moment.
_ARMING, _BREAKER, _HOLD = "arming", "breaker", "hold"


@dataclass(frozen=True, slots=True)
class Arming:
    """Whether anything may leave, and since when. A fresh install is not armed."""

    armed: bool
    since: datetime | None  # when it was armed; mail received before is never answered automatically
    by: str
    breaker: str  # why automatic sending is stopped until a person arms again (rule 22); "" = it is not
    hold: str = ""  # why mailbox or database may be a restored one; "" = no reason to think so
    held_since: datetime | None = None  # what was allowed to leave before waits until a person arms again


_SWITCHES = select(Setting.key, Setting.value).where(Setting.key.in_([_ARMING, _BREAKER, _HOLD]))
_NOTES = select(AddressNote.address, AddressNote.reason).where(
    AddressNote.address.in_(bindparam("addresses", expanding=True))
)


def arming(connection: Connection) -> Arming:
    rows = connection.execute(_SWITCHES)
    kept: dict[str, dict[str, Any]] = {row.key: row.value for row in rows}
    value, hold_value = kept.get(_ARMING, {}), kept.get(_HOLD, {})
    since, held_since = value.get("since"), hold_value.get("since")
    return Arming(
        armed=bool(value.get("armed", False)),
        since=datetime.fromisoformat(since) if since else None,
        by=str(value.get("by", "")),
        breaker=str(kept.get(_BREAKER, {}).get("reason", "")),
        hold=str(hold_value.get("reason", "")),
        held_since=datetime.fromisoformat(held_since) if held_since else None,
    )


def arm(connection: Connection, actor: str, at: datetime) -> None:
    """Allow sending; automatic replies only to mail received from `at` on. Resets breaker and hold."""
    since = at.replace(microsecond=0)  # INTERNALDATE, which it is compared with, counts whole seconds
    remember(connection, _ARMING, {"armed": True, "since": since.isoformat(), "by": actor})
    remember(connection, _BREAKER, {})
    remember(connection, _HOLD, {})
    audit.record(connection, [audit.Entry(audit.INSTALLATION, actor, "armed")], at)


def disarm(connection: Connection, actor: str, at: datetime) -> None:
    """Stop every send, approved ones too."""
    remember(connection, _ARMING, {"armed": False, "since": None, "by": actor})
    audit.record(connection, [audit.Entry(audit.INSTALLATION, actor, "disarmed")], at)


def trip_breaker(connection: Connection, reason: str, at: datetime) -> None:
    """Stop automatic sending until a person arms again (rule 22); drafts and approved replies go on."""
    remember(connection, _BREAKER, {"reason": reason})
    audit.record(
        connection, [audit.Entry(audit.INSTALLATION, audit.MACHINE, "breaker", {"reason": reason})], at
    )


def hold(connection: Connection, reason: str, at: datetime) -> bool:
    """Go to review mode until a person arms again: mailbox or database may be restored from a backup.

    Nothing is sent automatically, and what was allowed to leave before `at` waits. False when it is held already.
    """
    if recall(connection, _HOLD):
        return False
    remember(connection, _HOLD, {"reason": reason, "since": at.isoformat()})
    audit.record(connection, [audit.Entry(audit.INSTALLATION, audit.MACHINE, "held", {"reason": reason})], at)
    return True


def levels(connection: Connection, mailbox: str) -> dict[str, str]:
    """Return slug → level for the topics that have one; a topic without is at `review`."""
    rows = connection.execute(select(TopicLevel.slug, TopicLevel.level).where(TopicLevel.mailbox == mailbox))
    return {row.slug: row.level for row in rows}


def set_level(
    connection: Connection,
    mailbox: str,
    slug: str,
    level: str,
    actor: str,
    at: datetime,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Set a topic's level without asking whether it is earned; `detail` stands in the event beside it."""
    key = {"mailbox": mailbox, "slug": slug}
    upsert(connection, TopicLevel, key, {"level": level, "since": at, "by": actor})
    told = {**key, "level": level, **(detail or {})}
    audit.record(connection, [audit.Entry(audit.INSTALLATION, actor, "topic_level", told)], at)


def address_notes(connection: Connection, addresses: Iterable[str]) -> dict[str, str]:
    """Return address → why it gets no automatic mail, for those of `addresses` that have a note."""
    rows = connection.execute(_NOTES, {"addresses": sorted(set(addresses))})
    return {row.address: row.reason for row in rows}


def note_address(connection: Connection, address: str, reason: str, at: datetime) -> None:
    """Stop automatic mail to `address` until a person clears it; a newer reason replaces the older."""
    upsert(connection, AddressNote, {"address": address}, {"reason": reason, "at": at})


def clear_address(connection: Connection, address: str, actor: str, at: datetime) -> bool:
    cleared = connection.execute(delete(AddressNote).where(AddressNote.address == address)).rowcount > 0
    if cleared:
        audit.record(
            connection, [audit.Entry(audit.INSTALLATION, actor, "address_cleared", {"address": address})], at
        )
    return cleared


def upsert(connection: Connection, table: type[Base], key: dict[str, Any], values: dict[str, Any]) -> None:
    """Insert the row, or update it where `key` exists; the same statement on both engines."""
    statement = upsert_insert(connection.dialect.name)(table).values(**key, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=values))


def remember(connection: Connection, key: str, value: dict[str, Any]) -> None:
    """Keep `value` under `key` of the settings."""
    upsert(connection, Setting, {"key": key}, {"value": value})


def recall(connection: Connection, key: str) -> dict[str, Any]:
    """What `remember` kept last under `key`; empty when there is nothing."""
    value: dict[str, Any] | None = connection.scalar(select(Setting.value).where(Setting.key == key))
    return value or {}
