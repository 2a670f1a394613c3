"""`responder inspect`: what the machine sees in a mail, without network or database.

Any octets end as a row; a mail that cannot be read is a row of kind `unreadable` with the reason.
"""

from __future__ import annotations

import re
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from responder.classifier.decision import Classifier, Decision, Explanation
from responder.errors import ResponderError, UnreadableMail
from responder.mail import tokens
from responder.mail.limits import MAX_SIZE
from responder.mail.message import IncomingMail, Kind, Setting, Verdict
from responder.mail.reader import Reader
from responder.mail.screen import screen
from responder.pipeline.handling import classified_text

BATCH = 32
# A separator has an address and a time, and a header follows; "From here on" in a text has not (RFC 4155, appendix A).
_FROM_LINE = re.compile(
    rb"(?:\A|\n)(From [^\s]{1,320} [^\r\n]{0,80}\d\d:\d\d[^\r\n]{0,80}\r?\n)(?=[!-9;-~]+:)"
)


@dataclass(frozen=True, slots=True)
class Row:
    """One mail as `inspect` shows it."""

    file: str
    verdict: Verdict
    kind: Kind
    reasons: tuple[str, ...]
    mail: IncomingMail | None = None
    decision: Decision | None = None
    explanation: Explanation | None = None

    def as_json(self) -> dict[str, Any]:
        mail, decision = self.mail, self.decision
        return {
            "file": self.file,
            "verdict": self.verdict.value,
            "reasons": list(self.reasons),
            "kind": self.kind.value,
            "from": _sender(mail),
            "subject": mail.subject if mail else "",
            "new_text": mail.new_text if mail else "",
            "quoted": bool(mail and mail.quoted_text),
            "attachments": [
                {"name": one.name, "size": one.size, "type": one.type}
                for one in (mail.attachments if mail else ())
            ],
            "language": mail.language if mail else "",
            "doubts": list(mail.doubts) if mail else [],
            "decision": decision.outcome.value if decision else None,
            "topics": list(decision.topics) if decision else [],
            "why": decision.explanation if decision else "",
        }

    def as_text(self) -> str:
        lines = [f"{self.file}: {self.verdict.value} ({self.kind.value})"]
        lines += [f"  because  {reason}" for reason in self.reasons]
        if self.mail is not None:
            mail = self.mail
            lines += [
                f"  from     {_sender(mail)}",
                f"  subject  {mail.subject}",
                f"  language {mail.language}",
            ]
            lines += [f"  attached {one.name} ({one.type}, {one.size} octets)" for one in mail.attachments]
            lines += [f"  doubt    {doubt}" for doubt in mail.doubts]
            if self.decision is not None:
                sure = ", ".join(
                    f"{slug} {self.decision.confidence[slug]:.0%}" for slug in self.decision.likeliest()
                )
                lines.append(
                    f"  decision {self.decision.outcome.value}: {', '.join(self.decision.topics) or '-'}"
                )
                lines.append(f"           {self.decision.explanation} ({sure})")
            if self.explanation is not None:
                words = ", ".join(f"{one.words} ({one.weight:+.1f})" for one in self.explanation.evidence)
                lines.append(f"  words    {words or '-'}")
            lines += [f"  | {line}" for line in mail.new_text.splitlines()]
        return "\n".join(lines)


class Inspector:
    """Reads, screens and classifies mails from files; the model is loaded for the first readable mail."""

    def __init__(
        self, setting: Setting, classifier: Callable[[], Classifier], *, explain: bool = False
    ) -> None:
        self._setting = setting
        self._load = classifier
        self._classifier: Classifier | None = None
        self._explain = explain
        self._reader = Reader()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.close()

    def inspect(self, paths: Sequence[Path | None]) -> Iterator[Row]:
        """Yield a row for each mail of `paths` (None = stdin), in order. Raises ResponderError for a missing path."""
        batch: list[tuple[str, bytes]] = []
        for named in _mails(paths):
            batch.append(named)
            if len(batch) == BATCH:
                yield from self._rows(batch)
                batch = []
        yield from self._rows(batch)

    def _rows(self, batch: Sequence[tuple[str, bytes]]) -> Iterator[Row]:
        results = self._reader.read_many([raw for _, raw in batch])
        readable = [mail for mail in results if isinstance(mail, IncomingMail)]
        decisions = iter(self._decide(readable))
        for (name, _), mail in zip(batch, results, strict=True):
            if isinstance(mail, UnreadableMail):
                yield Row(name, Verdict.DRAFT, Kind.UNREADABLE, (str(mail),))
                continue
            screening = screen(mail, self._setting)
            explanation = None
            if self._explain and self._classifier is not None:
                explanation = self._classifier.explain(mail.subject, classified_text(mail))
            yield Row(
                name, screening.verdict, screening.kind, screening.reasons, mail, next(decisions), explanation
            )

    def _decide(self, mails: Sequence[IncomingMail]) -> list[Decision]:
        if not mails:
            return []
        if self._classifier is None:
            self._classifier = self._load()
        return self._classifier.classify(
            [(tokens.strip_subject_tags(mail.subject), classified_text(mail)) for mail in mails]
        )


def split_mbox(raw: bytes) -> list[bytes]:
    """The mails of an mbox; a single leading `From ` line does not make one, then the octets come back whole."""
    starts = [match.start(1) for match in _FROM_LINE.finditer(raw)]
    if len(starts) < 2 or starts[0] != 0:
        return [raw]
    ends = [*starts[1:], len(raw)]
    return [raw[raw.index(b"\n", start) + 1 : end] for start, end in zip(starts, ends, strict=True)]


def _mails(paths: Iterable[Path | None]) -> Iterator[tuple[str, bytes]]:
    for path in paths:
        if path is None:
            yield from _of_file("-", sys.stdin.buffer.read(MAX_SIZE + 1))
        elif path.is_dir():
            for file in sorted(path.rglob("*")):
                if stat.S_ISREG(file.lstat().st_mode):
                    yield str(file), _read(file)
        else:
            yield from _of_file(str(path), _read(path, whole=True))


def _of_file(name: str, raw: bytes) -> Iterator[tuple[str, bytes]]:
    mails = split_mbox(raw)
    for number, mail in enumerate(mails, start=1):
        yield (f"{name}#{number}" if len(mails) > 1 else name), mail


def _read(path: Path, *, whole: bool = False) -> bytes:
    """The octets of a file; of a single mail at most one over the limit, which reading then refuses."""
    try:
        with path.open("rb") as file:
            return file.read() if whole else file.read(MAX_SIZE + 1)
    except OSError as error:
        raise ResponderError(f"{path}: {error.strerror}") from error


def _sender(mail: IncomingMail | None) -> str:
    if mail is None:
        return ""
    return str(mail.sender) if mail.sender else ", ".join(str(one) for one in mail.from_addresses)
