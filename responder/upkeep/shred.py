"""Taking what was erased out of the database's files, where an engine leaves it until the space is used again."""

from __future__ import annotations

import structlog
from sqlalchemy import text

from responder.errors import StoreError
from responder.tickets import search
from responder.tickets.database import Database

log = structlog.get_logger("responder.shred")

_TABLES = "messages, replies, tickets, participants, events, verdicts, edits, notes, address_notes, counters"


def shred(database: Database, *, everything: bool = False) -> bool:
    """Rewrite the search index without erased words and empty the write-ahead log; False when something is left.

    With `everything` the whole file is written anew (VACUUM), which also takes out what rows held before they were
    changed: needs as much free space as the database takes, and writers wait meanwhile. On PostgreSQL the dead rows
    are given free to be overwritten; only VACUUM FULL, and the expiry of its write-ahead log, remove them from disk.
    """
    try:
        with database.begin() as connection:
            search.compact(connection)
        with database.session() as connection:
            if not database.is_sqlite:
                if everything:
                    connection.execute(text(f"VACUUM {_TABLES}"))
                return True
            if everything:
                connection.execute(text("VACUUM"))
            busy = connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)")).one()[0]
    except StoreError as error:
        log.warning("erased content is still in the database's files", why=str(error))
        return False
    return not busy
