"""Loading topic folders and settling facts."""

from datetime import date
from pathlib import Path

import pytest

from responder.errors import ContentError
from responder.knowledge.confirm import confirm
from responder.knowledge.load import load_topics
from responder.knowledge.places import unconfirmed_markers
from tests.topics import make_topic, write_topic

DAY = date(2026, 6, 1)
FACT = "unconfirmed:\n  - key: biaya\n    what: biaya meterai\n    reading: Rp10.000,-\n"
LINK_FACT = """links:
  - label: Formulir
    url: "{{ fakta.laman }}"
unconfirmed:
  - key: laman
    what: alamat laman
"""


def complaint(directory: Path) -> str:
    with pytest.raises(ContentError) as caught:
        load_topics(directory)
    return str(caught.value)


def test_topics_come_sorted_and_underscore_folders_are_none(tmp_path: Path):
    for slug in ("b-dua", "a-satu"):
        write_topic(tmp_path, slug)
    (tmp_path / "_staff").mkdir()
    assert list(load_topics(tmp_path)) == ["a-satu", "b-dua"]


def test_a_windows_editor_changes_nothing(tmp_path: Path):
    plain = make_topic(tmp_path)
    path = tmp_path / "ganti-sandi" / "answer.md"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    again = load_topics(tmp_path)["ganti-sandi"]
    assert (again.title, again.body) == (plain.title, plain.body)


@pytest.mark.parametrize(
    ("head", "body", "line", "words"),
    [
        ("pemilik: saya\n", "isi", 6, "pemilik: kunci tidak dikenal"),
        ("valid_to: besok\n", "isi", 6, "harus berupa tanggal"),
        ("title: lagi\n", "isi", 6, "ditulis dua kali"),
        ("documents:\n  - nama: KTP\n", "isi", 7, "documents.0.name: wajib diisi"),
        ("documents: KTP\n", "isi", 6, "awali setiap isinya dengan '- '"),
        ("source: {{ fakta.x }}\n", "isi", 6, "tanda petik"),
        ("links:\n  - label: x\n    url: lpse.go.id\n", "isi", 8, "harus diawali http"),
        ("valid_from: 2025-01-02\nvalid_to: 2025-01-01\n", "isi", 7, "lebih awal"),
        ("", "satu\n{{ fakta.tidak_ada }}\n", 8, "tidak ada di daftar 'unconfirmed'"),
        ("", "satu\n\n{{ 7*7 }}\n", 9, "tempat isian tidak dikenal"),
        ("", "{% for x in y %}\n", 7, "tempat isian tidak dikenal"),
        ("", '{{ daftar_dokumen("PT") }}\n', 7, "tidak ada dokumen dengan applies_to"),
        (FACT + "    in_text: false\n", "{{ fakta.biaya }}\n", 12, "in_text: false"),
        ("unconfirmed:\n  - key: a\n    what: '[x]'\n", "isi", 8, "kurung siku"),
    ],
)
def test_broken_content_is_refused_with_file_and_line(
    tmp_path: Path, head: str, body: str, line: int, words: str
):
    folder = write_topic(tmp_path, head=head, body=body)
    found = complaint(tmp_path)
    assert f"{folder / 'answer.md'}:{line}: " in found
    assert words in found


def test_all_broken_topics_are_named_at_once(tmp_path: Path):
    for slug in ("satu", "dua"):
        write_topic(tmp_path, slug, head="salah: ya\n")
    assert len(complaint(tmp_path).splitlines()) == 2


@pytest.mark.parametrize(
    "raw", [b"", b"tanpa front matter", b"---\ntitle: x\n", b"---\n- a\n---\n", b"---\n\xff\n---\n"]
)
def test_files_that_are_no_answer_are_refused(tmp_path: Path, raw: bytes):
    (write_topic(tmp_path) / "answer.md").write_bytes(raw)
    assert "answer.md:" in complaint(tmp_path)


def test_a_missing_folder_or_answer_is_one_clear_message(tmp_path: Path):
    assert "tidak dapat dibaca" in complaint(tmp_path / "tidak-ada")
    (tmp_path / "kosong").mkdir()
    assert "berkas tidak ada" in complaint(tmp_path)


