"""Nothing typed is ever lost: autosave, versions, expiry of the session, two who write."""

from __future__ import annotations

import re

from responder.tickets import accounts
from responder.tickets.status import ReplyKind, ReplyStatus, TicketStatus
from tests.web.conftest import PASSWORD, Browser, Pages, text_of

TEXT = "Yth. Bapak/Ibu,\n\nIni jawaban kami yang panjang.\n"


def _expired(pages: Pages, name: str = "budi") -> Browser:
    browser = pages.browser(name)
    pages.clock.forward(hours=2)
    return browser


def test_an_edited_draft_waits_with_the_new_text(pages: Pages) -> None:
    ticket = pages.receive()
    browser, draft = pages.browser("budi"), pages.draft(ticket)
    assert draft.text.strip()[:40] in browser.get(f"/tiket/{ticket}/sunting").text.replace("&#39;", "'")
    browser.post(f"/tiket/{ticket}/sunting", teks=TEXT, dari=draft.id)
    assert pages.draft(ticket).text == TEXT
    assert ("budi", "edited") in pages.events(ticket)


def test_an_edited_text_is_approved_in_one_step(pages: Pages) -> None:
    ticket = pages.receive()
    browser, draft = pages.browser("budi"), pages.draft(ticket)
    browser.post(f"/tiket/{ticket}/sunting", teks=TEXT, dari=draft.id, aksi="setujui")
    assert pages.replies(ticket, ReplyStatus.APPROVED)[0].text == TEXT
    assert pages.verdict(ticket).decision == "edited"


def test_a_draft_handed_in_as_it_was_is_not_an_edited_one(pages: Pages) -> None:
    ticket = pages.receive()
    browser, draft = pages.browser("budi"), pages.draft(ticket)
    typed = draft.text.replace("\n", "\r\n")  # as a form sends it
    browser.post(f"/tiket/{ticket}/sunting", teks=typed, dari=draft.id, aksi="setujui")
    verdict = pages.verdict(ticket)
    assert (verdict.decision, verdict.decided_topics) == ("approved", verdict.topics)


def test_a_ticket_without_draft_is_answered_by_hand(pages: Pages) -> None:
    ticket = pages.receive()
    browser = pages.browser("budi")
    browser.post(f"/tiket/{ticket}/tolak")
    page = browser.get(f"/tiket/{ticket}/sunting?antrean=needs_answer").text
    assert "Yth. Bapak/Ibu" in page
    browser.post(f"/tiket/{ticket}/sunting", teks=TEXT, dari="", aksi="setujui")
    reply = pages.replies(ticket, ReplyStatus.APPROVED)[0]
    assert reply.kind is ReplyKind.MANUAL
    assert pages.verdict(ticket).decision == "by_hand"
    assert pages.ticket(ticket).status is TicketStatus.ANSWERED


def test_what_is_typed_is_saved_and_comes_back(pages: Pages) -> None:
    ticket = pages.receive()
    browser, draft = pages.browser("budi"), pages.draft(ticket)
    answer = browser.post(f"/tiket/{ticket}/simpan", teks=TEXT, dari=draft.id)
    assert answer.status_code == 200
    assert "Tersimpan pukul 10.00" in answer.text
    assert "Ini jawaban kami" in browser.get(f"/tiket/{ticket}/sunting").text
    assert "tulisan Anda yang belum selesai" in text_of(browser.get(f"/tiket/{ticket}").text)
    assert pages.draft(ticket).text == draft.text


def test_one_writer_does_not_see_what_another_left_unfinished(pages: Pages) -> None:
    ticket = pages.receive()
    pages.browser("budi").post(f"/tiket/{ticket}/simpan", teks=TEXT, dari="")
    assert "Ini jawaban kami" not in pages.browser("siti").get(f"/tiket/{ticket}/sunting").text


def test_a_text_handed_in_after_the_session_ended_is_kept_for_its_writer(pages: Pages) -> None:
    ticket = pages.receive()
    draft = pages.draft(ticket)
    browser = _expired(pages)
    answer = browser.post(f"/tiket/{ticket}/sunting", teks=TEXT, dari=draft.id)
    assert answer.status_code == 401
    assert "Tulisan Anda tersimpan" in text_of(answer.text)
    assert f'value="/tiket/{ticket}/sunting?antrean=to_approve"' in answer.text
    assert pages.draft(ticket).text == draft.text

    assert browser.log_in("budi", onward=f"/tiket/{ticket}/sunting").status_code == 303
    assert "Ini jawaban kami yang panjang" in browser.get(f"/tiket/{ticket}/sunting").text


def test_autosave_still_saves_when_the_session_has_ended(pages: Pages) -> None:
    ticket = pages.receive()
    browser = _expired(pages)
    answer = browser.post(f"/tiket/{ticket}/simpan", teks=TEXT, dari="")
    assert answer.status_code == 401
    assert "tersimpan" in answer.text
    browser.log_in("budi")
    assert "Ini jawaban kami" in browser.get(f"/tiket/{ticket}/sunting").text


