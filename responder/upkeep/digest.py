"""The daily summary for staff, at the start of a working day, by the channels of the alarms."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlalchemy import Connection, func, select

from responder.config import Settings
from responder.errors import MailServerError
from responder.tickets import switches
from responder.tickets.database import Database
from responder.tickets.models import Message, Reply
from responder.tickets.status import Disposition, ReplyStatus
from responder.upkeep import courier
from responder.upkeep.situation import Queue, Situation, observe
from responder.upkeep.workdays import is_working_day

log = structlog.get_logger("responder.digest")

_KEY = "digest"


def tell(database: Database, settings: Settings, now: datetime) -> None:
    """Send the summary to every channel that has not taken today's. Raises StoreError, ConfigError, MailServerError."""
    today = now.astimezone(settings.service.zone).date()
    urls = courier.channels(settings)
    if not settings.alarms.digest or not urls or not is_working_day(today):
        return
    with database.read() as connection:
        kept = switches.recall(connection, _KEY)
        since = _since(kept, now)
        counts = _counts(connection, since)
    taken = list(kept.get("taken", [])) if kept.get("day") == today.isoformat() else []
    title = f"[{courier.office_name(settings)}] Ringkasan {today.strftime('%d-%m-%Y')}"
    text = summary(observe(database, settings, now), counts, since)
    refused = []
    for number, url in enumerate(urls):
        if number in taken:
            continue
        if courier.deliver(url, title, text):
            taken.append(number)
            value = {"day": today.isoformat(), "at": now.isoformat(), "taken": taken}
            database.write(partial(switches.remember, key=_KEY, value=value))
        else:
            refused.append(courier.scheme(url))
    if refused:
        raise MailServerError(f"the daily summary was not taken by: {', '.join(refused)}")


def _since(kept: dict[str, object], now: datetime) -> datetime:
    """Since the last summary, at most a week ago."""
    last = kept.get("at")
    week = now - timedelta(days=7)
    if not isinstance(last, str):
        return now - timedelta(days=1)
    return max(min(datetime.fromisoformat(last), now - timedelta(hours=1)), week)


def _counts(connection: Connection, since: datetime) -> dict[str, int]:
    """What happened since then, by the words of the summary."""

    def replies(automatic: bool) -> int:
        sent = (Reply.status == ReplyStatus.SENT) & (Reply.sent_at >= since)
        return connection.scalar(select(func.count()).where(sent, Reply.automatic.is_(automatic))) or 0

    arrived = (Message.received_at >= since) & (Message.disposition != Disposition.BASELINE)
    return {
        "surat masuk": connection.scalar(select(func.count()).where(arrived)) or 0,
        "balasan terkirim atas persetujuan petugas": replies(False),
        "balasan terkirim otomatis": replies(True),
    }


def summary(seen: Situation, counts: dict[str, int], since: datetime) -> str:
    """The text of the summary, Indonesian, without personal data."""
    today = seen.at
    lines = [f"Sejak ringkasan sebelumnya ({_days(since, today)}):"]
    lines += [f"- {count} {what}" for what, count in counts.items()]
    lines += ["", "Menunggu petugas:"]
    lines += [
        f"- {_waiting(seen.to_approve, today)} menunggu persetujuan",
        f"- {_waiting(seen.to_answer, today)} perlu dijawab petugas",
    ]
    troubles = {
        "balasan gagal terkirim": seen.failed,
        "balasan yang tidak pasti sampai": seen.uncertain,
        "surat di karantina": seen.quarantined.count,
        "balasan disetujui yang belum terkirim": seen.unsent.count,
    }
    if any(troubles.values()):
        lines += ["", "Perlu diperiksa:"]
        lines += [f"- {count} {what}" for what, count in troubles.items() if count]
    if seen.alarms:
        lines += ["", "Alarm yang masih berlaku:"]
        lines += [f"- {alarm.text}" for alarm in seen.alarms]
    if seen.past_review:
        lines += ["", f"Isi yang sudah waktunya ditinjau: {', '.join(seen.past_review)}"]
    if not seen.arming.armed:
        lines += ["", "Pengiriman sedang dihentikan (disarm): tidak ada balasan yang berangkat."]
    return "\n".join(lines)


def _waiting(queue: Queue, now: datetime) -> str:
    if queue.oldest is None:
        return "0 tiket"
    return f"{queue.count} tiket (tertua {_days(queue.oldest, now)})"


def _days(since: datetime, now: datetime) -> str:
    hours = max((now - since) // timedelta(hours=1), 0)
    return f"{hours} jam lalu" if hours < 48 else f"{hours // 24} hari lalu"
