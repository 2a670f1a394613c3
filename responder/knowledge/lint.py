"""`content lint`: everything that is wrong with content/, by file and line.

A check is a function from all of the content to findings; `CHECKS` lists them. What keeps a topic from being read at
all (schema, dates, places without fact) is found by reading and stands before the checks' findings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePosixPath

from responder.knowledge import markdown, places, schema
from responder.knowledge.finding import Finding, Severity, doubtful, wrong
from responder.knowledge.load import topic_folders
from responder.knowledge.schema import Source

__all__ = ["CHECKS", "Check", "Content", "Finding", "Severity", "lint"]

_UNPARSED_LINK = re.compile(r"\]\(")
_TAG = re.compile(r"</?[a-zA-Z][^<>\n]*>")


@dataclass(frozen=True, slots=True)
class Content:
    """What the checks look at: the topics that could be read, on a day."""

    directory: Path
    sources: Mapping[str, Source]  # slug → topic
    on: date


Check = Callable[[Content], Iterator[Finding]]


def lint(directory: Path, on: date) -> list[Finding]:
    """Return everything wrong with the content in `directory` on the day `on`, by file and line; [] = nothing.

    Raises ContentError when `directory` itself cannot be read.
    """
    sources: dict[str, Source] = {}
    findings: list[Finding] = []
    folders = topic_folders(directory)
    for folder in folders:
        source, problems = schema.read(folder)
        findings += problems
        if source is not None:
            sources[folder.name] = source
    if not folders:
        findings.append(wrong(directory, 0, "tidak ada folder topik"))
    content = Content(directory, sources, on)
    for check in CHECKS:
        findings += check(content)
    return sorted(set(findings))


def _folder_names(content: Content) -> Iterator[Finding]:
    for slug, source in content.sources.items():
        if not schema.SLUG.fullmatch(slug):
            advice = "pakai huruf kecil, angka dan tanda hubung, mis. ganti-email"
            yield wrong(source.path.parent, 0, f"nama folder {slug!r} tidak dapat dipakai; {advice}")


def _facts(content: Content) -> Iterator[Finding]:
    """Facts without a place, facts still open, and settled facts that nobody asks for."""
    for slug, source in content.sources.items():
        used = source.used_facts()
        for index, fact in enumerate(source.front.unconfirmed):
            line = source.line("unconfirmed", index, "key")
            if fact.in_text and fact.key not in used:
                yield wrong(
                    source.path,
                    line,
                    f"fakta {fact.key!r} tidak punya tempat; tulis {{{{ fakta.{fact.key} }}}} atau in_text: false",
                )
            if fact.key not in source.settled:
                command = f"responder content confirm {slug} {fact.key}"
                yield doubtful(
                    source.path, line, f"belum dikonfirmasi: {fact.what}; pastikan dengan `{command}`"
                )
        known = {fact.key for fact in source.front.unconfirmed}
        for key in source.settled.keys() - known:
            path = source.path.with_name(schema.CONFIRMED)
            yield doubtful(path, 0, f"fakta {key!r} tidak ada lagi di {schema.ANSWER}; hapus dari berkas ini")


def _validity(content: Content) -> Iterator[Finding]:
    for source in content.sources.values():
        front = source.front
        if front.valid_to is not None and front.valid_to < content.on:
            yield doubtful(
                source.path, source.line("valid_to"), f"masa berlaku berakhir {front.valid_to}; perbarui isi"
            )
        if front.valid_from is not None and front.valid_from > content.on:
            yield doubtful(
                source.path, source.line("valid_from"), f"isi baru berlaku mulai {front.valid_from}"
            )
        if front.review_by is None:
            yield doubtful(source.path, 1, "review_by tidak diisi; tulis kapan isi ini ditinjau lagi")
        elif front.review_by < content.on:
            yield doubtful(
                source.path, source.line("review_by"), f"harus ditinjau sebelum {front.review_by}; tinjau isi"
            )


def _answer_text(content: Content) -> Iterator[Finding]:
    """An answer that is empty, or Markdown that vendors would read raw."""
    for source in content.sources.values():
        if not source.body.strip():
            yield wrong(source.path, source.body_line, "jawaban kosong; tulis isinya di bawah front matter")
        for line, text in (*source.entry_texts(), *source.body_lines()):
            if "![" in text or _UNPARSED_LINK.search(markdown.plain(text)):
                yield wrong(
                    source.path,
                    line,
                    "tautan atau gambar tidak terbaca; tulis [label](https://alamat) tanpa gambar",
                )
            if _TAG.search(text):
                yield wrong(
                    source.path, line, "HTML tidak dipakai dan akan tampil apa adanya; tulis Markdown"
                )
            for target in markdown.link_targets(text):
                if not schema.usable_url(target) and not target.startswith("mailto:"):
                    yield wrong(
                        source.path, line, f"alamat tautan {target!r} harus diawali http:// atau https://"
                    )


def _lists_are_used(content: Content) -> Iterator[Finding]:
    """Documents that no `daftar_dokumen` shows: vendors would never learn of them."""
    for source in content.sources.values():
        shown = {
            found[1] or "" for _, text in source.body_lines() for found in places.DOCUMENT_LIST.finditer(text)
        }
        for index, document in enumerate(source.front.documents):
            if document.applies_to not in shown:
                place = (
                    f'{{{{ daftar_dokumen("{document.applies_to}") }}}}'
                    if document.applies_to
                    else "{{ daftar_dokumen() }}"
                )
                line = source.line("documents", index)
                yield wrong(
                    source.path, line, f"dokumen {document.name!r} tidak tampil; tulis {place} dalam jawaban"
                )


def _files(content: Content) -> Iterator[Finding]:
    """Attachments that are missing, and files that nobody mentions."""
    own = {schema.ANSWER, schema.EXAMPLES, schema.CONFIRMED}
    for source in content.sources.values():
        folder = source.path.parent
        for index, name in enumerate(source.front.attachments):
            line = source.line("attachments", index)
            if name != PurePosixPath(name).name or name in own or name.startswith("."):
                yield wrong(source.path, line, f"lampiran {name!r} harus nama berkas di folder ini")
            elif not (folder / name).is_file():
                yield wrong(
                    source.path,
                    line,
                    f"lampiran {name!r} tidak ada di folder ini; tambahkan atau hapus barisnya",
                )
        for path in sorted(folder.iterdir()):
            if (
                path.name not in own
                and path.name not in source.front.attachments
                and not path.name.startswith(".")
            ):
                yield doubtful(path, 0, "tidak disebut di 'attachments', jadi tidak pernah dikirim")


def _examples(content: Content) -> Iterator[Finding]:
    """Topics without examples, and one example in two folders."""
    first: dict[str, tuple[Path, int]] = {}
    for folder in sorted(
        {source.path.parent for source in content.sources.values()} | {content.directory / "_staff"}
    ):
        path = folder / schema.EXAMPLES
        try:
            found = list(_paragraphs(path.read_text(encoding="utf-8-sig")))
        except FileNotFoundError:
            yield wrong(path, 0, "berkas tidak ada; tulis contoh kalimat penyedia, satu per paragraf")
            continue
        except (OSError, UnicodeDecodeError) as error:
            yield wrong(path, 0, f"tidak dapat dibaca: {error}")
            continue
        if not found:
            yield wrong(path, 0, "belum ada contoh; tulis contoh kalimat penyedia, satu per paragraf")
        for line, words in found:
            other, at = first.setdefault(words, (path, line))
            if other.parent != path.parent:
                yield wrong(
                    path,
                    line,
                    f"contoh ini sama dengan {other.parent.name}/{other.name}:{at}; hapus salah satu",
                )


def _paragraphs(text: str) -> Iterator[tuple[int, str]]:
    """Yield (line, words without case and spacing) of each paragraph; lines that start with # are comments."""
    words: list[str] = []
    start = 0
    for number, line in enumerate([*text.splitlines(), ""], start=1):
        if line.strip() and not line.startswith("#"):
            start = start if words else number
            words.append(line)
        elif words and not line.strip():
            yield start, " ".join(" ".join(words).casefold().split())
            words = []


CHECKS: tuple[Check, ...] = (
    _folder_names,
    _facts,
    _validity,
    _answer_text,
    _lists_are_used,
    _files,
    _examples,
)
