"""Commands about what the classifier learned: train, replay, explain."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from responder.cli.common import DEFAULT_CONFIG, ConfigOption, database, now, say, settings
from responder.errors import ModelError, Refused
from responder.paths import shipped

if TYPE_CHECKING:
    from responder.classifier.model import Model

ContentOption = Annotated[
    Path | None, typer.Option("--content", help="Train on this content only, and store nothing.")
]


def add_to(app: typer.Typer) -> None:
    for function in (train, replay, explain):
        app.command()(function)


def train(config: ConfigOption = DEFAULT_CONFIG, content: ContentOption = None) -> None:
    """Train on content/ and the verdicts of staff; print the threshold and what it was proven on."""
    if content is None and not config.exists() and config == DEFAULT_CONFIG:
        content = shipped("content")
    if content is not None:
        from responder.classifier.train import train as train_model

        say(train_model(content).summary())
        return
    from responder.pipeline import learning
    from responder.pipeline.office import offices

    options = settings(config)
    with database(options) as store:
        for name, office in offices(options, learning.source(store, now), signing=False).items():
            say(f"{name}: {len(office.labelled())} verdicts of staff")
            say(office.train().summary())


def replay(
    config: ConfigOption = DEFAULT_CONFIG,
    content: Annotated[Path | None, typer.Option("--content", help="Other content to try.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many of the newest mails.")] = 2000,
) -> None:
    """Show what would be decided differently on past mail with a model trained anew; changes nothing.

    `!` marks what would then be answered automatically and was not before, or with other topics.
    """
    from responder.classifier.model import load
    from responder.classifier.replay import compare
    from responder.classifier.train import train as train_model
    from responder.pipeline import learning
    from responder.pipeline.office import offices

    options = settings(config)
    with database(options) as store:
        for name, office in offices(options, learning.source(store, now), signing=False).items():
            with store.read() as connection:
                mails = learning.past_mails(connection, name, limit)
            try:
                current: Model = load(office.model_file, office.config.content)
            except ModelError as error:
                raise ModelError(
                    f"{name}: there is no current model to compare with ({error}); run `responder train`"
                ) from error
            tried = train_model(
                content or office.config.content, office.labelled(), options.policy.target_error
            )
            say(f"{name}: {compare(current, tried, mails).text()}")


def explain(
    ticket: Annotated[int, typer.Argument(metavar="TICKET", help="The ticket's number.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Show why the newest mail of a ticket was decided as it was: words, likeliest topics, nearest examples."""
    from responder.pipeline import learning
    from responder.pipeline.office import offices
    from responder.tickets import lifecycle

    options = settings(config)
    with database(options) as store:
        with store.read() as connection:
            row = lifecycle.ticket(connection, ticket)
            mails = [one for one in lifecycle.messages(connection, ticket) if one.kind == "person"]
        if row is None or not mails:
            raise Refused(f"there is no ticket {ticket} with a mail of a person")
        classifier = offices(options, learning.source(store, now), signing=False)[row.mailbox].classifier
    mail = mails[-1]
    (decision,) = classifier.classify([(mail.subject, mail.new_text)])
    reasons = classifier.explain(mail.subject, mail.new_text)
    say(
        f"Ticket {ticket}: {decision.outcome.value} {', '.join(decision.topics) or '-'}: {decision.explanation}"
    )
    for slug in decision.likeliest():
        say(f"  {decision.confidence[slug]:>6.1%}  {slug}")
    say("Words that decided:")
    for one in reasons.evidence:
        say(f"  {one.weight:+6.2f}  {one.words}")
    say("Nearest examples:")
    for label, text, similarity in reasons.nearest:
        say(f"  {similarity:>5.0%}  {label}: {' '.join(text.split())[:160]}")