def test_confirming_takes_the_reading_and_leaves_the_answer_as_it_is(tmp_path: Path):
    before = make_topic(tmp_path, head=FACT, body="dicap {{ fakta.biaya }} ya")
    answer = (before.path / "answer.md").read_bytes()
    assert confirm(tmp_path, "ganti-sandi", "biaya", None, "Siti Aminah", DAY) == "Rp10.000,-"
    after = load_topics(tmp_path)["ganti-sandi"]
    assert after.confirmed == {"biaya": "Rp10.000,-"}
    assert after.problems(DAY) == []
    assert after.digest != before.digest
    assert (before.path / "answer.md").read_bytes() == answer
    record = (before.path / "confirmed.yaml").read_text(encoding="utf-8")
    assert "by: Siti Aminah" in record
    assert "confirmed_on: 2026-06-01" in record


def test_confirming_one_fact_keeps_the_others_and_can_be_corrected(tmp_path: Path):
    head = FACT + "  - key: jam\n    what: jam buka\n"
    make_topic(tmp_path, head=head, body="{{ fakta.biaya }} {{ fakta.jam }}")
    confirm(tmp_path, "ganti-sandi", "biaya", None, "Siti", DAY)
    confirm(tmp_path, "ganti-sandi", "jam", "08.00", "Siti", DAY)
    confirm(tmp_path, "ganti-sandi", "jam", "09.00", "Budi", DAY)
    assert load_topics(tmp_path)["ganti-sandi"].confirmed == {"biaya": "Rp10.000,-", "jam": "09.00"}
    assert [path.name for path in (tmp_path / "ganti-sandi").glob(".*")] == []


@pytest.mark.parametrize(
    ("slug", "key", "value", "words"),
    [
        ("tidak-ada", "biaya", "x", "tidak ada topik"),
        ("../ganti-sandi", "biaya", "x", "tidak ada topik"),
        ("ganti-sandi", "lain", "x", "yang ada: biaya, jam"),
        ("ganti-sandi", "jam", None, "tidak punya bacaan"),
        ("ganti-sandi", "jam", "{{ fakta.biaya }}", "tidak boleh memuat"),
        ("ganti-sandi", "jam", "[belum dikonfirmasi: jam]", "tidak boleh memuat"),
        ("ganti-sandi", "jam", "x" * 3000, "terlalu panjang"),
        ("ganti-sandi", "jam", "a\x00b", "karakter kendali"),
    ],
)
def test_what_cannot_be_confirmed_is_refused(
    tmp_path: Path, slug: str, key: str, value: str | None, words: str
):
    make_topic(
        tmp_path, head=FACT + "  - key: jam\n    what: jam buka\n", body="{{ fakta.biaya }} {{ fakta.jam }}"
    )
    with pytest.raises(ContentError, match=words):
        confirm(tmp_path, slug, key, value, "Siti", DAY)
    assert not (tmp_path / "ganti-sandi" / "confirmed.yaml").exists()


def test_a_link_is_confirmed_with_an_address_only(tmp_path: Path):
    make_topic(tmp_path, head=LINK_FACT)
    with pytest.raises(ContentError, match="alamat tautan"):
        confirm(tmp_path, "ganti-sandi", "laman", "lpse saja", "Siti", DAY)
    confirm(tmp_path, "ganti-sandi", "laman", "https://lpse.example/formulir", "Siti", DAY)


def test_nobody_confirms_without_a_name(tmp_path: Path):
    make_topic(tmp_path, head=FACT, body="{{ fakta.biaya }}")
    with pytest.raises(ContentError, match="nama"):
        confirm(tmp_path, "ganti-sandi", "biaya", None, "  ", DAY)


def test_a_confirmation_file_that_was_broken_by_hand_is_named_by_line(tmp_path: Path):
    folder = write_topic(tmp_path, head=FACT, body="{{ fakta.biaya }}")
    (folder / "confirmed.yaml").write_text(
        "facts:\n  biaya:\n    value: 10\n    by: Siti\n    confirmed_on: 2026-06-01\n"
    )
    assert f"{folder / 'confirmed.yaml'}:3: " in complaint(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "dicap [belum dikonfirmasi: nilai meterai] dan",
        "dicap [belum\n   dikonfirmasi: nilai\n   meterai] dan",
        "dicap belum dikonfirmasi: nilai meterai dan",
        "dicap [Belum  Dikonfirmasi : nilai",
    ],
)
def test_a_marker_is_found_however_staff_left_it(text: str):
    assert len(unconfirmed_markers(text)) == 1


def test_ordinary_words_are_no_marker():
    assert unconfirmed_markers("Akun Bapak/Ibu belum dikonfirmasi oleh petugas.") == []


def test_each_marker_is_reported_whole():
    text = "a [belum dikonfirmasi: satu\n  dua] b [belum dikonfirmasi: tiga] c"
    assert unconfirmed_markers(text) == ["[belum dikonfirmasi: satu dua]", "[belum dikonfirmasi: tiga]"]
