"""Finished bytes of a reply, read again with the standard library's parser as a stranger's server would."""

from __future__ import annotations

import email
import email.policy
import re
from dataclasses import replace
from datetime import UTC, datetime
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.errors import UnsendableMail
from responder.mail import wirecheck
from responder.mail.compose import Outgoing, clean_header_text, compose, reply_references, reply_subject
from responder.mail.message import Address

TAG = "[LPSE-000123-k7f3q]"
REPLY = Outgoing(
    from_name="LPSE Contoh",
    from_address="lpse@contoh.go.id",
    to=Address("Budi Santoso", "budi@penyedia.example"),
    subject=f"Re: {TAG} Ganti email",
    text="Yth. Bapak/Ibu,\n\nDengan hormat – berikut persyaratannya.\n",
    html="<p>Yth. Bapak/Ibu, <a href='https://contoh.go.id/formulir'>formulir</a></p>",
    message_id="abc.def@contoh.go.id",
    date=datetime(2025, 3, 3, 2, 15, tzinfo=UTC),
    in_reply_to="vendor-2@penyedia.example",
    references=("vendor-1@penyedia.example", "vendor-2@penyedia.example"),
    automatic=True,
    loop_token="token.token",
    precedence_bulk=False,
)


def read(data: bytes) -> EmailMessage:
    message = email.message_from_bytes(data, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def test_automatic_reply_says_so() -> None:
    """Rules 29 and 30."""
    mail = read(compose(REPLY))
    assert mail["Auto-Submitted"] == "auto-replied"
    assert mail["X-Auto-Response-Suppress"] == "All"
    assert mail["X-LPSE-Loop"] == "token.token"
    assert mail["Precedence"] is None


def test_precedence_bulk_is_a_choice() -> None:
    """Rule 30."""
    assert read(compose(replace(REPLY, precedence_bulk=True)))["Precedence"] == "bulk"


def test_reply_approved_by_a_person_does_not_say_that_it_is_automatic() -> None:
    """Rule 29."""
    mail = read(compose(replace(REPLY, automatic=False)))
    assert mail["Auto-Submitted"] is None
    assert mail["X-Auto-Response-Suppress"] is None


def test_reply_goes_to_exactly_one_recipient() -> None:
    """Rule 33."""
    mail = read(compose(REPLY))
    assert [one.addr_spec for one in mail["To"].addresses] == ["budi@penyedia.example"]
    assert mail["Cc"] is None
    assert mail["Bcc"] is None


def test_reply_carries_no_list_unsubscribe() -> None:
    """Rule 47."""
    assert read(compose(REPLY))["List-Unsubscribe"] is None


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("Ganti email", f"Re: {TAG} Ganti email"),
        ("Re: Fwd: AW: SV: Bls: Balas: Tr: RE[2]: Ganti email", f"Re: {TAG} Ganti email"),
        (f"Re: {TAG} Re: Ganti email", f"Re: {TAG} Ganti email"),
        ("Re：Ganti email", f"Re: {TAG} Ganti email"),
        ("Registrasi: bagaimana?", f"Re: {TAG} Registrasi: bagaimana?"),
        ("", f"Re: {TAG}"),
        ("[URGENT] mohon info", f"Re: {TAG} [URGENT] mohon info"),
    ],
)
def test_subject_has_one_re_and_one_tag(subject: str, expected: str) -> None:
    """Rule 35."""
    assert reply_subject(subject, TAG) == expected


def test_subject_does_not_grow_when_two_ticket_systems_answer_each_other() -> None:
    """Rule 35."""
    subject = reply_subject("Ganti email", TAG)
    for _ in range(5):
        subject = reply_subject(f"Re: [Tiket#77] {subject}", TAG)
    assert subject == f"Re: {TAG} [Tiket#77] Ganti email"


def test_subject_keeps_at_most_250_characters_and_its_tag() -> None:
    """Rule 35."""
    subject = reply_subject("panjang " * 500, TAG)
    assert len(subject) <= 250
    assert subject.startswith(f"Re: {TAG} panjang")


def test_references_continue_those_of_the_parent() -> None:
    """Rule 37."""
    assert reply_references("c@x", ("a@x", "b@x"), ("b@x",)) == ("a@x", "b@x", "c@x")


def test_references_fall_back_to_a_single_in_reply_to() -> None:
    """Rule 37."""
    assert reply_references("c@x", (), ("b@x",)) == ("b@x", "c@x")
    assert reply_references("c@x", (), ("a@x", "b@x")) == ("c@x",)


