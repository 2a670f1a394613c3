"""Opening the database: one engine, settings that make a power cut harmless, migrations, transactions."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from responder.errors import StoreError

BUSY_SECONDS = 30
"""How long a writer waits for another one: longer than any transaction of ours, shorter than a staff's patience."""


class Database:
    """The store. `begin()` is a write transaction, `read()` a snapshot for reading; both close what they open."""

    def __init__(self, url: str) -> None:
        self.url = url
        if url.startswith("sqlite:///"):
            Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        self.engine = _engine(url)

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A transaction that commits at the end of the block. Raises StoreError for what the engine reports."""
        with _as_store_error(self.url), self.engine.begin() as connection:
            if self.is_sqlite:
                # A deferred transaction that turns writer late fails with "database is locked" at once,
                # whatever busy_timeout says, so the write lock is taken first.
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction for reading only; rolled back at the end."""
        with _as_store_error(self.url), self.engine.connect() as connection:
            if self.is_sqlite:
                connection.exec_driver_sql("BEGIN")
            yield connection

    def close(self) -> None:
        self.engine.dispose()

    def migrate(self) -> None:
        """Bring the schema to this version. Raises StoreError when the database is newer than the program."""
        with _as_store_error(self.url):
            head = ScriptDirectory.from_config(_alembic_config()).get_current_head()
            with self.engine.connect() as connection:
                current = MigrationContext.configure(connection).get_current_revision()
            if current == head:
                return
            known = {
                script.revision for script in ScriptDirectory.from_config(_alembic_config()).walk_revisions()
            }
            if current is not None and current not in known:
                raise StoreError(
                    f"database {self.engine.url!r} is of a newer version ({current}); upgrade the program"
                )
            with self.engine.begin() as connection:
                if self.is_sqlite:
                    connection.exec_driver_sql("BEGIN IMMEDIATE")
                config = _alembic_config()
                config.attributes["connection"] = connection
                command.upgrade(config, "head")


def _engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(url, pool_pre_ping=True)
    # isolation_level None hands BEGIN to us, see Database.begin
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS, "isolation_level": None})

    @event.listens_for(engine, "connect")
    def _pragmas(connection: sqlite3.Connection, _record: Any) -> None:
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",  # a commit that returned survives a power cut; NORMAL would not promise that
            "foreign_keys=ON",
            f"busy_timeout={BUSY_SECONDS * 1000}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    return engine


def _alembic_config() -> AlembicConfig:
    config = AlembicConfig()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.set_main_option("path_separator", "os")
    return config


@contextmanager
def _as_store_error(url: str) -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        where = url.rpartition("@")[2].removeprefix("sqlite:///")
        raise StoreError(f"database {where}: {_what(error)}") from error
    except SQLAlchemyError as error:
        raise StoreError(f"database: {_what(error)}") from error


def _what(error: SQLAlchemyError) -> str:
    original = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    text = " ".join(str(original).split())
    hints = {
        "disk is full": "free some space; nothing was lost, work goes on by itself",
        "locked": "another program holds it; close it",
        "readonly": "check the owner and permissions of the state directory",
        "unable to open": "check that the state directory exists and is writable",
    }
    hint = next((hint for sign, hint in hints.items() if sign in text), "")
    return f"{text} ({hint})" if hint else text
