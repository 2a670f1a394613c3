"""Indonesian with its regional languages, English, or something else."""

from __future__ import annotations

import pytest

from responder.mail.language import detect


@pytest.mark.parametrize(
    "text",
    [
        "Selamat pagi, bagaimana cara mengganti kata sandi akun kami?",
        "Lupa password",
        "pak tlg reset password sy gak bisa login, mks",
        "Error upload dokumen di SPSE",
        "Kepriye carane ganti email, matur nuwun",
        "Kumaha carana ngaganti email perusahaan, hatur nuhun",
        "Hello LPSE, saya lupa password akun",
    ],
)
def test_indonesian_in_every_register_is_indonesian(text: str) -> None:
    assert detect(text) == "id"


@pytest.mark.parametrize(
    "text",
    ["How can I reset the password of our account?", "Please change our company address", "I forgot it"],
)
def test_english_is_english(text: str) -> None:
    assert detect(text) == "en"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "123 456",
        "你好，我忘记了密码",
        "Ich habe mein Passwort vergessen",
        "Bonjour, je voudrais changer mon adresse email",
    ],
)
def test_everything_else_is_other(text: str) -> None:
    assert detect(text) == "other"


def test_addresses_and_links_say_nothing_about_the_language() -> None:
    assert detect("https://the.example/and/of the@and.example") == "other"


def test_a_long_line_without_spaces_is_read_at_once() -> None:
    assert detect("a" * 3_000_000) == "other"
