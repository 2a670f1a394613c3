"""Reports and topics: figures that people can read, and what seniors decide from them."""

from __future__ import annotations

import csv
import io
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from bench.store import fill
from responder.paths import shipped
from responder.tickets import switches
from responder.tickets.models import StaffVerdict, Ticket
from responder.tickets.models_staff import Role
from responder.tickets.status import TicketStatus
from responder.web import charts
from responder.web.assets import assets
from responder.web.charts import Series
from tests.web.conftest import Pages, text_of
from tests.web.conftest import config as config_of_reviews  # noqa: F401 - a fixture
from tests.web.test_api import Program, code

HEAVIEST = 100 * 1024  # octets of a page with everything it loads, compressed as browsers get it
TOPIC = "/topik/kemenperin/lupa-password"


@pytest.fixture
def config(config_of_reviews: Path) -> Path:  # noqa: F811
    """The office with content of its own, in which facts may be confirmed."""
    shutil.copytree(shipped("content"), config_of_reviews.parent / "content")
    text = config_of_reviews.read_text().replace(
        "[mailboxes.kemenperin]\n", '[mailboxes.kemenperin]\ncontent = "content"\n'
    )
    config_of_reviews.write_text(text)
    return config_of_reviews


def prove(pages: Pages, verdicts: int, wrong: int = 0, slug: str = "lupa-password") -> None:
    """Staff decided about so many sure mails of the topic, one by one."""
    at = pages.clock() - timedelta(days=20)
    with pages.database.begin() as connection:
        first = connection.execute(
            insert(Ticket).returning(Ticket.id),
            [
                {
                    "mailbox": "kemenperin", "status": TicketStatus.CLOSED, "subject": "Lupa password",
                    "vendor_address": f"penyedia{number}@contoh.example", "created_at": at, "updated_at": at,
                }
                for number in range(verdicts)
            ],
        ).scalars().all()  # fmt: skip
        ticket = pages_message(pages)
        connection.execute(
            insert(StaffVerdict),
            [
                verdict_row(ticket_id, ticket, slug, at + timedelta(hours=number), wrong=number < wrong)
                for number, ticket_id in enumerate(first)
            ],
        )


def pages_message(pages: Pages) -> int:
    """A mail for verdicts to stand beside."""
    with pages.database.read() as connection:
        found = connection.exec_driver_sql("SELECT min(id) FROM messages").scalar()
    assert found is not None, "receive one mail first"
    return int(found)


def verdict_row(ticket: int, message: int, slug: str, at: Any, *, wrong: bool) -> dict[str, Any]:
    return {
        "ticket_id": ticket, "message_id": message, "predicted": "auto", "topics": [slug],
        "confidence": {slug: 0.97}, "reason": "", "model_version": "uji", "predicted_at": at,
        "decision": "rejected" if wrong else "approved", "decided_topics": [] if wrong else [slug],
        "manner": "single", "decided_by": "siti", "decided_at": at + timedelta(minutes=5),
    }  # fmt: skip


def test_a_report_counts_mails_and_who_answered(pages: Pages) -> None:
    first = pages.receive()
    pages.receive()
    browser = pages.browser("budi")
    browser.approve(first)
    page = text_of(browser.get("/laporan").text)
    assert "surat 2 otomatis" in page
    assert "belum dijawab 100%" in page  # approved, but nothing has left
    assert "Waktu sampai jawaban pertama" in page
    assert "menunggu persetujuan 1" in page


def test_charts_have_a_title_a_legend_and_a_table_of_the_same_numbers(pages: Pages) -> None:
    pages.receive()
    page = pages.browser("budi").get("/laporan").text
    assert (
        '<svg class="chart" viewBox="0 0 720 190" role="img" aria-label="Surat masuk"><title>Surat masuk</title>'
        in page
    )
    assert "<title>23 Nov: surat 1</title>" in page
    assert '<ul class="legend">' in page
    assert '<tr><th scope="row">23 Nov</th><td>1</td><td>1</td><td>0</td>' in page
    assert " style=" not in page


