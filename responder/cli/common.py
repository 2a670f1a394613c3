"""What several commands share: the configuration option, the database, the clock, who acts."""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from responder.config import Settings
    from responder.tickets.database import Database

ConfigOption = Annotated[
    Path,
    typer.Option("--config", "-c", envvar="RESPONDER_CONFIG", help="The configuration file."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON lines, for programs.")]

DEFAULT_CONFIG = Path("config.toml")


def now() -> datetime:
    """The one place where commands read the clock."""
    return datetime.now(UTC)


def actor() -> str:
    """Who acts, for the event log: the user of this terminal."""
    try:
        return f"terminal:{getpass.getuser()}"
    except (KeyError, OSError):
        return "terminal"


def settings(config: Path) -> Settings:
    from responder.config import load

    return load(config)


@contextmanager
def database(config: Settings) -> Iterator[Database]:
    """The migrated database of `config`, closed at the end."""
    from responder.tickets.database import Database

    store = Database(config.database.url)
    try:
        migrate(config, store)
        yield store
    finally:
        store.close()


def migrate(config: Settings, store: Database) -> None:
    """Bring the database to this version, after a backup if it holds an earlier one; tell of that on stderr."""
    from responder.upkeep.backup import before_upgrade

    done = store.migrate(before_upgrade(config, store, now))
    if done is not None and done.copy is not None:
        sys.stderr.write(
            f"responder: database upgraded from version {done.frm} to {done.to}; as it was before: {done.copy}\n"
        )


def say(line: str = "") -> None:
    sys.stdout.write(line + "\n")


def say_json(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")


def listing(
    config: Path,
    as_json: bool,
    query: Callable[[Connection], Iterable[Any]],
    headers: list[str],
    cells: Callable[[Any], list[str]],
) -> None:
    """Print the rows that `query` finds: as JSON lines, or as a table with what `cells` makes of each."""
    with database(settings(config)) as store, store.read() as connection:
        rows = query(connection)
    if as_json:
        for row in rows:
            say_json(dict(row._mapping))
    else:
        table(headers, [cells(row) for row in rows])


def table(headers: list[str], rows: list[list[str]]) -> None:
    """Print a table that fits the terminal; `--json` is for programs."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for header in headers:
        grid.add_column(header, overflow="fold")
    for row in rows:
        grid.add_row(*(Text(cell) for cell in row))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 200
    console.print(grid)
