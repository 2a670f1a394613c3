"""`content lint`: what the content owner is told, by file and line."""

from datetime import date
from pathlib import Path

import pytest

from responder.errors import ContentError
from responder.knowledge.lint import Severity, lint
from tests.topics import write_topic

DAY = date(2026, 6, 1)
FACT = "unconfirmed:\n  - key: biaya\n    what: biaya meterai\n"


@pytest.fixture
def content(tmp_path: Path) -> Path:
    (tmp_path / "_staff").mkdir()
    (tmp_path / "_staff" / "examples.txt").write_text(
        "# penulis: a\n\nkembalikan uang saya\n", encoding="utf-8"
    )
    return tmp_path


def told(content: Path) -> list[tuple[str, int, Severity, str]]:
    return [(str(f.file.relative_to(content)), f.line, f.severity, f.message) for f in lint(content, DAY)]


def only(content: Path) -> tuple[str, int, Severity, str]:
    findings = told(content)
    assert len(findings) == 1, findings
    return findings[0]


def test_good_content_gives_no_findings(content: Path):
    write_topic(content)
    assert told(content) == []


@pytest.mark.parametrize(
    ("head", "body", "line", "words"),
    [
        ("salah: 1\n", "isi", 6, "kunci tidak dikenal"),
        (FACT, "isi", 7, "tidak punya tempat"),
        ("", "baca [laman](https://a.example", 7, "tautan atau gambar tidak terbaca"),
        ("", "satu\n![logo](https://a.example/x.png)", 8, "gambar"),
        ("", "lihat [laman](www.lpse.example)", 7, "harus diawali http"),
        ("", "satu\n\n<b>tebal</b>", 9, "HTML tidak dipakai"),
        ("", "\n\n", 7, "jawaban kosong"),
        ("attachments: [formulir.pdf]\n", "isi", 6, "tidak ada di folder ini"),
        ("attachments: [../../etc/passwd]\n", "isi", 6, "harus nama berkas"),
        ("documents:\n  - name: KTP\n", "isi", 7, "tidak tampil"),
    ],
)
def test_an_error_names_file_and_line(content: Path, head: str, body: str, line: int, words: str):
    write_topic(content, head=head, body=body)
    errors = [found for found in told(content) if found[2] is Severity.ERROR]
    assert [(file, at) for file, at, _, _ in errors] == [("ganti-sandi/answer.md", line)]
    assert words in errors[0][3]


@pytest.mark.parametrize(
    ("head", "words"),
    [
        ("valid_to: 2026-05-31\n", "masa berlaku berakhir"),
        ("valid_from: 2026-06-02\n", "isi baru berlaku"),
    ],
)
def test_content_outside_its_validity_is_a_warning(content: Path, head: str, words: str):
    write_topic(content, head=head)
    file, line, severity, message = only(content)
    assert (file, line, severity) == ("ganti-sandi/answer.md", 6, Severity.WARNING)
    assert words in message


def test_content_past_its_review_date_is_a_warning(content: Path):
    path = write_topic(content) / "answer.md"
    path.write_text(path.read_text().replace("review_by: 2030-01-01", "review_by: 2026-05-31"))
    assert only(content)[:3] == ("ganti-sandi/answer.md", 5, Severity.WARNING)


def test_an_open_fact_is_a_warning_with_the_command_that_settles_it(content: Path):
    write_topic(content, head=FACT, body="{{ fakta.biaya }}")
    _, line, severity, message = only(content)
    assert (line, severity) == (7, Severity.WARNING)
    assert "responder content confirm ganti-sandi biaya" in message


def test_a_confirmation_that_nobody_asks_for_is_a_warning(content: Path):
    folder = write_topic(content)
    (folder / "confirmed.yaml").write_text(
        "facts:\n  lama:\n    value: x\n    by: Siti\n    confirmed_on: 2026-01-01\n"
    )
    assert only(content)[:3] == ("ganti-sandi/confirmed.yaml", 0, Severity.WARNING)


@pytest.mark.parametrize("examples", ["", "# hanya komentar\n", " \n\n"])
def test_a_topic_without_examples_is_an_error(content: Path, examples: str):
    write_topic(content, examples=examples)
    assert only(content)[:3] == ("ganti-sandi/examples.txt", 0, Severity.ERROR)


def test_missing_examples_are_an_error(content: Path):
    (write_topic(content) / "examples.txt").unlink()
    assert "berkas tidak ada" in only(content)[3]


def test_one_example_in_two_topics_is_an_error_that_names_both_places(content: Path):
    write_topic(content, "a", examples="saya lupa sandi\nsekali\n")
    write_topic(content, "b", examples="# penulis: b\n\nlain\n\nSaya lupa  sandi sekali\n")
    file, line, severity, message = only(content)
    assert (file, line, severity) == ("b/examples.txt", 5, Severity.ERROR)
    assert "a/examples.txt:1" in message


def test_an_example_for_staff_that_is_also_a_topics_is_an_error(content: Path):
    write_topic(content, examples="Kembalikan uang saya")
    assert only(content)[2] is Severity.ERROR


def test_a_file_that_is_never_sent_is_a_warning(content: Path):
    (write_topic(content) / "lupa.pdf").write_bytes(b"%PDF")
    assert only(content)[:3] == ("ganti-sandi/lupa.pdf", 0, Severity.WARNING)


def test_a_folder_name_that_is_no_slug_is_an_error(content: Path):
    write_topic(content, "Ganti Sandi")
    assert "nama folder" in only(content)[3]


def test_a_missing_content_folder_is_one_message(tmp_path: Path):
    with pytest.raises(ContentError, match="tidak dapat dibaca"):
        lint(tmp_path / "tidak-ada", DAY)
