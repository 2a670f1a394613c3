"""Commands for the operator: set up, check, arm, run."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from responder.cli.common import (
    DEFAULT_CONFIG,
    ConfigOption,
    JsonOption,
    actor,
    database,
    migrate,
    now,
    say,
    say_json,
    settings,
    table,
)
from responder.errors import ConfigError

if TYPE_CHECKING:
    import threading

    from responder.config import Settings
    from responder.daemon.notify import Notifier
    from responder.pipeline.round import OfficeRound
    from responder.tickets.database import Database

ALARM_PATIENCE = 30.0
"""Seconds that `poll` waits for the channels of alarms; the next call tries again."""

FIRST_DATABASE_WAIT, LONGEST_DATABASE_WAIT = 1.0, 30.0
"""Seconds between attempts of `run` to reach a database that is away."""

DATABASE_PATIENCE = 60.0
"""Seconds beyond the wait that an attempt itself may take, for systemd's time limit on starting."""


def add_to(app: typer.Typer) -> None:
    for function in (demo, init, check, arm, disarm, poll, run, level):
        app.command()(function)


def demo(
    once: Annotated[bool, typer.Option("--once", help="One pass, then end.")] = False,
    mails: Annotated[Path | None, typer.Option(help="Deliver the .eml files of this folder instead.")] = None,
) -> None:
    """Run the whole service against a mail server of its own on this machine."""
    from responder.demo import run_demo

    run_demo(once=once, mails=mails)


def init(
    directory: Annotated[Path, typer.Argument(help="The directory to make ready; it may exist.")] = Path(),
) -> None:
    """Write a starter directory: config.toml, content/, templates/ and the secret key. Nothing is overwritten."""
    from responder.starter import make_starter

    for line in make_starter(directory):
        say(line)


