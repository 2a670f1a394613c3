"""Commands that show how the helpdesk is doing and how far each topic is from answering by itself."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
from responder.errors import ConfigError

if TYPE_CHECKING:
    from responder.config import Settings
    from responder.upkeep.reports import Report, Speed

LONGEST_DAYS = 366

MailboxOption = Annotated[str, typer.Option(help="Only this mailbox.")]


def add_to(app: typer.Typer) -> None:
    for function in (report, topics):
        app.command()(function)


def report(
    config: ConfigOption = DEFAULT_CONFIG,
    days: Annotated[int, typer.Option(min=1, max=LONGEST_DAYS, help="How many days, today included.")] = 30,
    mailbox: MailboxOption = "",
    csv: Annotated[Path | None, typer.Option(help="Write every figure to this file, - for stdout.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show mails, who answered them and how fast, how right each topic is, and what waits."""
    from responder.upkeep import reports

    options = settings(config)
    _served(options, mailbox)
    with database(options) as store, store.read() as connection:
        made = reports.make(connection, options.service, now(), days, mailbox)
    if csv is not None:
        _write(csv, reports.as_csv(made))
    elif as_json:
        say_json(asdict(made))
    else:
        _show(made)


def topics(
    config: ConfigOption = DEFAULT_CONFIG, mailbox: MailboxOption = "", as_json: JsonOption = False
) -> None:
    """Show each topic's level and how far it is from answering by itself."""
    from responder.pipeline.office import offices
    from responder.upkeep import autonomy

    options = settings(config)
    served = offices(options, signing=False)
    at = now()
    with database(options) as store, store.read() as connection:
        found = [
            autonomy.standing(connection, name, slug, options.policy, at)
            for name in _served(options, mailbox)
            for slug in served[name].topics
        ]
    if as_json:
        for one in found:
            say_json({**asdict(one), "proved": one.proof.holds})
        return
    rows = [
        [
            one.mailbox,
            one.slug,
            one.level,
            f"{one.proof.have} of {one.proof.need}",
            str(one.proof.errors),
            f"{one.proof.bound:.1%}",
            str(one.answers.sent),
            str(one.answers.bounced),
            str(one.answers.repeated),
        ]
        for one in found
    ]
    heads = ["mailbox", "topic", "level", "verdicts", "errors", "error at most", "automatic", "bounced"]
    table([*heads, "asked again"], rows)
    say(f"automatic from {options.policy.target_error:.1%} on; a senior then sets it with `responder level`")


def _served(options: Settings, mailbox: str) -> list[str]:
    if mailbox and mailbox not in options.mailboxes:
        names = ", ".join(options.mailboxes)
        raise ConfigError(f"--mailbox {mailbox}: there is no such mailbox; there are {names}")
    return [mailbox] if mailbox else list(options.mailboxes)


def _write(path: Path, text: str) -> None:
    if str(path) == "-":
        say(text.rstrip("\n"))
        return
    try:
        # With a byte order mark: without one Excel takes UTF-8 for the code page of the machine.
        path.write_text(text, encoding="utf-8-sig", newline="")
    except OSError as error:
        raise ConfigError(f"--csv {path}: {error.strerror}") from error
    say(f"{path}: written")


def _show(made: Report) -> None:
    say(f"{made.since} to {made.until}: {made.mails} mails, {sum(made.answered.values())} conversations")
    rows = [[kind.value, str(count), _percent(made.share(kind))] for kind, count in made.answered.items()]
    table(["answered", "conversations", ""], rows)
    say(
        f"hours of service to the first answer: {_speed(made.speed)}; by people {_speed(made.speed_of_people)}"
    )
    table(
        ["topic", "mails", "decided", "wrong", "precision", "at least", "reworded"],
        [
            [
                one.slug,
                str(one.mails),
                str(one.decided),
                str(one.wrong),
                _percent(one.precision),
                _percent(one.precision_at_least),
                str(one.edited),
            ]
            for one in made.topics
        ],
    )
    for waiting in made.backlog:
        ages = "/".join(str(count) for count in waiting.ages)
        say(
            f"{waiting.status.value}: {waiting.count}, the oldest for {waiting.oldest_hours:.1f} hours of service; "
            f"up to 1/3/7 days and older: {ages}"
        )


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _speed(speed: Speed) -> str:
    if speed.median is None or speed.ninety_percent is None:
        return "no answers"
    return (
        f"median {speed.median:.1f}, nine of ten within {speed.ninety_percent:.1f} ({speed.answers} answers)"
    )
