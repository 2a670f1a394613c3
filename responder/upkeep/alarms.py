"""Alarms: what people must know of, told once when it begins and once when it is over.

The table remembers what was told, so a restart, a second node or a flapping condition tells nothing twice. The way to
people is `courier`; what an alarm is, is `conditions`. Texts are Indonesian, because staff read them, and hold no
personal data: they leave over whatever channel the operator chose.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, select, update

from responder.tickets.models_upkeep import Alarm
from responder.tickets.switches import upsert

MAX_TEXT = 1000  # characters; errors of servers and libraries can be of any length

KEPT = timedelta(days=90)
"""How long an alarm that is over stays in the table."""

Key = tuple[str, datetime]
"""An alarm and when it began: the same condition later is another one."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to tell people."""

    key: str
    since: datetime
    text: str
    recovered: bool  # told that it is over; otherwise that it has begun


def raise_alarm(connection: Connection, key: str, text: str, now: datetime) -> None:
    """Say that the condition `key` holds. People are told once, until `clear_alarm` and a return of it.

    One that came back before anybody was told that it was over goes on as if it had never ended.
    """
    text = text[:MAX_TEXT]
    row = connection.execute(select(Alarm.__table__).where(Alarm.key == key)).first()
    if row is None or (
        row.recovered_at is not None and (row.told_at is None or row.recovery_told_at is not None)
    ):
        begun = {"text": text, "since": now, "seen_at": now}
        fresh = {"told_at": None, "recovered_at": None, "recovery_told_at": None}
        upsert(connection, Alarm, {"key": key}, begun | fresh)
        return
    connection.execute(
        update(Alarm).where(Alarm.key == key).values(text=text, seen_at=now, recovered_at=None)
    )


def clear_alarm(connection: Connection, key: str, now: datetime) -> None:
    """Say that the condition `key` no longer holds; nothing happens when it did not."""
    connection.execute(
        update(Alarm).where(Alarm.key == key, Alarm.recovered_at.is_(None)).values(recovered_at=now)
    )


def settle(
    connection: Connection, found: Mapping[str, str], families: Collection[str], now: datetime
) -> None:
    """Raise every alarm in `found` (key → text) and clear all others of `families`, the part of a key before ":"."""
    for key, text in found.items():
        raise_alarm(connection, key, text, now)
    for row in active(connection):
        if row.key not in found and row.key.partition(":")[0] in families:
            clear_alarm(connection, row.key, now)
    connection.execute(delete(Alarm).where(Alarm.recovered_at < now - KEPT))


def active(connection: Connection) -> Sequence[Any]:
    """The alarms that hold, oldest first."""
    query = select(Alarm.__table__).where(Alarm.recovered_at.is_(None)).order_by(Alarm.since, Alarm.key)
    return connection.execute(query).all()


def untold(connection: Connection) -> list[Notice]:
    """What is to be told, oldest first."""
    return notices(connection.execute(select(Alarm.__table__).order_by(Alarm.since, Alarm.key)).all())


def notices(rows: Iterable[Any]) -> list[Notice]:
    """What is to be told of these rows; an alarm that was over before anybody was told of it is not worth a word."""
    found = []
    for row in rows:
        if row.recovered_at is None and row.told_at is None:
            found.append(Notice(row.key, row.since, row.text, recovered=False))
        elif row.recovered_at is not None and row.told_at is not None and row.recovery_told_at is None:
            found.append(Notice(row.key, row.since, row.text, recovered=True))
    return found


def told(connection: Connection, notice: Notice, now: datetime) -> None:
    """Remember that people were told of `notice`."""
    column = Alarm.recovery_told_at if notice.recovered else Alarm.told_at
    connection.execute(
        update(Alarm).where(Alarm.key == notice.key, Alarm.since == notice.since).values({column: now})
    )


def message(notices: Sequence[Notice], office: str) -> tuple[str, str]:
    """Return title and text that tell of `notices`, as staff read them."""
    begun = [one for one in notices if not one.recovered]
    over = [one for one in notices if one.recovered]
    parts = []
    if begun:
        parts.append("Perlu diperhatikan:\n" + "\n".join(f"- {one.text}" for one in begun))
    if over:
        parts.append("Sudah pulih:\n" + "\n".join(f"- {one.text}" for one in over))
    if len(notices) == 1:
        title = f"{'Pulih' if over else 'Alarm'}: {notices[0].text}"
    else:
        title = f"{len(begun)} alarm, {len(over)} pulih"
    return f"[{office}] {title}"[:200].splitlines()[0], "\n\n".join(parts)
