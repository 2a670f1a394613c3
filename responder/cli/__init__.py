"""The command line. `responder --help` lists the commands; docs/commands.md lists the exit codes.

Modules are imported inside the commands that need them: a cron line pays only for what it uses.
"""

from __future__ import annotations

import sys

import typer

from responder.cli import (
    address,
    content,
    learning,
    login,
    mails,
    operate,
    quarantine,
    reliability,
    reports,
    staff,
    status,
    tokens,
    upkeep,
    users,
)
from responder.errors import ResponderError

app = typer.Typer(
    help="Email ticket auto-responder for an LPSE helpdesk.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
operate.add_to(app)
login.add_to(app)
staff.add_to(app)
mails.add_to(app)
learning.add_to(app)
reliability.add_to(app)
reports.add_to(app)
status.add_to(app)
upkeep.add_to(app)
app.add_typer(content.app, name="content")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(address.app, name="address")
app.add_typer(users.app, name="user")
app.add_typer(tokens.app, name="token")
app.command()(users.web)


def main() -> None:
    """Run the command line; every error of ours is one line on stderr and an exit code (errors.py)."""
    try:
        app()
    except ResponderError as error:
        for line in str(error).splitlines():
            sys.stderr.write(f"responder: {line}\n")
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader of our output left (`responder tickets | head`); there is nobody to tell.
        sys.stderr.close()
        sys.exit(0)
