"""Commands for staff: see tickets and decide about drafts."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
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
    say_json,
    settings,
)
from responder.errors import Refused

if TYPE_CHECKING:
    from typing import Any

    from sqlalchemy import Connection, Row

    from responder.config import Settings
    from responder.pipeline.office import Office

Ticket = Annotated[int, typer.Argument(metavar="TICKET", help="The ticket's number.")]


def add_to(app: typer.Typer) -> None:
    commands: dict[str, Callable[..., None]] = {
        "tickets": tickets,
        "show": show,
        "approve": approve,
        "edit": edit,
        "retopic": retopic,
        "reject": reject,
        "close": close,
        "undo": undo,
        "send-again": send_again,
    }
    for name, function in commands.items():
        app.command(name)(function)


def tickets(
    config: ConfigOption = DEFAULT_CONFIG,
    status: Annotated[
        str, typer.Option(help="needs_approval, needs_staff, answered, closed, or all open.")
    ] = "open",
    limit: Annotated[int, typer.Option(min=1)] = 50,
    as_json: JsonOption = False,
) -> None:
    """List tickets, oldest first."""
    from responder.tickets import queues

    listing(
        config,
        as_json,
        lambda connection: queues.tickets(connection, status, limit),
        ["ticket", "status", "from", "subject", "topics", "why"],
        lambda row: [
            str(row.id),
            row.status.value,
            row.vendor_address,
            row.subject[:60],
            ", ".join(row.topics),
            row.reason[:120],
        ],
    )


def show(ticket: Ticket, config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Show a ticket: the vendor's mails, every reply and its state, the events."""
    from responder.tickets import lifecycle, queues

    with database(settings(config)) as store, store.read() as connection:
        row = lifecycle.ticket(connection, ticket)
        if row is None:
            raise Refused(f"there is no ticket {ticket}")
        messages = lifecycle.messages(connection, ticket)
        replies = lifecycle.replies(connection, ticket)
        events = queues.events(connection, ticket)
    if as_json:
        say_json(
            {
                "ticket": dict(row._mapping),
                "messages": [dict(one._mapping) for one in messages],
                "replies": [
                    {key: value for key, value in one._mapping.items() if key != "data"} for one in replies
                ],
                "events": [dict(one._mapping) for one in events],
            }
        )
        return
    say(f"Ticket {row.id}  {row.status.value}  {row.vendor_name} <{row.vendor_address}>")
    if row.reason:
        say(f"Why: {row.reason}")
    for one in messages:
        say(
            f"\n--- mail {one.id}, {one.received_at:%Y-%m-%d %H:%M} UTC, screening {one.verdict}: {one.subject}"
        )
        if one.attachments:
            say(f"Attachments: {', '.join(one.attachments)}")
        say(one.text.rstrip())
    for one in replies:
        say(f"\n--- reply {one.id}, {one.kind.value}, {one.status.value}, to {one.recipient}: {one.subject}")
        say(f"Topics: {', '.join(one.topics) or '-'}   SHA-256: {one.sha256}")
        if one.outcome:
            say(f"Outcome: {one.outcome}")
        if one.undelivered:
            say(f"Undelivered: {one.undelivered}")
        say(one.text.rstrip())
    say("\n--- events")
    for event in events:
        say(f"{event.at:%Y-%m-%d %H:%M:%S} {event.actor}: {event.action} {event.detail or ''}")


def approve(
    ticket: Ticket,
    config: ConfigOption = DEFAULT_CONFIG,
    sha256: Annotated[
        str, typer.Option(help="SHA-256 of the text you saw (`show` prints it); without it you are asked.")
    ] = "",
    yes: Annotated[
        bool, typer.Option("--yes", help="Approve the text that is current, without asking.")
    ] = False,
) -> None:
    """Approve the waiting draft; it leaves after the undo window."""
    from responder.replies import approval

    options = settings(config)
    with database(options) as store:
        with store.read() as connection:
            draft = _draft(connection, ticket)
        if sha256 and not draft.sha256.startswith(sha256.lower()):
            raise Refused(
                f"ticket {ticket}: the draft is no longer the one with SHA-256 {sha256}; look at it again"
            )
        if not sha256 and not yes:
            say(f"To: {draft.recipient}\nSubject: {draft.subject}\n\n{draft.text}")
            if not typer.confirm("Approve this text?"):
                raise Refused("not approved")
        with store.begin() as connection:
            at = approval.approve(
                connection, draft.id, draft.sha256, actor(), now(), undo_seconds=options.policy.undo_seconds
            )
    say(f"ticket {ticket}: approved; leaves after {at:%H:%M:%S} UTC (`responder undo {ticket}` until then)")


