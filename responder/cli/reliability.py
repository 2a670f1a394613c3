"""Commands that show that nothing was lost and nothing sent twice."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import typer

from responder.cli.common import (
    DEFAULT_CONFIG,
    ConfigOption,
    JsonOption,
    database,
    now,
    say,
    say_json,
    settings,
    table,
)

if TYPE_CHECKING:
    from responder.pipeline.reconcile import Comparison, UidState

DIFFERENT = 1
"""Exit code of both commands when something is not as it should be."""


def add_to(app: typer.Typer) -> None:
    for function in (reconcile, prove):
        app.command()(function)


def reconcile(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Compare every mail on the server with the ledger; exit 1 when a UID is missing, changed or unfinished."""
    from responder.mail.imap import ImapSession
    from responder.pipeline.reconcile import compare

    options = settings(config)
    different = False
    with database(options) as store:
        for name, mailbox in options.mailboxes.items():
            inbox, password = mailbox.folders.inbox, mailbox.imap.password()
            listed: list[UidState] = []
            tell = partial(_say_state, name, inbox) if as_json else listed.append
            with ImapSession.connect(mailbox.imap, password=password, folders=mailbox.folders) as session:
                comparison = compare(session, store, name, inbox, now(), tell)
            _show(comparison, listed, as_json)
            different |= bool(comparison.differences)
    if different:
        raise typer.Exit(DIFFERENT)


def prove(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """List every mail with the replies that left, and check the records; exit 1 when they contradict themselves."""
    from responder.tickets import proof

    with database(settings(config)) as store, store.read() as connection:
        pairs = list(proof.pairs(connection))
        problems = proof.problems(connection)
    if as_json:
        for pair in pairs:
            say_json(
                {
                    "message": pair.message_id,
                    "mailbox": pair.mailbox,
                    "from": pair.sender,
                    "subject": pair.subject,
                    "state": pair.state,
                    "ticket": pair.ticket_id,
                    "replies": [
                        {
                            "reply": reply.reply_id,
                            "status": reply.status,
                            "kind": reply.kind,
                            "automatic": reply.automatic,
                            "to": reply.recipient,
                            "message_id": reply.header_id,
                        }
                        for reply in pair.replies
                    ],
                }
            )
        say_json(
            {"mails": len(pairs), "replies": sum(len(pair.replies) for pair in pairs), "problems": problems}
        )
    else:
        table(
            ["message", "from", "subject", "state", "ticket", "replies"],
            [
                [
                    str(pair.message_id),
                    pair.sender,
                    pair.subject[:50],
                    pair.state,
                    str(pair.ticket_id or "-"),
                    "; ".join(
                        f"{reply.status} {reply.kind}{' (automatic)' if reply.automatic else ''} to {reply.recipient}"
                        for reply in pair.replies
                    )
                    or "-",
                ]
                for pair in pairs
            ],
        )
        for problem in problems:
            say(f"PROBLEM: {problem}")
        replies = sum(len(pair.replies) for pair in pairs)
        say(f"{len(pairs)} mails, {replies} replies left or may have, {len(problems)} problems")
    if problems:
        raise typer.Exit(DIFFERENT)


def _say_state(mailbox: str, folder: str, one: UidState) -> None:
    say_json(
        {
            "mailbox": mailbox,
            "folder": folder,
            "uidvalidity": one.uidvalidity,
            "uid": one.uid,
            "state": one.state,
            "on_server": one.on_server,
            "ticket": one.ticket_id,
            "reason": one.reason,
            "differs": one.differs,
        }
    )


def _show(comparison: Comparison, listed: Sequence[UidState], as_json: bool) -> None:
    counts = dict(sorted(comparison.counts.items()))
    if as_json:
        say_json({"mailbox": comparison.mailbox, "counts": counts, "differences": comparison.differences})
        return
    table(
        ["UID", "state", "on server", "ticket", "reason"],
        [
            [
                str(one.uid),
                one.state,
                "yes" if one.on_server else "no",
                str(one.ticket_id or "-"),
                one.reason[:100],
            ]
            for one in listed
        ],
    )
    for difference in comparison.differences:
        say(f"DIFFERENCE: {difference}")
    said = ", ".join(f"{number} {state}" for state, number in counts.items()) or "no mails"
    say(f"{comparison.mailbox}/{comparison.folder}: {said}; {len(comparison.differences)} differences")
