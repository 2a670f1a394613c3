"""Both languages say the same things, and templates ask for nothing that there is not."""

from __future__ import annotations

import re
from string import Formatter

import pytest

from responder.errors import Refused
from responder.paths import shipped
from responder.refusal import Refusal
from responder.tickets.models_staff import Role
from responder.tickets.queues import Queue
from responder.tickets.status import ReplyStatus, TicketStatus
from responder.web import wording
from responder.web.assets import assets

LANGUAGES = wording.languages()
SOURCES = {
    path.name: path.read_text(encoding="utf-8") for path in (shipped("templates") / "web").glob("*.html")
}


def _places(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_indonesian_is_the_default_and_english_there() -> None:
    assert set(LANGUAGES) == {"id", "en"}
    assert wording.words("xx").language == "id"


def test_every_language_has_the_same_keys_and_places() -> None:
    indonesian = wording.words("id").entries
    for language in LANGUAGES:
        entries = wording.words(language).entries
        assert entries.keys() == indonesian.keys()
        assert {key: _places(text) for key, text in entries.items()} == {
            key: _places(text) for key, text in indonesian.items()
        }


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_templates_use_known_words_and_files(name: str) -> None:
    known = wording.words("id").entries
    source = SOURCES[name]
    assert not [key for key in re.findall(r"\bt\(\"([a-z_]+\.[a-z_]+)\"", source) if key not in known]
    assert not [file for file in re.findall(r"asset\(\"([^\"]+)\"", source) if file not in assets()]


def test_every_value_that_pages_show_has_words() -> None:
    known = wording.words("id").entries
    wanted = {
        "queue": Queue,
        "state": TicketStatus,
        "reply": ReplyStatus,
        "role": Role,
    }
    for table, enum in wanted.items():
        for member in enum:
            assert f"{table}.{member.value}" in known


@pytest.mark.parametrize("member", Refusal)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_refusal_is_told_in_every_language_with_the_facts_it_has(
    language: str, member: Refusal
) -> None:
    sentence = wording.words(language).entries[f"refused.{member.code}"]
    assert _places(sentence) <= _places(member.value)


def test_a_refusal_is_told_in_the_readers_language_and_in_english_in_the_terminal() -> None:
    error = Refused(Refusal.NOT_AGAIN, reply=7, state=ReplyStatus.SENT)
    assert str(error) == "reply 7 is sent; only an uncertain or failed one can be sent again"
    assert wording.refusal(wording.words("id"), error).startswith(
        "Tidak dapat dikirim lagi: balasan ini terkirim."
    )


def test_a_refusal_without_a_code_is_told_as_it_is() -> None:
    assert wording.refusal(wording.words("id"), Refused("no way")) == "Ditolak: no way"


def test_no_word_is_left_that_nothing_says() -> None:
    said = "".join(SOURCES.values()) + "".join(
        path.read_text(encoding="utf-8") for path in shipped("templates").parent.glob("responder/web/*.py")
    )
    by_value = ("queue.", "state.", "reply.", "role.", "language.", "event.", "key.", "banner.", "refused.")
    unused = [
        key for key in wording.words("id").entries if not key.startswith(by_value) and f'"{key}"' not in said
    ]
    assert unused == []