def test_the_period_is_chosen_and_a_wrong_one_shows_the_usual(pages: Pages) -> None:
    browser = pages.browser("budi")
    assert '<option value="90" selected>' in browser.get("/laporan?hari=90").text
    assert '<option value="30" selected>' in browser.get("/laporan?hari=12&kotak=lain").text


def test_the_csv_has_every_figure_and_is_handed_over_as_a_file(pages: Pages) -> None:
    pages.receive()
    answer = pages.browser("budi").get("/laporan.csv?hari=7")
    assert answer.headers["content-disposition"] == 'attachment; filename="laporan-2026-11-17-2026-11-23.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert {"part": "day", "name": "2026-11-23", "measure": "mails", "value": "1"} in rows


def test_reports_of_a_big_office_are_light(pages: Pages) -> None:
    fill(pages.database, 1500, now=pages.clock())
    browser = pages.browser("budi")
    loaded = sum(len(one.packed) for one in assets().values())
    for path in ("/laporan?hari=365", "/laporan?hari=30", "/topik", TOPIC):
        page = browser.get(path)
        assert page.status_code == 200
        assert len(page.content) + loaded < HEAVIEST


def test_a_topic_shows_what_vendors_get_and_what_is_not_confirmed(pages: Pages) -> None:
    browser = pages.browser("budi")
    listed = browser.get("/topik").text
    assert 'href="/topik/kemenperin/lupa-password"' in listed
    assert "0 dari 149 putusan, 0 salah" in text_of(listed)
    page = browser.get(TOPIC)
    assert "klik lupa password" in text_of(page.text).lower()
    assert "Izinkan menjawab otomatis" not in page.text  # for seniors
    frame = browser.get(f"{TOPIC}/pratinjau")
    assert frame.headers["content-security-policy"].startswith("sandbox")
    assert browser.get("/topik/kemenperin/tidak-ada").status_code == 404


def test_a_topic_answers_by_itself_only_when_proved_and_by_a_senior(pages: Pages) -> None:
    pages.receive()
    prove(pages, 148)
    senior = pages.browser("siti", Role.SENIOR)
    assert "148 dari 149 putusan" in text_of(senior.get(TOPIC).text)
    assert "Dengan 0 salah dibutuhkan 149 putusan; kurang 1." in text_of(senior.get(TOPIC).text)
    refused = senior.post(f"{TOPIC}/tingkat", tingkat="automatic")
    assert refused.status_code == 409
    assert "Belum diizinkan" in text_of(refused.text)

    prove(pages, 1)
    pages.clock.forward(minutes=3)  # the figures of a page are up to two minutes old
    assert "Cukup terbukti" in text_of(senior.get(TOPIC).text)
    assert pages.browser("budi").post(f"{TOPIC}/tingkat", tingkat="automatic").status_code == 403
    assert senior.post(f"{TOPIC}/tingkat", tingkat="automatic").status_code == 303
    with pages.database.read() as connection:
        assert switches.levels(connection, "kemenperin") == {"lupa-password": "automatic"}
    assert ("siti", "topic_level") in pages.events()
    assert "menjawab otomatis" in text_of(senior.get("/topik").text)

    senior.post(f"{TOPIC}/tingkat", tingkat="review")
    with pages.database.read() as connection:
        assert switches.levels(connection, "kemenperin") == {"lupa-password": "review"}


def test_the_history_draws_confidence_and_says_what_staff_decided(pages: Pages) -> None:
    pages.receive(blind=True)
    prove(pages, 12, wrong=2)
    page = pages.browser("budi").get(TOPIC).text
    assert page.count("<circle") == 12  # the open blind audit is not among them
    assert page.count('class="c5" cx') == 2
    assert "konsep ditolak" in text_of(page)


