"""A backup as one file: every table of the database as JSON lines, files of the office, and a manifest of checksums.

It is a ZIP archive, so it can be looked into without this program. Tables are written from the schema as it is, not
from the models: a database of an earlier version can be kept before it is changed, and what was written on one engine
can be read into the other.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from sqlalchemy import JSON, Column, Connection, DateTime, LargeBinary, MetaData, Table, insert, select, text

from responder.errors import StoreError
from responder.tickets.database import Database, schema_version

FORMAT = 1
MANIFEST = "manifest.json"
TABLES = "tables/"
FILES = "files/"
KEY = "secret.key"

CHUNK = 1 << 20
ROWS = 200
"""Rows read or inserted at a time: a mail may take several hundred kilobytes."""

COMPRESSION = 3
"""Of zlib. Mail compresses to a quarter; higher levels take twice the time for some percent."""

_VERSIONS = "alembic_version"


@dataclass(frozen=True, slots=True)
class Member:
    """One file of the archive."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is in a backup."""

    at: datetime
    schema: str  # version of the database
    engine: str  # that it was written on
    key_check: str  # tells whether a secret key is the one of this installation, without telling the key
    tables: Mapping[
        str, Mapping[str, str]
    ]  # table → column → kind of value, in an order that foreign keys allow
    rows: Mapping[str, int]
    members: Mapping[str, Member]

    def to_json(self) -> bytes:
        value = asdict(self) | {"at": self.at.isoformat(), "format": FORMAT}
        return json.dumps(value, indent=1).encode("utf-8")

    @classmethod
    def from_json(cls, data: bytes) -> Manifest:
        value = json.loads(data)
        if value.pop("format") != FORMAT:
            raise ValueError("made by a newer version")
        members = {name: Member(**one) for name, one in value.pop("members").items()}
        return cls(at=datetime.fromisoformat(value.pop("at")), members=members, **value)


class Writer:
    """Adds members to an archive and remembers their checksums."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self.members: dict[str, Member] = {}

    def add(self, name: str, chunks: Iterable[bytes]) -> None:
        digest, size = hashlib.sha256(), 0
        with self._archive.open(name, "w", force_zip64=True) as member:
            for chunk in chunks:
                member.write(chunk)
                digest.update(chunk)
                size += len(chunk)
        self.members[name] = Member(digest.hexdigest(), size)


@contextmanager
def snapshot(database: Database) -> Iterator[Connection]:
    """A transaction that sees one state of the whole database, while others go on writing."""
    with database.read() as connection:
        if not database.is_sqlite:
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        yield connection


def write(
    file: IO[bytes], connection: Connection, files: Mapping[str, Path | bytes], key_check: str, at: datetime
) -> Manifest:
    """Write everything to `file`; `files` are members by name."""
    tables = _tables(connection)
    rows: dict[str, int] = {}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=COMPRESSION) as archive:
        writer = Writer(archive)
        for name, table in tables.items():
            writer.add(f"{TABLES}{name}.jsonl", _lines(connection, table, rows))
        for name, content in sorted(files.items()):
            writer.add(name, [content] if isinstance(content, bytes) else _chunks(content))
        manifest = Manifest(
            at=at,
            schema=schema_version(connection),
            engine=connection.dialect.name,
            key_check=key_check,
            tables={name: _kinds(table) for name, table in tables.items()},
            rows=rows,
            members=writer.members,
        )
        archive.writestr(MANIFEST, manifest.to_json())
    return manifest


@contextmanager
def opened(path: Path) -> Iterator[tuple[zipfile.ZipFile, Manifest]]:
    """A backup and its manifest, every checksum verified. Raises StoreError when it is damaged or is none."""
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise StoreError(f"{path}: cannot be read as a backup: {error}") from error
    with archive:
        yield archive, _verified(path, archive)


def load(
    archive: zipfile.ZipFile, manifest: Manifest, connection: Connection, progress: Callable[[str], None]
) -> None:
    """Insert every row of a verified backup into empty tables of the manifest's version."""
    tables = _tables(connection)
    for name, kinds in manifest.tables.items():
        progress(name)
        readers = [_READERS[kind] for kind in kinds.values()]
        with archive.open(f"{TABLES}{name}.jsonl") as lines:
            batch: list[dict[str, Any]] = []
            for line in lines:
                values = (read(value) for read, value in zip(readers, json.loads(line), strict=True))
                batch.append(dict(zip(kinds, values, strict=True)))
                if len(batch) == ROWS:
                    connection.execute(insert(tables[name]), batch)
                    batch = []
            if batch:
                connection.execute(insert(tables[name]), batch)
        if connection.dialect.name == "postgresql" and "id" in kinds:
            _go_on_counting(connection, name)


