"""Places in content: `{{ fakta.<key> }}` and `{{ daftar_dokumen("…") }}`, and the marker of an unconfirmed fact.

Content is no program: these two forms are all there is, so that nothing in a topic folder can loop, fetch or leak.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

FACT = re.compile(r"\{\{ *fakta\.([a-z0-9_]+) *\}\}")
DOCUMENT_LIST = re.compile(r'\{\{ *daftar_dokumen\( *(?:"([^"\n]*)")? *\) *\}\}')
_BRACES = re.compile(r"\{\{|\}\}|\{%|%\}")

_LIST_LINE = re.compile(rf"^(?P<indent> *){DOCUMENT_LIST.pattern} *$")
_ITEM_OF_ONE_FACT = re.compile(rf"^(?P<lead> *(?:\d+[.)]|[-*+]) +){FACT.pattern} *$")
_MARKDOWN_SPECIAL = re.compile(r"([\\`*_\[\]<>&#!|~])")
_LOOKS_LIKE_ITEM = re.compile(r"^(\d+)([.)])|^([-+])")

# Staff may have rewrapped the line or lost a bracket while editing: whatever still says the words is a marker.
_MARKER = re.compile(
    r"\[?\s?belum\s+dikonfirmasi\s*:(?:[^\]\n]{0,200}(?:\n[^\]\n]{1,200}){0,3}\])?",
    re.IGNORECASE,
)


def marker(what: str) -> str:
    """Return what a draft shows in place of a fact that nobody has confirmed."""
    return f"[belum dikonfirmasi: {what}]"


def unconfirmed_markers(text: str) -> list[str]:
    """Return the markers that stand in `text`, white space folded, in order; approval is refused while there is one."""
    return [" ".join(found[0].split()) for found in _MARKER.finditer(text)]


def facts_in(text: str) -> list[str]:
    """Return the keys of the facts whose places stand in `text`, in order, repeats included."""
    return FACT.findall(text)


def stray_braces(text: str, *, lists_allowed: bool) -> bool:
    """Whether braces stand in `text` that are no well-formed place."""
    rest = FACT.sub("", text)
    return _BRACES.search(DOCUMENT_LIST.sub("", rest) if lists_allowed else rest) is not None


def only_a_fact(text: str) -> str | None:
    """Return the key when `text` is nothing but one fact's place, else None."""
    found = FACT.fullmatch(text.strip())
    return found[1] if found else None


def fill(text: str, facts: Mapping[str, str]) -> str:
    """Return `text` with each place filled, on one line. Raises KeyError for a place without fact."""
    return FACT.sub(lambda found: " ".join(facts[found[1]].split()), text)


def fill_markdown(body: str, facts: Mapping[str, str], lists: Mapping[str, Iterable[str]]) -> str:
    """Return the Markdown `body` with facts and document lists in their places.

    `lists` maps the name in `daftar_dokumen("…")` ("" for none) to wordings, which may hold places themselves.
    An item that is nothing but a place becomes one item for each line of its value: none when the owner settled
    that there is nothing. Raises KeyError for a place without fact or list.
    """
    lines: list[str] = []
    for line in body.split("\n"):
        if found := _LIST_LINE.match(line):
            indent = found["indent"]
            delimiter = ")" if indent else "."  # the office numbers 1., and 1) below it
            items = [filled for item in lists[found[2] or ""] for filled in _item(item, facts)]
            lines += [f"{indent}{number}{delimiter} {item}" for number, item in enumerate(items, start=1)]
        elif found := _ITEM_OF_ONE_FACT.match(line):
            lines += [f"{found['lead']}{value}" for value in _item(line.removeprefix(found["lead"]), facts)]
        else:
            lines.append(_fill_escaped(line, facts))
    return "\n".join(lines)


def _item(text: str, facts: Mapping[str, str]) -> list[str]:
    key = only_a_fact(text)
    if key is None:
        return [_fill_escaped(text, facts)]
    return [_escape(value) for value in facts[key].splitlines() if value.strip()]


def _fill_escaped(text: str, facts: Mapping[str, str]) -> str:
    return FACT.sub(lambda found: _escape(facts[found[1]]), text)


def _escape(value: str) -> str:
    """Make `value` plain words in Markdown: it is data, whatever characters it holds."""
    escaped = _MARKDOWN_SPECIAL.sub(r"\\\1", " ".join(value.split()))
    return _LOOKS_LIKE_ITEM.sub(lambda found: f"{found[1] or ''}\\{found[2] or found[3]}", escaped)
