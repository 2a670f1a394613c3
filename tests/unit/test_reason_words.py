"""What screening and reading say about a mail, in the words of staff."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from responder.replies.reason_words import OTHER, is_known, told, told_line

SOURCE = Path(__file__).parents[2] / "responder"
# Where a reason stands among the arguments of what is made of it.
PLACES = {
    "Signal": 2,  # mail/signals.py, mail/screen.py
    "UnreadableMail": 0,
    "Verdict": 1,  # mail/authentication.py
    "Decoded": 1,  # doubts of mail/charset.py and mail/headers.py
    "Refusal": 0,  # tickets/brakes.py
    "append": 0,  # doubts and signs of bounces
}
READING = ["bodies", "bounce", "charset", "headers", "limits", "mime", "reader", "structure"]
SCREENING = ["authentication", "screen", "signals"]
FILES = [
    *(SOURCE / "mail" / f"{name}.py" for name in (*READING, *SCREENING)),
    SOURCE / "tickets" / "brakes.py",
]
# Known under the names of their headers; a part of a reason; one that speaks for a sender.
IN_PARTS = {"x is x", "delivered-to: mailing list", "dkim=pass by x"}


def _sentences(node: ast.expr) -> Iterator[str]:
    """The sentences that an expression may be, with "x" where a value goes."""
    match node:
        case ast.Constant(value=str() as text) if " " in text:
            yield text
        case ast.JoinedStr(values=parts):
            yield "".join(str(one.value) if isinstance(one, ast.Constant) else "x" for one in parts)
        case ast.IfExp(body=one, orelse=other):
            yield from _sentences(one)
            yield from _sentences(other)


def _reasons(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=args) if name in PLACES:
                if len(args) > PLACES[name]:
                    yield from _sentences(args[PLACES[name]])
            case ast.Return(value=ast.Tuple(elts=both)) if path.name == "bounce.py":
                for one in both:
                    yield from (text for item in getattr(one, "elts", ()) for text in _sentences(item))


SAID = sorted({reason for path in FILES for reason in _reasons(path)} - IN_PARTS)


def test_the_reasons_are_found_in_the_source() -> None:
    assert {"rule 17: no text", "parts nested deeper than x", "rule 8: From is a mail system"} <= set(SAID)
    assert len(SAID) > 60


@pytest.mark.parametrize("reason", SAID)
def test_every_reason_has_an_indonesian_sentence(reason: str) -> None:
    assert is_known(reason)
    sentence = told(reason)
    assert sentence != reason or reason.startswith("dmarc=")
    assert "rule " not in sentence


@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        (
            "rule 14: not authenticated: nothing that passed is for penyedia.example",
            "aturan 14: keaslian pengirim tidak terbukti: tidak ada pemeriksaan yang lolos untuk penyedia.example",
        ),
        ("parts nested deeper than 30", "bagian surat bersarang lebih dari 30 tingkat"),
        (
            "rule 2: Auto-Submitted is auto-replied",
            "aturan 2: surat dikirim otomatis (Auto-Submitted: auto-replied)",
        ),
        (
            "rule 17: not surely read: more than one date header",
            "aturan 17: surat mungkin tidak terbaca dengan benar: lebih dari satu tajuk date",
        ),
    ],
)
def test_staff_read_a_reason_with_its_facts(reason: str, sentence: str) -> None:
    assert told(reason) == sentence


def test_a_reason_that_nobody_foresaw_is_named_by_its_rule_and_never_in_english() -> None:
    assert told("rule 28c: something else") == "aturan 28c"
    assert told("the dog ate it") == OTHER
    assert told("rule 14: not authenticated: who knows").endswith(OTHER)


def test_what_a_sender_wrote_cannot_fill_in_another_place() -> None:
    assert "{why}" in told("rule 2: Auto-Submitted is {why}")


def test_a_line_of_reasons_is_told_one_by_one() -> None:
    line = "rule 6: Precedence is bulk; rule 7: X-Auto-Response-Suppress is All; x=1; rule 17: no text"
    assert told_line(line).split("; aturan ") == [
        "aturan 6: surat massal atau otomatis (Precedence: bulk)",
        "7: pengirim menolak jawaban otomatis (X-Auto-Response-Suppress: All; x=1)",
        "17: surat tanpa teks",
    ]
    assert told_line("") == ""
