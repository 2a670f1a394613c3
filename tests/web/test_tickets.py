"""What staff see and decide at a ticket."""

from __future__ import annotations

import re
from html import unescape

from httpx2 import Response
from sqlalchemy import update

from responder.tickets import switches
from responder.tickets.models import Message, Ticket
from responder.tickets.models_staff import Role
from responder.tickets.status import ReplyStatus, TicketStatus
from tests.mails import File
from tests.web.conftest import QUESTION, Pages, text_of


def _newest_on(page: Response) -> str:
    """The newest mail that a ticket's page shows, as its form names it."""
    return re.findall(r'name="surat" value="(\d+)"', page.text)[0]


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


def test_a_queue_is_marked_as_current_on_its_own_page_alone(pages: Pages) -> None:
    ticket = pages.receive()
    browser = pages.browser("budi")
    marked = re.findall(r'href="([^"]+)" aria-current="page"', browser.get("/antrean?antrean=answered").text)
    assert marked == ["/antrean?antrean=answered"]
    for path in (f"/tiket/{ticket}", f"/tiket/{ticket}/sunting", "/bantuan", "/cari?kata=akun", "/topik"):
        assert "aria-current" not in browser.get(path).text, path


def test_after_a_decision_the_next_ticket_is_in_the_same_answer(pages: Pages) -> None:
    first, second = pages.receive(subject="pertama"), pages.receive(subject="kedua")
    browser = pages.browser("budi")
    answer = browser.approve(first, **{"hx-request": "true"})
    assert answer.status_code == 200
    assert f"#{second}" in answer.text
    assert "kedua" in answer.text
    assert answer.headers["hx-push-url"].startswith(f"/tiket/{second}?")
    assert f"Tiket #{first}: disetujui" in text_of(answer.text)


def test_without_scripts_a_redirect_leads_to_the_next_ticket(pages: Pages) -> None:
    first, second = pages.receive(), pages.receive()
    answer = pages.browser("budi").approve(first)
    assert answer.headers["location"].startswith(f"/tiket/{second}?antrean=to_approve")


def test_at_the_end_of_the_queue_the_first_comes_next(pages: Pages) -> None:
    first, last = pages.receive(), pages.receive()
    answer = pages.browser("budi").approve(last)
    assert answer.headers["location"].startswith(f"/tiket/{first}?")


def test_a_stale_approval_is_refused_and_shows_what_changed(pages: Pages) -> None:
    ticket = pages.receive()
    seen = pages.draft(ticket)
    browser, other = pages.browser("budi"), pages.browser("siti")
    other.post(
        f"/tiket/{ticket}/sunting", teks=seen.text.replace("klik penyedia", "pilih menu"), dari=seen.id
    )

    answer = browser.post(f"/tiket/{ticket}/setujui", balasan=seen.id, sha256=seen.sha256)
    assert answer.status_code == 409
    assert "konsep berubah sejak ditampilkan" in text_of(answer.text)
    assert "klik penyedia</del>" in answer.text
    assert "pilih menu</ins>" in answer.text
    assert pages.ticket(ticket).status is TicketStatus.NEEDS_APPROVAL


def test_a_wrong_hash_approves_nothing(pages: Pages) -> None:
    ticket = pages.receive()
    answer = pages.browser("budi").post(
        f"/tiket/{ticket}/setujui", balasan=pages.draft(ticket).id, sha256="0" * 64
    )
    assert answer.status_code == 409
    assert pages.draft(ticket) is not None


def test_a_newer_mail_makes_the_draft_stale(pages: Pages) -> None:
    ticket, other = pages.receive(), pages.receive()
    with pages.database.begin() as connection:
        connection.execute(update(Message).where(Message.ticket_id == other).values(ticket_id=ticket))
    browser = pages.browser("budi")
    assert "Penyedia menulis lagi" in text_of(browser.get(f"/tiket/{ticket}").text)
    answer = browser.approve(ticket)
    assert answer.status_code == 409
    assert "ada surat baru dari penyedia" in text_of(answer.text)


