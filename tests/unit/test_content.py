"""The shipped content: what the office's FAQ says, what nobody knows yet, and nothing else."""

from datetime import date

import pytest

from responder.knowledge import markdown, places
from responder.knowledge.lint import Severity, lint
from responder.knowledge.load import load_topics
from responder.paths import shipped
from responder.replies.render import Office, Renderer

TODAY = date(2026, 6, 1)
OFFICE = Office("LPSE Kementerian Perindustrian", "lpse@instansi.example")
CERTAIN = ["integrasi-sikap", "lupa-password", "tender-cepat", "verifikasi-sikap"]
UNCERTAIN = [
    "agregasi-data-penyedia",
    "ganti-alamat",
    "ganti-email",
    "pendaftaran-lintas-lpse",
    "pendaftaran-penyedia",
]
TOPICS = load_topics(shipped("content"))


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer(shipped("templates"))


def said(renderer: Renderer, slug: str) -> str:
    """What a vendor would read about `slug`, white space folded."""
    return " ".join(renderer.preview(TOPICS[slug], OFFICE, TODAY).text.split())


def test_there_are_the_nine_topics_of_the_faq():
    assert list(TOPICS) == sorted(CERTAIN + UNCERTAIN)
    assert sorted(topic.source[-1] for topic in TOPICS.values()) == list("123456789")


def test_shipped_content_has_no_errors():
    assert [str(f) for f in lint(shipped("content"), TODAY) if f.severity is Severity.ERROR] == []


@pytest.mark.parametrize("slug", CERTAIN)
def test_a_topic_without_uncertain_facts_may_be_sent_automatically(renderer: Renderer, slug: str):
    reply = renderer.preview(TOPICS[slug], OFFICE, TODAY)
    assert reply.problems == ()
    assert reply.unconfirmed == ()


@pytest.mark.parametrize("slug", UNCERTAIN)
def test_a_topic_with_uncertain_facts_is_held_and_says_so_in_the_draft(renderer: Renderer, slug: str):
    reply = renderer.preview(TOPICS[slug], OFFICE, TODAY)
    assert reply.problems
    assert reply.unconfirmed
    assert "[belum dikonfirmasi:" in " ".join(reply.html.split())


@pytest.mark.parametrize("slug", TOPICS)
def test_nothing_unconfirmed_or_from_the_pandemic_is_ever_shown(renderer: Renderer, slug: str):
    reply = renderer.preview(TOPICS[slug], OFFICE, TODAY)
    for part in (reply.text, reply.html):
        for hidden in (
            "lpse126",
            "gmail.com",
            "adminlpse",
            "lkpp.go.id>",
            "pandemi",
            "6.000",
            "10.000",
            "beritaId",
        ):
            assert hidden not in part


def test_the_sender_of_the_registration_mail_is_an_open_fact_without_place_or_reading(renderer: Renderer):
    topic = TOPICS["pendaftaran-penyedia"]
    fact = next(fact for fact in topic.unconfirmed if fact.key == "alamat_pengirim_pendaftaran")
    assert fact.reading == ""
    assert not fact.in_text
    assert "@" not in fact.evidence
    words = said(renderer, "pendaftaran-penyedia").replace(OFFICE.address, "")
    assert "yang dikirim oleh LPSE Kementerian Perindustrian melalui email" in words
    assert "@" not in words


def test_stamp_amount_is_open_with_both_amounts_as_evidence():
    for slug in ("ganti-email", "ganti-alamat"):
        fact = next(fact for fact in TOPICS[slug].unconfirmed if fact.key == "nilai_meterai")
        assert fact.reading == "Rp10.000,-"
        assert "Rp.6.000,-" in fact.evidence
        assert "UU 10/2020" in fact.evidence


def test_the_mailbox_for_scans_stands_only_in_notes_that_have_ended():
    for slug in ("ganti-email", "ganti-alamat", "pendaftaran-penyedia"):
        topic = TOPICS[slug]
        assert "email_dokumen" in [fact.key for fact in topic.unconfirmed]
        assert "email_dokumen" in places.facts_in(topic.notes[0].text)
        assert "email_dokumen" not in places.facts_in(topic.body)
        assert not topic.notes[0].valid(TODAY)


def test_requirements_keep_the_wording_and_order_of_the_source(renderer: Renderer):
    words = said(renderer, "ganti-alamat").replace("[belum dikonfirmasi: nilai meterai]", "…")
    assert (
        "Datang ke kantor layanan LPSE dengan membawa persyaratan sebagai berikut: "
        "1. Surat permohonan penggantian alamat domisili, dicap bermaterai … dan ditandatangani direktur, "
        "diketik di atas kertas berkop surat perusahaan; "
        "2. Selain direktur, pembawa surat kuasa wajib tercantum dalam akta perusahaan. "
        "3. Surat kuasa dicap bermaterai … dan ditandatangani direktur, diketik diatas kertas berkop surat perusahaan; "
        "4. KTP direktur dan yang diberi kuasa (Asli); 5. NPWP perusahaan (Asli); 6. SIUP/NIB (Asli); "
        "7. Akta Perubahan Terakhir."
    ) in words


def test_registration_keeps_its_numbers_where_steps_were_lost(renderer: Renderer):
    words = said(renderer, "pendaftaran-penyedia")
    assert "3) Download Formulir Pendaftaran LPSE 4) [belum dikonfirmasi: langkah 4" in words
    assert "6) Isi data pendaftaran online ke-2 dengan lengkap" in words
    assert "Untuk Penyedia Konsultan Perorangan: 1) Surat" in words
    assert "6) Surat keterangan domisili (surat keterangan tinggal dari RT/RW setempat)" in words


def test_the_askers_situation_is_not_given_as_an_instruction(renderer: Renderer):
    words = said(renderer, "pendaftaran-lintas-lpse")
    assert "Keadaan yang ditanyakan: Penyedia mendaftar online di LPSE selain" in words
    assert "Jawaban: Pendaftaran LPSE tidak dapat dilakukan lintas LPSE." in words


def test_the_conflict_between_registration_and_aggregation_is_open_in_both():
    for slug in ("pendaftaran-lintas-lpse", "agregasi-data-penyedia"):
        assert "akun_aktif_di_lpse_lain" in [fact.key for fact in TOPICS[slug].unconfirmed]


@pytest.mark.parametrize("slug", TOPICS)
def test_notes_for_the_owner_are_not_shown_to_vendors(renderer: Renderer, slug: str):
    shown = said(renderer, slug)
    for note in TOPICS[slug].owner_notes:
        assert markdown.plain(note) not in shown
    assert "INAPROC" not in shown


@pytest.mark.parametrize("slug", TOPICS)
def test_every_line_fits_the_width_unless_it_is_one_long_word(renderer: Renderer, slug: str):
    for line in renderer.preview(TOPICS[slug], OFFICE, TODAY).text.splitlines():
        assert len(line) <= markdown.WIDTH or len(line.split()) == 1
