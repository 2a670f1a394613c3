"""Visiting the links of answers (rule 28a).

A failure counts only while a control address answers: offline, nothing is known and nothing changes. From when on a
link is dead is in `tickets.links`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

import requests
import structlog

from responder.config import Settings
from responder.errors import ContentError
from responder.knowledge.load import load_topics
from responder.tickets import links as visits
from responder.tickets.database import Database

log = structlog.get_logger("responder.links")

GONE = frozenset({404, 410})
"""Answers that say that there is nothing. Others may be about us: 403 and 429 are what robots get."""

BROKEN = 500  # and above: the server has a fault

AGENT = "Mozilla/5.0 (compatible; lpse-responder link check)"
"""Some servers of offices refuse whatever does not call itself a browser."""

Look = Callable[[str, float], str]
"""Visit an address with a time-out in seconds; return why it does not work, "" when it does."""


def visit(database: Database, settings: Settings, now: datetime, look: Look | None = None) -> None:
    """Visit every link of all answers and note how it went. Raises StoreError."""
    call = look or why_not
    timeout = settings.links.timeout_seconds
    urls = links(settings)
    if not urls or (why := call(settings.links.control_url, timeout)):
        if urls:
            log.warning("links not visited, the control address does not answer", why=why)
        return
    for url in urls:
        outcome = call(url, timeout)
        # Asked again after a failure: the line may have gone down meanwhile.
        if outcome and call(settings.links.control_url, timeout):
            return
        database.write(partial(visits.note, url=url, outcome=outcome, now=now))
    database.write(lambda connection: visits.forget_others(connection, urls))


def links(settings: Settings) -> Sequence[str]:
    """The addresses in the topics of all mailboxes, each once; places for unconfirmed ones are left out."""
    found: set[str] = set()
    for folder in {mailbox.content for mailbox in settings.mailboxes.values()}:
        try:
            topics = load_topics(folder)
        except ContentError as error:
            log.warning("links of broken content are not visited", error=str(error))
            continue
        found |= {link.url for topic in topics.values() for link in topic.links}
    return sorted(
        url for url in found if url.startswith(("http://", "https://")) and len(url) <= visits.LONGEST_URL
    )


def why_not(url: str, timeout: float) -> str:
    """Visit `url`; return why it does not work, "" when it does. `timeout` is in seconds, for each wait."""
    try:
        # Streamed and not read: a form of 20 MB shall not be fetched to know that it is there.
        with requests.get(url, timeout=timeout, stream=True, headers={"User-Agent": AGENT}) as answer:
            status = answer.status_code
    except requests.RequestException as error:
        return type(error).__name__
    return f"HTTP {status}" if status in GONE or status >= BROKEN else ""