def test_two_who_approve_at_once_send_once(pages: Pages) -> None:
    ticket = pages.receive()
    draft = pages.draft(ticket)
    one, two = pages.browser("budi"), pages.browser("siti")
    answers = [
        who.post(f"/tiket/{ticket}/setujui", balasan=draft.id, sha256=draft.sha256) for who in (one, two)
    ]
    assert [answer.status_code for answer in answers] == [303, 409]
    assert "sudah diputuskan (budi)" in text_of(answers[1].text)


def test_an_approval_can_be_undone_within_the_window(pages: Pages) -> None:
    ticket = pages.receive()
    browser = pages.browser("budi")
    after = browser.get(browser.approve(ticket).headers["location"])
    assert "masih dapat diurungkan 60 detik" in text_of(after.text)
    assert f'action="/tiket/{ticket}/urungkan?' in after.text

    assert browser.post(f"/tiket/{ticket}/urungkan").status_code == 303
    assert pages.draft(ticket) is not None
    assert ("budi", "undone") in pages.events(ticket)


def test_what_has_left_cannot_be_undone(pages: Pages) -> None:
    ticket = pages.receive()
    browser = pages.browser("budi")
    browser.approve(ticket)
    pages.set_reply(pages.replies(ticket, ReplyStatus.APPROVED)[0].id, status=ReplyStatus.SENT)
    answer = browser.post(f"/tiket/{ticket}/urungkan")
    assert answer.status_code == 409
    assert "Tidak dapat diurungkan lagi" in text_of(answer.text)


def test_a_number_key_is_a_button_that_drafts_with_that_topic(pages: Pages) -> None:
    ticket = pages.receive()
    browser = pages.browser("budi")
    page = browser.get(f"/tiket/{ticket}").text
    for key in "123":
        assert f'aria-keyshortcuts="{key}"' in page
    assert browser.post(f"/tiket/{ticket}/topik", topik="ganti-email").status_code == 303
    assert pages.draft(ticket).topics == ["ganti-email"]
    assert pages.verdict(ticket).decision == "retopiced"


def test_a_draft_of_other_topics_that_is_approved_is_not_an_edited_one(pages: Pages) -> None:
    ticket = pages.receive()
    browser = pages.browser("budi")
    browser.post(f"/tiket/{ticket}/topik", topik="verifikasi-sikap")
    assert browser.approve(ticket).status_code == 303
    verdict = pages.verdict(ticket)
    assert (verdict.decision, verdict.decided_topics) == ("retopiced", ["verifikasi-sikap"])


def test_topics_changed_there_and_back_are_those_predicted(pages: Pages) -> None:
    ticket = pages.receive()
    browser, predicted = pages.browser("budi"), pages.verdict(ticket).topics
    browser.post(f"/tiket/{ticket}/topik", topik="verifikasi-sikap")
    browser.post(f"/tiket/{ticket}/topik", topik=predicted)
    assert browser.approve(ticket).status_code == 303
    verdict = pages.verdict(ticket)
    assert (verdict.decision, verdict.decided_topics) == ("approved", predicted)


def test_other_topics_and_other_words_are_an_edited_draft(pages: Pages) -> None:
    ticket = pages.receive()
    browser = pages.browser("budi")
    browser.post(f"/tiket/{ticket}/topik", topik="verifikasi-sikap")
    draft = pages.draft(ticket)
    text = f"{draft.text}\nSalam hangat"
    answer = browser.post(f"/tiket/{ticket}/sunting", teks=text, dari=draft.id, aksi="setujui")
    assert answer.status_code == 303
    verdict = pages.verdict(ticket)
    assert (verdict.decision, verdict.decided_topics) == ("edited", ["verifikasi-sikap"])


def test_a_second_answer_to_one_mail_is_refused_in_the_words_of_the_pages(pages: Pages) -> None:
    ticket = pages.receive()
    browser = pages.browser("budi")
    browser.approve(ticket)
    browser.post(f"/tiket/{ticket}/topik", topik="verifikasi-sikap")
    answer = browser.approve(ticket)
    assert answer.status_code == 409
    assert "jawaban lain untuk surat yang sama sedang dalam pengiriman (disetujui budi)" in text_of(
        answer.text
    )