def edit(
    ticket: Ticket,
    config: ConfigOption = DEFAULT_CONFIG,
    file: Annotated[
        Path | None, typer.Option("--file", help="Take the text from this file, - for stdin.")
    ] = None,
) -> None:
    """Change the draft's text (or write an answer) in $EDITOR; it then waits for approval."""
    from responder.pipeline import editing

    options = settings(config)
    with database(options) as store:
        with store.read() as connection:
            office = _office(connection, options, ticket)
            text = _current_text(connection, ticket)
        if file is None:
            text = _in_editor(text)
        else:
            text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
        with store.begin() as connection:
            editing.edit(connection, office, ticket, text, actor(), now())
    say(f"ticket {ticket}: the new text waits for approval (`responder approve {ticket}`)")


def retopic(
    ticket: Ticket,
    topics: Annotated[list[str], typer.Argument(metavar="TOPIC...", help="The topics to answer with.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Draft again with other topics; the draft then waits for approval."""
    from responder.pipeline import editing

    options = settings(config)
    with database(options) as store:
        with store.read() as connection:
            office = _office(connection, options, ticket)
        with store.begin() as connection:
            editing.retopic(connection, office, ticket, topics, actor(), now())
    say(
        f"ticket {ticket}: drafted with {', '.join(topics)}; waits for approval (`responder approve {ticket}`)"
    )


def reject(
    ticket: Ticket,
    config: ConfigOption = DEFAULT_CONFIG,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "",
) -> None:
    """Discard the waiting draft; a person must answer."""
    from responder.replies import approval

    with database(settings(config)) as store, store.begin() as connection:
        approval.reject(connection, ticket, actor(), now(), reason)
    say(f"ticket {ticket}: draft rejected; the ticket needs an answer by a person")


def close(
    ticket: Ticket,
    config: ConfigOption = DEFAULT_CONFIG,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "",
    mail: Annotated[
        int | None,
        typer.Option(help="The newest mail you saw (`show` prints its number); a newer one refuses."),
    ] = None,
) -> None:
    """Close a ticket without a further answer."""
    from responder.replies import approval

    with database(settings(config)) as store, store.begin() as connection:
        approval.close(connection, ticket, actor(), now(), reason, seen=mail)
    say(f"ticket {ticket}: closed")


def undo(ticket: Ticket, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Take back an approval while the reply has not begun to leave."""
    from responder.replies import approval
    from responder.tickets.status import ReplyStatus

    with database(settings(config)) as store, store.begin() as connection:
        approval.undo(connection, _newest(connection, ticket, {ReplyStatus.APPROVED}).id, actor(), now())
    say(f"ticket {ticket}: approval taken back; the draft waits again")


def send_again(
    ticket: Ticket,
    config: ConfigOption = DEFAULT_CONFIG,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Send the same bytes of an uncertain or failed reply once more."""
    from responder.replies import approval
    from responder.tickets.status import ReplyStatus

    with database(settings(config)) as store:
        with store.read() as connection:
            reply = _newest(connection, ticket, {ReplyStatus.UNCERTAIN, ReplyStatus.FAILED})
        if not yes and not typer.confirm(
            f"Reply {reply.id} to {reply.recipient} is {reply.status.value}: {reply.outcome}. Send it again?"
        ):
            raise Refused("not sent again")
        with store.begin() as connection:
            approval.send_again(connection, reply.id, actor(), now())
    say(f"ticket {ticket}: queued again")


def _draft(connection: Connection, ticket: int) -> Row[Any]:
    from responder.tickets import lifecycle

    draft = lifecycle.current_draft(connection, ticket)
    if draft is None:
        row = lifecycle.ticket(connection, ticket)
        if row is None:
            raise Refused(f"there is no ticket {ticket}")
        raise Refused(f"ticket {ticket} has no waiting draft; it is {row.status.value}")
    return draft


def _newest(connection: Connection, ticket: int, states: set[Any]) -> Row[Any]:
    from responder.tickets import lifecycle

    found = [row for row in lifecycle.replies(connection, ticket) if row.status in states]
    if not found:
        names = " or ".join(sorted(state.value for state in states))
        raise Refused(f"ticket {ticket} has no reply that is {names}")
    return found[-1]


def _office(connection: Connection, options: Settings, ticket: int) -> Office:
    from responder.pipeline.office import offices
    from responder.tickets import lifecycle

    row = lifecycle.ticket(connection, ticket)
    if row is None:
        raise Refused(f"there is no ticket {ticket}")
    try:
        return offices(options)[row.mailbox]
    except KeyError:
        raise Refused(
            f"ticket {ticket} belongs to mailbox {row.mailbox!r}, which config.toml no longer has"
        ) from None


def _current_text(connection: Connection, ticket: int) -> str:
    from responder.tickets import lifecycle

    draft = lifecycle.current_draft(connection, ticket)
    return draft.text if draft is not None else ""


def _in_editor(text: str) -> str:
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "balasan.txt"
        path.write_text(text, encoding="utf-8")
        try:
            subprocess.run([*shlex.split(editor), str(path)], check=True)  # noqa: S603 - the user's own editor
        except (OSError, subprocess.CalledProcessError) as error:
            raise Refused(f"the editor {editor!r} failed ({error}); nothing was changed") from error
        edited = path.read_text(encoding="utf-8")
    if edited == text:
        raise Refused("the text was not changed")
    return edited