def test_an_ended_session_can_hand_in_text_but_decide_nothing(pages: Pages) -> None:
    ticket = pages.receive()
    browser = _expired(pages)
    assert browser.approve(ticket).status_code == 401
    assert browser.post(f"/tiket/{ticket}/catatan", catatan="x").status_code == 401
    assert pages.ticket(ticket).status is TicketStatus.NEEDS_APPROVAL


def test_a_revoked_session_saves_nothing(pages: Pages) -> None:
    ticket = pages.receive()
    browser = pages.browser("budi")
    with pages.database.begin() as connection:
        accounts.set_active(connection, "budi", False, "uji", pages.clock())
    assert browser.post(f"/tiket/{ticket}/simpan", teks=TEXT, dari="").status_code == 401
    with pages.database.begin() as connection:
        accounts.set_active(connection, "budi", True, "uji", pages.clock())
    browser.log_in("budi")
    assert "Ini jawaban kami" not in browser.get(f"/tiket/{ticket}/sunting").text


def test_a_text_over_a_changed_draft_is_refused_shown_and_not_lost(pages: Pages) -> None:
    ticket = pages.receive()
    draft = pages.draft(ticket)
    budi, siti = pages.browser("budi"), pages.browser("siti")
    siti.post(f"/tiket/{ticket}/sunting", teks="Jawaban siti.\n", dari=draft.id)

    answer = budi.post(f"/tiket/{ticket}/sunting", teks=TEXT, dari=draft.id)
    assert answer.status_code == 409
    assert "Konsep sudah berubah" in text_of(answer.text)
    assert "Ini jawaban kami yang panjang" in answer.text
    assert pages.draft(ticket).text == "Jawaban siti.\n"

    budi.post(f"/tiket/{ticket}/sunting", teks=TEXT, dari=pages.draft(ticket).id)
    assert pages.draft(ticket).text == TEXT


def test_the_second_writer_is_told_of_the_first(pages: Pages) -> None:
    ticket = pages.receive()
    pages.browser("siti").get(f"/tiket/{ticket}/sunting")
    assert "siti sedang menyunting tiket ini" in text_of(
        pages.browser("budi").get(f"/tiket/{ticket}/sunting").text
    )


def test_a_text_given_up_is_gone(pages: Pages) -> None:
    ticket = pages.receive()
    browser = pages.browser("budi")
    browser.post(f"/tiket/{ticket}/simpan", teks=TEXT, dari="")
    browser.post(f"/tiket/{ticket}/buang")
    assert "Ini jawaban kami" not in browser.get(f"/tiket/{ticket}/sunting").text


def test_an_empty_text_is_refused(pages: Pages) -> None:
    ticket = pages.receive()
    draft = pages.draft(ticket)
    assert pages.browser("budi").post(f"/tiket/{ticket}/sunting", teks="  ", dari=draft.id).status_code == 409
    assert pages.draft(ticket).id == draft.id


def test_a_note_typed_in_an_ended_session_comes_back_after_the_log_in(pages: Pages) -> None:
    ticket = pages.receive()
    browser = _expired(pages)
    answer = browser.post(f"/tiket/{ticket}/catatan", catatan="sudah ditelepon")
    assert answer.status_code == 401
    assert 'name="catatan" value="sudah ditelepon"' in answer.text
    back = browser.post(
        "/masuk", nama="budi", sandi=PASSWORD, lanjut=f"/tiket/{ticket}", catatan="sudah ditelepon"
    )
    assert back.status_code == 200
    assert re.search(r"<textarea[^>]*>\s*sudah ditelepon</textarea>", back.text)
    assert browser.get("/antrean").status_code == 200


def test_an_open_page_keeps_no_session_alive(pages: Pages) -> None:
    ticket = pages.receive()
    browser = pages.browser("budi")
    for _ in range(3):
        pages.clock.forward(minutes=25)
        answer = browser.post(f"/tiket/{ticket}/hadir")
    assert answer.status_code == 204
    assert browser.get("/antrean").status_code == 401


def test_a_page_of_the_ended_session_goes_on_saving_after_a_log_in_beside_it(pages: Pages) -> None:
    ticket = pages.receive()
    draft = pages.draft(ticket)
    browser = _expired(pages)
    token_of_the_open_page = browser.csrf
    browser.log_in("budi")
    browser.csrf = token_of_the_open_page
    assert browser.post(f"/tiket/{ticket}/simpan", teks=TEXT, dari=draft.id).status_code == 200
    assert browser.post(f"/tiket/{ticket}/sunting", teks=TEXT, dari=draft.id).status_code == 303
    assert browser.approve(ticket).status_code == 403
