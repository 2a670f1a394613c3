"""Blind audits, where staff choose before they see ours; and approving several drafts of one topic at once."""

from __future__ import annotations

from responder.tickets.status import ReplyStatus, TicketStatus
from tests.web.conftest import Pages, text_of


def test_a_blind_audit_hides_what_we_think(pages: Pages) -> None:
    ticket = pages.receive(blind=True)
    browser = pages.browser("budi")
    page = browser.get(f"/tiket/{ticket}").text
    draft = pages.draft(ticket)
    assert "Audit buta" in text_of(page)
    assert "klik lupa password" not in text_of(page)
    assert draft.sha256 not in page
    assert "<mark>" not in page
    assert "%" not in text_of(page)
    assert "Riwayat" not in text_of(page)
    assert browser.get(f"/tiket/{ticket}/balasan/{draft.id}/html").status_code == 404
    assert browser.get(f"/tiket/{ticket}/sunting").status_code == 303
    row = text_of(browser.get("/antrean").text)
    assert "audit buta" in row
    assert "Lupa password penyedia" not in row.partition("audit buta")[2]


def test_a_blind_choice_like_ours_shows_the_draft_and_counts_as_audit(pages: Pages) -> None:
    ticket = pages.receive(blind=True)
    draft = pages.draft(ticket)
    browser = pages.browser("budi")
    browser.post(f"/tiket/{ticket}/audit", topik="lupa-password")
    verdict = pages.verdict(ticket)
    assert (verdict.decision, verdict.manner, verdict.decided_topics) == (
        "approved",
        "audit",
        ["lupa-password"],
    )
    assert pages.draft(ticket).id == draft.id
    assert "klik lupa password" in text_of(browser.get(f"/tiket/{ticket}").text)

    browser.approve(ticket)
    assert pages.verdict(ticket).manner == "audit"
    assert pages.ticket(ticket).status is TicketStatus.ANSWERED


def test_a_blind_choice_unlike_ours_is_an_error_of_ours_and_drafts_anew(pages: Pages) -> None:
    ticket = pages.receive(blind=True)
    pages.browser("budi").post(f"/tiket/{ticket}/audit", topik="ganti-email")
    verdict = pages.verdict(ticket)
    assert (verdict.decision, verdict.manner, verdict.decided_topics) == (
        "retopiced",
        "audit",
        ["ganti-email"],
    )
    assert pages.draft(ticket).topics == ["ganti-email"]


def test_a_blind_choice_may_be_that_a_person_must_answer(pages: Pages) -> None:
    ticket = pages.receive(blind=True)
    browser = pages.browser("budi")
    browser.post(f"/tiket/{ticket}/audit", petugas="1")
    verdict = pages.verdict(ticket)
    assert (verdict.decision, verdict.decided_topics) == ("by_hand", [])
    assert "klik lupa password" in text_of(browser.get(f"/tiket/{ticket}").text)


def test_a_blind_choice_is_made_once_and_not_skipped(pages: Pages) -> None:
    ticket = pages.receive(blind=True)
    browser = pages.browser("budi")
    assert browser.post(f"/tiket/{ticket}/audit").status_code == 409
    assert browser.post(f"/tiket/{ticket}/topik", topik="ganti-email").status_code == 409
    browser.post(f"/tiket/{ticket}/audit", topik="lupa-password")
    assert browser.post(f"/tiket/{ticket}/audit", topik="ganti-email").status_code == 409


def test_drafts_of_one_topic_are_approved_together_with_all_texts_in_view(pages: Pages) -> None:
    tickets = [pages.receive(subject=f"Lupa password {n}") for n in range(3)]
    browser = pages.browser("budi")
    page = browser.get("/sekaligus?topik=lupa-password").text
    assert text_of(page).count("klik lupa password") == 3
    assert text_of(page).count("Bagaimana cara mereset") == 3

    chosen = [pages.draft(ticket) for ticket in tickets[:2]]
    answer = browser.post(
        "/sekaligus?topik=lupa-password", pilih=[f"{draft.id}:{draft.sha256}" for draft in chosen]
    )
    assert "2 konsep disetujui" in text_of(answer.text)
    assert [pages.verdict(ticket).manner for ticket in tickets] == ["batch", "batch", ""]
    assert pages.draft(tickets[2]) is not None


def test_a_changed_draft_is_left_out_of_the_batch(pages: Pages) -> None:
    one, two = pages.receive(), pages.receive()
    seen = [pages.draft(ticket) for ticket in (one, two)]
    browser = pages.browser("budi")
    browser.post(f"/tiket/{one}/sunting", teks="Lain.\n", dari=seen[0].id)
    browser.post("/sekaligus?topik=lupa-password", pilih=[f"{draft.id}:{draft.sha256}" for draft in seen])
    assert pages.draft(one).text == "Lain.\n"
    assert pages.replies(two, ReplyStatus.APPROVED)


def test_a_draft_of_another_topic_or_a_blind_one_is_in_no_batch(pages: Pages) -> None:
    other, hidden = pages.receive(), pages.receive(blind=True)
    browser = pages.browser("budi")
    browser.post(f"/tiket/{other}/topik", topik="ganti-email")
    for ticket in (other, hidden):
        draft = pages.draft(ticket)
        answer = browser.post("/sekaligus?topik=lupa-password", pilih=f"{draft.id}:{draft.sha256}")
        assert answer.status_code == 409
        assert pages.draft(ticket).id == draft.id
    assert "mereset" not in text_of(browser.get("/sekaligus?topik=lupa-password").text)
