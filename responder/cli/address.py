"""`responder address`: addresses that get no automatic mail, and how a person lifts that (rules 28 and 47)."""

from __future__ import annotations

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
    help="Addresses that get no automatic mail: a reply came back, or they asked for none.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("list")
def list_(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """List the addresses with the reason, oldest first."""
    from sqlalchemy import select

    from responder.tickets.models import AddressNote

    listing(
        config,
        as_json,
        lambda connection: connection.execute(select(AddressNote.__table__).order_by(AddressNote.at)).all(),
        ["address", "since", "reason"],
        lambda row: [row.address, f"{row.at:%Y-%m-%d %H:%M}", row.reason],
    )


@app.command()
def clear(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="The address, from `list`.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Let an address get automatic mail again."""
    from responder.mail.addresses import mailbox_key
    from responder.pipeline.office import read_key
    from responder.tickets import switches
    from responder.tickets.erasure import Pseudonyms

    options = settings(config)
    pseudonyms = Pseudonyms(read_key(options.state.secret_key_file), mailbox_key)
    with database(options) as store, store.begin() as connection:
        known = (mailbox_key(address), pseudonyms.address(address))
        cleared = [switches.clear_address(connection, one, actor(), now()) for one in known]
        if not any(cleared):
            raise Refused(f"{address}: nothing stops automatic mail to this address")
    say(f"{address}: may get automatic mail again")
