"""Limits before parsing: what goes over them is refused with a reason, at once."""

from __future__ import annotations

import pytest

from responder.errors import UnreadableMail
from responder.mail import limits, parse
from tests.mails import build_mail, multipart, text_part, wire


def refused(raw: bytes, **options: int) -> str:
    with pytest.raises(UnreadableMail) as caught:
        parse.read(raw, **options)
    return str(caught.value)


def test_mail_over_the_size_limit_is_refused() -> None:
    """Rule 63: total size."""
    assert "over the limit of 1000" in refused(build_mail(body="a" * 2000), max_size=1000)


def test_size_that_the_server_reports_counts_too() -> None:
    """Rule 63: total size, of which only a part may have been fetched."""
    assert "5000 octets" in refused(build_mail(), size=5000, max_size=1000)


def test_fifty_thousand_header_lines_are_refused() -> None:
    """Rule 63: header block of 128 KiB."""
    assert "header block" in refused(b"X: y\r\n" * 50_000 + b"\r\nisi")


def test_twenty_thousand_references_are_refused() -> None:
    """Rule 63: one header of 16 KiB; 20,000 ids are 400 KB and fill the header block."""
    ids = "\n ".join(f"<{n}@penyedia.example>" for n in range(20_000))
    assert "header" in refused(build_mail(headers={"References": ids}))
    assert "'references'" in refused(build_mail(headers={"References": ids[:20_000]}))


def test_quotes_of_thirty_kilobytes_in_from_are_refused() -> None:
    """Rule 63: address headers of 8 KiB; the stdlib takes 20 s for these."""
    assert "'from'" in refused(build_mail(sender='"' * 30_000))


def test_encoded_words_of_280_kilobytes_in_subject_are_refused() -> None:
    """Rule 63: one header of 16 KiB; the stdlib takes 11 s for these."""
    assert "header" in refused(build_mail(subject="=?utf-8?q?a?= " * 20_000))


def test_five_hundred_nested_parentheses_are_refused() -> None:
    """Rule 63: parentheses of depth 20; parsers of the grammar exhaust their stack."""
    assert "nests comments" in refused(build_mail(to="(" * 500 + ")" * 500 + "a@b.example"))


def test_smileys_in_a_subject_are_no_nested_comments() -> None:
    assert parse.read(build_mail(subject="sedih" + " :(" * 50)).subject.startswith("sedih :( :(")


def test_five_hundred_multipart_levels_are_refused() -> None:
    """Rule 63: boundary nesting of 30."""
    head = "".join(f'Content-Type: multipart/mixed; boundary="b{n}"\n\n--b{n}\n' for n in range(500))
    assert "nested deeper than 30" in refused(wire(f"From: a@b.example\n{head}\nisi"))


def test_thirty_levels_are_still_read() -> None:
    part = text_part("sampai di dasar")
    for level in range(limits.MAX_NESTING - 1):
        kind, body = multipart("mixed", part, boundary=f"b{level}")
        part = f"Content-Type: {kind}\n\n{body}"
    assert parse.read(wire(f"From: a@b.example\n{part}")).text == "sampai di dasar"


def test_five_thousand_attachments_are_refused() -> None:
    """Rule 63: 500 parts."""
    part = "--b\nContent-Type: image/png\n\nx\n"
    mail = f'From: a@b.example\nContent-Type: multipart/mixed; boundary="b"\n\n{part * 5000}--b--\n'
    assert "more than 500 parts" in refused(wire(mail))


def test_a_part_with_an_overlong_header_is_refused() -> None:
    """Rule 63: the header limits hold inside parts too."""
    part = "Content-Disposition: attachment;\n filename=" + "(" * 500 + "\n\nx"
    kind, body = multipart("mixed", part)
    assert "nests comments" in refused(wire(f"From: a@b.example\nContent-Type: {kind}\n\n{body}"))


def test_parts_with_a_megabyte_of_headers_are_refused() -> None:
    """Rule 63: small headers in many parts take as long as one large header block."""
    kind, body = multipart("mixed", *["".join(f"X-{n}: y\n" for n in range(500)) + "\nisi"] * 400)
    assert "headers of parts" in refused(wire(f"From: a@b.example\nContent-Type: {kind}\n\n{body}"))


def test_millions_of_lines_like_delimiters_are_refused() -> None:
    """Rule 63: whatever would take more than a second is refused."""
    body = b"--b\n\nisi\n" + b"--x\n" * 2_000_000
    assert "look like part delimiters" in refused(b'Content-Type: multipart/mixed; boundary="b"\n\n' + body)


def test_an_ordinary_mail_is_within_all_limits() -> None:
    block, _, _ = build_mail().partition(b"\r\n\r\n")
    limits.check_size(len(block))
    limits.check_headers(block)
