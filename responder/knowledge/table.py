"""The office's own table of answers, from .xlsx or .csv: columns No, Jenis Konten, Konten, Lampiran."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from responder.errors import ContentError

MAX_BYTES = 20 * 1024 * 1024
MAX_UNPACKED_BYTES = 200 * 1024 * 1024  # an .xlsx is a ZIP archive, which may unpack to anything
MAX_ROWS = 5000

_HEADINGS = {"no": "number", "jenis konten": "title", "konten": "text", "lampiran": "attachment"}
_HEADING_WITHIN = 30  # rows: titles and logos may stand above the table


@dataclass(frozen=True, slots=True)
class Row:
    """One answer of the table. `line` is the row of the sheet on which it starts, from 1."""

    line: int
    number: str
    title: str
    text: str
    attachment: str


def read(path: Path, sheet: str = "") -> list[Row]:
    """Return the rows of the table in `path`; a row without number and title continues the one above it.

    Raises ContentError when the file cannot be read, is too large, or holds no such table.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ContentError(f"{path}: tidak dapat dibaca: {error.strerror}") from error
    if len(raw) > MAX_BYTES:
        raise ContentError(f"{path}: lebih besar dari {MAX_BYTES // 1024**2} MB; ini bukan tabel isi")
    kind = path.suffix.lower()
    if kind == ".xlsx":
        lines = _from_xlsx(path, raw, sheet)
    elif kind == ".csv":
        lines = _from_csv(path, raw)
    else:
        raise ContentError(f"{path}: simpan tabel sebagai .xlsx atau .csv lalu ulangi")
    return _rows(path, lines)


def _from_csv(path: Path, raw: bytes) -> list[list[str]]:
    for encoding in ("utf-8-sig", "utf-16", "cp1252"):
        try:
            text = raw.decode(encoding)
            break
        except UnicodeError:
            continue
    else:
        raise ContentError(f"{path}: penyandian teks tidak dikenal; simpan sebagai CSV UTF-8")
    # Spreadsheets of an Indonesian locale write semicolons. The delimiter is the one that finds the headings.
    for delimiter in ",;\t":
        try:
            lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
        except csv.Error:
            continue
        if _heading(lines) is not None:
            return lines[:MAX_ROWS]
    raise _no_table(path)


def _from_xlsx(path: Path, raw: bytes, sheet: str) -> list[list[str]]:
    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MAX_UNPACKED_BYTES:
                raise ContentError(f"{path}: isi berkas terlalu besar setelah dibuka")
        book = openpyxl.load_workbook(io.BytesIO(raw), read_only=True, data_only=True)
    except (zipfile.BadZipFile, InvalidFileException, KeyError, ValueError, OSError) as error:
        raise ContentError(f"{path}: bukan berkas .xlsx yang utuh ({error})") from error
    try:
        if sheet and sheet not in book.sheetnames:
            raise ContentError(f"{path}: tidak ada lembar {sheet!r}; yang ada: {', '.join(book.sheetnames)}")
        for name in [sheet] if sheet else book.sheetnames:
            lines = [
                [_cell(value) for value in line]
                for line in book[name].iter_rows(max_row=MAX_ROWS, values_only=True)
            ]
            if _heading(lines) is not None:
                return lines
    finally:
        book.close()
    raise _no_table(path)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # spreadsheets keep every number as a float
    return str(value)


def _heading(lines: Sequence[Sequence[str]]) -> tuple[int, dict[str, int]] | None:
    """Return (index of the line with the headings, column of each), or None."""
    for index, line in enumerate(lines[:_HEADING_WITHIN]):
        columns: dict[str, int] = {}
        for column, value in enumerate(line):
            name = _HEADINGS.get(" ".join(value.split()).casefold().rstrip("."))
            if name is not None:
                columns.setdefault(name, column)
        if {"title", "text"} <= columns.keys():
            return index, columns
    return None


def _rows(path: Path, lines: Sequence[Sequence[str]]) -> list[Row]:
    found = _heading(lines)
    if found is None:
        raise _no_table(path)
    first, columns = found
    rows: list[Row] = []
    for line, values in enumerate(lines[first + 1 :], start=first + 2):
        cells = {name: _value(values, columns.get(name)) for name in _HEADINGS.values()}
        if not any(cells.values()):
            continue
        if not cells["number"] and not cells["title"] and rows:
            above = rows[-1]
            rows[-1] = replace(
                above,
                text=_joined(above.text, cells["text"]),
                attachment=_joined(above.attachment, cells["attachment"]),
            )
            continue
        if not cells["title"] or not cells["text"]:
            missing = "Jenis Konten" if not cells["title"] else "Konten"
            raise ContentError(f"{path}:{line}: kolom {missing!r} kosong; isi atau hapus baris ini")
        rows.append(Row(line, **cells))
    if not rows:
        raise ContentError(f"{path}: tabel tidak punya baris isi")
    return rows


def _value(values: Sequence[str], column: int | None) -> str:
    return (
        values[column].replace("\r\n", "\n").replace("\r", "\n").strip()
        if column is not None and column < len(values)
        else ""
    )


def _joined(*texts: str) -> str:
    return "\n".join(filter(None, texts))


def _no_table(path: Path) -> ContentError:
    return ContentError(f"{path}: tidak ada baris judul kolom No, Jenis Konten, Konten, Lampiran")