def test_a_rejected_draft_goes_to_those_that_need_an_answer(pages: Pages) -> None:
    ticket = pages.receive()
    browser = pages.browser("budi")
    browser.post(f"/tiket/{ticket}/tolak", alasan="salah paham")
    assert pages.ticket(ticket).status is TicketStatus.NEEDS_STAFF
    assert f"/tiket/{ticket}?" in browser.get("/antrean?antrean=needs_answer").text
    assert "salah paham" in text_of(browser.get(f"/tiket/{ticket}").text)


def test_a_ticket_is_closed_without_answer(pages: Pages) -> None:
    ticket = pages.receive()
    browser = pages.browser("budi")
    browser.post(f"/tiket/{ticket}/tolak", aksi="tutup", surat=_newest_on(browser.get(f"/tiket/{ticket}")))
    assert pages.ticket(ticket).status is TicketStatus.CLOSED


def test_a_ticket_is_not_closed_over_a_mail_that_nobody_has_seen(pages: Pages) -> None:
    ticket, other = pages.receive(), pages.receive()
    browser = pages.browser("budi")
    seen = _newest_on(browser.get(f"/tiket/{ticket}"))
    with pages.database.begin() as connection:
        connection.execute(update(Message).where(Message.ticket_id == other).values(ticket_id=ticket))
    answer = browser.post(f"/tiket/{ticket}/tolak", aksi="tutup", surat=seen)
    assert answer.status_code == 409
    assert "penyedia menulis lagi" in text_of(answer.text)
    browser.post(f"/tiket/{ticket}/tolak", aksi="tutup", surat=_newest_on(answer))
    assert pages.ticket(ticket).status is TicketStatus.CLOSED


def test_a_ticket_is_handed_to_a_senior_who_ends_that(pages: Pages) -> None:
    ticket = pages.receive()
    officer, senior = pages.browser("budi"), pages.browser("siti", Role.SENIOR)
    officer.post(f"/tiket/{ticket}/senior", alasan="mohon dicek")
    assert pages.ticket(ticket).senior
    assert "mohon dicek" in text_of(senior.get(f"/tiket/{ticket}").text)
    assert f"/tiket/{ticket}?" in senior.get("/antrean?senior=1").text
    assert officer.post(f"/tiket/{ticket}/senior-selesai").status_code == 403
    senior.post(f"/tiket/{ticket}/senior-selesai")
    assert not pages.ticket(ticket).senior


def test_a_note_is_for_staff_only(pages: Pages) -> None:
    ticket = pages.receive()
    browser = pages.browser("budi")
    browser.post(f"/tiket/{ticket}/catatan", catatan="sudah ditelepon <b>")
    assert "sudah ditelepon <b>" in text_of(browser.get(f"/tiket/{ticket}").text) or (
        "sudah ditelepon &lt;b&gt;" in browser.get(f"/tiket/{ticket}").text
    )
    assert ("budi", "noted") in pages.events(ticket)
    assert "ditelepon" not in pages.draft(ticket).text


def test_a_failed_reply_is_sent_again(pages: Pages) -> None:
    ticket = pages.receive()
    browser = pages.browser("budi")
    browser.approve(ticket)
    reply = pages.replies(ticket, ReplyStatus.APPROVED)[0]
    pages.set_reply(reply.id, status=ReplyStatus.FAILED, outcome="550 5.1.1 no such user")
    page = text_of(browser.get(f"/tiket/{ticket}").text)
    assert "Balasan ditolak server penerima. 550 5.1.1 no such user" in page
    browser.post(f"/tiket/{ticket}/kirim-lagi", balasan=reply.id)
    assert pages.replies(ticket, ReplyStatus.APPROVED)


