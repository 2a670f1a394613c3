"""Whole mails: which parts are text, what the attachments are called, and how hostile mails end."""

from __future__ import annotations

import base64
import binascii
import io
import zipfile

import pytest

from responder.mail import parse
from responder.mail.message import Attachment
from tests.mails import File, build_mail, file_part, multipart, text_part, wire

HALO = "Halo, bagaimana cara mendaftar?"


def mail_of(content_type: str, body: str, headers: str = "") -> bytes:
    return wire(f"From: budi@penyedia.example\n{headers}Content-Type: {content_type}\n\n{body}")


def test_ordinary_mail_is_read() -> None:
    mail = parse.read(build_mail(subject="Tanya", body=HALO))
    assert mail.sender is not None
    assert mail.sender.address == "budi@penyedia.example"
    assert [a.address for a in mail.to] == ["lpse@instansi.example"]
    assert (mail.subject, mail.text, mail.new_text) == ("Tanya", HALO, HALO)
    assert mail.message_id == "vendor-1@penyedia.example"
    assert mail.date is not None
    assert mail.date.isoformat() == "2025-03-03T09:15:00+07:00"
    assert (mail.html, mail.attachments, mail.doubts, mail.report) == ("", (), (), None)
    assert not mail.signed_or_encrypted


def test_headers_keep_order_and_raw_words() -> None:
    mail = parse.read(build_mail(subject="=?utf-8?q?Tanya?=", headers={"Received": ["satu", "dua"]}))
    assert mail.values("received") == ("satu", "dua")
    assert mail.values("SUBJECT") == ("=?utf-8?q?Tanya?=",)


def test_quoted_printable_and_base64_texts_are_decoded() -> None:
    encoded = base64.encodebytes(HALO.encode()).decode()
    assert parse.read(mail_of("text/plain", encoded, "Content-Transfer-Encoding: base64\n")).text == HALO
    quoted = binascii.b2a_qp(HALO.encode()).decode()
    assert (
        parse.read(mail_of("text/plain", quoted, "Content-Transfer-Encoding: Quoted-Printable\n")).text
        == HALO
    )


@pytest.mark.parametrize("broken", ["SGFs\nbyE=\n", "SGFsbyE", "SGF*sby\x00E=", "SGFsbyE=\n--\ntanda tangan"])
def test_broken_base64_gives_what_can_be_had(broken: str) -> None:
    text = parse.read(mail_of("text/plain", broken, "Content-Transfer-Encoding: base64\n")).text
    assert text.startswith("Halo!")


def test_plain_text_is_preferred_to_html() -> None:
    mail = parse.read(build_mail(body=HALO, html="<p>lain</p>"))
    assert mail.text == HALO
    assert mail.html == "<p>lain</p>"


@pytest.mark.parametrize(
    "stub", ["", " \n", "Please view this e-mail in HTML.", "Email ini memerlukan peramban."]
)
def test_html_is_taken_when_plain_text_is_a_stub(stub: str) -> None:
    assert parse.read(build_mail(body=stub, html=f"<p>{HALO}</p>")).text == HALO


def test_stub_stays_when_the_page_shows_nothing() -> None:
    stub = "Please view this e-mail in HTML."
    assert parse.read(build_mail(body=stub, html='<img src="http://iklan.example/x.png">')).text == stub


def test_texts_of_a_mixed_mail_are_joined() -> None:
    kind, body = multipart(
        "mixed", text_part("satu"), file_part(File("a.pdf")), text_part("<b>dua</b>", "html")
    )
    mail = parse.read(mail_of(kind, body))
    assert mail.text == "satu\n\ndua"
    assert mail.html == "<pre>satu</pre>\n<b>dua</b>"
    assert mail.content_types == ("multipart/mixed", "text/plain", "application/pdf", "text/html")


def test_preamble_and_epilogue_are_not_text() -> None:
    kind, body = multipart("mixed", text_part(HALO), preamble="Ini mail MIME.")
    assert parse.read(mail_of(kind, f"{body}\nekor")).text == HALO


def test_multipart_that_is_never_closed_is_read() -> None:
    kind, body = multipart("mixed", text_part(HALO))
    assert parse.read(mail_of(kind, body.replace("--batas--", ""))).text == HALO


