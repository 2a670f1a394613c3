"""Commands that keep an installation in order: backup and restore, upgrade, retention, one person's data."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from responder.cli.common import (
    DEFAULT_CONFIG,
    ConfigOption,
    JsonOption,
    actor,
    database,
    now,
    say,
    say_json,
    settings,
    table,
)

if TYPE_CHECKING:
    from responder.upkeep.footprint import Footprint
    from responder.upkeep.privacy import Remains

privacy = typer.Typer(
    help="Everything about one person: give it to them, or erase it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="The person's e-mail address.")]


def add_to(app: typer.Typer) -> None:
    for function in (backup, restore, upgrade, purge):
        app.command()(function)
    app.add_typer(privacy, name="privacy")


def backup(
    config: ConfigOption = DEFAULT_CONFIG,
    to: Annotated[Path | None, typer.Option(help="The file to write; it must not exist.")] = None,
    with_key: Annotated[
        bool,
        typer.Option("--with-key", help="Put the secret key in too: keep such a file as you keep a key."),
    ] = False,
) -> None:
    """Write database, configuration and the office's own content and templates to one file; the service may run."""
    from responder.upkeep.backup import backup as write

    options = settings(config)
    with database(options) as store:
        path = write(options, store, now(), to=to, with_key=with_key)
    say(f"{path}: {path.stat().st_size:,} octets, checksums verified")
    if not with_key:
        say(f"the secret key is not in it: keep a copy of {options.state.secret_key_file} elsewhere")


def restore(
    file: Annotated[Path, typer.Argument(help="A file that `backup` wrote.")],
    config: ConfigOption = DEFAULT_CONFIG,
    to: Annotated[
        Path | None,
        typer.Option(help="Make an installation in this directory, from the files in the backup."),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Put a database that holds records aside, whole.")
    ] = False,
) -> None:
    """Restore a backup. It is checked before anything is touched; nothing leaves until `responder arm`."""
    from responder.upkeep import restore as restoring

    if to is not None:
        for line in restoring.unpack(file, to):
            say(line)
        config = to / "config.toml"
    options = settings(config)
    if restoring.restore_key(file, options):
        say(f"made {options.state.secret_key_file}")
    done = restoring.restore(file, options, actor(), now(), replace=replace)
    say(f"restored {done.rows:,} records of {_day(done.made_at)} into {_place(options.database.url)}")
    if done.aside:
        say(f"the database that was there is kept: {done.aside}")
    if done.same_key is not True:
        wrong = "is another one" if done.same_key is False else "is not there"
        say(
            f"WARNING: the secret key {options.state.secret_key_file} {wrong}; put the right one in its place before "
            "you arm, or replies that left after the backup are not recognised and may leave again"
        )
    say(
        "nothing is sent: run `responder poll`, look at `responder reconcile` and the queue, then `responder arm`"
    )


def upgrade(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Bring the database to this version of the program, after a backup. Starting the service does the same."""
    with database(settings(config)):
        say("the database is of this version")


def purge(
    config: ConfigOption = DEFAULT_CONFIG,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be erased.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Erase what is older than `[retention]` allows. Rows, states and counts stay."""
    from responder.upkeep import retention

    options = settings(config)
    with database(options) as store:
        done = retention.survey(store, options, now()) if dry_run else retention.purge(store, options, now())
    if as_json:
        for line in done.lines:
            say_json({"kind": line.kind, "count": line.count, "oldest": line.oldest, "days": line.days})
        say_json({"quarantine": done.waiting, "oldest": done.waiting_since})
        return
    table(
        ["kind", "kept for days", "due" if dry_run else "erased", "oldest"],
        [
            [line.kind, f"{line.days:g}", str(line.count), _day(line.oldest) if line.oldest else "-"]
            for line in done.lines
        ],
    )
    if done.waiting and done.waiting_since:
        say(
            f"{done.waiting} mails in quarantine are older than that, the oldest of {_day(done.waiting_since)}: "
            "look at them and use `responder quarantine close`"
        )


@privacy.command()
def export(
    address: Address,
    to: Annotated[Path, typer.Option(help="A directory, or a file ending in .zip; it must not exist.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Write everything that is kept about a person: mails, replies, notes, events, with an index in Indonesian."""
    from responder.upkeep.export import export as write

    options = settings(config)
    with database(options) as store:
        done = write(store, options, address, to, now())
    say(f"{done.place}: {done.tickets} tickets, {done.mails} mails, {done.replies} replies")


@privacy.command()
def erase(
    address: Address,
    config: ConfigOption = DEFAULT_CONFIG,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be erased.")] = False,
    close: Annotated[bool, typer.Option("--close", help="Close the person's open tickets first.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Erase everything about a person, for good; says what remains elsewhere."""
    from responder.upkeep import privacy as erasing

    options = settings(config)
    with database(options) as store:
        found, remains = erasing.look(store, options, address)
        _say_found(address, found)
        if dry_run or found.empty:
            _say_remains(remains)
            return
        if not yes:
            typer.confirm("Erase all of it? It cannot be taken back", abort=True)
        done = erasing.erase(store, options, address, actor(), now(), close=close)
    say(
        f"erased: {len(done.tickets)} tickets, {done.messages} mails; in the records the person is {done.pseudonym}"
    )
    if not done.remains.shredded:
        say(
            "WARNING: another process reads the database, so erased bytes are still in its files: run "
            "`responder privacy shred`, with the service stopped if need be"
        )
    _say_remains(done.remains)


@privacy.command()
def shred(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Write the database anew, so that nothing erased is left in its files; writers wait meanwhile."""
    from responder.errors import Refused
    from responder.upkeep.shred import shred as rewrite

    with database(settings(config)) as store:
        if not rewrite(store, everything=True):
            raise Refused("another process reads the database; stop the service and try again")
    say("nothing erased is left in the database's files")


def _say_found(address: str, found: Footprint) -> None:
    if found.empty:
        say(f"{address}: nothing is known about this address")
        return
    tickets = ", ".join(map(str, found.tickets)) or "none"
    say(
        f"{address}: tickets {tickets}; {len(found.messages)} mails outside of them; {len(found.notes)} notes"
    )
    if found.open_tickets:
        say(f"open: {', '.join(map(str, found.open_tickets))}")
    for blocker in found.blockers:
        say(f"in the way: {blocker}")


def _say_remains(remains: Remains) -> None:
    say("not touched by this program:")
    for folder in remains.folders:
        say(f"  the mailbox on the IMAP server, {folder}")
    for path in remains.backups:
        say(f"  backup {path}")
    if remains.mentions:
        say(f"  tickets of others that name the address: {', '.join(map(str, remains.mentions))}")


def _place(url: str) -> str:
    return url.rpartition("@")[2].removeprefix("sqlite:///")


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d}"