def test_a_senior_confirms_a_fact_and_the_next_page_shows_it(pages: Pages) -> None:
    office = pages.app.state.service.offices()["kemenperin"]
    topic = next(one for one in office.topics.values() if any(fact.reading for fact in one.unconfirmed))
    fact = next(one for one in topic.unconfirmed if one.reading)
    path = f"/topik/kemenperin/{topic.slug}"
    officer, senior = pages.browser("budi"), pages.browser("siti", Role.SENIOR)
    assert fact.what in text_of(officer.get(path).text)
    assert officer.post(f"{path}/fakta/{fact.key}", nilai=fact.reading).status_code == 403
    assert senior.post(f"{path}/fakta/{fact.key}", nilai="").status_code == 409
    assert senior.post(f"{path}/fakta/{fact.key}", nilai="{{ fakta.lain }}").status_code == 409
    assert senior.post(f"{path}/fakta/{fact.key}", nilai=fact.reading).status_code == 303
    after = senior.get(path).text
    assert f'action="{path}/fakta/{fact.key}"' not in after
    assert ("siti", "fact_confirmed") in pages.events()


def test_the_api_tells_topics_and_reports_and_sets_levels(pages: Pages) -> None:
    pages.receive()
    prove(pages, 149)
    officer, senior = Program(pages), Program(pages, "siti", Role.SENIOR)
    lines = {one["slug"]: one for one in officer.get("/topics").json()["topics"]}
    assert lines["lupa-password"]["evidence"]["have"] == 149
    assert lines["lupa-password"]["evidence"]["holds"] is True
    assert officer.get("/topics/kemenperin/lupa-password").json()["text"]
    assert len(officer.get("/topics/kemenperin/lupa-password/verdicts").json()["verdicts"]) == 40
    level = "/topics/kemenperin/{}/level"
    assert code(officer.send("PUT", level.format("lupa-password"), level="automatic")) == (403, "forbidden")
    assert code(senior.send("PUT", level.format("ganti-email"), level="automatic")) == (409, "not_earned")
    for _ in range(2):
        set_ = senior.send("PUT", level.format("lupa-password"), level="automatic")
        assert set_.json()["level"] == "automatic"
    assert pages.events().count(("siti", "topic_level")) == 1
    assert code(officer.get("/topics/kemenperin/tidak-ada")) == (404, "not_found")

    report = officer.get("/reports", days=30).json()
    assert report["mails"] == 150
    assert report["topics"][0]["precision_at_least"] > 0.97
    assert officer.get("/reports.csv").text.startswith("part,name,measure,value")
    assert code(officer.get("/reports", mailbox="lain")) == (404, "not_found")


def test_the_api_settles_facts(pages: Pages) -> None:
    topic = next(
        one for one in pages.app.state.service.offices()["kemenperin"].topics.values() if one.unconfirmed
    )
    key = topic.unconfirmed[0].key
    senior = Program(pages, "siti", Role.SENIOR)
    path = f"/topics/kemenperin/{topic.slug}"
    assert code(senior.post(f"{path}/facts/tidak-ada", value="x")) == (404, "not_found")
    assert code(senior.post(f"{path}/facts/{key}", value="{{ x }}")) == (422, "invalid")
    assert senior.post(f"{path}/facts/{key}", value="").json() == {"key": key, "value": ""}
    assert key in senior.get(path).json()["confirmed"]


def test_what_a_chart_is_given_stays_text() -> None:
    drawn = charts.columns("<b>", ["<script>"], [Series('"a', "c1", [3]), Series("b", "c2", [0])])
    assert "<script>" not in drawn
    assert "&lt;script&gt;: &#34;a 3, b 0" in drawn


def test_axes_end_at_round_numbers() -> None:
    assert [charts.nice(value) for value in (0, 1, 3, 7, 11, 120, 501)] == [1, 1, 5, 10, 20, 200, 1000]


def test_an_empty_chart_is_an_empty_grid() -> None:
    assert "<g>" not in charts.columns("kosong", [], [Series("surat", "c1", [])])