def test_multipart_without_parts_is_read_as_text_with_a_doubt() -> None:
    mail = parse.read(mail_of('multipart/mixed; boundary="lain"', HALO))
    assert mail.text == HALO
    assert mail.doubts == ("a multipart without parts, read as text",)
    assert parse.read(mail_of("multipart/mixed", HALO)).text == HALO


def test_boundary_that_the_header_lost_is_found() -> None:
    """Some mail servers cut the Content-Type of their bounces short."""
    _, body = multipart(
        "report", text_part("Tidak terkirim."), "Content-Type: message/delivery-status\n\nAction: failed"
    )
    mail = parse.read(mail_of("multipart/report; bo", body))
    assert mail.text == "Tidak terkirim."
    assert mail.content_types == ("multipart/report", "text/plain", "message/delivery-status")


def test_text_right_below_the_headers_is_the_body() -> None:
    assert parse.read(b"From: a@b.example\r\nSubject: x\r\nTanpa baris kosong.").text == "Tanpa baris kosong."


def test_empty_multipart_related_is_an_empty_mail() -> None:
    """The stdlib's get_body raises AttributeError here."""
    mail = parse.read(mail_of('multipart/related; boundary="b"', "--b--\n"))
    assert (mail.attachments, mail.content_types) == ((), ("multipart/related",))


def test_one_boundary_on_two_levels_loses_no_text() -> None:
    _, inner = multipart("mixed", text_part("satu"), text_part("dua"))
    kind, body = multipart(
        "mixed", f'Content-Type: multipart/mixed; boundary="batas"\n\n{inner}', text_part("tiga")
    )
    assert parse.read(mail_of(kind, body)).text == "satu\n\ndua\n\ntiga"


@pytest.mark.parametrize(
    "content_type", ["text", "teks biasa", "", "text/plain; charset", "text/plain;;;", "/"]
)
def test_content_type_that_cannot_be_understood_is_plain_text(content_type: str) -> None:
    """RFC 2045 5.2."""
    assert parse.read(mail_of(content_type, HALO)).text == HALO


def test_iso_2022_jp_octets_in_content_type_do_not_stop_reading() -> None:
    """The stdlib raises UnicodeDecodeError here."""
    name = "見積.pdf".encode("iso-2022-jp")
    raw = b"From: a@b.example\r\nContent-Type: application/pdf; name=" + name + b"\r\n\r\nx"
    mail = parse.read(raw)
    assert [a.name for a in mail.attachments] == ["見積.pdf"]
    assert mail.doubts == ("ISO-2022-JP octets in a header",)


def test_flowed_text_is_unwrapped() -> None:
    """RFC 3676 4."""
    body = "Kalimat yang \npanjang.\n\n> kutipan \n> lanjut\n>> dalam\n-- \nBudi"
    mail = parse.read(mail_of("text/plain; format=flowed", body))
    assert mail.text == "Kalimat yang panjang.\n\n> kutipan lanjut\n>> dalam\n-- \nBudi"


def test_flowed_text_with_deleted_spaces_is_unwrapped() -> None:
    """RFC 3676 4.1, DelSp."""
    assert parse.read(mail_of("text/plain; format=flowed; delsp=yes", "kata \nnya\n")).text == "katanya"


def test_attachments_have_name_size_and_type() -> None:
    content = bytes(range(256)) * 40
    mail = parse.read(build_mail(attachments=[File("ktp.jpg", content, "image/jpeg"), "akta.pdf"]))
    assert mail.attachments[0] == Attachment("ktp.jpg", len(content), "image/jpeg")
    assert mail.attachments[1].name == "akta.pdf"


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\\\dokumen\\\\ktp.pdf", "ktp.pdf"),
        ("=?utf-8?b?YWt0YSDDqS5wZGY=?=", "akta é.pdf"),
        ("=?utf-8?q?a=0D=0AX-Bcc:_x.pdf?=", "a X-Bcc_ x.pdf"),
        ("fdp.\u202efdp.exe", "fdp.fdp.exe"),
        ("a" * 300 + ".docx", "a" * 55 + ".docx"),
        ("..", "lampiran-1.pdf"),
        ("con<>|?*.pdf", "con_____.pdf"),
    ],
)
def test_attachment_names_are_base_names(written: str, name: str) -> None:
    """Rule 65."""
    part = f'Content-Type: application/pdf\nContent-Disposition: attachment; filename="{written}"\n\nx'
    kind, body = multipart("mixed", text_part(HALO), part)
    assert parse.read(mail_of(kind, body)).attachments[0].name == name


