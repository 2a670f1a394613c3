"""What staff see and decide at a ticket."""

from __future__ import annotations

from responder.tickets.status import ReplyStatus, TicketStatus
from tests.web.conftest import Pages, text_of


def test_a_draft_is_read_and_approved_without_scripts(pages: Pages) -> None:
    ticket = pages.receive(subject="Lupa password LPSE")
    browser = pages.browser("budi")

    queue = browser.get("/antrean")
    assert f'href="/tiket/{ticket}?antrean=to_approve"' in queue.text
    page = browser.get(f"/tiket/{ticket}")
    assert page.status_code == 200
    assert "klik lupa password" in text_of(page.text)

    answer = browser.approve(ticket)
    assert answer.status_code == 303
    assert pages.ticket(ticket).status is TicketStatus.ANSWERED
    assert ("budi", "approved") in pages.events(ticket)
    assert "Antrean kosong" in text_of(browser.get(answer.headers["location"]).text)
    assert pages.replies(ticket, ReplyStatus.APPROVED)[0].decided_by == "budi"
