"""Visiting the links of answers (rule 28a)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from responder.config import Settings
from responder.tickets.database import Database
from responder.tickets.links import dead
from responder.upkeep.linkcheck import links, visit, why_not
from tests.office_settings import office_settings
from tests.topics import write_topic

NOW = datetime(2025, 3, 3, tzinfo=UTC)
DAY = timedelta(days=1)
CONTROL = "https://example.com/"


class Web:
    """Addresses that work or do not, and what was visited."""

    def __init__(self) -> None:
        self.broken: set[str] = set()
        self.visited: list[str] = []

    def __call__(self, url: str, _timeout: float) -> str:
        self.visited.append(url)
        return "HTTP 404" if url in self.broken else ""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    head = "links:\n  - label: SPSE\n    url: https://spse.lpse.example/masuk\n"
    write_topic(tmp_path / "isi", head=head)
    return office_settings(tmp_path, content=tmp_path / "isi")


@pytest.fixture
def link(settings: Settings) -> str:
    return links(settings)[0]


def dead_at(database: Database, now: datetime) -> list[str]:
    with database.read() as connection:
        return dead(connection, now)


def test_a_link_is_dead_after_three_failures_over_two_days(
    database: Database, settings: Settings, link: str
) -> None:
    """Rule 28a."""
    web = Web()
    web.broken = {link}
    for days in (0, 1, 2):
        assert dead_at(database, NOW + days * DAY) == []
        visit(database, settings, NOW + days * DAY, web)
    assert dead_at(database, NOW + 2 * DAY) == [link]
    web.broken.clear()
    visit(database, settings, NOW + 3 * DAY, web)
    assert dead_at(database, NOW + 3 * DAY) == []


def test_many_failures_within_a_day_are_one_outage(database: Database, settings: Settings, link: str) -> None:
    """Rule 28a."""
    web = Web()
    web.broken = {link}
    for hour in range(6):
        visit(database, settings, NOW + hour * timedelta(hours=1), web)
    assert dead_at(database, NOW + DAY) == []


def test_nothing_is_known_while_the_control_address_does_not_answer(
    database: Database, settings: Settings, link: str
) -> None:
    """Rule 28a: `unknown` never blocks."""
    web = Web()
    web.broken = {CONTROL, link}
    for days in range(5):
        visit(database, settings, NOW + days * DAY, web)
    assert dead_at(database, NOW + 5 * DAY) == []
    assert set(web.visited) == {CONTROL}


def test_a_line_that_goes_down_during_the_visits_blames_no_link(
    database: Database, settings: Settings, link: str
) -> None:
    """Rule 28a."""

    class Falling(Web):
        def __call__(self, url: str, timeout: float) -> str:
            return "ConnectionError" if self.visited else super().__call__(url, timeout)

    for days in range(5):
        visit(database, settings, NOW + days * DAY, Falling())
    assert dead_at(database, NOW + 5 * DAY) == []


@pytest.fixture
def server() -> Iterator[str]:
    """A web server that answers with the status its path names."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(int(self.path.strip("/")))
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=web.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{web.server_address[1]}"
    web.shutdown()
    web.server_close()
    thread.join()


@pytest.mark.parametrize(
    ("status", "why"),
    [(200, ""), (403, ""), (429, ""), (404, "HTTP 404"), (410, "HTTP 410"), (500, "HTTP 500")],
)
def test_only_answers_that_say_that_there_is_nothing_count(server: str, status: int, why: str) -> None:
    """Rule 28a: 403 and 429 are what robots get."""
    assert why_not(f"{server}/{status}", 5) == why


def test_a_server_that_is_not_there_is_a_failure() -> None:
    assert why_not("http://127.0.0.1:9/", 5) == "ConnectionError"


def test_places_for_unconfirmed_addresses_are_not_visited(settings: Settings) -> None:
    assert all(url.startswith("https://") for url in links(settings))
