"""Requests that no page of ours makes: every address without a right to it, values out of range, other tickets' parts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from sqlalchemy import text, update

from responder.tickets import accounts, api_tokens
from responder.tickets.models import Message, Ticket
from responder.tickets.models_staff import Role
from responder.tickets.status import ReplyStatus, TicketStatus
from responder.web.api.app import create_api
from tests.mails import File
from tests.web.conftest import BASE, PASSWORD, Pages, text_of
from tests.web.test_api import Program

OPEN = {"/healthz", "/readyz", "/metrics", "/masuk", "/berkas/{digest}/{name}"}
"""Addresses that need no session."""

SENIOR = {
    "/pengiriman/",
    "/topik/{mailbox}/{slug}/tingkat",
    "/topik/{mailbox}/{slug}/fakta/",
    "/senior-selesai",
}
ADMIN = {"/akun"}
TOO_LARGE = 10**20
"""More than any column of ours holds."""


def _routes(pages: Pages) -> Iterator[tuple[str, str]]:
    """(method, path with 1 in every place) of each page; those of the API have their own test."""
    included = [getattr(one, "original_router", None) for one in pages.app.routes]
    routes = [route for router in included if router is not None for route in router.routes]
    for route in [*routes, *pages.app.routes]:
        if isinstance(route, APIRoute):
            yield from ((method, route.path) for method in route.methods or ())


def _filled(path: str, value: str = "1") -> str:
    return re.sub(r"\{[^}]+\}", value, path)


def test_no_page_is_shown_and_nothing_is_done_without_a_session(pages: Pages) -> None:
    stranger = pages.browser()
    checked = 0
    for method, path in _routes(pages):
        if path in OPEN:
            continue
        address = _filled(path)
        answer = stranger.get(address) if method == "GET" else stranger.post(address)
        silent = path.endswith("/hadir") and answer.status_code == 204
        assert answer.status_code == 401 or silent, (method, path, answer.status_code)
        checked += 1
    assert checked > 40


def test_every_form_needs_its_token(pages: Pages) -> None:
    browser = pages.browser("bu.admin", Role.ADMIN)
    browser.csrf = "salah"
    needed = {
        "peran": "admin",
        "aktif": "true",
        "balasan": "1",
        "sha256": "0" * 64,
        "tingkat": "review",
        "bahasa": "id",
    }
    for method, path in _routes(pages):
        if method == "POST" and path not in OPEN:
            assert browser.post(_filled(path), **needed).status_code == 403, path


@pytest.mark.parametrize("role", [Role.OFFICER, Role.SENIOR])
def test_every_address_of_a_higher_role_is_refused(pages: Pages, role: Role) -> None:
    browser = pages.browser("budi", role)
    needed = {"peran": "admin", "aktif": "true", "tingkat": "review"}
    higher = ADMIN | (SENIOR if role is Role.OFFICER else set())
    checked = 0
    for method, path in _routes(pages):
        if any(one in path for one in higher):
            answer = browser.get(_filled(path)) if method == "GET" else browser.post(_filled(path), **needed)
            assert answer.status_code == 403, (method, path)
            checked += 1
    assert checked >= 5


def test_no_address_of_the_api_answers_without_a_token(pages: Pages) -> None:
    client = TestClient(pages.app, base_url=BASE)
    paths = create_api(pages.app.state.service).openapi()["paths"]
    for path, operations in paths.items():
        for method in operations:
            answer = client.request(method.upper(), f"/api{_filled(path)}", json={})
            assert answer.status_code == 401, (method, path)


def test_a_token_of_a_switched_off_account_opens_nothing(pages: Pages) -> None:
    program = Program(pages)
    admin = pages.browser("bu.admin", Role.ADMIN)
    admin.post("/akun/budi/aktif", aktif="false")
    assert program.get("/me").status_code == 401


def test_a_lower_role_holds_with_the_next_request(pages: Pages) -> None:
    admin, other = pages.browser("bu.admin", Role.ADMIN), pages.browser("pak.admin", Role.ADMIN)
    program = Program(pages, "pak.admin", Role.ADMIN)
    assert other.get("/akun").status_code == 200
    admin.post("/akun/pak.admin/peran", peran="petugas")
    assert other.get("/akun").status_code == 403
    assert program.get("/accounts").status_code == 403


def test_every_answer_has_the_security_headers(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = pages.receive()
    browser = pages.browser("budi")
    page = browser.get(f"/tiket/{ticket}").text
    frame = re.search(r'src="(/tiket/\d+/surat/\d+/html)"', page)
    assert frame is not None
    answers = [
        browser.get("/antrean"),
        browser.get("/tidak-ada"),
        browser.get("/akun"),
        browser.get("/tiket/999999"),
        browser.get("/masuk", host="jahat.example"),
        browser.post("/tiket/1/simpan", teks="x" * 1_100_000),
        browser.post("/masuk", {"origin": "https://jahat.example"}),
        browser.client.put("/antrean", headers={"origin": BASE}),
        browser.get(frame[1]),
        browser.get("/berkas/0/pages.css"),
        browser.get("/healthz"),
        browser.get("/api/v1/me"),
        browser.get("/api/openapi.json"),
    ]
    assert [one.status_code for one in answers] == [
        200,
        404,
        403,
        409,
        421,
        413,
        403,
        405,
        200,
        404,
        200,
        401,
        200,
    ]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy, answer.url
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "same-origin"


def test_a_fault_of_the_program_is_a_page_with_the_same_headers(pages: Pages) -> None:
    def broken() -> None:
        raise RuntimeError("rahasia")

    pages.app.add_api_route("/rusak", broken)
    answer = TestClient(pages.app, base_url=BASE, raise_server_exceptions=False).get("/rusak")
    assert answer.status_code == 500
    assert "rahasia" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_a_method_that_is_not_served_names_those_that_are(pages: Pages) -> None:
    answer = pages.browser("budi").client.put("/antrean", headers={"origin": BASE})
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET"


def test_no_header_changes_the_method_of_a_request(pages: Pages) -> None:
    browser = pages.browser("siti", Role.SENIOR)
    browser.client.get("/pengiriman/aktifkan", headers={"x-http-method-override": "POST"})
    browser.client.get("/pengiriman/aktifkan?_method=POST")
    assert ("siti", "armed") not in pages.events()


@pytest.mark.parametrize(
    "path",
    [
        f"/tiket/{TOO_LARGE}",
        f"/tiket/{TOO_LARGE}/sunting",
        f"/tiket/1?setelah={TOO_LARGE}",
        f"/antrean?setelah={TOO_LARGE}",
        f"/tiket/1/surat/{TOO_LARGE}/html",
        f"/tiket/1/balasan/{TOO_LARGE}/html",
        f"/antrean?sesudah=20261122T000000000000-{TOO_LARGE}",
        "/antrean?sesudah=00010101T000000000000-1",
        "/antrean?sejak=0001-01-01",
        "/antrean?sampai=9999-12-31",
        "/antrean?antrean=quarantined&sejak=0001-01-01&sampai=9999-12-31",
        "/antrean?penyedia=%00",
        "/antrean?kotak=%00&topik=%00",
        "/cari?kata=%00",
        f"/cari?kata={'9' * 200}",
        f"/cari?kata=LPSE-{TOO_LARGE}",
        "/cari?kata=%22*%27)(%20OR%20NEAR%20%5E%3A",
        "/laporan?hari=99999999999999999999",
        "/topik/../../etc/passwd",
        "/topik/kemenperin/..%2f..%2fetc",
        "/tiket/-1",
        "/tiket/0",
        "/berkas/x/..%2f..%2fapp.py",
        "/masuk?lanjut=//jahat.example",
    ],
)
def test_values_out_of_range_are_no_fault(pages: Pages, path: str) -> None:
    pages.receive()
    assert pages.browser("budi").get(path).status_code < 500


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/tiket/1/setujui", {"balasan": TOO_LARGE, "sha256": "0" * 64}),
        ("/tiket/1/setujui", {"balasan": 1, "sha256": "\x00"}),
        (f"/tiket/{TOO_LARGE}/setujui", {"balasan": 1, "sha256": "0" * 64}),
        ("/tiket/1/kirim-lagi", {"balasan": TOO_LARGE}),
        ("/tiket/1/simpan", {"teks": "halo", "dari": TOO_LARGE}),
        (f"/tiket/{TOO_LARGE}/simpan", {"teks": "halo", "dari": ""}),
        (f"/tiket/{TOO_LARGE}/hadir", {}),
        (f"/tiket/{TOO_LARGE}/catatan", {"catatan": "x"}),
        (f"/tiket/{TOO_LARGE}/buang", {}),
        (f"/tiket/{TOO_LARGE}/tampilkan", {}),
        (f"/tiket/1/surat/{TOO_LARGE}/lampiran/1", {}),
        (f"/karantina/{TOO_LARGE}/ulangi", {}),
        ("/sekaligus?topik=lupa-password", {"pilih": f"{'9' * 18}:{'0' * 64}"}),
        ("/masuk", {"nama": "bu\x00di", "sandi": "\x00" * 20}),
        ("/saya/bahasa", {"bahasa": "../../etc/passwd\r\nx: y"}),
        ("/saya/sandi", {"lama": "\x00", "baru": "\x00" * 12, "ulang": "\x00" * 12}),
    ],
)
def test_forms_out_of_range_are_no_fault(pages: Pages, path: str, form: dict[str, Any]) -> None:
    pages.receive()
    assert pages.browser("budi").post(path, **form).status_code < 500


@pytest.mark.parametrize("path", ["/antrean?penyedia=%00", f"/tiket/{TOO_LARGE}", "/antrean?kotak=%00"])
def test_values_that_postgresql_cannot_hold_are_no_fault(pages_on_postgresql: Pages, path: str) -> None:
    assert pages_on_postgresql.browser("budi").get(path).status_code < 500


def test_a_note_with_control_characters_is_kept_without_them(pages_on_postgresql: Pages) -> None:
    ticket = pages_on_postgresql.receive()
    browser = pages_on_postgresql.browser("budi")
    assert browser.post(f"/tiket/{ticket}/catatan", catatan="sudah\x00 ditelepon\x1b").status_code == 303
    assert "sudah ditelepon" in text_of(browser.get(f"/tiket/{ticket}").text)
    assert browser.post(f"/tiket/{ticket}/simpan", teks="Yth.\x00 Bapak", dari="").status_code == 200
    assert "Yth. Bapak" in browser.get(f"/tiket/{ticket}/sunting").text


def test_an_approval_names_a_reply_of_its_own_ticket(pages: Pages) -> None:
    one, two = pages.receive(), pages.receive()
    browser = pages.browser("budi")
    draft = pages.draft(two)
    answer = browser.post(f"/tiket/{one}/setujui", balasan=draft.id, sha256=draft.sha256)
    assert answer.status_code == 409
    assert pages.ticket(two).status is TicketStatus.NEEDS_APPROVAL


def test_nothing_is_decided_about_a_blind_audit_before_its_choice(pages: Pages) -> None:
    ticket = pages.receive(blind=True)
    browser = pages.browser("budi")
    draft = pages.draft(ticket)
    assert browser.approve(ticket).status_code == 409
    assert browser.post(f"/tiket/{ticket}/tolak", alasan="x").status_code == 409
    handed_in = browser.post(
        f"/tiket/{ticket}/sunting", teks="Yth. Bapak", dari=str(draft.id), aksi="setujui"
    )
    assert handed_in.status_code in {303, 409}
    assert pages.draft(ticket).id == draft.id
    assert pages.verdict(ticket).decided_at is None


def test_a_text_typed_over_another_tickets_reply_is_not_bound_to_it(pages: Pages) -> None:
    one, two = pages.receive(), pages.receive()
    browser = pages.browser("budi")
    foreign = pages.draft(two)
    assert browser.post(f"/tiket/{one}/sunting", teks="Halo", dari=str(foreign.id)).status_code == 409
    assert pages.draft(two).id == foreign.id


def test_what_somebody_types_is_shown_to_nobody_else(pages: Pages) -> None:
    ticket = pages.receive()
    one, two = pages.browser("budi"), pages.browser("siti")
    one.post(f"/tiket/{ticket}/simpan", teks="hanya milik budi", dari=str(pages.draft(ticket).id))
    assert "hanya milik budi" in one.get(f"/tiket/{ticket}/sunting").text
    assert "hanya milik budi" not in two.get(f"/tiket/{ticket}/sunting").text
    two.post(f"/tiket/{ticket}/buang")
    assert "hanya milik budi" in one.get(f"/tiket/{ticket}/sunting").text


def test_of_two_approvals_at_once_one_wins(pages: Pages) -> None:
    ticket = pages.receive()
    draft = pages.draft(ticket)
    browsers = [pages.browser(name) for name in ("budi", "siti", "tono")]
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(
            lambda one: one.post(f"/tiket/{ticket}/setujui", balasan=draft.id, sha256=draft.sha256), browsers
        ))  # fmt: skip
    assert sorted(one.status_code for one in answers) == [303, 409, 409]
    assert [action for _, action in pages.events(ticket)].count("approved") == 1
    assert len(pages.replies(ticket, ReplyStatus.APPROVED)) == 1


@pytest.mark.parametrize(
    "onward",
    [
        "/%09/jahat.example", "/\t/jahat.example", "/\r\nlocation: https://jahat.example", "/%0d%0aset-cookie: a=b",
        "https:jahat.example", "///jahat.example", "/\\/jahat.example", " //jahat.example", "/\u2028/jahat.example",
        "/..//jahat.example", "/.//jahat.example", "\\\\jahat.example", "/@jahat.example", "／／jahat.example",
    ],
)  # fmt: skip
def test_the_log_in_stays_here_whatever_is_asked(pages: Pages, onward: str) -> None:
    pages.browser("budi")
    answer = pages.browser().log_in("budi", onward=onward)
    there = answer.headers["location"]
    assert re.match(r"/(?![/\\])", there), there
    assert "\n" not in there
    assert str(answer.request.url.join(there)).startswith(f"{BASE}/"), there


def test_a_log_in_begins_a_session_of_its_own(pages: Pages) -> None:
    pages.browser("budi")
    browser = pages.browser()
    browser.client.cookies.set("lpse", "dari-penyerang")
    browser.log_in("budi")
    tokens = [one.value for one in browser.client.cookies.jar if one.name == "lpse"]
    assert any(one != "dari-penyerang" and len(one or "") >= 43 for one in tokens)
    other = pages.browser()
    other.client.cookies.set("lpse", "dari-penyerang")
    assert other.get("/antrean").status_code == 401


def test_an_address_with_a_slash_too_many_leads_nowhere_else(pages: Pages) -> None:
    answer = pages.browser("budi").get("/antrean/", host="siapa@127.0.0.1:8080")
    assert "location" not in answer.headers


def test_a_stranger_learns_nothing_about_the_database(pages: Pages) -> None:
    browser = pages.browser("budi")
    program = Program(pages)
    with pages.database.begin() as connection:
        for table in ("sessions", "api_tokens"):
            connection.execute(text(f"ALTER TABLE {table} RENAME TO {table}_gone"))
    for answer in (browser.get("/antrean"), program.get("/me")):
        assert answer.status_code == 503
        assert "sessions" not in answer.text
        assert "api_tokens" not in answer.text


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd.pdf", "..\\..\\win.pdf", "laporan\u202efdp.pdf",
        "akta – perusahaan.pdf", "公司.pdf", "a;b=c.pdf", "a%22b.pdf", "<script>alert(1)</script>.pdf", ".pdf",
    ],
)  # fmt: skip
def test_a_download_has_one_clean_name(pages: Pages, name: str) -> None:
    ticket = pages.receive(attachments=[File(name, b"%PDF-1.4 asli")])
    browser = pages.browser("budi")
    page = browser.get(f"/tiket/{ticket}").text
    assert "<script>alert" not in page
    (link,) = re.findall(r'action="(/tiket/\d+/surat/\d+/lampiran/\d+)"', page)
    answer = browser.post(link)
    assert answer.content == b"%PDF-1.4 asli"
    value = answer.headers["content-disposition"]
    assert re.fullmatch(r"attachment; filename\*=UTF-8''[A-Za-z0-9%._~-]+", value), value
    assert "%2F" not in value
    assert "%5C" not in value


def test_markup_stays_text_wherever_people_can_write(pages: Pages) -> None:
    evil = "<img src=x onerror=alert(1)>"
    ticket = pages.receive(
        subject=f"Tanya {evil}", sender=f'"{evil}" <budi@penyedia.example>', attachments=[File(f"{evil}.pdf")]
    )
    browser = pages.browser("budi")
    admin = pages.browser("bu.admin", Role.ADMIN)
    admin.post("/akun/tambah", nama="tono", lengkap=evil, sandi=PASSWORD)
    other = pages.browser("tono")
    other.post(f"/tiket/{ticket}/hadir")
    browser.post(f"/tiket/{ticket}/catatan", catatan=evil)
    browser.post(f"/tiket/{ticket}/simpan", teks=f"Yth. {evil}", dari=str(pages.draft(ticket).id))
    browser.post(f"/tiket/{ticket}/sunting", teks=f"Yth. {evil}", dari=str(pages.draft(ticket).id))
    browser.post(f"/tiket/{ticket}/senior", alasan=evil)
    pages_to_see = [f"/tiket/{ticket}", f"/tiket/{ticket}/sunting", "/antrean", "/antrean?antrean=to_approve", "/akun",
                    f"/cari?kata={evil}", "/sekaligus?topik=lupa-password", "/laporan", "/topik", "/saya"]  # fmt: skip
    for path in pages_to_see:
        page = admin.get(path)
        assert page.status_code in {200, 409}, path
        assert evil not in page.text, path
    browser.post(f"/tiket/{ticket}/tolak", alasan=evil)
    assert evil not in browser.get(f"/tiket/{ticket}").text
    assert evil not in browser.get(f"/tiket/{ticket}/sunting").text


def test_numbers_of_people_are_masked_in_reasons_and_in_the_log(pages: Pages) -> None:
    ticket = pages.receive()
    browser = pages.browser("budi")
    browser.post(f"/tiket/{ticket}/tolak", alasan="NIK 3273010101900001 salah")
    page = browser.get(f"/tiket/{ticket}").text
    assert "3273010101900001" not in page
    assert "[NIK]" in page


def test_numbers_of_people_are_masked_in_titles_lists_and_search(pages: Pages) -> None:
    nik = "3273010101900001"
    ticket = pages.receive(
        f"Kami lupa password, NIK {nik}", subject=f"Lupa password {nik}", sender=f"{nik} <a@b.example>"
    )
    browser = pages.browser("budi")
    for path in (
        "/antrean",
        f"/tiket/{ticket}",
        f"/tiket/{ticket}/sunting",
        "/cari?kata=lupa",
        "/sekaligus?topik=lupa-password",
    ):
        assert nik not in browser.get(path).text, path
    assert ("budi", "revealed") not in pages.events(ticket)
    assert nik in browser.post(f"/tiket/{ticket}/tampilkan").text
    assert ("budi", "revealed") in pages.events(ticket)


def test_the_year_is_that_of_the_office(pages: Pages) -> None:
    pages.clock.now = datetime(2026, 12, 31, 18, 30, tzinfo=UTC)  # 01.30 of New Year's Day in Jakarta
    ticket = pages.receive()
    page = text_of(pages.browser("budi").get(f"/tiket/{ticket}").text)
    assert "1 Jan 01.30" in page
    assert "1 Jan 2027" not in page


def test_arming_what_is_armed_changes_nothing(pages: Pages) -> None:
    senior = pages.browser("siti", Role.SENIOR)
    senior.post("/pengiriman/aktifkan")
    senior.post("/pengiriman/aktifkan")
    assert pages.events().count(("siti", "armed")) == 1


def test_guesses_of_the_old_password_are_slowed_down(pages: Pages) -> None:
    browser = pages.browser("budi")
    new = "gajah-terbang-tinggi-9"
    for _ in range(accounts.FREE_FAILURES["account"]):
        assert browser.post("/saya/sandi", lama="salah", baru=new, ulang=new).status_code == 422
    assert browser.post("/saya/sandi", lama=PASSWORD, baru=new, ulang=new).status_code == 429
    pages.clock.forward(minutes=6)
    assert browser.post("/saya/sandi", lama=PASSWORD, baru=new, ulang=new).status_code == 303


def test_a_token_that_is_revoked_ends_at_once(pages: Pages) -> None:
    program = Program(pages)
    with pages.database.begin() as connection:
        api_tokens.revoke(connection, program.token_id, "uji", pages.clock())
    assert program.get("/me").status_code == 401


def test_an_unreadable_name_of_a_vendor_breaks_no_list(pages: Pages) -> None:
    ticket = pages.receive()
    with pages.database.begin() as connection:
        odd = "\u202eًٌٍَُِّْ\ud83d\ude00\u0000".encode("utf-16", "surrogatepass").decode("utf-16") + "x" * 5_000
        connection.execute(update(Ticket).where(Ticket.id == ticket).values(vendor_name=odd, subject=odd))
        connection.execute(
            update(Message).where(Message.ticket_id == ticket).values(from_name=odd, subject=odd)
        )
    browser = pages.browser("budi")
    for path in ("/antrean", f"/tiket/{ticket}"):
        assert browser.get(path).status_code == 200
