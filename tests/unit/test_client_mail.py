"""Drafts as mail clients store them: what their headers say, and when two texts are one."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from responder.pipeline.clientmail import Content, Head, judged, says_the_same

PROPOSED = (
    "Yth. Bapak/Ibu,\n\nUntuk mengatur ulang password, buka halaman masuk, tekan Lupa Password dan isi User ID.\n"
    "Tautan dikirim ke alamat email yang terdaftar.\n\nHormat kami,\nLPSE\n"
)


def head(*lines: str) -> Head:
    return Head.of(1, "\r\n".join([*lines, "", ""]).encode())


def test_the_parent_is_in_reply_to_or_else_the_last_reference() -> None:
    assert head("In-Reply-To: <b@x>", "References: <a@x> <c@x>").answered == ("b@x",)
    assert head("References: <a@x> <c@x>").answered == ("c@x",)
    assert head("Subject: x").answered == ()


def test_every_recipient_counts_also_the_hidden_ones() -> None:
    found = head("To: A <a@X.example>", "Cc: b@x.example", "Bcc: C@x.example, a@x.example")
    assert found.recipients == ("a@x.example", "b@x.example", "c@x.example")


@pytest.mark.parametrize("line", ["Received: from a by b", "Return-Path: <a@b.c>", "Delivered-To: a@b.c"])
def test_what_a_mail_server_has_handled_is_no_draft(line: str) -> None:
    assert head(line, "Subject: x").delivered
    assert not head("Subject: x").delivered


def test_an_encoded_subject_is_read() -> None:
    assert (
        head("Subject: =?utf-8?Q?Re:_Pertanyaan_=E2=80=9Cakun=E2=80=9D?=").subject == "Re: Pertanyaan “akun”"
    )


def test_wrapping_encoding_and_line_ends_are_no_change() -> None:
    ours = SimpleNamespace(subject="Re: x", text=PROPOSED, data=b"Subject: Re: x\r\n\r\nx\r\n")
    wrapped = PROPOSED.replace("buka halaman", "buka \nhalaman")
    assert says_the_same(head("Subject: Re:  x"), Content(wrapped, "", ()), ours)
    assert not says_the_same(head("Subject: Re: y"), Content(wrapped, "", ()), ours)
    assert not says_the_same(head("Subject: Re: x"), Content(wrapped + "Lagi.", "", ()), ours)
    enclosed = Content(wrapped, "", (("a.pdf", "application/pdf", b"1"),))
    assert not says_the_same(head("Subject: Re: x"), enclosed, ours)


@pytest.mark.parametrize(
    ("sent", "decision"),
    [
        (PROPOSED, "approved"),
        (PROPOSED + "\n-- \nBudi, LPSE\n", "approved"),
        (PROPOSED + "\nPada Sab, 15 Jun 2024 pukul 14.59 Ratna <a@b.example> menulis:\n> Halo\n", "approved"),
        (PROPOSED.replace("Hormat kami", "Salam hangat"), "edited"),
        ("Selamat siang, permohonan Bapak sudah kami teruskan ke bagian hukum.", "by_hand"),
        ("", "by_hand"),
    ],
)
def test_an_answer_by_hand_is_judged_by_how_much_of_the_draft_is_in_it(sent: str, decision: str) -> None:
    proposed = SimpleNamespace(text=PROPOSED, topics=["lupa-password"])
    topics = () if decision == "by_hand" else ("lupa-password",)
    assert judged(proposed, sent) == (decision, topics)


def test_without_a_proposal_an_answer_is_by_hand() -> None:
    assert judged(None, PROPOSED) == ("by_hand", ())
    assert judged(SimpleNamespace(text=PROPOSED, topics=[]), PROPOSED) == ("by_hand", ())