def test_a_reply_of_another_ticket_is_not_sent_again(pages: Pages) -> None:
    ticket, other = pages.receive(), pages.receive()
    pages.set_reply(pages.draft(other).id, status=ReplyStatus.FAILED)
    failed = pages.replies(other, ReplyStatus.FAILED)[0]
    assert pages.browser("budi").post(f"/tiket/{ticket}/kirim-lagi", balasan=failed.id).status_code == 409
    assert pages.replies(other, ReplyStatus.FAILED)


def test_the_page_shows_recipient_subject_deciding_words_and_timeline(pages: Pages) -> None:
    ticket = pages.receive(subject="Lupa password LPSE")
    page = pages.browser("budi").get(f"/tiket/{ticket}").text
    draft = pages.draft(ticket)
    assert draft.recipient in text_of(page)
    assert draft.subject in text_of(page)
    assert "<mark>password</mark>" in page
    assert "surat diterima" in text_of(page)
    assert "%" in text_of(page)


def test_what_differs_from_the_template_is_marked(pages: Pages) -> None:
    ticket = pages.receive()
    browser = pages.browser("budi")
    draft = pages.draft(ticket)
    assert "<ins>" not in browser.get(f"/tiket/{ticket}").text
    browser.post(
        f"/tiket/{ticket}/sunting", teks=draft.text.replace("klik kirim", "tekan kirim"), dari=draft.id
    )
    page = browser.get(f"/tiket/{ticket}").text
    assert "<del> klik</del><ins> tekan</ins>" in page


def test_unconfirmed_facts_block_approval_and_say_so(pages: Pages) -> None:
    ticket = pages.receive(
        "Dengan hormat, kantor kami pindah. Apa persyaratan untuk mengganti alamat perusahaan di akun LPSE?",
        subject="Ganti alamat",
    )
    draft = pages.draft(ticket)
    browser = pages.browser("budi")
    assert "[belum dikonfirmasi" in draft.text
    page = text_of(browser.get(f"/tiket/{ticket}").text)
    assert "Belum dapat disetujui" in page
    assert "fakta belum dikonfirmasi" in page
    answer = browser.approve(ticket)
    assert answer.status_code == 409
    assert "konsep masih memuat" in text_of(answer.text)


def test_attachments_are_named_measured_and_checked_off(pages: Pages) -> None:
    ticket = pages.receive(
        "Bersama ini kami kirimkan berkas persyaratan penggantian email. Mohon diproses.",
        subject="Berkas ganti email",
        attachments=[
            File("Surat permohonan ganti email.pdf", b"%PDF-1.4 " + b"x" * 3000),
            "NPWP perusahaan.pdf",
        ],
    )
    page = text_of(pages.browser("budi").get(f"/tiket/{ticket}").text)
    assert "Surat permohonan ganti email.pdf" in page
    assert "3.0 KiB" in page
    assert "tampaknya sudah ada" in page
    assert "tampaknya belum ada" in page


def test_earlier_tickets_of_the_vendor_are_listed(pages: Pages) -> None:
    sender = "Ratna <ratna@bahari.example>"
    first = pages.receive("Apa syarat ikut tender cepat?", subject="Tender cepat", sender=sender)
    second = pages.receive(sender=sender)
    assert f"#{first} Tender cepat" in text_of(pages.browser("budi").get(f"/tiket/{second}").text)


def test_others_at_the_ticket_are_shown_until_they_are_idle(pages: Pages) -> None:
    ticket = pages.receive()
    budi, siti = pages.browser("budi"), pages.browser("siti")
    siti.get(f"/tiket/{ticket}/sunting")
    assert "siti sedang menyunting" in text_of(budi.get(f"/tiket/{ticket}").text)
    assert "siti sedang menyunting" in text_of(budi.post(f"/tiket/{ticket}/hadir").text)
    assert "budi sedang melihat" in text_of(siti.post(f"/tiket/{ticket}/hadir").text)
    pages.clock.forward(minutes=6)
    assert "siti" not in text_of(budi.get(f"/tiket/{ticket}").text)


