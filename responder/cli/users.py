"""Commands for accounts of staff, and for serving their pages alone."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

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
from responder.errors import ConfigError

if TYPE_CHECKING:
    from responder.tickets.models_staff import Role

app = typer.Typer(help="Accounts of staff for the pages.", no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The account's log-in name.")]
FromStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input, for programs.")
]


@app.command()
def add(
    name: Name,
    config: ConfigOption = DEFAULT_CONFIG,
    role: Annotated[str, typer.Option(help="petugas, senior or admin.")] = "petugas",
    full_name: Annotated[str, typer.Option(help="As colleagues read it.")] = "",
    language: Annotated[str, typer.Option(help="Of the pages: id or en.")] = "id",
    password_stdin: FromStdin = False,
) -> None:
    """Make an account; the password is asked for."""
    from responder.tickets import accounts

    given = _role(role)
    if language not in accounts.LANGUAGES:
        raise ConfigError(f"--language {language}: one of {', '.join(accounts.LANGUAGES)}")
    options = settings(config)
    password = _password(from_stdin=password_stdin)
    with database(options) as store, store.begin() as connection:
        accounts.add(
            connection, name, given, password, actor(), now(), full_name=full_name, language=language
        )
    say(f"account {name}: made, role {given.value}")


@app.command()
def passwd(name: Name, config: ConfigOption = DEFAULT_CONFIG, password_stdin: FromStdin = False) -> None:
    """Give an account another password; it is logged out everywhere."""
    from responder.tickets import accounts

    options = settings(config)
    password = _password(from_stdin=password_stdin)
    with database(options) as store, store.begin() as connection:
        accounts.set_password(connection, name, password, actor(), now())
    say(f"account {name}: password set, logged out everywhere")


@app.command("list")
def list_(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """List the accounts."""
    from responder.tickets import accounts

    listing(
        config,
        as_json,
        accounts.listed,
        ["account", "name", "role", "language", "active"],
        lambda row: [row.name, row.full_name, row.role.value, row.language, "yes" if row.active else "no"],
    )


@app.command()
def disable(name: Name, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Switch an account off; it is logged out everywhere. It is never deleted: events name it."""
    from responder.tickets import accounts

    with database(settings(config)) as store, store.begin() as connection:
        accounts.set_active(connection, name, False, actor(), now())
    say(f"account {name}: switched off")


@app.command()
def enable(name: Name, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Switch an account on again."""
    from responder.tickets import accounts

    with database(settings(config)) as store, store.begin() as connection:
        accounts.set_active(connection, name, True, actor(), now())
    say(f"account {name}: switched on")


@app.command()
def role(
    name: Name,
    to: Annotated[str, typer.Argument(metavar="ROLE", help="petugas, senior or admin.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Give an account another role."""
    from responder.tickets import accounts

    given = _role(to)
    with database(settings(config)) as store, store.begin() as connection:
        accounts.set_role(connection, name, given, actor(), now())
    say(f"account {name}: role {given.value}")


def web(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Serve the staff pages alone, until SIGTERM or Ctrl-C; `run` serves them beside the rounds."""
    from responder.daemon.signals import ENDING, listen
    from responder.logs import configure
    from responder.memory import share_arenas
    from responder.web.server import serve_in_thread

    share_arenas()
    options = settings(config)
    configure(options.logging)
    stop = listen(*ENDING)
    with database(options) as store:
        pages = serve_in_thread(options, store, now)
        say(f"pages: {options.web.base_url or pages.address}/")
        sys.stdout.flush()
        stop.wait()
        pages.stop()


def _role(name: str) -> Role:
    from responder.tickets.models_staff import Role

    try:
        return Role(name)
    except ValueError:
        raise ConfigError(f"role {name!r}: one of {', '.join(Role)}") from None


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    given: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return given
