"""What the pages refuse, and what hostile mails can do: nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from responder.config import load
from responder.errors import ConfigError
from responder.tickets import accounts
from responder.tickets.models_staff import Role
from responder.tickets.status import TicketStatus
from tests.mails import File
from tests.web.conftest import BASE, PASSWORD, Pages, text_of

HOSTILE = (
    "<html><head><meta http-equiv=refresh content='0;url=https://jahat.example'><style>*{display:none}</style>"
    "</head><body onload=alert(1)><script>alert(1)</script><img src=https://jahat.example/p.gif>"
    "<a href='javascript:alert(1)'>klik</a><iframe src=https://jahat.example></iframe>"
    "<form action=https://jahat.example><input name=sandi></form><p>Kami lupa password LPSE.</p></body></html>"
)


def test_nothing_is_shown_without_logging_in(pages: Pages) -> None:
    ticket = pages.receive()
    stranger = pages.browser()
    for path in ("/", "/antrean", f"/tiket/{ticket}", "/cari?kata=lpse", "/akun", "/saya", "/sekaligus",
                 f"/tiket/{ticket}/sunting", f"/tiket/{ticket}/surat/1/html"):  # fmt: skip
        answer = stranger.get(path)
        assert answer.status_code == 401, path
        assert "password" not in text_of(answer.text)


def test_every_answer_forbids_scripts_frames_and_foreign_sources(pages: Pages) -> None:
    browser = pages.browser("budi")
    answer = browser.get("/antrean")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"


def test_pages_hold_no_inline_script_style_or_foreign_address(pages: Pages) -> None:
    ticket = pages.receive()
    browser = pages.browser("budi", Role.ADMIN)
    for path in (
        "/antrean",
        f"/tiket/{ticket}",
        f"/tiket/{ticket}/sunting",
        "/saya",
        "/akun",
        "/bantuan",
        "/masuk",
    ):
        page = browser.get(path).text
        assert not re.search(r"<script(?![^>]*\bsrc=)", page), path
        assert not re.search(r"\son[a-z]+=|\sstyle=|<style", page), path
        assert not re.search(r"(?:src|href|action)=\"(?:https?:)?//", page), path


def test_the_cookie_is_for_http_only_and_holds_no_more_than_a_token(pages: Pages) -> None:
    browser = pages.browser("budi")
    cookie = browser.log_in("budi").headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    token = browser.client.cookies["lpse"]
    with pages.database.read() as connection:
        stored = accounts.session(connection, token)
    assert stored is not None
    assert token not in str(stored)
    assert len(token) >= 43


def test_behind_tls_the_cookie_is_bound_to_the_host(config: Path, pages: Pages) -> None:
    config.write_text(config.read_text() + '[web]\nbase_url = "https://petugas.lpse.example"\n')
    secure = Pages(load(config), pages.database, pages.clock, pages.reader)
    pages.browser("budi")
    answer = secure.browser().client.post(
        "https://petugas.lpse.example/masuk",
        data={"nama": "budi", "sandi": PASSWORD},
        headers={"origin": "https://petugas.lpse.example"},
    )
    cookies = answer.headers.get_list("set-cookie")
    assert [one.partition("=")[0] for one in cookies] == ["__Host-lpse", "bahasa"]
    assert all("Secure" in one and "HttpOnly" in one and "SameSite=lax" in one for one in cookies)
    assert "strict-transport-security" in answer.headers
    assert secure.browser().get("/masuk").status_code == 421


def test_a_session_ends_by_idleness_and_in_any_case(pages: Pages) -> None:
    browser = pages.browser("budi")
    for _ in range(14):
        pages.clock.forward(minutes=50)
        assert browser.get("/antrean").status_code == 200
    pages.clock.forward(minutes=50)
    assert browser.get("/antrean").status_code == 401
    browser.log_in("budi")
    pages.clock.forward(minutes=61)
    assert browser.get("/antrean").status_code == 401


def test_logging_out_ends_the_session_on_the_server(pages: Pages) -> None:
    browser = pages.browser("budi")
    token = browser.client.cookies["lpse"]
    browser.post("/keluar")
    browser.client.cookies.set("lpse", token)
    assert browser.get("/antrean").status_code == 401


def test_another_password_ends_every_session(pages: Pages) -> None:
    one, two = pages.browser("budi"), pages.browser("budi")
    new = "gajah-terbang-tinggi-9"
    assert one.post("/saya/sandi", lama=PASSWORD, baru=new, ulang=new).status_code == 303
    assert one.get("/antrean").status_code == 401
    assert two.get("/antrean").status_code == 401
    assert two.log_in("budi").status_code == 403
    assert two.log_in("budi", new).status_code == 303


def test_the_old_password_is_needed_for_another_one(pages: Pages) -> None:
    browser = pages.browser("budi")
    new = "gajah-terbang-tinggi-9"
    assert browser.post("/saya/sandi", lama="salah", baru=new, ulang=new).status_code == 422
    assert browser.log_in("budi").status_code == 303


def test_logging_out_everywhere_leaves_this_session(pages: Pages) -> None:
    one, two = pages.browser("budi"), pages.browser("budi")
    one.post("/saya/keluar-semua")
    assert one.get("/antrean").status_code == 200
    assert two.get("/antrean").status_code == 401


def test_a_switched_off_account_is_out_at_once(pages: Pages) -> None:
    admin, browser = pages.browser("admin.satu", Role.ADMIN), pages.browser("budi")
    admin.post("/akun/budi/aktif", aktif="false")
    assert browser.get("/antrean").status_code == 401
    assert browser.log_in("budi").status_code == 403


@pytest.mark.parametrize("name", ["budi", "tidak-ada"])
def test_failed_log_ins_are_slowed_down_and_never_shut_out(pages: Pages, name: str) -> None:
    pages.browser("budi")
    browser = pages.browser()
    for _ in range(accounts.FREE_FAILURES["account"]):
        assert browser.log_in(name, "salah-sekali-lagi").status_code == 403
    answer = browser.log_in(name)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1
    pages.clock.forward(minutes=6)
    assert browser.log_in(name).status_code == (303 if name == "budi" else 403)


def test_one_address_that_tries_many_names_is_slowed_down(pages: Pages) -> None:
    browser = pages.browser()
    answers = [browser.log_in(f"nama{n}", "salah-sekali-lagi").status_code for n in range(21)]
    assert answers[:20] == [403] * 20
    assert answers[20] == 429


def test_a_wrong_name_and_a_wrong_password_look_the_same(pages: Pages) -> None:
    pages.browser("budi")
    browser = pages.browser()
    known, unknown = browser.log_in("budi", "salah-sekali"), browser.log_in("siapa", "salah-sekali")
    assert known.status_code == unknown.status_code
    assert text_of(known.text) == text_of(unknown.text)


@pytest.mark.parametrize(
    "onward",
    [
        "https://jahat.example",
        "//jahat.example",
        "/\\jahat.example",
        "javascript:alert(1)",
        "/a\nb",
        "jahat",
        "",
    ],
)
def test_the_log_in_leads_nowhere_else(pages: Pages, onward: str) -> None:
    pages.browser("budi")
    assert pages.browser().log_in("budi", onward=onward).headers["location"] == "/"


def test_the_log_in_leads_back_to_the_page_that_was_asked_for(pages: Pages) -> None:
    ticket = pages.receive()
    pages.browser("budi")
    browser = pages.browser()
    asked = browser.get(f"/tiket/{ticket}?antrean=to_approve")
    assert f'name="lanjut" value="/tiket/{ticket}?antrean=to_approve"' in asked.text
    onward = f"/tiket/{ticket}?antrean=to_approve"
    assert browser.log_in("budi", onward=onward).headers["location"] == onward


@pytest.mark.parametrize("csrf", ["", "x" * 43])
def test_a_form_without_our_token_does_nothing(pages: Pages, csrf: str) -> None:
    ticket = pages.receive()
    browser = pages.browser("budi")
    browser.csrf = csrf
    assert browser.approve(ticket).status_code == 403
    assert browser.post(f"/tiket/{ticket}/simpan", teks="x", dari="").status_code == 403
    assert pages.ticket(ticket).status is TicketStatus.NEEDS_APPROVAL


@pytest.mark.parametrize("origin", ["https://jahat.example", "null", "http://127.0.0.1:9999", ""])
def test_a_form_from_elsewhere_does_nothing(pages: Pages, origin: str) -> None:
    ticket = pages.receive()
    browser = pages.browser("budi")
    assert browser.approve(ticket, origin=origin).status_code == 403
    assert pages.ticket(ticket).status is TicketStatus.NEEDS_APPROVAL


def test_a_form_that_does_not_say_where_it_comes_from_does_nothing(pages: Pages) -> None:
    browser = pages.browser("budi")
    answer = browser.client.post("/keluar", data={"csrf": browser.csrf})
    assert answer.status_code == 403
    assert browser.get("/antrean").status_code == 200


@pytest.mark.parametrize("host", ["jahat.example", "127.0.0.1.jahat.example", "[", "jahat.example:8080"])
def test_another_host_name_is_not_served(pages: Pages, host: str) -> None:
    assert pages.browser().get("/masuk", host=host).status_code == 421


def test_a_body_over_the_limit_is_refused(pages: Pages) -> None:
    browser = pages.browser("budi")
    assert browser.post("/tiket/1/simpan", teks="x" * 1_100_000).status_code == 413


def test_a_body_of_unknown_length_is_counted(pages: Pages) -> None:
    browser = pages.browser("budi")
    chunks = (b"teks=" + b"x" * 65_536 for _ in range(20))
    answer = browser.client.post(
        "/tiket/1/simpan",
        content=chunks,
        headers={"origin": BASE, "content-type": "application/x-www-form-urlencoded"},
    )
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("role", "path", "form"),
    [
        (Role.OFFICER, "/pengiriman/hentikan", {}),
        (Role.OFFICER, "/pengiriman/aktifkan", {}),
        (Role.OFFICER, "/akun/tambah", {"nama": "baru", "sandi": PASSWORD}),
        (Role.SENIOR, "/akun/tambah", {"nama": "baru", "sandi": PASSWORD}),
        (Role.SENIOR, "/akun/budi/peran", {"peran": "admin"}),
    ],
)
def test_a_role_may_not_do_what_a_higher_one_may(
    pages: Pages, role: Role, path: str, form: dict[str, str]
) -> None:
    assert pages.browser("budi", role).post(path, **form).status_code == 403


def test_a_senior_stops_all_sending_with_one_click(pages: Pages) -> None:
    senior = pages.browser("siti", Role.SENIOR)
    senior.post("/pengiriman/aktifkan")
    assert "Hentikan semua pengiriman" in senior.get("/antrean").text
    senior.post("/pengiriman/hentikan")
    assert ("siti", "disarmed") in pages.events()
    assert "Pengiriman dihentikan" in text_of(senior.get("/antrean").text)


def test_a_hostile_mail_is_text_and_its_html_is_tamed(pages: Pages) -> None:
    ticket = pages.receive(
        None, html=HOSTILE, subject="<script>alert(2)</script>", sender='"<b>x" <a@b.example>'
    )
    browser = pages.browser("budi")
    page = browser.get(f"/tiket/{ticket}").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(2)" in page
    assert "<script>alert" not in browser.get("/antrean").text
    source = re.search(r'src="(/tiket/\d+/surat/\d+/html)"', page)
    assert source is not None

    frame = browser.get(source[1])
    for evil in ("script", "refresh", "jahat.example", "javascript:", "<form", "<iframe", "onload"):
        assert evil not in frame.text
    assert "Kami lupa password LPSE." in frame.text
    policy = frame.headers["content-security-policy"]
    assert policy.startswith("sandbox; default-src 'none'")
    assert '<iframe sandbox loading="lazy"' in page


def test_an_attachment_is_handed_over_as_a_file_and_noted(pages: Pages) -> None:
    ticket = pages.receive(
        attachments=[File("ktp.pdf", b"%PDF-1.4 asli"), File("jahat.html", b"<script>", "text/html")]
    )
    browser = pages.browser("budi")
    page = browser.get(f"/tiket/{ticket}").text
    links = re.findall(r'action="(/tiket/\d+/surat/\d+/lampiran/\d+)"', page)
    assert "jahat.html" in page
    assert len(links) == 1
    answer = browser.post(links[0])
    assert answer.content == b"%PDF-1.4 asli"
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert ("budi", "attachment_taken") in pages.events(ticket)
    number = int(links[0].rpartition("/")[2])
    assert browser.post(links[0].replace(f"/{number}", f"/{number + 1}")).status_code == 404


def test_a_mail_of_another_ticket_is_not_shown_by_number(pages: Pages) -> None:
    one, two = pages.receive(), pages.receive()
    browser = pages.browser("budi")
    assert browser.get(f"/tiket/{one}/balasan/{pages.draft(two).id}/html").status_code == 404
    assert browser.get(f"/tiket/{one}/surat/{pages.draft(two).message_id}/html").status_code == 404


def test_files_are_named_by_content_and_kept_for_ever(pages: Pages) -> None:
    browser = pages.browser()
    page = browser.get("/masuk").text
    for path in re.findall(r'(?:src|href)="(/berkas/[^"]+)"', page):
        answer = browser.get(path)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        assert browser.get(re.sub("/[0-9a-f]{12}/", "/000000000000/", path)).status_code == 404


def test_pages_reached_by_others_need_an_address_over_tls(config: Path) -> None:
    for web in ('listen = "0.0.0.0:8080"', 'base_url = "http://petugas.lpse.example"', 'listen = "8080"'):
        config.write_text(config.read_text().partition("[web]")[0] + f"[web]\n{web}\n")
        with pytest.raises(ConfigError):
            load(config)


def test_a_page_with_all_its_files_is_light(pages: Pages) -> None:
    ticket = pages.receive()
    browser = pages.browser("budi")
    for path in ("/antrean", f"/tiket/{ticket}", f"/tiket/{ticket}/sunting"):
        page = browser.get(path)
        files = re.findall(r'(?:src|href)="(/berkas/[^"]+)"', page.text)
        assert len(page.content) + sum(len(browser.get(file).content) for file in files) < 100 * 1024
