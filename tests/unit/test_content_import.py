"""The office's own table becomes topic folders, and nothing uncertain in it can be sent unseen."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import openpyxl
import pytest

from responder.errors import ContentError
from responder.knowledge import importing, table
from responder.knowledge.importing import Proposal, State
from responder.knowledge.load import load_topics
from responder.knowledge.topic import Topic
from responder.paths import shipped

ON = date(2026, 11, 22)
HEADINGS = ["No", "Jenis Konten", "Konten", "Lampiran"]
LINK = "https://lpse.example/berita?id=1"


@pytest.fixture(scope="module")
def topics() -> dict[str, Topic]:
    return load_topics(shipped("content"))


def sheet(tmp_path: Path, *rows: list[object]) -> Path:
    book = openpyxl.Workbook()
    page = book.active
    assert page is not None
    page.append(["Tabel FAQ LPSE"])
    page.append(HEADINGS)
    for row in rows:
        page.append(row)
    path = tmp_path / "faq.xlsx"
    book.save(path)
    return path


def proposals(path: Path, topics: dict[str, Topic]) -> list[Proposal]:
    return importing.propose(table.read(path), topics, "Pemilik", path.name, ON)


def test_a_spreadsheet_and_its_csv_say_the_same(tmp_path: Path) -> None:
    xlsx = sheet(tmp_path, [1, "Cara A", "Satu.\nDua.", "-"], [2, "Cara B", "Tiga.", None])
    semicolons = tmp_path / "faq.csv"
    semicolons.write_bytes(
        b'\xef\xbb\xbfTabel FAQ LPSE;;;\r\nNo;Jenis Konten;Konten;Lampiran\r\n1;Cara A;"Satu.\r\nDua.";-\r\n2;Cara B;Tiga.;\r\n'
    )
    assert table.read(xlsx) == table.read(semicolons)
    assert [row.text for row in table.read(xlsx)] == ["Satu.\nDua.", "Tiga."]


def test_a_row_without_number_and_title_continues_the_one_above(tmp_path: Path) -> None:
    (row,) = table.read(sheet(tmp_path, [1, "Cara A", "Satu.", None], [None, None, "Dua.", LINK]))
    assert (row.text, row.attachment) == ("Satu.\nDua.", LINK)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("faq.pdf", b"%PDF", "simpan tabel sebagai .xlsx atau .csv"),
        ("faq.xlsx", b"no archive", "bukan berkas .xlsx yang utuh"),
        ("faq.csv", b"a,b\n1,2\n", "tidak ada baris judul kolom"),
        ("faq.csv", b"No,Jenis Konten,Konten,Lampiran\n", "tidak punya baris isi"),
        ("faq.csv", b"No,Jenis Konten,Konten,Lampiran\n1,,teks,\n", "faq.csv:2: kolom 'Jenis Konten' kosong"),
    ],
)
def test_a_file_that_is_no_such_table_is_one_clear_line(
    tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ContentError, match=says):
        table.read(path)


def test_addresses_links_amounts_and_unreadable_words_are_unconfirmed_facts(
    tmp_path: Path, topics: dict[str, Topic]
) -> None:
    text = "Kirim ke lpse @kantor.example [?] dan bayar Rp.6.000,- [tidak terbaca: akhir]"
    proposals_ = proposals(sheet(tmp_path, [1, "Cara kirim berkas", text, LINK]), topics)
    importing.write(proposals_, tmp_path / "content", replace=False)
    (topic,) = load_topics(tmp_path / "content").values()
    readings = {fact.key: fact.reading for fact in topic.unconfirmed}
    assert readings["email_1"] == "lpse@kantor.example"
    assert readings["nilai_1"] == "Rp.6.000,-"
    assert readings["tautan_1"] == LINK
    assert readings["bagian_1"] == ""
    assert "kantor.example" not in topic.body
    assert topic.problems(ON)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1. Satu\n2. Dua\n4. Empat", "Butir 2 langsung diikuti butir 4"),
        ("a. satu\nc. tiga", "Butir a langsung diikuti butir c"),
        ("Berlaku pada 2021.", "Menyebut tahun 2021"),
        ("Selama masa pandemi kirim email.", "terikat waktu"),
        ("kata " * 50 + "dan kata", "mungkin terpotong"),
    ],
)
def test_what_may_be_missing_or_outdated_blocks_automatic_sending(
    tmp_path: Path, topics: dict[str, Topic], text: str, says: str
) -> None:
    made = proposals(sheet(tmp_path, [1, "Cara kirim berkas", text, None]), topics)
    assert any(says in line for line in made[0].uncertain)
    importing.write(made, tmp_path / "content", replace=False)
    (topic,) = load_topics(tmp_path / "content").values()
    assert topic.problems(ON)


def test_lists_that_start_anew_are_no_gap(tmp_path: Path, topics: dict[str, Topic]) -> None:
    text = "1. Satu:\na. x\nb. y\n2. Dua:\na. x\n3. Tiga."
    assert proposals(sheet(tmp_path, [1, "Cara kirim berkas", text, None]), topics)[0].uncertain == ()


def test_a_row_of_a_known_topic_shows_what_differs_and_one_without_difference_is_left_alone(
    tmp_path: Path, topics: dict[str, Topic]
) -> None:
    same = topics["tender-cepat"]
    text = "\n".join(line.strip() for line in same.body.splitlines())
    rows = [[1, "Tender Cepat", text, None], [2, "Integrasi SIKaP", "Isi yang lain.", None]]
    first, second = proposals(sheet(tmp_path, *rows), topics)
    assert (first.slug, first.state) == ("tender-cepat", State.SAME)
    assert second.slug == "integrasi-sikap"
    assert second.state is State.CHANGED
    assert "+Isi yang lain." in second.difference


def test_an_answer_that_exists_is_replaced_only_when_told_and_kept_beside(
    tmp_path: Path, topics: dict[str, Topic]
) -> None:
    made = proposals(sheet(tmp_path, [1, "Cara kirim berkas", "Isi.", None]), topics)
    target = tmp_path / "content" / "cara-kirim-berkas"
    target.mkdir(parents=True)
    (target / "answer.md").write_text("lama", encoding="utf-8")
    with pytest.raises(ContentError, match="sudah ada"):
        importing.write(made, tmp_path / "content", replace=False)
    assert (target / "answer.md").read_text(encoding="utf-8") == "lama"
    importing.write(made, tmp_path / "content", replace=True)
    assert (target / ".answer.md.lama").read_text(encoding="utf-8") == "lama"
    assert "Isi." in (target / "answer.md").read_text(encoding="utf-8")


def test_braces_and_markup_of_a_cell_stay_words(tmp_path: Path, topics: dict[str, Topic]) -> None:
    text = "Isi {{ fakta.rahasia }} *tebal* _x_ [a](b)."
    importing.write(
        proposals(sheet(tmp_path, [1, "Cara kirim berkas", text, None]), topics),
        tmp_path / "content",
        replace=False,
    )
    (topic,) = load_topics(tmp_path / "content").values()
    assert topic.unconfirmed == ()
    assert "{{" not in topic.body
    assert r"\*tebal\*" in topic.body


def test_two_rows_of_one_topic_are_refused(tmp_path: Path, topics: dict[str, Topic]) -> None:
    path = sheet(tmp_path, [1, "Tender cepat", "Isi.", None], [2, "tender  cepat", "Isi.", None])
    with pytest.raises(ContentError, match="topik yang sama"):
        proposals(path, topics)
