"""Training text and held-out mails of content/: reading them as values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from responder.errors import ContentError

FILE = "examples.txt"
STAFF = "_staff"
HELD_OUT = Path("_held_out") / "mails.jsonl"
UNSEEN = Path("_held_out") / "texts.jsonl"
"""Texts by writers who came when the classifier was finished: their first judgement is in docs/classifier.md."""

_WRITER = "# penulis:"
_SUBJECT = "Perihal:"


@dataclass(frozen=True, slots=True)
class Example:
    """One vendor phrasing. `writer` names its author: folds go by writer, so that no one's habits help to judge him."""

    label: str  # a topic's slug, or STAFF
    writer: str
    subject: str
    body: str

    @property
    def text(self) -> str:
        return f"{self.subject}\n{self.body}" if self.subject else self.body


@dataclass(frozen=True, slots=True)
class HeldOutMail:
    """A whole mail with its right answer; never trained on."""

    id: str
    subject: str
    body: str
    gold: tuple[str, ...]  # what must be answered; () = a person
    also_ok: tuple[str, ...] = ()  # what would not be wrong to add
    style: tuple[str, ...] = ()


def topics(content: Path) -> tuple[str, ...]:
    """Return the slugs of the topics that have training text, sorted."""
    return tuple(
        sorted(path.parent.name for path in content.glob(f"*/{FILE}") if not path.parent.name.startswith("_"))
    )


def files(content: Path) -> list[Path]:
    """Return every file of training text, topics first."""
    return [content / label / FILE for label in (*topics(content), STAFF)]


def read(content: Path) -> list[Example]:
    """Read all training text. Raises ContentError when a file is missing, empty or not UTF-8."""
    found: list[Example] = []
    for path in files(content):
        label = path.parent.name
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ContentError(f"{path}: cannot read the training text: {error}") from error
        examples = parse(text, label)
        if not examples:
            raise ContentError(
                f"{path}: holds no example; write vendor phrasings with a blank line between them"
            )
        found.extend(examples)
    return found


def parse(text: str, label: str) -> list[Example]:
    """Split a file of training text into its paragraphs.

    `# penulis: x` starts the part of writer x; other lines that begin with # are notes.
    """
    found: list[Example] = []
    writer = ""
    paragraph: list[str] = []
    for line in [*text.splitlines(), ""]:
        if line.startswith("#"):
            if line.startswith(_WRITER):
                writer = line.removeprefix(_WRITER).strip()
        elif line.strip():
            paragraph.append(line.rstrip())
        elif paragraph:
            found.append(_example(label, writer, paragraph))
            paragraph = []
    return found


def _example(label: str, writer: str, lines: Sequence[str]) -> Example:
    if lines[0].startswith(_SUBJECT):
        return Example(label, writer, lines[0].removeprefix(_SUBJECT).strip(), "\n".join(lines[1:]))
    return Example(label, writer, "", "\n".join(lines))


def read_mails(path: Path) -> list[HeldOutMail]:
    """Read labelled whole mails, one JSON object a line. Raises ContentError naming file, line and field."""
    mails: list[HeldOutMail] = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ContentError(f"{path}: cannot read the labelled mails: {error}") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            mails.append(
                HeldOutMail(
                    id=str(row.get("id", number)),
                    subject=str(row.get("subject") or ""),
                    body=str(row["body"]),
                    gold=tuple(row["gold"]),
                    also_ok=tuple(row.get("also_ok", ())),
                    style=tuple(row.get("style", ())),
                )
            )
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise ContentError(f"{path}:{number}: not a labelled mail ({error!r})") from error
    return mails
