"""`responder token`: keys of programs that use the JSON API."""

from __future__ import annotations

from datetime import timedelta
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
    say_json,
    settings,
)

app = typer.Typer(help="Keys of programs that use the JSON API.", no_args_is_help=True, rich_markup_mode=None)

DEFAULT_DAYS = 90


@app.command()
def add(
    account: Annotated[
        str, typer.Argument(metavar="ACCOUNT", help="Whose role it has, and who stands in the events.")
    ],
    program: Annotated[str, typer.Argument(metavar="PROGRAM", help="Which program gets it.")],
    config: ConfigOption = DEFAULT_CONFIG,
    days: Annotated[int, typer.Option(help="How long it lasts, 366 days at most.")] = DEFAULT_DAYS,
    as_json: JsonOption = False,
) -> None:
    """Make a token; it is printed once and kept only as a hash."""
    from responder.tickets import api_tokens

    with database(settings(config)) as store, store.begin() as connection:
        issued = api_tokens.add(connection, account, program, timedelta(days=days), actor(), now())
    if as_json:
        say_json({"id": issued.id, "token": issued.token, "expires_at": issued.expires_at})
        return
    say(issued.token)
    say(f"token {issued.id} of {account}, good until {issued.expires_at:%Y-%m-%d}; it is not shown again")


@app.command("list")
def list_(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """List the tokens, newest first."""
    from responder.tickets import api_tokens

    listing(
        config,
        as_json,
        api_tokens.listed,
        ["token", "account", "role", "program", "expires", "last used", "revoked"],
        lambda row: [
            str(row.id),
            row.account,
            row.role.value,
            row.name,
            *(
                f"{at:%Y-%m-%d %H:%M}" if at else "-"
                for at in (row.expires_at, row.last_used_at, row.revoked_at)
            ),
        ],
    )


@app.command()
def revoke(
    token: Annotated[int, typer.Argument(metavar="TOKEN", help="The token's number, from `list`.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """End a token at once."""
    from responder.tickets import api_tokens

    with database(settings(config)) as store, store.begin() as connection:
        api_tokens.revoke(connection, token, actor(), now())
    say(f"token {token}: revoked")
