"""`responder content`: check, preview and confirm what vendors are told."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from responder.cli.common import (
    DEFAULT_CONFIG,
    ConfigOption,
    JsonOption,
    actor,
    now,
    say,
    say_json,
    settings,
)
from responder.errors import ConfigError
from responder.paths import shipped

if TYPE_CHECKING:
    from responder.config import Settings
    from responder.pipeline.office import Office

app = typer.Typer(
    help="What vendors are told: the topic folders.", no_args_is_help=True, rich_markup_mode=None
)

Directory = Annotated[
    Path | None,
    typer.Option("--content", help="A content directory; default: the one of config.toml, or the shipped."),
]


@app.command()
def lint(
    config: ConfigOption = DEFAULT_CONFIG, content: Directory = None, as_json: JsonOption = False
) -> None:
    """Check every topic folder and word list; each finding names file and line."""
    from responder.classifier import words
    from responder.knowledge.finding import Finding, Severity
    from responder.knowledge.lint import lint as lint_topics

    errors = 0
    for directory in _directories(config, content):
        findings = lint_topics(directory, _today(config))
        findings += [
            Finding(found.file, found.line, Severity.ERROR, found.message) for found in words.lint(directory)
        ]
        for found in findings:
            errors += found.severity is Severity.ERROR
            if as_json:
                say_json(
                    {
                        "file": str(found.file),
                        "line": found.line,
                        "severity": found.severity.value,
                        "message": found.message,
                    }
                )
            else:
                say(f"{found.severity.value}: {found}")
        if not as_json:
            say(f"{directory}: {len(findings)} findings")
    if errors:
        raise typer.Exit(3)


@app.command()
def preview(
    slug: Annotated[str, typer.Argument(help="The topic's folder name.")],
    config: ConfigOption = DEFAULT_CONFIG,
    html: Annotated[bool, typer.Option("--html", help="The HTML part instead of the text.")] = False,
) -> None:
    """Print the reply that a vendor would get for a topic."""
    options = settings(config)
    served = _offices(options)
    office = next((one for one in served if slug in one.topics), None)
    if office is None:
        known = ", ".join(served[0].topics)
        raise ConfigError(f"there is no topic {slug!r}; there are {known}")
    rendered = office.renderer.preview(office.topics[slug], office.text, _today(config))
    say(rendered.html if html else rendered.text)


@app.command()
def confirm(
    slug: Annotated[str, typer.Argument(help="The topic's folder name.")],
    fact: Annotated[str, typer.Argument(help="The fact's key, as `content lint` prints it.")],
    value: Annotated[
        str | None, typer.Option(help="The true text; without it the reading in answer.md is confirmed.")
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Settle an unconfirmed fact; drafts made from then on carry it."""
    from responder.knowledge.confirm import confirm as settle

    for directory in _directories(config, None):
        settle(directory, slug, fact, value, actor(), _today(config))
        say(f"{directory / slug}: {fact} is confirmed")


@app.command("import")
def import_table(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The office's table, .xlsx or .csv.")],
    config: ConfigOption = DEFAULT_CONFIG,
    content: Directory = None,
    into: Annotated[
        Path | None, typer.Option(help="Write topic folders here; without it nothing is written.")
    ] = None,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Replace an answer.md that exists; the old one is kept beside it."),
    ] = False,
    sheet: Annotated[str, typer.Option(help="The sheet; default: the first with the table's headings.")] = "",
    owner: Annotated[str, typer.Option(help="Who answers for the content.")] = "Pemilik konten",
) -> None:
    """Read the office's table, show what differs, and write topic folders with everything uncertain marked."""
    from responder.knowledge import importing, table
    from responder.knowledge.load import load_topics

    rows = table.read(file, sheet)
    topics = load_topics(_directories(config, content)[0])
    proposals = importing.propose(rows, topics, owner, file.name, _today(config))
    for one in proposals:
        say(f"\n{one.row.line}: {one.row.title} -> {one.slug} ({one.state.value})")
        for line in one.difference:
            say(f"    {line}")
        for line in one.uncertain:
            say(f"  ? {line}")
    if into is None:
        say("\nNothing was written. `--into DIR` writes the new and changed topics there.")
        return
    for path in importing.write(proposals, into, replace=replace):
        say(f"written: {path}")
    say(
        "Next: read every file, confirm each fact, write examples.txt for new topics, then `responder content lint`."
    )


def _offices(options: Settings) -> list[Office]:
    from responder.pipeline.office import offices

    return list(offices(options, signing=False).values())


def _directories(config: Path, content: Path | None) -> list[Path]:
    if content is not None:
        return [content]
    if not config.exists() and config == DEFAULT_CONFIG:
        return [shipped("content")]
    return list(dict.fromkeys(mailbox.content for mailbox in settings(config).mailboxes.values()))


def _today(config: Path) -> date:
    if not config.exists():
        return now().date()
    return now().astimezone(settings(config).service.zone).date()