def test_references_keep_the_root_and_the_last_twenty() -> None:
    """Rule 37."""
    ids = tuple(f"{n}@x" for n in range(20_000))
    assert reply_references("parent@x", ids, ()) == ("0@x", *ids[-19:], "parent@x")


def test_repeated_reference_keeps_its_last_place() -> None:
    """Rule 37."""
    assert reply_references("c@x", ("a@x", "b@x", "a@x"), ()) == ("b@x", "a@x", "c@x")


@pytest.mark.parametrize("unusable", ["", "dua kata@x", "é@x", "x" * 901, "a>b@x", "=?utf-8?q?x?=@x"])
def test_parent_without_usable_id_gives_no_threading(unusable: str) -> None:
    """Rule 37."""
    assert reply_references(unusable, ("a@x",), ()) == ()
    mail = read(compose(replace(REPLY, in_reply_to="", references=())))
    assert mail["In-Reply-To"] is None
    assert mail["References"] is None


@pytest.mark.parametrize("length", [60, 77, 200, 900])
def test_long_ids_are_never_written_as_encoded_words(length: int) -> None:
    """Rule 38."""
    long_id = "x" * (length - 2) + "@y"
    data = compose(replace(REPLY, in_reply_to=long_id, references=("a@x", long_id)))
    unfolded = data.partition(b"\r\n\r\n")[0].replace(b"\r\n ", b" ")
    assert f"\r\nIn-Reply-To: <{long_id}>\r\n".encode() in unfolded
    assert f"\r\nReferences: <a@x> <{long_id}>\r\n".encode() in unfolded


def test_same_reply_gives_the_same_bytes_with_its_id_and_date() -> None:
    """Rule 39."""
    assert compose(REPLY) == compose(replace(REPLY))
    assert b"Message-ID: <abc.def@contoh.go.id>\r\nIn-Reply" in compose(REPLY)
    assert b"Date: Mon, 03 Mar 2025 02:15:00 +0000\r\n" in compose(REPLY)


def test_text_and_html_arrive_as_they_were_written() -> None:
    """Rule 41."""
    mail = read(compose(REPLY))
    assert mail.get_content_type() == "multipart/alternative"
    plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert plain.get_content().replace("\r\n", "\n") == REPLY.text
    assert REPLY.html in html.get_content()


def test_reply_without_html_is_plain_text() -> None:
    """Rule 41."""
    mail = read(compose(replace(REPLY, html="", text="Baik.\n")))
    assert mail.get_content_type() == "text/plain"
    assert mail["Content-Transfer-Encoding"] == "7bit"


def test_reply_without_text_is_refused() -> None:
    """Rule 41."""
    with pytest.raises(UnsendableMail, match="without text"):
        compose(replace(REPLY, text=" \n"))


@given(st.text(min_size=1, max_size=3000))
def test_any_text_becomes_lines_that_every_server_takes(text: str) -> None:
    """Rule 41: CRLF only, at most 998 octets, no NUL, 7-bit."""
    data = compose(replace(REPLY, text=f"Yth. {text}", html=""))
    assert data.isascii()
    assert b"\0" not in data
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", data)
    assert max(map(len, data.split(b"\r\n"))) <= 998


def test_text_cannot_end_a_part_early() -> None:
    """Rules 41 and 43."""
    boundary = re.search(rb'boundary="([^"]+)"', compose(REPLY))
    assert boundary is not None
    text = f"awal\n--{boundary[1].decode()}--\nakhir\n"
    plain = read(compose(replace(REPLY, text=text))).get_body(("plain",))
    assert plain is not None
    assert "akhir" in plain.get_content()


@pytest.mark.parametrize(
    "html",
    [
        '<img src="https://lacak.example/x.gif">',
        "<IMG\nSRC=//lacak.example/x>",
        "<script>alert(1)</script>",
        '<link rel="stylesheet" href="https://x.example/a.css">',
        '<table background="http://x.example/a.png">',
        '<p style="background: url(http://x.example/a.png)">',
        "<style>@import 'http://x.example/a.css'</style>",
        '<p onclick="x()">',
        "<iframe></iframe>",
        "<a href='javascript:x()'>x</a>",
    ],
)
def test_html_that_loads_or_runs_something_is_refused(html: str) -> None:
    """Rule 42."""
    with pytest.raises(UnsendableMail, match="HTML would load or run"):
        compose(replace(REPLY, html=html))


