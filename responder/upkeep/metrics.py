"""Figures for Prometheus, as text. They hold names of mailboxes, topics, jobs and alarms; nothing of any person.

What happened in this process (rounds, mails, sends) is counted as it happens; how things stand (queues, ages, alarms)
is read from the database at each scrape, so that every node of an installation tells the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from responder.config import Settings
from responder.pipeline.round import OfficeRound
from responder.tickets.database import Database
from responder.upkeep.situation import Queue, Situation, observe

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_ROUND_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300)

_counted = CollectorRegistry()
_mails = Counter("responder_mails_total", "Mails taken in.", ["mailbox"], registry=_counted)
_decisions = Counter(
    "responder_decisions_total",
    "Mails handled, by what became of them.",
    ["mailbox", "result"],
    registry=_counted,
)
_sends = Counter("responder_sends_total", "Replies by outcome.", ["mailbox", "outcome"], registry=_counted)
_rounds = Counter(
    "responder_rounds_total", "Rounds by how they ended.", ["mailbox", "end"], registry=_counted
)
_seconds = Histogram(
    "responder_round_seconds", "How long rounds took.", ["mailbox"], buckets=_ROUND_SECONDS, registry=_counted
)

SENT, RETRY, FAILED, UNCERTAIN = "sent", "retry", "failed", "uncertain"


def observe_round(done: OfficeRound, seconds: float) -> None:
    """Count what one round did, and how long it took."""
    name = done.mailbox
    end = "busy" if done.busy else "error" if done.problem is not None else "ok"
    _rounds.labels(name, end).inc()
    if done.busy:
        return
    _seconds.labels(name).observe(seconds)
    _mails.labels(name).inc(done.intake.new)
    for one in done.handled:
        _decisions.labels(name, one.result).inc()
    for outcome in (SENT, RETRY, FAILED, UNCERTAIN):
        _sends.labels(name, outcome).inc(getattr(done.outbox, outcome))


def scrape(database: Database, settings: Settings, now: datetime) -> bytes:
    """Return all figures in Prometheus' text format. Raises StoreError."""
    standing = CollectorRegistry()
    standing.register(_Standing(observe(database, settings, now)))
    return generate_latest(_counted) + generate_latest(standing)


class _Standing:
    """A collector of how things stand at one moment."""

    def __init__(self, seen: Situation) -> None:
        self._seen = seen

    def collect(self) -> Iterator[Metric]:
        seen = self._seen
        queues = {
            "to_approve": seen.to_approve,
            "to_answer": seen.to_answer,
            "unsent": seen.unsent,
            "unfiled": seen.unfiled,
            "unhandled": seen.unhandled,
            "quarantined": seen.quarantined,
        }
        yield _gauge(
            "queue_size", "How many wait.", "queue", ((n, float(q.count)) for n, q in queues.items())
        )
        ages = ((name, _age(queue, seen.at)) for name, queue in queues.items())
        yield _gauge("queue_oldest_seconds", "How long the oldest waits.", "queue", ages)
        replies = (("uncertain", float(seen.uncertain)), ("failed", float(seen.failed)))
        yield _gauge("replies_unsettled", "Replies that a person must settle.", "status", replies)
        polls = ((one.name, one.last_good.timestamp()) for one in seen.mailboxes if one.last_good is not None)
        yield _gauge("last_good_poll_timestamp_seconds", "End of the last good round.", "mailbox", polls)
        failing = ((one.name, float(one.failures)) for one in seen.mailboxes)
        yield _gauge("poll_failures", "Rounds in a row that failed.", "mailbox", failing)
        jobs = ((name, float(record.failures)) for name, record in seen.jobs)
        yield _gauge("job_failures", "Failures of a job in a row.", "job", jobs)
        yield _gauge("alarm", "1 while the alarm holds.", "key", ((row.key, 1.0) for row in seen.alarms))
        switches = {
            "armed": seen.arming.armed,
            "breaker": bool(seen.arming.breaker),
            "hold": bool(seen.arming.hold),
        }
        yield _gauge("switch", "1 while it is on.", "switch", ((n, float(on)) for n, on in switches.items()))
        yield _gauge("disk_free_bytes", "Where state is kept.", "place", (("state", float(seen.disk_free)),))


def _gauge(name: str, what: str, label: str, values: Iterable[tuple[str, float]]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"responder_{name}", what, labels=[label])
    for value, number in values:
        family.add_metric([value], number)
    return family


def _age(queue: Queue, now: datetime) -> float:
    return 0.0 if queue.oldest is None else max((now - queue.oldest).total_seconds(), 0.0)
