"""Header blocks, RFC 2047 words, parameters, addresses, ids and dates as senders really write them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from responder.mail import addresses, headers, parse
from tests.mails import build_mail


def fields(text: str) -> dict[str, str]:
    return dict(headers.fields(text.encode("utf-8", "surrogateescape"))[0])


def test_folded_header_is_one_line() -> None:
    assert fields("Subject: satu\r\n dua\r\n\ttiga\r\nTo: a@b\r\n") == {
        "Subject": "satu dua tiga",
        "To": "a@b",
    }


@pytest.mark.parametrize("line_end", ["\r\n", "\n", "\r"])
def test_every_kind_of_line_end_is_read(line_end: str) -> None:
    raw = build_mail(subject="Tanya", body="baris satu\nbaris dua").replace(b"\r\n", line_end.encode())
    mail = parse.read(raw)
    assert (mail.subject, mail.text) == ("Tanya", "baris satu\nbaris dua")


def test_mbox_line_in_front_is_no_header() -> None:
    mail = parse.read(b"From budi@penyedia.example Mon Mar  3 09:15:00 2025\n" + build_mail())
    assert mail.sender is not None
    assert mail.headers[0][0] == "From"


def test_line_without_a_name_is_skipped_and_later_headers_count() -> None:
    found, doubts = headers.fields(b"From: a@b.example\nini bukan header\nAuto-Submitted: auto-replied\n")
    assert dict(found)["Auto-Submitted"] == "auto-replied"
    assert doubts == ("a header line without a name was skipped",)


def test_carriage_return_inside_a_header_starts_no_other_header() -> None:
    """Rule 14: a smuggled line must not become an Authentication-Results of ours."""
    found, _ = headers.fields(b"Subject: x\rAuthentication-Results: kami; dmarc=pass\r\n")
    assert found == (("Subject", "x Authentication-Results: kami; dmarc=pass"),)


def test_nul_and_8_bit_octets_in_headers_are_read_with_a_doubt() -> None:
    mail = parse.read(build_mail().replace(b"Subject: Lupa kata sandi", b"Subject: Lupa\x00 kata s\xe4ndi"))
    assert mail.subject == "Lupa kata sändi"
    assert "8-bit octets in a header, charset guessed" in mail.doubts


def test_utf_8_in_headers_is_no_doubt() -> None:
    """RFC 6532 allows it."""
    mail = parse.read(build_mail(subject="Pendaftaran – penyedia"))
    assert (mail.subject, mail.doubts) == ("Pendaftaran – penyedia", ())


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("=?utf-8?B?THVwYSBrYXRhIHNhbmRp?=", "Lupa kata sandi"),
        ("=?utf-8?q?Lupa_kata?= =?utf-8?q?_sandi?=", "Lupa kata sandi"),
        ("=?UTF-8?Q?R=C3?= =?UTF-8?Q?=A9sum=C3=A9?=", "Résumé"),
        ("Re: =?iso-8859-1?q?caf=E9?= buka", "Re: café buka"),
        ("=?utf-8*id?q?bahasa?=", "bahasa"),
        ("=?utf-8?B?THVwYQ?=", "Lupa"),
        ("=?utf-8?q?spasi di dalam?=", "spasi di dalam"),
        ("=?utf-8?q?satu=0Adua=0D=0ABcc:_x?=", "satu dua Bcc: x"),
        ("=?utf-8?q?=E2=80=AEterbalik?=", "terbalik"),
        ("=?utf-8?x?bukan?=", "=?utf-8?x?bukan?="),
        ("=?", "=?"),
        ("=?utf-8?b?@@@@?=", ""),
    ],
)
def test_encoded_words_are_read_as_senders_mean_them(written: str, read: str) -> None:
    """RFC 2047, and rule 44: no controls or direction marks come out."""
    assert headers.decode_words(written).text == read


def test_unknown_charset_in_a_word_is_a_doubt() -> None:
    assert headers.decode_words("=?x-klingon?q?halo?=") == ("halo", "charset 'x-klingon', read as UTF-8")


@pytest.mark.parametrize(
    ("value", "name", "read"),
    [
        ('attachment; filename="ktp budi.pdf"', "filename", "ktp budi.pdf"),
        ("attachment; filename=ktp.pdf (scan)", "filename", "ktp.pdf"),
        ("attachment; filename*=utf-8''akta%20%C3%A9.pdf", "filename", "akta é.pdf"),
        ("attachment; filename*0=akta; filename*1=-pendirian.pdf", "filename", "akta-pendirian.pdf"),
        ("a; filename*1*=b%20c; filename*0*=utf-8'id'a%20", "filename", "a b c"),
        ('a; filename="=?utf-8?q?akta=20pt.pdf?="', "filename", "akta pt.pdf"),
        (r'a; filename="a\"b.pdf"', "filename", 'a"b.pdf'),
        ('text/plain; charset="utf-8', "charset", "utf-8"),
        ("multipart/mixed; boundary==_batas=; x", "boundary", "=_batas="),
        ("a; b", "b", None),
    ],
)
def test_parameters_are_read_as_senders_mean_them(value: str, name: str, read: str | None) -> None:
    """RFC 2045 5.1, RFC 2231, and RFC 2047 where it does not belong."""
    assert headers.parameters(value).by_name.get(name) == read


def test_one_mailbox_is_the_sender() -> None:
    """Rule 11; RFC 5322 3.4."""
    for value, address in [
        ("Budi <budi@PENYEDIA.example>", "budi@penyedia.example"),
        ("budi@penyedia.example (Budi Santoso)", "budi@penyedia.example"),
        ('"Santoso, Budi" <budi@penyedia.example>', "budi@penyedia.example"),
        ("budi@penyedia.example <budi@penyedia.example>", "budi@penyedia.example"),
        ("<budi@penyedia.example.>", "budi@penyedia.example"),
        ("Budi <budi@pénalti.example>", "budi@xn--pnalti-bva.example"),
    ]:
        sender, seen = addresses.sender([value])
        assert sender is not None, value
        assert sender.address == address
        assert seen == (sender,)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "<>",
        "MAILER-DAEMON",
        "a@b.example, c@d.example",
        "grup: a@b.example;",
        "undisclosed-recipients:;",
        "lpse@instansi.example <jahat@luar.example>",
        "a@b.example <c@d.example> <e@f.example>",
        "a@b@c.example",
        '"' * 4000,
        "(" * 15 + "a@b.example",
    ],
)
def test_doubtful_from_gives_no_sender(value: str) -> None:
    """Rule 11: none, several, a group, or a disagreement of two parsers."""
    assert addresses.sender([value])[0] is None


def test_forged_from_shows_every_address() -> None:
    """Rule 11; CVE-2023-27043: staff see both addresses."""
    _, seen = addresses.sender(["lpse@instansi.example <jahat@luar.example>"])
    assert {mailbox.address for mailbox in seen} == {"lpse@instansi.example", "jahat@luar.example"}


def test_two_from_headers_give_no_sender() -> None:
    """Rule 11: the stdlib takes the first in silence."""
    mail = parse.read(build_mail(headers={"From": ["a@b.example", "c@d.example"]}))
    assert mail.sender is None
    assert len(mail.from_addresses) == 2
    assert "more than one from header" in mail.doubts


def test_mail_without_from_is_read() -> None:
    """Rule 11."""
    mail = parse.read(build_mail(sender=None))
    assert (mail.sender, mail.from_addresses) == (None, ())


def test_display_name_is_decoded_after_parsing() -> None:
    """A decoded name must not become an address."""
    sender, _ = addresses.sender(["=?utf-8?q?lpse=40instansi.example=2C?= <budi@penyedia.example>"])
    assert sender is not None
    assert (sender.name, sender.address) == ("lpse@instansi.example,", "budi@penyedia.example")


def test_null_return_path_is_told_from_a_missing_one() -> None:
    """Rule 1."""
    assert parse.read(build_mail(headers={"Return-Path": "<>"})).return_path == ""
    assert parse.read(build_mail(headers={"Return-Path": "<a@b.example>"})).return_path == "a@b.example"
    assert parse.read(build_mail(headers={"Return-Path": ["<a@b.example>", "<>"]})).return_path == ""
    assert parse.read(build_mail()).return_path is None


def test_message_ids_are_found_in_every_form() -> None:
    """RFC 5322 3.6.4; Exchange puts square brackets inside the angle brackets."""
    assert addresses.message_ids("<[id@x.example]>") == ("[id@x.example]",)
    assert addresses.message_ids("<a@b> <c@d>\t<a@b>") == ("a@b", "c@d")
    assert addresses.message_ids("a@b c@d teks") == ("a@b", "c@d")
    assert addresses.message_ids("<dua kata@x> <é@x>") == ()
    assert addresses.message_ids(f"<{'a' * 800}@x.example>") == (f"{'a' * 800}@x.example",)


def test_of_references_beyond_number_the_newest_count() -> None:
    """RFC 5322 3.6.4: the newest stands last. No query is asked with more values than a database takes."""
    block = b"".join(
        b"References: " + b"".join(b"<%05x>" % number for number in range(start, start + 2000)) + b"\r\n"
        for start in range(0, 14_000, 2000)
    )
    mail = parse.read(block + build_mail())
    assert len(mail.references) == addresses.MAX_IDS
    assert mail.references[-1] == f"{13_999:05x}"


def test_mail_without_message_id_has_an_identity() -> None:
    """Rule 51: from the octets, not from From, Subject and Date."""
    one, other = (parse.read(build_mail(message_id=None, body=text)) for text in ("satu", "dua!"))
    assert one.message_id == ""
    assert len(one.identity) == 64
    assert one.identity == parse.read(build_mail(message_id=None, body="satu")).identity
    assert one.identity != parse.read(build_mail(message_id=None, body="lebih panjang")).identity
    assert one.size == len(build_mail(message_id=None, body="satu"))
    assert other.size == one.size


def test_same_message_id_with_other_headers_is_another_identity() -> None:
    """Rule 50: nobody suppresses a mail by reusing its Message-ID."""
    assert parse.read(build_mail(subject="a")).identity != parse.read(build_mail(subject="b")).identity


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("Mon, 03 Mar 2025 09:15:00 +0700", datetime(2025, 3, 3, 2, 15, tzinfo=UTC)),
        ("3 Mar 2025 09:15 -0000", datetime(2025, 3, 3, 9, 15, tzinfo=UTC)),
        ("", None),
        ("kemarin sore", None),
        ("Mon, 99 Mar 2025 09:15:00 +0700", None),
        ("Mon, 03 Mar 2025 09:15:00 +99999999999", None),
        ("31 Dec 9999 23:59:59 -2300", None),
    ],
)
def test_dates_are_aware_or_none(value: str, read: datetime | None) -> None:
    assert addresses.date(value) == read


@pytest.mark.parametrize("address", ["Budi@x.example", "budi+tender@x.example", "BUDI+a+b@X.example"])
def test_case_and_plus_suffix_are_one_person_to_brakes_and_notes(address: str) -> None:
    """Rules 19, 23 and 28."""
    assert addresses.mailbox_key(address) == "budi@x.example"


def test_a_local_part_of_a_suffix_alone_stays() -> None:
    """Rules 19 and 23: or all such addresses of a domain would be one."""
    assert addresses.mailbox_key("+a@x.example") == "+a@x.example"
