"""The office's word lists: what they make of a vendor's words, and what is said when they are wrong."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from responder.classifier import words
from responder.classifier.lexicon import Lexicon
from responder.errors import ContentError
from responder.paths import shipped


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    return words.load(shipped("content"))


@pytest.fixture
def content(tmp_path: Path) -> Path:
    shutil.copytree(shipped("content") / words.FOLDER, tmp_path / words.FOLDER)
    return tmp_path


def normalised(lexicon: Lexicon, text: str) -> list[str]:
    return [token.norm for token in lexicon.tokens(text)]


@pytest.mark.parametrize(
    ("vendor", "standard"),
    [
        ("gmn cr gnti imel", "bagaimana cara ganti surel"),
        ("pasword sy hilang", "sandi saya hilang"),
        ("how to change email address", "bagaimana ganti surel"),
        ("lelang kilat", "tender cepat"),
        ("kumaha ngahijikeun akun", "bagaimana gabung akun"),
    ],
)
def test_chat_regional_and_english_wording_become_one_indonesian_word(
    lexicon: Lexicon, vendor: str, standard: str
) -> None:
    assert normalised(lexicon, vendor) == normalised(lexicon, standard)


def test_a_typing_error_in_a_word_of_the_field_is_repaired(lexicon: Lexicon) -> None:
    assert normalised(lexicon, "verifikassi") == normalised(lexicon, "verifikasi")


@pytest.mark.parametrize("word", ["bilang", "mereka", "merupakan", "ketika", "dibajak", "serang"])
def test_an_ordinary_word_is_no_typing_error_for_a_word_of_the_field(lexicon: Lexicon, word: str) -> None:
    assert [token.plain for token in lexicon.tokens(word)] == [word]


def test_changing_the_email_and_changing_the_name_are_different_concepts(lexicon: Lexicon) -> None:
    email = lexicon.sentence(lexicon.tokens("mau ganti email")).concepts
    director = lexicon.sentence(lexicon.tokens("mau ganti direktur")).concepts
    assert {"a:ganti", "o:surel"} <= set(email)
    assert {"a:ganti", "o:pengurus"} <= set(director)
    assert "o:surel" not in director


def test_a_stop_shows_the_words_that_raised_it(lexicon: Lexicon) -> None:
    sentence = lexicon.sentence(lexicon.tokens("Bapak, sdh kami kirim berkasnya senin lalu"))
    assert sentence.stops["s:tindak_lanjut"] == "sdh kami kirim"


def test_shipped_word_lists_have_no_findings() -> None:
    assert words.lint(shipped("content")) == []


def test_a_word_in_two_lists_is_found_with_file_and_line(content: Path) -> None:
    path = content / words.FOLDER / "daerah.yaml"
    path.write_text("surel: [gmn]\n", encoding="utf-8")
    finding = words.lint(content)[0]
    assert (finding.file, finding.line) == (path, 1)
    assert "'gmn'" in finding.message and "ejaan.yaml" in finding.message


def test_a_broken_word_list_is_one_clear_line(content: Path) -> None:
    path = content / words.FOLDER / "konsep.yaml"
    path.write_text("objek:\n  surel: {label: email}\n", encoding="utf-8")
    with pytest.raises(
        ContentError, match=r"konsep\.yaml:2: concept 'surel' needs exactly `label` and `kata`"
    ):
        words.load(content)


def test_truth_values_of_yaml_stay_words(content: Path) -> None:
    (content / words.FOLDER / "daerah.yaml").write_text("tidak: [off]\n", encoding="utf-8")
    assert normalised(words.load(content), "off") == normalised(words.load(content), "tidak")


def test_unknown_words_are_counted_and_known_ones_left_out() -> None:
    found = words.unknown_words(["zzgrumpel password", "zzgrumpel lagi"], shipped("content"))
    assert found == [("zzgrumpel", 2)]