def test_an_archive_is_not_looked_into() -> None:
    """Rule 65: of a zip bomb only name, type and size as sent are known."""
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../keluar.txt", b"0" * 20_000_000)
    size = len(bomb.getvalue())
    (found,) = parse.read(
        build_mail(attachments=[("dokumen.zip", bomb.getvalue(), "application/zip")])
    ).attachments
    assert (found.name, found.type) == ("dokumen.zip", "application/zip")
    assert found.size == pytest.approx(size, rel=0.05)


def test_nameless_attachment_is_named_by_its_type() -> None:
    kind, body = multipart("mixed", text_part(HALO), "Content-Type: image/png\n\nx", "Content-Type: a/b\n\nx")
    assert [a.name for a in parse.read(mail_of(kind, body)).attachments] == ["lampiran-1.png", "lampiran-2"]


def test_picture_inside_the_text_is_marked_inline() -> None:
    part = (
        "Content-Type: image/png\nContent-ID: <logo@x>\nContent-Disposition: inline; filename=logo.png\n\nx"
    )
    kind, body = multipart("related", text_part("<p>halo</p>", "html"), part)
    assert parse.read(mail_of(kind, body)).attachments == (
        Attachment("logo.png", 1, "image/png", inline=True),
    )


def test_text_file_is_an_attachment_and_not_text() -> None:
    part = "Content-Type: text/plain; name=catatan.txt\n\nisi berkas"
    kind, body = multipart("mixed", text_part(HALO), part)
    mail = parse.read(mail_of(kind, body))
    assert mail.text == HALO
    assert [a.name for a in mail.attachments] == ["catatan.txt"]


def test_forwarded_message_is_an_attachment_named_by_its_subject() -> None:
    inner = build_mail(subject="Undangan lelang", body="rahasia").decode()
    kind, body = multipart("mixed", text_part(HALO), f"Content-Type: message/rfc822\n\n{inner}")
    mail = parse.read(mail_of(kind, body))
    assert mail.text == HALO
    assert [(a.name, a.type) for a in mail.attachments] == [("Undangan lelang.eml", "message/rfc822")]


def test_150_nested_messages_are_one_attachment() -> None:
    """The stdlib exhausts its stack on these."""
    nested = "".join(f"Content-Type: message/rfc822\n\nSubject: {n}\n" for n in range(150))
    mail = parse.read(wire(f"From: a@b.example\n{nested}Content-Type: text/plain\n\nisi"))
    assert [a.name for a in mail.attachments] == ["0.eml"]


def test_winmail_dat_is_an_attachment_with_a_doubt() -> None:
    mail = parse.read(
        build_mail(attachments=[File("winmail.dat", b"\x78\x9f\x3e\x22", "application/ms-tnef")])
    )
    assert mail.attachments[0].name == "winmail.dat"
    assert any(doubt.startswith("winmail.dat") for doubt in mail.doubts)


def test_uuencoded_file_in_a_text_is_an_attachment() -> None:
    lines = binascii.b2a_uu(b"isi berkas").decode()
    mail = parse.read(build_mail(body=f"{HALO}\nbegin 644 ../akta.pdf\n{lines}`\nend\nTerima kasih"))
    assert [a.name for a in mail.attachments] == ["akta.pdf"]
    assert mail.text == f"{HALO}\n\nTerima kasih"


def test_uuencoded_transfer_encoding_is_decoded() -> None:
    lines = "begin 644 x\n" + binascii.b2a_uu(HALO.encode()).decode() + "`\nend\n"
    assert parse.read(mail_of("text/plain", lines, "Content-Transfer-Encoding: x-uuencode\n")).text == HALO


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m", "MIAG"),
        (
            'multipart/encrypted; boundary="b"',
            "--b\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n"
            "--b\nContent-Type: application/octet-stream\n\nx\n--b--",
        ),
        ("text/plain", "-----BEGIN PGP MESSAGE-----\n\nhQEMA\n=abc\n-----END PGP MESSAGE-----\n"),
    ],
)
def test_encrypted_mail_is_marked(content_type: str, body: str) -> None:
    """Rule 17."""
    mail = parse.read(mail_of(content_type, body))
    assert mail.signed_or_encrypted
    assert mail.text.strip() == ""


