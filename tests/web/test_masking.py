"""Personal numbers are masked in lists and pages; showing them is noted."""

from __future__ import annotations

from tests.web.conftest import Pages, text_of

BODY = (
    "Selamat pagi, kami lupa password akun LPSE. NIK saya 3201123456780001, HP 0812-3456-7890, "
    "password lama: rahasia123. Bagaimana cara mereset password-nya?"
)
SECRETS = ("3201123456780001", "0812-3456-7890", "rahasia123")


def test_numbers_and_passwords_are_masked_in_list_page_frame_and_search(pages: Pages) -> None:
    ticket = pages.receive(BODY, subject="NIK 3201123456780001", html=f"<p>{BODY}</p>")
    browser = pages.browser("budi")
    message = pages.draft(ticket).message_id
    for path in ("/antrean", f"/tiket/{ticket}", f"/tiket/{ticket}/sunting", "/cari?kata=password",
                 f"/tiket/{ticket}/surat/{message}/html"):  # fmt: skip
        page = browser.get(path).text
        assert not [secret for secret in SECRETS if secret in page], path
    assert "[NIK disamarkan]" in text_of(browser.get(f"/tiket/{ticket}").text)


def test_showing_what_is_masked_is_noted_and_lasts_one_page(pages: Pages) -> None:
    ticket = pages.receive(BODY)
    browser = pages.browser("budi")
    shown = browser.post(f"/tiket/{ticket}/tampilkan")
    assert shown.status_code == 200
    assert all(secret in shown.text for secret in SECRETS)
    assert ("budi", "revealed") in pages.events(ticket)
    assert SECRETS[0] not in browser.get(f"/tiket/{ticket}").text
    assert browser.get(f"/tiket/{ticket}/tampilkan").status_code == 303
