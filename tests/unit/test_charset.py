"""The ladder of character sets: always text, and a doubt wherever it was a guess."""

from __future__ import annotations

import pytest

from responder.mail import charset, parse
from tests.mails import build_mail

PANGRAM = "Muharjo seorang xenofobia universal yang takut pada warga jazirah – “contohnya” Qatar."


@pytest.mark.parametrize(
    "label", ["utf-8", "UTF8", '"utf-8"', "utf-16", "gb18030", "windows-1252", "iso-8859-1"]
)
def test_declared_charset_is_taken(label: str) -> None:
    codec = "cp1252" if label == "iso-8859-1" else label.strip('"')
    assert charset.decode(PANGRAM.encode(codec), label) == (PANGRAM, "")


@pytest.mark.parametrize(
    ("label", "codec", "text"),
    [
        ("gb2312", "gb18030", "投标文件"),
        ("ks_c_5601-1987", "cp949", "안녕하세요"),
        ("shift_jis", "cp932", "こんにちは"),
        ("iso-2022-jp", "iso2022_jp", "こんにちは"),
        ("big5", "big5", "你好"),
        ("koi8-r", "koi8-r", "привет"),
        ("windows-1256", "cp1256", "مرحبا"),
    ],
)
def test_labels_mean_what_senders_mean(label: str, codec: str, text: str) -> None:
    assert charset.decode(text.encode(codec), label) == (text, "")


@pytest.mark.parametrize(
    ("data", "label", "text"),
    [
        (PANGRAM.encode(), "us-ascii", PANGRAM),
        (PANGRAM.encode(), "", PANGRAM),
        (PANGRAM.encode(), "iso-8859-1", PANGRAM),
        (PANGRAM.encode("cp1252"), "utf-8", PANGRAM),
        (PANGRAM.encode("cp1252"), "us-ascii", PANGRAM),
        (PANGRAM.encode(), "x-unknown", PANGRAM),
        ("привет, как дела сегодня".encode("cp1251"), "", "привет, как дела сегодня"),
    ],
)
def test_wrong_labels_are_mended(data: bytes, label: str, text: str) -> None:
    assert charset.decode(data, label).text == text


@pytest.mark.parametrize(
    "label", ["x-klingon", "hex", "zlib", "idna", "punycode", "unicode_escape", "utf-7", "a\0b"]
)
def test_labels_that_are_no_charsets_are_a_doubt(label: str) -> None:
    """Codecs of Python are no charsets; UTF-7 hides markup."""
    decoded = charset.decode(b"halo", label)
    assert decoded.text == "halo"
    assert decoded.doubt


def test_text_that_fits_nothing_is_still_text() -> None:
    decoded = charset.decode(bytes(range(256)) * 20, "utf-8")
    assert decoded.doubt
    assert decoded.text.encode()
    assert "\0" not in decoded.text


def test_unknown_charset_of_a_body_is_read_with_a_doubt() -> None:
    mail = parse.read(build_mail(body=PANGRAM).replace(b"charset=utf-8", b"charset=x-klingon"))
    assert mail.text == PANGRAM
    assert mail.doubts == ("charset 'x-klingon', read as UTF-8",)


def test_character_cut_at_the_end_of_a_partial_fetch_is_let_go() -> None:
    assert charset.decode("baris é".encode()[:-1], "utf-8") == ("baris ", "")


def test_controls_and_invisible_characters_are_removed() -> None:
    text = "a\0b\x1b[31mc\u200bd\u00ade\ufeff\r\nf\rg\u2028h\u00a0i"
    assert charset.clean(text) == "ab[31mcde\nf\ng\nh i"
    assert charset.clean("x\ud800y") == "xy"
