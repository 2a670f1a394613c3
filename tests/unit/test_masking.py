"""Personal numbers and passwords in texts."""

from __future__ import annotations

import pytest

from responder.mail.masking import Personal, blank, find, mask, mask_html


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("NIK 3201123456780001.", "NIK [NIK]."),
        ("NIK: 3201 1234 5678 0001", "NIK: [NIK]"),
        ("NIK 320112-345678-0001", "NIK [NIK]"),
        ("NPWP 01.234.567.8-901.000", "NPWP [NPWP]"),
        ("NPWP 012345678901000,", "NPWP [NPWP],"),
        ("hp 081234567890", "hp [telepon]"),
        ("hp +62 812-3456-7890 ya", "hp [telepon] ya"),
        ("telp (021) 525 2123", "telp [telepon]"),
        ("telp 021-5252123", "telp [telepon]"),
        ("password: rahasia123, user budi", "password: [sandi], user budi"),
        ("Kata sandi lama saya adalah Abc!23", "Kata sandi lama saya adalah [sandi]"),
        ("pw=hunter22", "pw=[sandi]"),
        ("password lama: contoh12345. Mohon", "password lama: [sandi]. Mohon"),
        ("NIK 3201123456780001 081234567890", "NIK [NIK] [telepon]"),
    ],
)
def test_what_is_personal_is_out_of_sight(text: str, masked: str) -> None:
    assert mask(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "tanggal 02-03-2025 pukul 09.15",
        "kode tender 10012345000",
        "[LPSE-000123-k7f3q]",
        "Perpres 17 Tahun 2023",
        "lupa password akun LPSE",
        "Rp 1.250.000.000",
    ],
)
def test_what_is_not_personal_stays(text: str) -> None:
    assert mask(text) == text


def test_spans_say_where_and_what() -> None:
    (span,) = find("hp 081234567890")
    assert (span.start, span.end, span.kind) == (3, 15, Personal.PHONE)


@pytest.mark.parametrize(
    ("html", "masked"),
    [
        ("<p>NIK 3201123456780001</p>", "<p>NIK [NIK]</p>"),
        ("<p>NIK 3201<b>1234</b>5678<b>0001</b>.</p>", "<p>NIK [NIK]<b></b><b></b>.</p>"),
        ("<p>NIK 3201&nbsp;1234 5678\n  0001</p>", "<p>NIK [NIK]</p>"),
        ("<p><i>Kata sandi</i>: <span>Ab</span>c&amp;23, ya</p>", "<p><i>Kata sandi</i>: <span>[sandi]</span>, ya</p>"),
        ('<a href="https://lpse.example/3201123456780001">0812-3456-7890</a>',
         '<a href="https://lpse.example/3201123456780001">[telepon]</a>'),
    ],
)  # fmt: skip
def test_tags_within_a_number_hide_it_from_nobody(html: str, masked: str) -> None:
    assert mask_html(html) == masked


@pytest.mark.parametrize(
    "html",
    [
        '<p>a &lt; b &amp; c &amp;lt; "d" © 2026</p>',
        "<table><tr><td>3201 1234</td><td>5678 0001</td></tr></table>",
        "<p>0812<br>34567890</p><p>password:</p><p>lupa</p>",
        "<pre>3201 1234\n5678 0001</pre>",
    ],
)
def test_what_stands_in_different_lines_of_a_page_is_not_joined(html: str) -> None:
    assert mask_html(html) == html


def test_a_hostile_text_takes_no_time() -> None:
    mask("0" * 200_000)
    mask("08" + "1 " * 100_000)
    mask("password " * 20_000)
    mask_html("<b>0</b>" * 30_000)


def test_addresses_and_long_numbers_are_blank() -> None:
    text = "NIK 3201 0123 4567 0001, NPWP 01.234.567.8-901.000, telp 0812-0000-1234, surel budi@pt.example, 5 lembar, tahun 2026"
    kept = blank(text)
    for secret in ("3201", "234", "0812", "budi", "pt.example"):
        assert secret not in kept
    assert "5 lembar" in kept and "2026" in kept
