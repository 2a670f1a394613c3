"""`content confirm`: the content owner settles an unconfirmed fact; answer.md stays as it is."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import yaml

from responder.errors import ContentError
from responder.files import replacing
from responder.knowledge import places, schema
from responder.knowledge.schema import Settled, Source

LONGEST_VALUE = 2000  # characters; a fact is a word, a number, an address or a step, not an answer

_HEADER = "# Fakta yang sudah dipastikan pemilik konten, ditulis oleh `responder content confirm`.\n"
_CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def confirm(directory: Path, slug: str, key: str, value: str | None, who: str, on: date) -> str:
    """Settle fact `key` of topic `slug`, record who settled it and when, and return the settled value.

    `value` None takes the recorded reading; "" says that there is nothing to put in the place. Several lines fill a
    place that is an item of its own with one item each. A fact settled before is settled anew.
    Raises ContentError when topic or fact is unknown, the value cannot stand in its place, or writing fails.
    """
    folder = directory / slug
    if not schema.SLUG.fullmatch(slug) or not folder.is_dir():
        raise ContentError(f"{directory}: tidak ada topik {slug!r}")
    source, findings = schema.read(folder)
    if source is None:
        raise ContentError("\n".join(str(finding) for finding in findings))
    settled = Settled(value=_usable(source, key, value), by=_signature(who), confirmed_on=on)
    _write(folder / schema.CONFIRMED, {**source.settled, key: settled})
    return settled.value


def _usable(source: Source, key: str, value: str | None) -> str:
    facts = {fact.key: fact for fact in source.front.unconfirmed}
    if key not in facts:
        known = ", ".join(facts) or "tidak ada"
        raise ContentError(
            f"{source.path}: tidak ada fakta {key!r} yang perlu dipastikan (yang ada: {known})"
        )
    if value is None:
        value = facts[key].reading
        if not value:
            raise ContentError(f"{source.path}: fakta {key!r} tidak punya bacaan; berikan nilainya")
    value = value.strip()
    if len(value) > LONGEST_VALUE or _CONTROLS.search(value):
        raise ContentError(
            f"{key}: nilai terlalu panjang (paling banyak {LONGEST_VALUE}) atau memuat karakter kendali"
        )
    if (
        places.stray_braces(value, lists_allowed=False)
        or places.facts_in(value)
        or places.unconfirmed_markers(value)
    ):
        raise ContentError(f"{key}: nilai tidak boleh memuat {{{{ … }}}} atau 'belum dikonfirmasi:'")
    is_address = any(places.only_a_fact(link.url) == key for link in source.front.links)
    if is_address and value and not schema.usable_url(value):
        raise ContentError(
            f"{key}: nilai adalah alamat tautan dan harus diawali http:// atau https://, bukan {value!r}"
        )
    return value


def _signature(who: str) -> str:
    name = " ".join(who.split())
    if not name:
        raise ContentError("nama yang memastikan fakta wajib diisi")
    return name


def _write(path: Path, facts: dict[str, Settled]) -> None:
    data = {"facts": {key: facts[key].model_dump() for key in sorted(facts)}}
    text = _HEADER + yaml.safe_dump(data, allow_unicode=True, sort_keys=False)
    try:
        with replacing(path) as part:
            part.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ContentError(f"{path}: tidak dapat ditulis: {error.strerror}") from error
