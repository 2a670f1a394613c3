"""The HTML shell of every reply, and HTML made from a plain text that staff have edited."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import escape
from urllib.parse import urlsplit

from responder.knowledge.markdown import WIDTH

_URL = re.compile(r"https?://[^\s<>\"']+[^\s<>\"'.,;:!?)\]]")
_ITEM = re.compile(r"(?:\d{1,3}[.)]|[A-Za-z][.)]|[-*•])\s+")
_GOVERNMENT = ".go.id"
_COLUMN_EM = 0.4  # width of a column of plain text in a proportional font, about


def page(body: str) -> str:
    """Wrap the HTML fragment `body` as a document: inline styles only, nothing remote, no colours of its own."""
    return (
        '<!DOCTYPE html>\n<html lang="id">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n</head>\n'
        '<body style="margin:0;padding:16px">\n'
        '<div style="max-width:640px;font-family:Arial,Helvetica,sans-serif;font-size:15px;line-height:1.5">\n'
        f"{body.strip()}\n</div>\n</body>\n</html>\n"
    )


def html_from_text(text: str, hosts: Iterable[str] = ()) -> str:
    """Return a plain text reply as an HTML document, lines that were only folded joined again.

    An address becomes clickable only when its host is one of `hosts` (the content's own links) or under go.id:
    staff may have quoted the vendor, and a vendor's address must not become our link (rule 68).
    """
    known = frozenset(host.lower() for host in hosts)
    blocks = []
    for block in re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n").strip("\n")):
        lines = "\n".join(_line(line, known) for line in _unfolded(block.split("\n")))
        if lines:
            blocks.append(f'<div style="margin:0 0 12px 0">\n{lines}\n</div>')
    return page("\n".join(blocks))


def link_host(url: str) -> str:
    """The host of `url` in lower case, "" when it has none."""
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def _unfolded(lines: Iterable[str]) -> Iterator[str]:
    """Join each line to the one before where only folding at WIDTH columns can have parted them."""
    current = ""
    length = 0  # of the last physical line
    for line in (line.rstrip() for line in lines):
        first_word = line.split(maxsplit=1)[0] if line.strip() else ""
        folded = (
            current and first_word and length + 1 + len(first_word) > WIDTH and not _ITEM.match(line.lstrip())
        )
        if folded:
            current += " " + line.strip()
        else:
            if current:
                yield current
            current = line
        length = len(line)
    if current:
        yield current


def _line(line: str, hosts: frozenset[str]) -> str:
    words = line.lstrip()
    indent = len(line) - len(words)
    item = _ITEM.match(words)
    hang = len(item[0]) if item else 0
    style = ""
    if indent or hang:
        style = (
            f' style="padding-left:{(indent + hang) * _COLUMN_EM:g}em;text-indent:-{hang * _COLUMN_EM:g}em"'
        )
    return f"<div{style}>{_linked(words, hosts)}</div>"


def _linked(text: str, hosts: frozenset[str]) -> str:
    parts = []
    start = 0
    for found in _URL.finditer(text):
        host = link_host(found[0])
        if host in hosts or host.endswith(_GOVERNMENT):
            url = escape(found[0])
            parts += [escape(text[start : found.start()]), f'<a href="{url}">{url}</a>']
            start = found.end()
    parts.append(escape(text[start:]))
    return "".join(parts)
