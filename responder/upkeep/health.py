"""Whether the service is well: a pure judgement of the situation, and of the threads of this process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from responder.config import Settings
from responder.upkeep.situation import Situation

Stuck = Callable[[], list[str]]
"""Names of the threads of this process that do not get on."""


_watched: list[Stuck] = []


def watch(stuck: Stuck) -> None:
    """The threads of this process are those that `stuck` tells of; a process without rounds has none."""
    _watched[:] = [stuck]


def stuck() -> list[str]:
    """Names of what hangs in this process."""
    return [name for look in _watched for name in look()]


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the service can be relied on; `problems` are English, without personal data."""

    problems: tuple[str, ...]

    @property
    def ready(self) -> bool:
        return not self.problems


def check(situation: Situation, settings: Settings) -> Health:
    """Return what keeps mail from being answered: mailboxes without a recent good round."""
    limit = timedelta(minutes=settings.alarms.poll_minutes)
    problems = []
    for mailbox in situation.mailboxes:
        if mailbox.last_good is None:
            problems.append(f"mailbox {mailbox.name}: no good round yet")
        elif situation.at - mailbox.last_good > limit:
            minutes = (situation.at - mailbox.last_good) // timedelta(minutes=1)
            problems.append(f"mailbox {mailbox.name}: no good round for {minutes} minutes")
    return Health(tuple(problems))
