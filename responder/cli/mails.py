"""Commands that judge mails and texts without a mailbox: inspect, classify, eval."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from responder.cli.common import DEFAULT_CONFIG, ConfigOption, JsonOption, now, say, say_json, settings
from responder.errors import ConfigError, ModelError, ResponderError
from responder.paths import shipped

if TYPE_CHECKING:
    from responder.classifier.decision import Classifier

ModelOption = Annotated[
    Path | None,
    typer.Option("--content", help="Decide by this content's examples and words; no mailbox is touched."),
]


def add_to(app: typer.Typer) -> None:
    commands: dict[str, Callable[..., None]] = {
        "inspect": inspect,
        "classify": classify,
        "eval": evaluate,
    }
    for name, function in commands.items():
        app.command(name)(function)


def inspect(
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH...", help=".eml, directory, mbox, or - for stdin.")
    ],
    config: ConfigOption = DEFAULT_CONFIG,
    trust: Annotated[
        bool,
        typer.Option("--trust", help="Take rules 10 (addressed to us), 14 (authenticated), 16 (age) as met."),
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Also show the words that decided and the nearest examples.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what the machine sees in mails, and why it would or would not answer."""
    from responder.inspection import Inspector

    with Inspector(
        _live_setting(config, trust), lambda: _classifier(config, None), explain=explain
    ) as inspector:
        for row in inspector.inspect([Path(path) if path != "-" else None for path in paths]):
            if as_json:
                say_json(row.as_json())
            else:
                say(row.as_text())


def classify(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="JSON lines with subject and body; - for stdin.")
    ],
    config: ConfigOption = DEFAULT_CONFIG,
    content: ModelOption = None,
) -> None:
    """Decide on the topics of each JSON line; one JSON line out for each in, in order."""
    model = _classifier(config, content)
    with _open(file) as lines:
        for batch in _batches(lines, 256):
            rows = [_json_row(line, number) for number, line in batch]
            decisions = model.classify(
                [(str(row.get("subject") or ""), str(row.get("body") or "")) for row in rows]
            )
            for row, decision in zip(rows, decisions, strict=True):
                say_json(
                    {
                        "id": row.get("id"),
                        "decision": decision.outcome.value,
                        "topics": list(decision.topics),
                        "confidence": {slug: round(p, 4) for slug, p in decision.confidence.items()},
                        "reason": decision.reason,
                        "explanation": decision.explanation,
                    }
                )


def evaluate(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="JSON lines with subject, body, gold, also_ok, style.")
    ],
    config: ConfigOption = DEFAULT_CONFIG,
    content: ModelOption = None,
    plots: Annotated[Path | None, typer.Option(help="Write the charts as PNG into this directory.")] = None,
) -> None:
    """Measure the classifier on labelled mails: precision, coverage, leak, confusion, reliability."""
    from responder.classifier import evaluate as evaluation

    with _open(file) as lines:
        rows = [_json_row(line, number) for number, line in enumerate(lines, start=1) if line.strip()]
    report = evaluation.evaluate(_classifier(config, content), rows)
    say(report.text())
    if plots is not None:
        for path in evaluation.plots(report, plots):
            say(f"wrote {path}")


def _classifier(config: Path, content: Path | None) -> Classifier:
    """The model that decides in the first mailbox; of other `content`, or without one stored, a model made for now.

    Only `train` and the service store the model of a mailbox: they know the verdicts of staff.
    """
    from responder.classifier.cache import cached

    if content is not None:
        return cached(content)
    if not config.exists() and config == DEFAULT_CONFIG:
        return cached(shipped("content"))
    from responder.classifier.model import load
    from responder.pipeline.office import offices

    options = settings(config)
    office = next(iter(offices(options, signing=False).values()))
    try:
        return load(office.model_file, office.config.content)
    except ModelError:
        return cached(office.config.content, options.policy.target_error)


def _live_setting(config: Path, trust: bool) -> Any:
    from responder.mail.message import Setting

    if not config.exists() and config == DEFAULT_CONFIG:
        return Setting(now=now(), trust=trust)
    options = settings(config)
    mailbox = next(iter(options.mailboxes.values()))
    return Setting(
        own_addresses=options.own_addresses,
        authserv_id=mailbox.authserv_id,
        now=now(),
        max_age_hours=options.policy.max_age_hours,
        own_token=_key_if_any(options.state.secret_key_file),
        trust=trust,
    )


def _key_if_any(path: Path) -> bytes | None:
    """The secret key, when this user may read it: only own mail is then recognised by its MAC."""
    from responder.pipeline.office import read_key

    try:
        return read_key(path)
    except ConfigError:
        return None


def _open(file: str) -> Any:
    if file == "-":
        from contextlib import nullcontext

        return nullcontext(sys.stdin)
    try:
        return Path(file).open(encoding="utf-8")
    except OSError as error:
        raise ResponderError(f"{file}: {error.strerror}") from error


def _batches(lines: Iterator[str], size: int) -> Iterator[list[tuple[int, str]]]:
    batch: list[tuple[int, str]] = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            batch.append((number, line))
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _json_row(line: str, number: int) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise ResponderError(f"line {number} is not JSON: {error}") from error
    if not isinstance(row, dict):
        raise ResponderError(f"line {number} is not a JSON object")
    return row
