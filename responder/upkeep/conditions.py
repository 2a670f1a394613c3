"""What is an alarm: from the situation to texts, a pure function; `watch` brings the table in line with it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta

from responder.config import Alarms, Settings
from responder.tickets.database import Database
from responder.upkeep import alarms
from responder.upkeep.polls import AT_ONCE
from responder.upkeep.situation import MailboxState, Queue, Situation, observe
from responder.upkeep.workdays import working_hours

MEGABYTE = 1_000_000

FAILURES_AT_FIRST = 3
"""Rounds that failed before the first good one: there is no last good one whose age could tell."""

FAMILIES = frozenset(
    {
        "poll",
        "oauth",
        "reconcile",
        "unsent",
        "unfiled",
        "unhandled",
        "unapproved",
        "quarantine",
        "breaker",
        "hold",
        "disk",
        "links",
        "review",
    }
)
"""Keys (the part before ":") that `conditions` decides about alone."""


def conditions(situation: Situation, settings: Settings) -> dict[str, str]:
    """Return every alarm that holds: key → text for staff, without personal data."""
    return dict(_conditions(situation, settings))


def watch(database: Database, settings: Settings, now: datetime) -> None:
    """Raise the alarms that hold and clear the others. Raises StoreError."""
    found = conditions(observe(database, settings, now), settings)
    database.write(lambda connection: alarms.settle(connection, found, FAMILIES, now))


def _conditions(seen: Situation, settings: Settings) -> Iterator[tuple[str, str]]:
    limits = settings.alarms
    holding = {row.key for row in seen.alarms}
    for mailbox in seen.mailboxes:
        yield from _of_mailbox(mailbox, seen.at, limits, holding)
    unsent = timedelta(minutes=limits.unsent_minutes, seconds=settings.policy.undo_seconds)
    if _older(seen.unsent, unsent, seen.at):
        why = "" if seen.arming.armed else "; pengiriman sedang dihentikan (disarm)"
        yield "unsent", f"{seen.unsent.count} balasan yang disetujui belum terkirim{why}"
    if _older(seen.unfiled, unsent, seen.at):
        yield "unfiled", f"{seen.unfiled.count} balasan terkirim belum tersimpan di folder Terkirim"
    if _older(seen.unhandled, unsent, seen.at):
        yield "unhandled", f"{seen.unhandled.count} surat masuk belum diproses"
    yield from _waiting_for_staff(seen, settings)
    if seen.quarantined.count:
        yield "quarantine", f"{seen.quarantined.count} surat di karantina; lihat `responder quarantine list`"
    if seen.arming.breaker:
        yield "breaker", f"balasan otomatis dihentikan: {seen.arming.breaker}"
    if seen.arming.hold:
        yield "hold", f"balasan otomatis ditahan sampai `responder arm`: {seen.arming.hold}"
    if seen.disk_free < limits.disk_free_mb * MEGABYTE:
        yield "disk", f"ruang disk tinggal {seen.disk_free // MEGABYTE} MB"
    if seen.dead_links:
        yield "links", f"tautan pada jawaban tidak dapat dibuka: {', '.join(seen.dead_links)}"
    if seen.past_review:
        yield "review", f"isi yang sudah waktunya ditinjau: {', '.join(seen.past_review)}"


def _of_mailbox(
    mailbox: MailboxState, at: datetime, limits: Alarms, holding: Collection[str]
) -> Iterator[tuple[str, str]]:
    why = f": {mailbox.error}" if mailbox.error else ""
    if f"poll:{mailbox.name}" not in holding and any(f"{one}:{mailbox.name}" in holding for one in AT_ONCE):
        pass  # told already, with what to do about it
    elif mailbox.last_good is None:
        if mailbox.failures >= FAILURES_AT_FIRST:
            yield f"poll:{mailbox.name}", f"kotak surat {mailbox.name} belum pernah terbaca{why}"
    elif at - mailbox.last_good > timedelta(minutes=limits.poll_minutes):
        minutes = round(limits.poll_minutes)
        yield (
            f"poll:{mailbox.name}",
            f"kotak surat {mailbox.name} tidak terbaca lebih dari {minutes} menit{why}",
        )
    if mailbox.signed_out:
        text = f"kotak surat {mailbox.name}: izin masuk berakhir ({mailbox.signed_out}); jalankan `responder login`"
        yield f"oauth:{mailbox.name}", text
    if mailbox.differences:
        text = f"kotak surat {mailbox.name}: isi server dan catatan berbeda: {'; '.join(mailbox.differences)}"
        yield f"reconcile:{mailbox.name}", text


def _waiting_for_staff(seen: Situation, settings: Settings) -> Iterator[tuple[str, str]]:
    queues = [queue for queue in (seen.to_approve, seen.to_answer) if queue.oldest is not None]
    if not queues:
        return
    oldest = min(queue.oldest for queue in queues if queue.oldest is not None)
    limit = settings.alarms.unapproved_hours
    if working_hours(oldest, seen.at, settings.service) > limit:
        count = sum(queue.count for queue in queues)
        yield "unapproved", f"{count} tiket menunggu petugas, yang tertua lebih dari {limit:g} jam kerja"


def _older(queue: Queue, limit: timedelta, at: datetime) -> bool:
    return queue.oldest is not None and at - queue.oldest > limit
