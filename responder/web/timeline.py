"""The event log of a ticket in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from responder.mail import masking
from responder.tickets import audit
from responder.web.wording import Words


@dataclass(frozen=True, slots=True)
class Told:
    """One event."""

    at: datetime
    who: str
    what: str
    more: str = ""  # why, which topics, what a server said


def told(events: Sequence[Any], words: Words, titles: Mapping[str, str]) -> list[Told]:
    """`events` as sentences, newest first."""
    return [tell(event, words, titles) for event in reversed(events)]


def tell(event: Any, words: Words, titles: Mapping[str, str]) -> Told:
    """One event as a sentence; an action that the language has no words for is named as it is."""
    who = words("event.machine") if event.actor == audit.MACHINE else str(event.actor)
    what = words.known(f"event.{event.action}", str(event.action))
    return Told(event.at, who, what, _more(event.detail or {}, titles))


def _more(detail: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    topics = ", ".join(titles.get(slug, slug) for slug in detail.get("topics") or () if slug)
    said = [masking.mask(str(detail[key])) for key in ("why", "reason", "answer") if detail.get(key)]
    return " · ".join(part for part in (topics, *said) if part)
