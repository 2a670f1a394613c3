"""How the service is, on one screen; and the alarms."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

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
from responder.errors import MailServerError

if TYPE_CHECKING:
    from responder.config import Settings
    from responder.tickets.database import Database
    from responder.upkeep.situation import Queue, Situation

TESTED = "Ini percobaan saluran alarm; tidak ada yang perlu dikerjakan."


def add_to(app: typer.Typer) -> None:
    for function in (status, alarms):
        app.command()(function)


def status(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Show how the service is: switches, mailboxes, queues, jobs, alarms, topics that answer by themselves, models."""
    from responder.upkeep.situation import observe

    options = settings(config)
    with database(options) as store:
        seen = observe(store, options, now())
        levels = _automatic(store, options)
    models = _models(options)
    if as_json:
        say_json(_as_json(seen, options, levels, models))
        return
    say(_switches(seen, options))
    table(["mailbox", "last good round", "failures", "error", "model"], _mailboxes(seen, models))
    table(["waiting", "count", "oldest"], _queues(seen))
    table(
        ["job", "last success", "failures", "error"],
        [
            [name, _ago(one.succeeded_at, seen.at), str(one.failures), one.error[:80]]
            for name, one in seen.jobs
        ],
    )
    if seen.alarms:
        table(["alarm", "since", "told", "what"], _alarm_rows(seen.alarms, seen.at))
    for mailbox, slugs in levels.items():
        say(f"{mailbox}: answers by itself: {', '.join(slugs) or 'nothing'}")


def alarms(
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
    test: Annotated[bool, typer.Option("--test", help="Send a test message to every channel.")] = False,
) -> None:
    """List the alarms that hold; with --test see whether every channel takes a message."""
    from responder.upkeep import alarms as records

    options = settings(config)
    if test:
        _test(options)
        return
    with database(options) as store, store.read() as connection:
        rows = records.active(connection)
    if as_json:
        for row in rows:
            say_json({"key": row.key, "text": row.text, "since": row.since, "told": row.told_at})
    elif rows:
        table(["alarm", "since", "told", "what"], _alarm_rows(rows, now()))
    else:
        say("no alarms")


def _test(options: Settings) -> None:
    """Raises MailServerError when a channel does not take the message."""
    from responder.upkeep import courier

    urls = courier.channels(options)
    if not urls:
        say("no channels: name a file with addresses as [alarms] urls_file")
        return
    refused = []
    for number, url in enumerate(urls, start=1):
        kind = f"channel {number} ({courier.scheme(url)})"
        taken = courier.deliver(url, f"[{courier.office_name(options)}] Percobaan alarm", TESTED)
        say(f"{kind}: {'taken' if taken else 'not taken'}")
        if not taken:
            refused.append(kind)
    if refused:
        raise MailServerError(f"{', '.join(refused)}: not taken; check address, password and network")


def _switches(seen: Situation, options: Settings) -> str:
    armed = "armed" if seen.arming.armed else "not armed: nothing is sent until `responder arm`"
    notes = [f"mode {options.policy.mode}, {armed}"]
    if seen.arming.breaker:
        notes.append(f"automatic sending is stopped: {seen.arming.breaker}")
    if seen.arming.hold:
        notes.append(f"held: {seen.arming.hold}")
    return "\n".join(notes)


def _mailboxes(seen: Situation, models: dict[str, str]) -> list[list[str]]:
    return [
        [
            one.name,
            _ago(one.last_good, seen.at),
            str(one.failures),
            "; ".join([one.error[:100], *one.differences]).strip("; "),
            models[one.name],
        ]
        for one in seen.mailboxes
    ]


def _queues(seen: Situation) -> list[list[str]]:
    named: dict[str, Queue] = {
        "for approval": seen.to_approve,
        "for an answer by staff": seen.to_answer,
        "approved, not sent": seen.unsent,
        "sent, not filed": seen.unfiled,
        "taken in, not handled": seen.unhandled,
        "in quarantine": seen.quarantined,
    }
    rows = [[name, str(queue.count), _ago(queue.oldest, seen.at)] for name, queue in named.items()]
    return [*rows, ["uncertain replies", str(seen.uncertain), ""], ["failed replies", str(seen.failed), ""]]


def _alarm_rows(rows: Any, at: datetime) -> list[list[str]]:
    return [[row.key, _ago(row.since, at), "yes" if row.told_at else "no", row.text] for row in rows]


def _automatic(store: Database, options: Settings) -> dict[str, list[str]]:
    """Mailbox → slugs of the topics at level automatic."""
    from responder.tickets import switches

    with store.read() as connection:
        return {
            name: sorted(
                slug
                for slug, level in switches.levels(connection, name).items()
                if level == switches.AUTOMATIC
            )
            for name in options.mailboxes
        }


def _models(options: Settings) -> dict[str, str]:
    """Mailbox → when its model was trained."""
    from datetime import UTC

    from responder.pipeline.office import offices

    found = {}
    for name, office in offices(options, signing=False).items():
        file = office.model_file
        made = datetime.fromtimestamp(file.stat().st_mtime, UTC) if file.exists() else None
        found[name] = made.strftime("%Y-%m-%d %H:%M UTC") if made else "none yet"
    return found


def _as_json(
    seen: Situation, options: Settings, levels: dict[str, list[str]], models: dict[str, str]
) -> dict[str, Any]:
    whole = asdict(seen)
    whole["alarms"] = [
        {"key": row.key, "text": row.text, "since": row.since, "told": row.told_at} for row in seen.alarms
    ]
    whole["jobs"] = {name: asdict(record) for name, record in seen.jobs}
    return whole | {"mode": options.policy.mode, "automatic": levels, "models": models}


def _ago(then: datetime | None, at: datetime) -> str:
    if then is None:
        return "-"
    seconds = max((at - then) // timedelta(seconds=1), 0)
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit} ago"
    return f"{seconds} s ago"
