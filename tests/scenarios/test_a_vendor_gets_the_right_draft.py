"""Promise: a vendor's mail of each topic becomes a draft with that topic's documents and links."""

from __future__ import annotations

import pytest

from tests.scenarios.installation import DRAFTS, OFFICE, VENDOR, Installation, plain_text

MAILS = {
    "pendaftaran-lintas-lpse": (
        "Akun LPSE daerah",
        "Kami sudah punya akun di LPSE Provinsi Jawa Timur. Apakah akun tersebut bisa dipakai untuk ikut tender di "
        "LPSE Kementerian Perindustrian, atau harus mendaftar lagi?",
    ),
    "pendaftaran-penyedia": (
        "Pendaftaran penyedia",
        "Kami perusahaan baru dan ingin mendaftar sebagai penyedia. Apa saja persyaratan dan dokumen pendaftarannya?",
    ),
    "ganti-email": (
        "Ganti email",
        "Email perusahaan yang terdaftar sudah tidak aktif. Apa persyaratan untuk mengganti email akun LPSE kami?",
    ),
    "lupa-password": (
        "Lupa password",
        "Kami lupa password akun LPSE. Bagaimana cara reset password? Email terdaftar masih aktif.",
    ),
    "agregasi-data-penyedia": (
        "Aktivasi agregasi",
        "Perusahaan kami punya dua akun di dua LPSE. Bagaimana cara aktivasi agregasi data penyedia supaya jadi satu akun?",
    ),
    "ganti-alamat": (
        "Pindah kantor",
        "Kantor kami pindah alamat. Apa syarat mengubah alamat domisili perusahaan di akun LPSE?",
    ),
    "integrasi-sikap": (
        "Tarik data SIKaP",
        "Data sudah kami isi di SIKaP tetapi belum muncul di LPSE. Bagaimana cara menarik data SIKaP ke LPSE?",
    ),
    "verifikasi-sikap": (
        "Verifikasi SIKaP",
        "Data SIKaP kami belum verified. Siapa yang memverifikasi data SIKaP dan kapan?",
    ),
    "tender-cepat": (
        "Tender cepat",
        "Kami tidak pernah mendapat undangan tender cepat. Apa syarat supaya bisa ikut tender cepat?",
    ),
}
SAID = {
    "pendaftaran-lintas-lpse": ["terlebih dahulu mendaftar online di LPSE Kementerian Perindustrian"],
    "pendaftaran-penyedia": [
        "www.lpse.kemenperin.go.id",
        "KTP Direktur",
        "NPWP perusahaan",
        "[belum dikonfirmasi: ",
    ],
    "ganti-email": [
        "Surat permohonan penggantian e-mail",
        "KTP direktur",
        "SIUP/NIB",
        "[belum dikonfirmasi: ",
    ],
    "lupa-password": ["klik lupa password", "spam", '"strong"'],
    "agregasi-data-penyedia": ["sikap.lkpp.go.id", "Klik disini untuk melakukan aktivasi akun Penyedia"],
    "ganti-alamat": ["Surat permohonan penggantian alamat domisili", "Akta Perubahan Terakhir"],
    "integrasi-sikap": ["klik integrasi SIKaP", "klik tarik data SIKaP", "bukan sebaliknya"],
    "verifikasi-sikap": ["pokja pemilihan", "pembuktian kualifikasi"],
    "tender-cepat": ["Verified", "undangan"],
}


def test_each_topic_is_drafted_with_its_documents_and_links_and_nothing_is_sent(office: Installation) -> None:
    office.ready()
    for topic, (subject, body) in MAILS.items():
        office.deliver(subject, body, sender=f"{topic}@baharijaya.example")
    round_ = office.poll()
    assert round_["new"] == len(MAILS)
    for ticket in office.tickets():
        topic = ticket["vendor_address"].partition("@")[0]
        assert ticket["status"] == "needs_approval", ticket
        (draft,) = office.drafts_of(ticket["id"])
        assert draft["topics"][0] == topic
        text = " ".join(draft["text"].split())
        for words in SAID[topic]:
            assert words in text, (topic, words)
        assert office.replies_to(ticket["vendor_address"]) == []
    assert len(office.folder(DRAFTS)) == len(MAILS)


def test_a_draft_is_a_proper_letter_in_the_thread(office: Installation) -> None:
    """Rules 29, 33, 35, 37 and 41."""
    office.ready()
    header_id = office.deliver(*MAILS["lupa-password"])
    office.poll()
    (draft,) = office.folder(DRAFTS)
    assert draft["In-Reply-To"] == f"<{header_id}>"
    assert draft["References"] == f"<{header_id}>"
    assert draft["To"].addresses[0].addr_spec == VENDOR
    assert draft["From"].addresses[0].addr_spec == OFFICE
    assert draft["Subject"].startswith("Re: ") and "[LPSE-000001-" in draft["Subject"]
    assert draft["Auto-Submitted"] is None
    text = plain_text(draft)
    for words in (
        "Yth. Bapak/Ibu Ratna Dewi",
        "Dengan hormat",
        "LPSE Kementerian Perindustrian",
        "pukul 08.00-16.00",
    ):
        assert words in text
    assert "tidak pernah meminta password" in " ".join(text.split())
    assert "tidak dipungut biaya" in " ".join(text.split())
    html = draft.get_body(("html",))
    assert html is not None and "<ol" in html.get_content()


def test_several_topics_in_one_mail_give_one_reply_with_numbered_sections(office: Installation) -> None:
    office.ready()
    office.deliver(
        "Dua hal",
        "Kantor kami pindah alamat dan email perusahaan juga berganti. Apa persyaratan mengganti alamat dan mengganti email?",
    )
    office.poll()
    (ticket,) = office.tickets()
    if sorted(ticket["topics"]) != ["ganti-alamat", "ganti-email"]:
        office.run("retopic", "1", "ganti-alamat", "ganti-email")
    (draft,) = office.drafts_of(1)
    assert "Bagian 1: Pergantian" in draft["text"] and "Bagian 2: Pergantian" in draft["text"]


def test_an_english_mail_gets_the_indonesian_answer_with_one_english_line_above(office: Installation) -> None:
    office.ready()
    office.deliver(
        "Forgot our password",
        "Dear Helpdesk,\n\nWe have forgotten the password of our LPSE account. How can we reset it? We still have access "
        "to the registered email address.\n\nKind regards,\nHelen",
    )
    office.poll()
    (draft,) = office.drafts_of(1)
    before, _, after = draft["text"].partition("Yth.")
    assert len([line for line in before.splitlines() if line.strip()]) in (1, 2)
    assert "Indonesian" in before
    assert "klik lupa password" in after


@pytest.mark.parametrize("body", ["Akun kami dinonaktifkan admin, mohon diaktifkan kembali.", "halo"])
def test_what_nobody_wrote_an_answer_for_goes_to_a_person(office: Installation, body: str) -> None:
    office.ready()
    office.deliver("Mohon bantuan", body)
    office.poll()
    (ticket,) = office.tickets()
    assert ticket["status"] == "needs_staff"
    assert ticket["reason"]
    assert office.drafts_of(ticket["id"]) == []
    assert b"\\Flagged" in office.flags()[0]
