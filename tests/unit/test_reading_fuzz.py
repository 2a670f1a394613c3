"""Whatever comes in, reading ends with a mail or a reason. RESPONDER_FUZZ=long runs this at length."""

from __future__ import annotations

import pickle
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from responder.errors import UnreadableMail
from responder.mail import addresses, bodies, charset, headers, html, names, parse
from responder.mail.message import IncomingMail
from tests.unit import strategies as ours
from tests.unit.strategies import fuzz

pytestmark = pytest.mark.timeout(0 if ours.LONG else 120)


def strings(value: object) -> list[str]:
    """Every string in a value, however deep."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, tuple):
        return [text for item in value for text in strings(item)]
    return [text for name in getattr(value, "__slots__", ()) for text in strings(getattr(value, name))]


def assert_sound(mail: IncomingMail, raw: bytes) -> None:
    for text in strings(mail):
        assert "\0" not in text
        text.encode()
    assert mail.size == len(raw)
    assert len(mail.identity) == 64
    for line in (mail.subject, *(a.name for a in mail.attachments), *(v for _, v in mail.headers)):
        assert line.isprintable() or not set(line) & {"\n", "\r", "\x1b", "\u2028"}
    for attachment in mail.attachments:
        assert attachment.name
        assert not set(attachment.name) & set("/\\")
        assert attachment.size >= 0
    assert mail.date is None or mail.date.tzinfo is not None
    assert pickle.loads(pickle.dumps(mail)) == mail


@fuzz
@given(ours.mails())
def test_any_mail_is_read_or_refused_with_a_reason(raw: bytes) -> None:
    try:
        mail = parse.read(raw)
    except UnreadableMail as error:
        assert str(error)
    else:
        assert_sound(mail, raw)


@fuzz
@given(st.binary(max_size=2000))
def test_any_octets_are_read(raw: bytes) -> None:
    assert_sound(parse.read(raw), raw)


@fuzz
@given(ours.values)
def test_any_header_value_is_read(value: str) -> None:
    assert "\n" not in headers.decode_words(value).text
    parameters = headers.parameters(value)
    assert len(parameters.by_name) <= headers.MAX_PARAMETERS
    addresses.date(value)
    for found in addresses.message_ids(value):
        assert found.isascii()
        assert not set(found) & set("<> \r\n")


@fuzz
@given(ours.values)
def test_any_address_list_gives_usable_addresses(value: str) -> None:
    sender, seen = addresses.sender([headers.one_line(value)])
    assert sender is None or sender in seen
    for mailbox in seen:
        assert mailbox.address.count("@") >= 1
        assert mailbox.domain
        assert not set(mailbox.domain) & set("<>, \r\n\0")


@fuzz
@given(ours.pages)
@example("<plaintext><p hidden>")
@example('<textarea><p style="display:none">')
def test_any_page_becomes_text_and_safe_html(page: str) -> None:
    read = html.read(page)
    tags = "".join(re.findall("<[^>]*>", read.safe)).lower()
    for forbidden in ("<script", "<style", "<iframe", "javascript:", "onerror=", " style=", 'src="http'):
        assert forbidden not in tags
    read.text.encode()


@fuzz
@given(st.binary(max_size=500), st.one_of(st.sampled_from(ours.CHARSETS), st.text(max_size=10)))
def test_any_octets_in_any_charset_become_text(data: bytes, label: str) -> None:
    text, _ = charset.decode(data, label)
    assert charset.clean(text) == text
    text.encode()


@fuzz
@given(st.text(max_size=400))
def test_any_name_becomes_a_base_name(name: str) -> None:
    safe = names.safe(name)
    assert len(safe) <= names.MAX_NAME
    assert safe not in (".", "..")
    assert not set(safe) & set("/\\\0\r\n")


@fuzz
@given(ours.texts, st.booleans())
def test_unflowing_loses_no_words(text: str, delsp: bool) -> None:
    kept = "".join(text.replace(">", "").split())
    assert "".join(bodies.unflow(text, delsp=delsp).replace(">", "").split()) == kept
