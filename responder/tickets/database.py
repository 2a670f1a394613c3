"""Opening the database: one engine, settings that make a power cut harmless, migrations, transactions."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Connection, Engine, Table, create_engine, event, func, inspect, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import DataError, DBAPIError, OperationalError, SQLAlchemyError

from responder.errors import StoreError, Unstorable

if TYPE_CHECKING:
    from alembic.config import Config as AlembicConfig

T = TypeVar("T")

SCHEMA = "0002"
"""The newest version in `migrations`: where the database has it, nothing of Alembic is loaded."""

BUSY_SECONDS = 30
"""How long a writer waits for another one: longer than any transaction of ours, shorter than a staff's patience."""

POOL = 20
"""Connections kept: for each mailbox worked on at the same time its lease and its work (daemon.SIDE_BY_SIDE)."""

ATTEMPTS = 5
"""How often `write` repeats a transaction that PostgreSQL ended for the sake of another one."""

_VANISHED = {
    # The server ends the session of a node that lost power or network within 10 + 3 x 5 seconds, and with it the
    # locks: it finds out by keep-alives while idle (tcp(7)), by unacknowledged data while it answers.
    "tcp_keepalives_idle": 10,
    "tcp_keepalives_interval": 5,
    "tcp_keepalives_count": 3,
    "tcp_user_timeout": 25_000,
    # A transaction of ours takes milliseconds; one that waits or idles longer than this is a fault.
    "lock_timeout": 30_000,
    "idle_in_transaction_session_timeout": 300_000,
}
_MIGRATION_LOCK = 0x4C505345_0001  # an arbitrary number that nobody else locks
_RETRIED = frozenset({"40001", "40P01", "55P03"})  # serialization failure, deadlock, lock not available


Preserve = Callable[[str, str], Path]
"""Makes a copy of the database before it is changed from one version to another; returns where it is."""


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What `migrate` did: from which version ("": an empty database) to which, and where the copy from before is."""

    frm: str
    to: str
    copy: Path | None


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

    @contextmanager
    def session(self) -> Iterator[Connection]:
        """A connection that commits each statement by itself, for locks that belong to the session."""
        with _as_store_error(self.url), self.engine.connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a write transaction and return what it returns; once more when another one was in the way.

        `work` must not touch anything but the connection. Raises StoreError like `begin`.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with self.begin() as connection:
                    return work(connection)
            except StoreError as error:
                state = getattr(getattr(error.__cause__, "orig", None), "sqlstate", None)
                if state not in _RETRIED or attempt == ATTEMPTS:
                    raise
        raise AssertionError("unreachable")

    def close(self) -> None:
        self.engine.dispose()

    def migrate(self, preserve: Preserve | None = None) -> Upgrade | None:
        """Bring the schema to this version; return what was done, None when there was nothing to do.

        A schema that holds an earlier version is changed only after `preserve` has made a copy of the database.
        Raises StoreError without `preserve` in that case, or when the database is newer than the program.
        """
        with _as_store_error(self.url):
            with self.engine.connect() as connection:
                if self._behind(connection) is None:
                    return None
            with self.begin() as connection:
                if not self.is_sqlite:
                    # Nodes that start together take turns, however long the copy takes.
                    connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
                    connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
                    connection.execute(select(func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
                versions = self._behind(connection)
                if versions is None:
                    return None
                frm, to = versions
                if frm and preserve is None:
                    raise StoreError(
                        f"database {_place(self.url)} is of version {frm}: `responder upgrade` makes a backup and "
                        f"brings it to {to}"
                    )
                copy = preserve(frm, to) if frm and preserve is not None else None
                upgrade_schema(connection)
                return Upgrade(frm, to, copy)

    def _behind(self, connection: Connection) -> tuple[str, str] | None:
        """The versions of schema ("": none yet) and program; None when they are the same. Raises StoreError."""
        current = schema_version(connection)
        if current == SCHEMA:
            return None
        from alembic.script import ScriptDirectory

        scripts = ScriptDirectory.from_config(_alembic_config())
        if current and current not in {one.revision for one in scripts.walk_revisions()}:
            raise StoreError(
                f"database {self.engine.url!r} is of a newer version ({current}); upgrade the program"
            )
        return current, SCHEMA


def schema_version(connection: Connection) -> str:
    """The version that the schema is of; "" when there is none."""
    if not inspect(connection).has_table("alembic_version"):
        return ""
    return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() or ""


def upgrade_schema(connection: Connection, version: str = "head") -> None:
    """Bring the schema to `version` in the caller's transaction. Raises StoreError when the program knows it not."""
    from alembic import command
    from alembic.util import CommandError

    config = _alembic_config()
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, version)
    except CommandError as error:
        raise StoreError(
            f"the program knows no version {version} of the database: upgrade the program"
        ) from error


def table_of(model: type[Any]) -> Table:
    """The table of a model: a statement over it carries none of the ORM's cost."""
    table: Table = model.__table__
    return table


def upsert_insert(dialect: str) -> Callable[[Any], Any]:
    """The `insert` of an engine that knows ON CONFLICT, by the name of its dialect."""
    return sqlite_insert if dialect == "sqlite" else postgresql_insert


def _engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        options = " ".join(f"-c {name}={value}" for name, value in _VANISHED.items())
        return create_engine(
            url,
            hide_parameters=True,  # they are the mail, which has no place in a log (rule 71)
            pool_pre_ping=True,
            pool_size=POOL,
            connect_args={
                "connect_timeout": 10,
                "application_name": "lpse-responder",
                "options": options,
                "keepalives": 1,
                "keepalives_idle": 10,
                "keepalives_interval": 5,
                "keepalives_count": 3,
                "tcp_user_timeout": 25_000,
            },
        )
    # isolation_level None hands BEGIN to us, see Database.begin
    engine = create_engine(
        url,
        hide_parameters=True,
        pool_use_lifo=True,  # each connection fills a cache of its own: those that few need stay small
        connect_args={"timeout": BUSY_SECONDS, "isolation_level": None},
    )

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
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.set_main_option("path_separator", "os")
    return config


@contextmanager
def _as_store_error(url: str) -> Iterator[None]:
    try:
        yield
    except (DataError, OverflowError) as error:
        # SQLite's driver reports a number that is too large by Python's own exception.
        raise Unstorable("a number is out of range, or a text holds NUL") from error
    except OperationalError as error:
        raise StoreError(f"database {_place(url)}: {_what(error)}") from error
    except SQLAlchemyError as error:
        raise StoreError(f"database: {_what(error)}") from error


def _place(url: str) -> str:
    """Where the database is, without the password that the URL may hold."""
    return url.rpartition("@")[2].removeprefix("sqlite:///")


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
