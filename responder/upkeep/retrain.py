"""Training again on what staff have decided since the model was made."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import structlog
from sqlalchemy import Connection, func, select

from responder.config import Settings
from responder.pipeline import learning
from responder.pipeline.office import offices
from responder.tickets.database import Database
from responder.tickets.models import Message, StaffVerdict

log = structlog.get_logger("responder.retrain")


def retrain(database: Database, settings: Settings, clock: Callable[[], datetime]) -> None:
    """Train the model of each mailbox with verdicts newer than it. Raises ContentError, ModelError or StoreError.

    The rounds find it by its time of change. It is stored on this machine only, so each one trains for itself.
    """
    for name, office in offices(settings, learning.source(database, clock)).items():
        with database.read() as connection:
            newest = _newest_verdict(connection, name)
        file = office.model_file
        if newest is None or (file.exists() and datetime.fromtimestamp(file.stat().st_mtime, UTC) >= newest):
            continue
        office.train()
        log.info("trained on what staff decided", mailbox=name)


def _newest_verdict(connection: Connection, mailbox: str) -> datetime | None:
    return connection.scalar(
        select(func.max(StaffVerdict.decided_at))
        .join(Message, Message.id == StaffVerdict.message_id)
        .where(Message.mailbox == mailbox)
    )