def test_html_with_links_and_the_word_src_is_fine() -> None:
    """Rule 42."""
    compose(
        replace(
            REPLY, html='<p style="color: #333">isi kolom src = nama <a href="https://x.id/?src=1">x</a></p>'
        )
    )


@pytest.mark.parametrize(
    "hostile",
    [
        "a\r\nBcc: korban@x.example",
        "a\nBcc: korban@x.example",
        "a\x00\x85\u2028Bcc: korban@x.example",
        "=?UTF-8?Q?=0ABcc:_korban@x.example?=",
        "==??UTF-8?Q?=0ABcc:_korban@x.example?==",
        "a\r\n\r\nbadan",
    ],
)
def test_text_of_a_mail_adds_no_header_and_starts_no_body(hostile: str) -> None:
    """Rules 43 and 44."""
    data = compose(replace(REPLY, subject=f"Re: {hostile}", to=Address(hostile, "budi@penyedia.example")))
    mail = read(data)
    assert mail["Bcc"] is None
    assert b"\r\nBcc" not in data
    plain = mail.get_body(("plain",))
    assert plain is not None
    assert plain.get_content().startswith("Yth.")


@given(st.text(max_size=300))
def test_any_header_text_becomes_one_safe_line(text: str) -> None:
    """Rule 44."""
    clean = clean_header_text(text)
    assert "=?" not in clean
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", clean)
    assert clean_header_text(clean) == clean
    mail = read(compose(replace(REPLY, subject=f"Re: {text}", to=Address(text, "budi@penyedia.example"))))
    assert [one.addr_spec for one in mail["To"].addresses] == ["budi@penyedia.example"]


def test_subject_in_any_script_arrives() -> None:
    """Rule 44."""
    subject = f"Re: {TAG} permohonan “mendesak” – 采购 سؤال " + "panjang " * 20
    assert read(compose(replace(REPLY, subject=subject)))["Subject"] == subject.strip()


def test_second_reading_finds_a_header_that_was_not_meant() -> None:
    """Rule 43."""
    data = compose(REPLY)
    names = frozenset(line.partition(":")[0].lower() for line in read(data))
    wirecheck.check(data, names)
    for wrong in (
        data.replace(b"Subject:", b"Bcc: korban@x.example\r\nSubject:"),
        data.replace(b"Subject:", b"Subject: dua\r\nSubject:"),
        data.replace(b"Subject:", b"\r\nSubject:"),
        data.replace(b"Dengan", b"Dengan\n"),
        data.replace(b"Dengan", b"Dengan\0"),
        data.replace(b"Dengan", b"x" * 999),
        data.replace(b"<vendor-2@penyedia.example>\r\nRef", b"=?utf-8?q?x?=\r\nRef"),
    ):
        with pytest.raises(UnsendableMail):
            wirecheck.check(wrong, names)


def test_international_domain_is_written_as_a_label() -> None:
    """Rule 45."""
    data = compose(replace(REPLY, to=Address("", "budi@penyediaé.example")))
    assert b"\r\nTo: budi@xn--penyedia-i1a.example\r\n" in data


@pytest.mark.parametrize(
    "address", ["", "budi", "a b@x.id", "a@x..id", "a@-x-", "<a@x.id>", '"a b"@x.id', "a@[1.2.3.4]"]
)
def test_address_that_cannot_be_written_to_is_refused(address: str) -> None:
    """Rules 11 and 45: such a reply is for a person."""
    with pytest.raises(UnsendableMail):
        compose(replace(REPLY, to=Address("Budi", address)))


def test_attachment_arrives_with_its_name_and_octets() -> None:
    content = bytes(range(256)) * 40
    mail = read(compose(replace(REPLY, attachments=(("Formulir “A”.pdf", "application/pdf", content),))))
    (attachment,) = mail.iter_attachments()
    assert attachment.get_filename() == "Formulir “A”.pdf"
    assert attachment.get_content_type() == "application/pdf"
    assert attachment.get_content() == content


def test_reply_to_is_written_when_there_is_one() -> None:
    """Rule 49."""
    mail = read(compose(replace(REPLY, reply_to="lpse+000123-k7f3qaaa@contoh.go.id")))
    assert mail["Reply-To"] == "lpse+000123-k7f3qaaa@contoh.go.id"
