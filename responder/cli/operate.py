"""Commands for the operator: set up, check, arm, run."""

from __future__ import annotations

import signal
import threading
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
from responder.errors import ConfigError

if TYPE_CHECKING:
    from responder.pipeline.round import OfficeRound


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
    """Set whether a topic may answer by itself when everything else allows it."""
    from responder.pipeline.office import offices
    from responder.tickets import switches

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
        switches.set_level(connection, name, topic, to, actor(), now())
    say(f"{name}: {topic} is at {to}")


def poll(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Do one round of everything, for cron: fetch, draft, send what is approved, file."""
    from responder.logs import configure
    from responder.pipeline.round import Rounds

    options = settings(config)
    configure(options.logging)
    with database(options) as store, Rounds(options, store, now) as rounds:
        done = rounds.run()
    for one in done:
        _report(one, as_json)
    if errors := [one.error for one in done if one.error is not None]:
        raise errors[0]


def run(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Run as a daemon: rounds on the schedule until SIGTERM or Ctrl-C."""
    from responder.daemon import serve
    from responder.logs import configure

    options = settings(config)
    configure(options.logging)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with database(options) as store:
        serve(options, store, now, stop)


def _report(done: OfficeRound, as_json: bool) -> None:
    if as_json:
        say_json(
            {
                "mailbox": done.mailbox,
                "busy": done.busy,
                "new": done.intake.new,
                "handled": [
                    {
                        "message": one.message_id,
                        "ticket": one.ticket_id,
                        "from": one.sender,
                        "subject": one.subject,
                        "result": one.result,
                        "topics": list(one.topics),
                        "confidence": one.confidence,
                        "why": one.why,
                    }
                    for one in done.handled
                ],
                "sent": done.outbox.sent,
                "deferred": done.outbox.retry,
                "failed": done.outbox.failed,
                "uncertain": done.outbox.uncertain,
                "filed": done.filing.filed,
                "drafts": done.filing.drafts_placed,
                "error": str(done.error) if done.error else None,
            }
        )
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
