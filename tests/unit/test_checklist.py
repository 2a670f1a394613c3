"""Which documents a mail seems to hand in, told by names and words alone."""

import pytest

from responder.knowledge.checklist import Checklist, check
from responder.knowledge.load import load_topics
from responder.paths import shipped

TOPICS = load_topics(shipped("content"))
LETTER = "Surat permohonan penggantian e-mail"
PROXY = "Surat kuasa"
KTP = "KTP direktur dan yang diberi kuasa"
NPWP = "NPWP perusahaan"
LICENCE = "SIUP/NIB"
DEED = "Akta Perubahan Terakhir"


def looked_at(*names: str, text: str = "", slug: str = "ganti-email") -> Checklist:
    return check(TOPICS[slug], names, text)


def received(found: Checklist) -> list[str]:
    return [document.name for document in found.received]


def missing(found: Checklist) -> list[str]:
    return [document.name for document in found.seemingly_missing]


@pytest.mark.parametrize(
    ("name", "document"),
    [
        ("ktp_dir.pdf", KTP),
        ("KTP penerima kuasa.jpeg", KTP),
        ("scan npwp pt.jpg", NPWP),
        ("akta perub terakhir.pdf", DEED),
        ("SuratKuasa.PDF", PROXY),
        ("surat permohnan ganti email.docx", LETTER),
        ("NIB-OSS.pdf", LICENCE),
        ("02.siup 2024.pdf", LICENCE),
    ],
)
def test_a_document_is_told_by_its_file_name(name: str, document: str):
    found = looked_at(name)
    assert received(found) == [document]
    assert found.seems_submission


def test_what_is_missing_is_named_in_the_order_of_the_requirements():
    found = looked_at("ktp_dir.pdf", "scan npwp pt.jpg", "akta perub terakhir.pdf", "IMG_2031.jpg")
    assert missing(found) == [LETTER, PROXY, LICENCE]


def test_a_condition_is_never_a_missing_document():
    everything = ["permohonan.pdf", "surat kuasa.pdf", "ktp.pdf", "npwp.pdf", "nib.pdf", "akta.pdf"]
    found = looked_at(*everything)
    assert received(found) == [LETTER, PROXY, KTP, NPWP, LICENCE, DEED]
    assert missing(found) == []


def test_one_file_may_hold_several_documents():
    assert received(looked_at("ktp dan npwp.pdf")) == [KTP, NPWP]


@pytest.mark.parametrize(
    "name", ["IMG_2031.jpg", "screenshot.png", "scan0001.pdf", "", "....", "image001.png"]
)
def test_a_name_that_tells_nothing_is_no_submission(name: str):
    found = looked_at(name)
    assert not found.seems_submission
    assert missing(found) == []


def test_words_say_what_unnamed_files_hold():
    found = looked_at(
        "IMG_1.jpg", "IMG_2.jpg", text="Terlampir surat permohonan dan KTP direktur. NPWP menyusul."
    )
    assert received(found) == [LETTER, KTP]
    assert NPWP in missing(found)


def test_asking_for_the_requirements_hands_in_nothing():
    text = "Apa saja yang harus dilampirkan? Apakah KTP dan NPWP?"
    assert not looked_at(text=text).seems_submission
    assert not looked_at("IMG_1.jpg", text=text).seems_submission
    assert not looked_at(text="Kami lampirkan KTP dan NPWP").seems_submission


def test_an_individual_consultant_is_asked_for_the_documents_of_consultants():
    found = looked_at("ktp.jpg", "ijazah s1.pdf", slug="pendaftaran-penyedia")
    assert "Surat keterangan domisili" in missing(found)
    assert not any("Akta" in name for name in missing(found))


def test_a_firm_is_asked_for_the_documents_of_firms():
    found = looked_at("ktp.jpg", "npwp.pdf", slug="pendaftaran-penyedia")
    assert missing(found) == ["Surat Pembuatan Akun LPSE", "Akta pendirian dan akta perubahan terakhir"]


def test_items_that_nobody_could_read_are_not_demanded():
    found = looked_at("ktp.jpg", slug="pendaftaran-penyedia")
    assert not any("Butir" in name for name in missing(found))


def test_a_topic_without_documents_has_an_empty_checklist():
    assert looked_at("ktp.pdf", slug="lupa-password") == Checklist((), (), False)


def test_a_hostile_text_is_looked_at_only_so_far():
    assert not looked_at("IMG_1.jpg", text="lampir " * 50_000).seems_submission
