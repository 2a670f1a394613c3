"""What of a mail the classifier reads."""

from __future__ import annotations

import pytest

from responder.classifier import words
from responder.classifier.text import Prepared, prepare
from responder.paths import shipped

FRAME = words.load(shipped("content")).frame


def read(body: str, subject: str = "") -> Prepared:
    return prepare(subject, body, FRAME)


def test_greeting_closing_and_signature_are_left_out() -> None:
    body = (
        "Yth. Admin LPSE,\n\nSandi kami hilang, bagaimana mengaturnya?\n\n"
        "Atas perhatiannya kami ucapkan terima kasih.\n\n"
        "Hormat kami,\nBudi\nPT Contoh Abadi\nAlamat: Jl. Contoh 1\nEmail: budi@contoh.example"
    )
    assert read(body).sentences == ("Sandi kami hilang, bagaimana mengaturnya?",)


def test_a_question_after_the_closing_is_read() -> None:
    assert (
        "PS: alamatnya juga pindah, caranya?"
        in read("Mohon info ADP\nSalam,\nBudi\nPS: alamatnya juga pindah, caranya?").sentences
    )


@pytest.mark.parametrize("body", ["", "  \n", "Halo", "Selamat pagi Pak,", "...", "-- \nBudi"])
def test_a_mail_without_content_has_no_sentences(body: str) -> None:
    assert read(body).sentences == ()


def test_our_own_quoted_answer_is_not_read() -> None:
    found = read(
        "Siap Pak, terima kasih.\n\nPada Sen, 3 Mar 2025 Helpdesk menulis:\n> Untuk mengganti email ..."
    )
    assert found.has_quote
    assert not any("mengganti" in sentence for sentence in found.sentences)


def test_a_quote_that_the_mail_points_at_is_read() -> None:
    found = read("Mohon dijawab pertanyaan pimpinan kami di bawah.\n\n> Bagaimana cara tarik data SIKaP?")
    assert found.from_quote
    assert "Bagaimana cara tarik data SIKaP?" in found.sentences


def test_forwarded_text_counts_as_own() -> None:
    body = "---------- Forwarded message ---------\nFrom: Budi\nSubject: tanya\n\nLupa sandi, caranya?"
    assert read(body).sentences == ("Lupa sandi, caranya?",)


def test_the_subject_is_read_without_its_prefixes() -> None:
    assert read("mohon info", "Re: Fwd: Ganti email").sentences[0] == "Ganti email"


def test_a_disclaimer_is_left_out() -> None:
    assert read(
        "Cara ganti email?\nThis email and any attachments are confidential.\nPlease delete it."
    ).sentences == ("Cara ganti email?",)


def test_names_below_a_mail_without_a_closing_are_left_out() -> None:
    lexicon = words.load(shipped("content"))
    with_name = lexicon.sentences("", "Sandi kami hilang, caranya?\n\nTerima kasih,\nRosalia\nPT Tekun Jaya")
    assert with_name == lexicon.sentences("", "Sandi kami hilang, caranya?\n\nTerima kasih,")


def test_a_topic_named_in_capitals_at_the_end_is_read() -> None:
    lexicon = words.load(shipped("content"))
    found = lexicon.sentences("", "Mohon petunjuk dua hal\n\nLupa Sandi\nGanti Email")
    assert [set(sentence.concepts) >= {"a:ganti", "o:surel"} for sentence in found][-1]


def test_who_wrote_the_quoted_mail_is_no_part_of_it() -> None:
    body = "Mohon dijawab pertanyaan di bawah.\n\n> Pada Sen, 3 Mar 2025, Sari menulis:\n> Cara tarik data SIKaP?"
    assert read(body).sentences == ("Mohon dijawab pertanyaan di bawah.", "Cara tarik data SIKaP?")