def test_clear_signed_mail_is_read_without_its_armour() -> None:
    """Rule 17: only what cannot be read goes to a person for that."""
    kind, body = multipart("signed", text_part(HALO), "Content-Type: application/pgp-signature\n\nx")
    mail = parse.read(mail_of(kind, body))
    assert (mail.text, mail.signed_or_encrypted) == (HALO, False)
    armour = (
        f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{HALO}\n"
        "-----BEGIN PGP SIGNATURE-----\n\niQ\n-----END PGP SIGNATURE-----\n"
    )
    assert parse.read(mail_of("text/plain", armour)).text == HALO


def test_quotation_is_separated_and_the_full_text_kept() -> None:
    text = f"{HALO}\n\nPada Sen, 3 Mar 2025 pukul 09.15 LPSE <lpse@instansi.example> menulis:\n> Silakan."
    mail = parse.read(build_mail(body=text))
    assert (mail.new_text, mail.quoted_text, mail.text) == (HALO, "Silakan.", text)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\r\n",
        b"\n\n\n",
        b"\0" * 1000,
        bytes(range(256)) * 100,
        b"From ",
        b":",
        b"=?",
        b"\xff\xfe",
        b"--\n--",
    ],
)
def test_octets_that_are_no_mail_are_read_as_a_mail_without_sender(raw: bytes) -> None:
    """Rule 17: a person sees them, nothing raises."""
    mail = parse.read(raw)
    assert mail.sender is None
    assert mail.size == len(raw)


def test_mail_without_a_body_is_empty() -> None:
    assert parse.read(b"From: a@b.example\r\nSubject: hanya judul").text == ""


def test_line_of_two_megabytes_is_cut_with_a_doubt() -> None:
    mail = parse.read(build_mail(body="a " * 1_000_000))
    assert 500_000 < len(mail.text) <= 1024 * 1024
    assert "text cut at 1048576 octets" in mail.doubts


def test_attachment_of_thirty_megabytes_is_measured_and_not_decoded() -> None:
    mail = parse.read(
        build_mail(body=HALO, attachments=[File("besar.zip", bytes(22 * 1024 * 1024), "application/zip")])
    )
    assert mail.text == HALO
    assert mail.attachments[0].size == 22 * 1024 * 1024


def test_hidden_text_of_a_page_is_not_classified() -> None:
    """Rule 66."""
    mail = parse.read(build_mail(body=None, html=f'<div style="display:none">iklan</div><p>{HALO}</p>'))
    assert mail.text == HALO
    assert "iklan" not in mail.html


def test_no_text_holds_nul_or_surrogates() -> None:
    mail = parse.read(build_mail(subject="a\0b", body="c\0d\udc80e", html="<p>f\0g</p>"))
    for text in (mail.subject, mail.text, mail.new_text, mail.html):
        assert "\0" not in text
        assert text.encode()


def test_partially_fetched_mail_reads_like_the_whole() -> None:
    """Rule 53: of a large mail the header block, the text parts and the structure are kept."""
    raw = build_mail(body=HALO, html=f"<p>{HALO}</p>", attachments=[File("akta.pdf", b"x" * 3000)])
    whole = parse.read(raw)
    header = raw[: raw.index(b"\r\n\r\n") + 4]
    parts = [
        parse.Part("text/plain", HALO.encode(), "", (("Content-Type", "text/plain; charset=utf-8"),)),
        parse.Part(
            "text/html", f"<p>{HALO}</p>".encode(), "", (("Content-Type", "text/html; charset=utf-8"),)
        ),
    ]
    part = parse.read_parts(header, parts, whole.attachments, len(raw), content_types=whole.content_types)
    assert part.identity == whole.identity
    assert (part.text, part.html.strip(), part.subject) == (whole.text, whole.html.strip(), whole.subject)
    assert (part.size, part.attachments, part.content_types) == (
        whole.size,
        whole.attachments,
        whole.content_types,
    )


def test_names_from_a_structure_are_made_safe() -> None:
    """Rule 65: the BODYSTRUCTURE is the sender's text too."""
    given = [Attachment("../../x\r\n.pdf", 10, "application/pdf"), Attachment("", 10, "image/png")]
    mail = parse.read_parts(b"From: a@b.example\r\n\r\n", [], given, 100)
    assert [a.name for a in mail.attachments] == ["x .pdf", "lampiran-2.png"]
    assert mail.content_types == ("text/plain", "application/pdf", "image/png")
