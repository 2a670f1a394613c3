"""`responder quarantine`: mails that could not be handled, with their raw bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from responder.cli.common import (
    DEFAULT_CONFIG,
    ConfigOption,
    JsonOption,
    actor,
    database,
    listing,
    now,
    say,
    settings,
)
from responder.errors import Refused

app = typer.Typer(
    help="Mails that could not be read or handled.", no_args_is_help=True, rich_markup_mode=None
)

Message = Annotated[int, typer.Argument(metavar="MESSAGE", help="The message's number, from `list`.")]


@app.command("list")
def list_(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """List what is in quarantine, oldest first."""
    from responder.tickets import queues

    listing(
        config,
        as_json,
        queues.quarantined,
        ["message", "mailbox", "UID", "octets", "received", "reason"],
        lambda row: [
            str(row.id),
            row.mailbox,
            str(row.uid),
            str(row.size),
            f"{row.received_at:%Y-%m-%d %H:%M}",
            row.reason,
        ],
    )


@app.command()
def retry(message: Message, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Put a message back to work; the next `poll` handles it."""
    from responder.pipeline import desk

    with database(settings(config)) as store, store.begin() as connection:
        desk.retry_quarantined(connection, message, actor(), now())
    say(f"message {message}: will be handled again at the next poll")


@app.command()
def close(message: Message, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Set a message aside that needs no answer; its content is erased after `retention.ignored_days`."""
    from responder.pipeline import desk

    with database(settings(config)) as store, store.begin() as connection:
        desk.close_quarantined(connection, message, actor(), now())
    say(f"message {message}: set aside")


@app.command()
def export(
    message: Message,
    file: Annotated[Path, typer.Argument(help="Where to write the raw mail (must not exist).")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Write the raw bytes of a message to a file, unchanged."""
    from responder.tickets import ledger

    with database(settings(config)) as store, store.read() as connection:
        raw = ledger.raw(connection, message)
    if raw is None:
        raise Refused(f"message {message} has no stored bytes")
    try:
        with file.open("xb") as out:
            out.write(raw)
    except OSError as error:
        raise Refused(f"{file}: {error.strerror}") from error
    say(f"message {message}: {len(raw)} octets written to {file}")