def test_a_stopped_service_and_a_noted_address_are_told(pages: Pages) -> None:
    ticket = pages.receive(sender="Ratna <ratna@bahari.example>")
    browser = pages.browser("budi")
    with pages.database.begin() as connection:
        switches.note_address(connection, "ratna@bahari.example", "balasan kami kembali", pages.clock())
    page = text_of(browser.get(f"/tiket/{ticket}").text)
    assert "Pengiriman dihentikan" in page
    assert "balasan kami kembali" in page


def test_a_ticket_that_there_is_not_is_told_as_such(pages: Pages) -> None:
    answer = pages.browser("budi").get("/tiket/99")
    assert answer.status_code == 409
    assert "Tiket #99 tidak ada" in text_of(answer.text)


def test_a_number_in_the_search_jumps_to_the_ticket(pages: Pages) -> None:
    ticket = pages.receive()
    answer = pages.browser("budi").get(f"/cari?kata=LPSE-{ticket:06d}")
    assert answer.headers["location"].startswith(f"/tiket/{ticket}?")


def test_a_mail_in_quarantine_is_put_back_to_work(pages: Pages) -> None:
    ticket = pages.receive()
    with pages.database.begin() as connection:
        connection.execute(
            update(Message)
            .where(Message.ticket_id == ticket)
            .values(disposition="quarantined", reason="parts nested deeper than 30", ticket_id=None)
        )
        connection.execute(update(Ticket).where(Ticket.id == ticket).values(status="closed"))
    browser = pages.browser("budi")
    page = browser.get("/antrean?antrean=quarantined")
    assert "bersarang lebih dari 30 tingkat" in page.text
    assert 'action="/karantina/1/ulangi"' in page.text
    assert browser.post("/karantina/1/ulangi").status_code == 303
    assert ("budi", "quarantine_retried") in pages.events()


def test_staff_read_english_when_they_choose_it(pages: Pages) -> None:
    ticket = pages.receive()
    browser = pages.browser("budi")
    browser.post("/saya/bahasa", bahasa="en")
    page = browser.get(f"/tiket/{ticket}").text
    assert '<html lang="en">' in page
    assert "Vendor's mail" in text_of(page)
    assert QUESTION[:30] in text_of(page)


def test_the_same_on_postgresql(pages_on_postgresql: Pages) -> None:
    pages = pages_on_postgresql
    first, second = pages.receive(subject="pertama"), pages.receive(subject="kedua", blind=True)
    pages.browser("budi")
    browser = pages.browser()
    assert browser.log_in("budi", "salah-sekali-lagi").status_code == 403
    assert browser.log_in("budi").status_code == 303
    assert "pertama" in browser.get("/antrean").text
    browser.post(f"/tiket/{first}/simpan", teks="Belum selesai.", dari="")
    browser.post(f"/tiket/{first}/catatan", catatan="ditelepon")
    browser.post(f"/tiket/{first}/hadir")
    assert "ditelepon" in browser.get(f"/tiket/{first}").text
    browser.post(f"/tiket/{first}/senior")
    assert browser.approve(first).headers["location"].startswith(f"/tiket/{second}?")
    browser.post(f"/tiket/{second}/audit", topik="lupa-password")
    assert "klik lupa password" in text_of(browser.get(f"/tiket/{second}").text)
    assert browser.get("/cari?kata=password").status_code == 200


def test_a_fact_that_is_not_confirmed_is_told_once_above_the_mail(pages: Pages) -> None:
    ticket = pages.receive(
        "Email perusahaan yang terdaftar di akun LPSE tidak dapat diakses lagi. Apa persyaratan mengganti email?",
        subject="Penggantian email akun penyedia",
    )
    page = pages.browser("budi").get(f"/tiket/{ticket}").text.partition('<div class="pair">')[0]
    assert "fakta belum dikonfirmasi" in page
    facts = re.findall(r"<li>(fakta belum dikonfirmasi: [^<]+)</li>", page)
    assert facts
    assert all(text_of(page).lower().count(unescape(one)) == 1 for one in facts)
