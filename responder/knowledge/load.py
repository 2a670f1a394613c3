"""content/ → Topic values. Content that could not be rendered is refused here, all of it at once."""

from __future__ import annotations

from pathlib import Path

from responder.errors import ContentError
from responder.knowledge import schema
from responder.knowledge.schema import Source
from responder.knowledge.topic import Document, Link, Note, Topic, Unconfirmed


def load_topics(directory: Path) -> dict[str, Topic]:
    """Read every topic folder of `directory`, sorted by slug; folders whose name starts with _ or . are no topics.

    Raises ContentError: one line a problem, `file:line: what, what to do`.
    """
    topics: dict[str, Topic] = {}
    problems: list[str] = []
    for folder in topic_folders(directory):
        source, findings = schema.read(folder)
        problems += [str(finding) for finding in findings]
        if source is not None:
            topics[folder.name] = topic_from(source)
    if problems:
        raise ContentError("\n".join(problems))
    if not topics:
        raise ContentError(
            f"{directory}: tidak ada folder topik; buat satu folder berisi {schema.ANSWER} per topik"
        )
    return topics


def topic_folders(directory: Path) -> list[Path]:
    """The topic folders of `directory`, sorted by slug. Raises ContentError when it cannot be read."""
    try:
        folders = [entry for entry in directory.iterdir() if entry.is_dir() and entry.name[0] not in "_."]
    except OSError as error:
        raise ContentError(f"{directory}: folder isi tidak dapat dibaca: {error.strerror}") from error
    return sorted(folders, key=lambda folder: folder.name)


def topic_from(source: Source) -> Topic:
    """Return the topic that `source` describes, settled facts apart from open ones."""
    front = source.front
    return Topic(
        slug=source.path.parent.name,
        title=front.title,
        owner=front.owner,
        source=front.source,
        body=source.body.strip("\n"),
        valid_from=front.valid_from,
        review_by=front.review_by,
        valid_to=front.valid_to,
        documents=tuple(Document(**entry.model_dump()) for entry in front.documents),
        links=tuple(Link(entry.label, entry.url) for entry in front.links),
        attachments=front.attachments,
        notes=tuple(Note(entry.text, entry.valid_from, entry.valid_to) for entry in front.notes),
        unconfirmed=tuple(
            Unconfirmed(**entry.model_dump())
            for entry in front.unconfirmed
            if entry.key not in source.settled
        ),
        confirmed={key: settled.value for key, settled in source.settled.items()},
        path=source.path.parent,
        digest=source.digest,
        owner_notes=front.owner_notes,
    )