def check(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Check configuration, content, templates, log-ins and folders; say what to do about each failure."""
    from responder.doctor import examine

    findings = examine(config, now())
    if as_json:
        for finding in findings:
            say_json({"check": finding.check, "state": finding.state, "message": finding.message})
    else:
        table(["check", "", "what"], [[f.check, f.state, f.message] for f in findings])
    if any(finding.state == "failed" for finding in findings):
        raise typer.Exit(1)


def arm(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Allow sending from now on. Mail received before is never answered automatically."""
    from responder.tickets import switches

    with database(settings(config)) as store, store.begin() as connection:
        switches.arm(connection, actor(), now())
    say("armed: approved replies leave; automatic ones only for mail received from now on")


def disarm(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Stop every send at once, approved replies too."""
    from responder.tickets import switches

    with database(settings(config)) as store, store.begin() as connection:
        switches.disarm(connection, actor(), now())
    say("disarmed: nothing leaves until `responder arm`")


def level(
    topic: Annotated[str, typer.Argument(help="The topic's folder name.")],
    to: Annotated[str, typer.Argument(metavar="LEVEL", help="review or automatic.")],
    config: ConfigOption = DEFAULT_CONFIG,
    mailbox: Annotated[str, typer.Option(help="Which mailbox; needed when there are several.")] = "",
) -> None:
    """Set whether a topic may answer by itself; `automatic` has to be proved by staff's verdicts (`topics`)."""
    from responder.pipeline.office import offices
    from responder.tickets import switches
    from responder.upkeep import autonomy

    options = settings(config)
    served = offices(options)
    if not mailbox and len(served) > 1:
        raise ConfigError(f"--mailbox: which one? {', '.join(served)}")
    name = mailbox or next(iter(served))
    if name not in served:
        raise ConfigError(f"--mailbox {name}: there is no such mailbox; there are {', '.join(served)}")
    if topic not in served[name].topics:
        raise ConfigError(f"there is no topic {topic!r}; there are {', '.join(served[name].topics)}")
    if to not in {switches.REVIEW, switches.AUTOMATIC}:
        raise ConfigError(f"level {to!r}: use {switches.REVIEW} or {switches.AUTOMATIC}")
    with database(options) as store, store.begin() as connection:
        autonomy.set_level(connection, name, topic, to, options.policy, actor(), now())
    say(f"{name}: {topic} is at {to}")


def poll(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Do one round of everything, for cron: fetch, draft, send what is approved, file, and the jobs that are due."""
    from responder.logs import configure
    from responder.pipeline.round import Rounds
    from responder.upkeep import courier, polls
    from responder.upkeep.jobs import TABLE, Runner

    options = settings(config)
    configure(options.logging)
    with database(options) as store:
        began = now()
        with Rounds(options, store, now) as rounds:
            done = rounds.run()
            for one in done:
                if not one.busy:
                    polls.note(store, rounds.node, began, one, now)
            Runner(options, store, now, rounds.node).run_due(TABLE)
            courier.tell_once(options, store, now, rounds.node, ALARM_PATIENCE)
    for one in done:
        _report(one, as_json)
    if problems := [one.problem for one in done if one.problem is not None]:
        raise problems[0]


def run(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Run as a daemon until SIGTERM or Ctrl-C; SIGHUP reads configuration and content again."""
    from responder.daemon import Service
    from responder.daemon.notify import Notifier
    from responder.daemon.signals import ENDING, listen
    from responder.logs import configure
    from responder.memory import share_arenas

    share_arenas()
    options = settings(config)
    configure(options.logging)
    stop, reload = listen(*ENDING), listen(signal.SIGHUP)
    notifier = Notifier()
    store = _database_when_it_is_there(options, notifier, stop)
    if store is None:
        return
    service = Service(options, store, now, config=config, notifier=notifier)
    if not service.run(stop, reload):
        # A thread still waits for a server or a job. Every step of theirs can be done again, as after a kill.
        sys.stderr.flush()
        os._exit(0)
    store.close()


def _database_when_it_is_there(
    options: Settings, notifier: Notifier, stop: threading.Event
) -> Database | None:
    """The migrated database, waited for while its server is away; None when asked to stop meanwhile.

    Raises StoreError for what waiting does not mend: a database of a newer version.
    """
    import structlog
    from sqlalchemy.exc import OperationalError

    from responder.errors import StoreError
    from responder.tickets.database import Database

    log = structlog.get_logger("responder.daemon")
    store = Database(options.database.url)
    wait = FIRST_DATABASE_WAIT
    while not stop.is_set():
        try:
            migrate(options, store)
        except StoreError as error:
            if not isinstance(error.__cause__, OperationalError):
                raise
            log.error("waiting for the database", error=str(error), seconds=wait)
            notifier.status(f"waiting for the database: {error}")
            notifier.more_time(wait + DATABASE_PATIENCE)
            stop.wait(wait)
            wait = min(wait * 2, LONGEST_DATABASE_WAIT)
        else:
            return store
    store.close()
    return None


def _report_json(done: OfficeRound) -> None:
    """One line, written mail by mail: the first round after a long absence may have handled tens of thousands."""
    whole = json.dumps(
        {
            "mailbox": done.mailbox,
            "busy": done.busy,
            "new": done.intake.new,
            "sent": done.outbox.sent,
            "deferred": done.outbox.retry,
            "failed": done.outbox.failed,
            "uncertain": done.outbox.uncertain,
            "filed": done.filing.filed,
            "drafts": done.filing.drafts_placed,
            "error": str(done.problem) if done.problem else None,
        },
        ensure_ascii=False,
    )
    sys.stdout.write(f'{whole[:-1]}, "handled": [')
    for number, one in enumerate(done.handled):
        mail = {
            "message": one.message_id,
            "ticket": one.ticket_id,
            "from": one.sender,
            "subject": one.subject,
            "result": one.result,
            "topics": list(one.topics),
            "confidence": one.confidence,
            "why": one.why,
        }
        sys.stdout.write((", " if number else "") + json.dumps(mail, ensure_ascii=False))
    sys.stdout.write("]}\n")


def _report(done: OfficeRound, as_json: bool) -> None:
    if as_json:
        _report_json(done)
        return
    if done.busy:
        say(f"{done.mailbox}: busy, another process works on it")
        return
    if done.handled:
        table(
            ["ticket", "from", "subject", "result", "topics", "sure", "why"],
            [
                [
                    str(one.ticket_id or "-"),
                    one.sender,
                    one.subject[:50],
                    one.result,
                    ", ".join(one.topics) or "-",
                    "-" if one.confidence is None else f"{one.confidence:.0%}",
                    one.why[:100],
                ]
                for one in done.handled
            ],
        )
    out = done.outbox
    say(
        f"{done.mailbox}: {done.intake.new} new, {len(done.handled)} handled, {out.sent} sent, {out.retry} deferred, "
        f"{out.failed} failed, {out.uncertain} uncertain, {done.filing.filed} filed, "
        f"{done.filing.drafts_placed} drafts placed"
    )