def _go_on_counting(connection: Connection, table: str) -> None:
    """The ids were given by hand: the sequence goes on after them."""
    connection.execute(
        text(
            f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) "  # noqa: S608 - a table of ours
            f"FROM {table} HAVING max(id) IS NOT NULL"
        )
    )


def _tables(connection: Connection) -> dict[str, Table]:
    """The tables that hold records, parents before children, without what the engine derives for the search."""
    derived: tuple[str, ...] = ()
    if connection.dialect.name == "sqlite":
        virtual = "SELECT name FROM sqlite_master WHERE sql LIKE 'CREATE VIRTUAL TABLE%'"
        derived = tuple(connection.scalars(text(virtual)))

    def wanted(name: str, _metadata: MetaData) -> bool:
        return name != _VERSIONS and not any(name == one or name.startswith(f"{one}_") for one in derived)

    metadata = MetaData()
    metadata.reflect(connection, only=wanted)
    return {table.name: table for table in metadata.sorted_tables}


def _columns(table: Table) -> list[Column[Any]]:
    return [column for column in table.columns if column.computed is None]


def _kinds(table: Table) -> dict[str, str]:
    return {column.name: _kind(column) for column in _columns(table)}


def _kind(column: Column[Any]) -> str:
    if isinstance(column.type, LargeBinary):
        return "bytes"
    if isinstance(column.type, DateTime):
        return "time"
    return "json" if isinstance(column.type, JSON) else "value"


def _lines(connection: Connection, table: Table, rows: dict[str, int]) -> Iterator[bytes]:
    columns = _columns(table)
    writers = [_WRITERS[_kind(column)] for column in columns]
    query = select(*columns).order_by(*table.primary_key.columns)
    rows[table.name] = 0
    for row in connection.execute(query.execution_options(yield_per=ROWS)):
        values = [write(value) for write, value in zip(writers, row, strict=True)]
        rows[table.name] += 1
        yield json.dumps(values, ensure_ascii=False).encode("utf-8") + b"\n"


def _same(value: Any) -> Any:
    return value


def _write_bytes(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode("ascii")


def _read_bytes(value: str | None) -> bytes | None:
    return None if value is None else base64.b64decode(value)


def _write_time(value: datetime | None) -> str | None:
    # SQLite keeps no zone; all times of ours are UTC.
    if value is None:
        return None
    return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC).isoformat()


def _read_time(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)


_WRITERS: dict[str, Callable[[Any], Any]] = {
    "bytes": _write_bytes,
    "time": _write_time,
    "json": _same,
    "value": _same,
}
_READERS: dict[str, Callable[[Any], Any]] = {
    "bytes": _read_bytes,
    "time": _read_time,
    "json": _same,
    "value": _same,
}


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def _verified(path: Path, archive: zipfile.ZipFile) -> Manifest:
    try:
        manifest = Manifest.from_json(archive.read(MANIFEST))
        lacking = manifest.members.keys() - set(archive.namelist())
        if lacking:
            raise StoreError(f"{path}: incomplete, it lacks {', '.join(sorted(lacking))}")
        for name, member in manifest.members.items():
            if _checksum(archive, name) != member:
                raise StoreError(f"{path}: damaged, the checksum of {name} is wrong; take another backup")
    except (KeyError, ValueError, TypeError) as error:
        raise StoreError(f"{path}: not a backup of this program: {error}") from error
    except (OSError, zipfile.BadZipFile, zlib.error) as error:
        raise StoreError(f"{path}: damaged: {error}; take another backup") from error
    return manifest


def _checksum(archive: zipfile.ZipFile, name: str) -> Member:
    digest, size = hashlib.sha256(), 0
    with archive.open(name) as content:
        while chunk := content.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return Member(digest.hexdigest(), size)
