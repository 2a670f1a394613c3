"""What a sender wrote is told from quotes, forwarded mails and signatures."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.mail.quotes import MAX_TEXT, split

OWN = "Selamat pagi,\n\nMohon info cara mengganti kata sandi:\n- akun A\n- akun B\n\nTerima kasih\nBudi"
QUOTED = "> Yth. Bapak,\n> silakan dicoba.\n>\n>> pesan lama"
UNMARKED = "Yth. Bapak,\nsilakan dicoba."
# Twice what the slowest of the hostile texts needs on a busy machine, and a hundredth of what a hang would.
HANG_SECONDS = 5.0

# "|" is a line end.
INDONESIAN = """
Pada tanggal Sab, 31 Okt 2020 pukul 22.12 NAMA ORANG <a@b.example> menulis:
Pada tanggal Sab, 31 Okt 2020 22.12 NAMA ORANG <a@b.example> menulis:
Pada Sab, 15 Jun 2024 pukul 14.59 NAMA <a@b.example>|menulis:
Pada Sab, 15 Jun 2024 pukul 14.59 NAMA YANG PANJANG <|nama.panjang@b.example> menulis:
Pada 2024-06-15 14:59, NAMA menulis:
Pada 15/06/24 14.59, NAMA menulis:
-------- Pesan Asli --------|Subjek: Ganti surel|Terkirim: Sab, 15 Juni 2024|Dari: A <a@b.example>|Kepada: c@d.example
-------- Pesan Orisinal --------|Subjek: Ganti surel
-----Pesan Asli-----|Dari: A|Dikirim: 15 Juni 2024 10:00
Dari: Budi <budi@b.example>|Dikirim: Sabtu, 15 Juni 2024 14:59|Kepada: LPSE|Perihal: RE: Ganti surel
*Dari:* Budi <budi@b.example>|*Terkirim:* Sabtu, 15 Juni 2024 14:59|*Kepada:* LPSE|*Subjek:* RE: Ganti
________________________________|Dari: Budi|Dikirim: Sabtu, 15 Juni 2024 14:59|Kepada: LPSE|Perihal: RE: Ganti
---------- Pesan terusan ---------|Dari: A <a@b.example>|Date: Sab, 15 Jun 2024 pukul 14.59|To: <c@d.example>
""".strip().split("\n")

OTHER_LANGUAGES = """
On Wed, Sep 25, 2013, at 03:57 PM, jorge wrote:
On Wed, Sep 25, 2013 at 3:57 PM, A Very Long Name <|name@b.example> wrote:
On 01/03/11 7:07 PM, Some Body wrote:
---- On Tue, 22 Dec 2015 14:17:36 +0530 Sam <s@b.example> wrote ----
Am 18.09.2013 um 16:24 schrieb name <a@b.example>:
Max M <m@b.example> schrieb am Fr., 28. Apr. 2017 um 11:53 Uhr:
Le 4 janv. 2016 19:03, "Nom Prénom" <a@b.example> a écrit :
Le mar. 5 mai 2020 à 10:00, Nom <a@b.example> a|écrit :
El mar, 5 may 2020 a las 10:00, Nombre (<a@b.example>) escribió:
Il giorno mar 5 mag 2020 alle ore 10:00 Nome <a@b.example> ha scritto:
Em ter., 5 de mai. de 2020 às 10:00, Nome <a@b.example> escreveu:
Nome <a@b.example> escreveu no dia terça, 5/05/2020 à(s) 10:00:
Op di 5 mei 2020 om 10:00 schreef Naam <a@b.example>:
Op 24 aug. 2013 om 16:48 heeft Naam <a@b.example> het volgende geschreven:
Den tir. 5. maj 2020 kl. 10.00 skrev Navn <a@b.example>:
søn. 30. apr. 2017 kl. 00.26 skrev Navn <a@b.example>:
Den tis 5 maj 2020 kl 10:00 skrev Namn <a@b.example>:
ti 5. toukok. 2020 klo 10.00 Nimi (a@b.example) kirjoitti:
wt., 5 maj 2020 o 10:00 Imię <a@b.example> napisał(a):
W dniu 28 stycznia 2015 01:53 użytkownik Zoe <a@b.example>|napisał:
út 5. 5. 2020 v 10:00 odesílatel Jméno <a@b.example> napsal:
ut 5. 5. 2020 o 10:00 Meno <a@b.example> napísal(a):
пн, 5 мая 2020 г. в 10:00, Имя <a@b.example>:
5 мая 2020, в 10:00, Имя <a@b.example> написал(а):
пн, 5 трав. 2020 р. о 10:00 Назва <a@b.example> пише:
5 Mayıs 2020 Salı tarihinde Ad <a@b.example> yazdı:
Név <a@b.example> ezt írta (időpont: 2020. máj. 5., K, 10:00):
În mar., 5 mai 2020 la 10:00, Nume <a@b.example> a scris:
Στις Τρί, 5 Μαΐ 2020 στις 10:00 π.μ., ο χρήστης Όνομα <a@b.example> έγραψε:
בתאריך יום ג׳, 5 במאי 2020 ב-10:00 מאת שם <a@b.example>:
Vào Th 3, 5 thg 5, 2020 vào lúc 10:00 Tên <a@b.example> đã viết:
2020年5月5日(火) 10:00 名前 <a@b.example>:
2020년 5월 5일 (화) 오전 10:00, 이름 <a@b.example>님이 작성:
名字 <a@b.example> 于2020年5月5日周二 10:00写道：
uto, 5. svi 2020. u 10:00 Ime <a@b.example> napisao je:
2015-10-18 0:17 GMT+03:00 Some One <a@b.example>:
-----Original Message-----|From: A|Sent: Monday
-----Ursprüngliche Nachricht-----|Von: A
-----Message d'origine-----|De : X
*From:* a@b.example [mailto:|a@b.example]|*Sent:* Wednesday, June 27, 2012 3:05 PM|*To:* c@d.example
Von: s@b.example|Gesendet: Dienstag, 25. November 2014 14:59|An: Jemand|Betreff: x
发件人: A <a@b.example>|发送时间: 2020年5月5日 10:00|收件人: B|主题: x
差出人: A <a@b.example>|送信日時: 2020年5月5日 10:00|宛先: B|件名: x
보낸 사람: A <a@b.example>|보낸 날짜: 2020년 5월 5일|받는 사람: B|제목: x
Kimden: A <a@b.example>|Gönderildi: 5 Mayıs 2020|Kime: B|Konu: x
""".strip().split("\n")

SIGNATURES = (
    "",
    "-- \nBudi\nPT Maju",
    "--\nBudi",
    "Dikirim dari iPhone saya",
    "Dikirim dari Yahoo Mail di Android",
    "Terkirim dari ponsel Samsung saya",
    "Sent from my Samsung Galaxy smartphone.",
    "Dapatkan Outlook untuk Android<https://aka.example/x>",
    "Gesendet von meinem iPhone",
    "Envoyé de mon iPad",
)


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("header", INDONESIAN + OTHER_LANGUAGES)
def test_text_above_a_quote_is_the_new_text(header: str) -> None:
    lines = header.replace("|", "\n")
    for signature in SIGNATURES:
        for quote in (QUOTED, UNMARKED, f"\n{QUOTED}", f"\n{UNMARKED}"):
            found = split(f"{OWN}\n\n{signature}\n\n{lines}\n{quote}\n")
            assert words(found.new_text) == words(OWN), (signature, quote)
            assert found.quoted
            assert "silakan dicoba" in found.quoted_text
            assert words(found.signature) == words(signature)


@pytest.mark.parametrize("header", INDONESIAN[:4] + OTHER_LANGUAGES[:5])
def test_a_quote_header_behind_marks_is_no_new_text(header: str) -> None:
    quoted = "\n".join(f">> {line}" for line in header.split("|"))
    assert words(split(f"{OWN}\n\n{quoted}\n{QUOTED}").new_text) == words(OWN)


def test_the_wrapped_end_of_a_marked_header_is_no_new_text() -> None:
    text = f"{OWN}\n\n> Pada Sab, 15 Jun 2024 pukul 14.59 NAMA <a@b.example>\nmenulis:\n>> lama"
    assert words(split(text).new_text) == words(OWN)


def test_answers_between_and_below_quotes_are_all_kept() -> None:
    text = (
        "Pada Sab, 15 Jun 2024 pukul 14.59 LPSE <a@b.example> menulis:\n\n> Apa nama akunnya?\n\nPT Maju\n\n"
        "> Kapan terakhir masuk?\nKemarin sore.\n> Terima kasih\n\nApakah masih ada yang kurang?"
    )
    found = split(text)
    assert found.new_text == "PT Maju\n\nKemarin sore.\n\nApakah masih ada yang kurang?"
    assert "Kapan terakhir masuk?" in found.quoted_text


def test_a_plain_name_and_closing_stay() -> None:
    text = f"Mohon bantuannya.\n\nHormat kami,\nBudi Santoso\n\n{INDONESIAN[0]}\n{QUOTED}"
    assert split(text).new_text == "Mohon bantuannya.\n\nHormat kami,\nBudi Santoso"


def test_a_visiting_card_below_the_closing_is_signature() -> None:
    found = split("Mohon bantuannya.\n\nHormat kami,\nBudi\nDirektur\nTelp: 021 555\nEmail: b@x.example")
    assert found.new_text == "Mohon bantuannya.\n\nHormat kami,\nBudi"
    assert "Telp" in found.signature


def test_account_data_below_the_closing_stay() -> None:
    text = "Mohon reset.\n\nTerima kasih\nPT Maju\nNPWP: 01.234\nEmail: b@x.example\nTelp: 021 555"
    assert split(text).new_text == text


@pytest.mark.parametrize(
    "text",
    [
        "Halo,\n\nkendala kami:\n- gagal masuk\n- gagal unggah\n-- dua kali\n\nMohon bantuan.",
        "Pada tanggal 12 Mei 2024 panitia menulis:\ndokumen kami kurang. Mengapa?",
        "Pada 12 Mei 2024 saya menulis ke bantuan@instansi.example sebagai berikut:\nmohon reset akun.",
        "Yth. LPSE\nDari: PT Maju\nKepada: Panitia\nPerihal: Permohonan\n\nKami mohon perubahan alamat.",
        "Nomor: 12/V/2024\nLampiran: 1\nPerihal: Ganti alamat\n\nKami mohon perubahan alamat.",
        "Here is another email\n\nSent from my desk, is much easier than my mobile phone.",
        "On the other hand the form is unclear.\nOn Monday we shall try again.",
        "Dokumen dikirim dari kantor pusat kemarin.",
        "Dari tanggal 1 sampai 5 sistem tidak bisa dibuka: mohon dicek",
        "Tim teknis menulis: akun kami dikunci. Bagaimana cara membukanya?",
    ],
)
def test_prose_that_looks_like_a_marker_stays(text: str) -> None:
    found = split(text)
    assert found.new_text == text
    assert not found.quoted


def test_a_line_of_prose_above_the_header_is_not_taken_for_its_start() -> None:
    text = "Kami coba pada 12 Mei 2024\nPada Sab, 15 Jun 2024 pukul 14.59 NAMA <a@b.example> menulis:\n> x"
    assert split(text).new_text == "Kami coba pada 12 Mei 2024"


def test_a_forward_keeps_the_own_question_and_the_forwarded_text_apart() -> None:
    text = (
        "Apakah ini benar dari LPSE?\n\n---------- Forwarded message ---------\nDari: A <a@b.example>\n"
        "Date: Sab, 15 Jun 2024 pukul 14.59\nSubject: Undangan verifikasi\nTo: <c@d.example>\n\nHarap datang."
    )
    found = split(text)
    assert found.forwarded
    assert found.new_text == "Apakah ini benar dari LPSE?"
    assert "Harap datang." in found.quoted_text
    assert "Undangan verifikasi" in found.quoted_text


@pytest.mark.parametrize(
    "line",
    [
        "Begin forwarded message:",
        "-------- Forwarded Message --------",
        "----- Pesan yang Diteruskan -----",
        "Anfang der weitergeleiteten Nachricht:",
        "----- Message transféré -----",
        "-------- Перенаправленное сообщение --------",
        "Videresendt melding:",
        "----- İletilmiş Mesaj -----",
    ],
)
def test_forwards_are_known_in_many_languages(line: str) -> None:
    found = split(f"Mohon dicek.\n\n{line}\n\nFrom: A <a@b.example>\nSubject: x\nDate: 5 May 2020\n\nIsi")
    assert found.new_text == "Mohon dicek."
    assert found.forwarded


@pytest.mark.parametrize(
    "text",
    [
        f"---------- Forwarded message ---------\nFrom: A <a@b.example>\nSubject: x\n\n{UNMARKED}",
        QUOTED,
        "Dikirim dari iPhone saya",
        "-- \nBudi",
        "From: A <a@b.example>\nTo: B <b@c.example>\nSubject: x\n\nMohon bantuan",
        f"{INDONESIAN[0]}\n{UNMARKED}",
    ],
)
def test_when_nothing_own_is_left_the_full_text_counts(text: str) -> None:
    assert split(text).new_text == text


def test_when_little_is_left_of_a_mail_without_quotes_the_full_text_counts() -> None:
    text = "Halo\n-- \n" + "\n".join(f"Baris penting nomor {n} dari surat kami" for n in range(8))
    assert split(text).new_text == text


def test_a_short_answer_above_a_long_quote_is_enough() -> None:
    assert split(f"Setuju.\n\n{INDONESIAN[0]}\n" + "> panjang sekali\n" * 100).new_text == "Setuju."


def test_the_footer_of_a_mailing_list_is_signature() -> None:
    text = f"{OWN}\n\n{'_' * 47}\nmilis-lpse mailing list\nhttps://milis.example/daftar"
    assert split(text).new_text == OWN


@pytest.mark.parametrize(
    "text",
    [
        "\n" * 20_000 + "x",
        " \n" * 20_000 + "x",
        "On " + "word " * 20_000,
        "On 1 a@b\n" * 11_000,
        ">" * MAX_TEXT,
        "> " * 50_000,
        ">\n" * 50_000,
        "From: a\n" * 12_000,
        "Date: a@b\n\n" * 9_000,
        "-----\n" * 16_000,
        "--\n" * 33_000,
        "Pada 12/12/2012 <a@b\n" * 5_000,
        ":\n" * 50_000,
        "*: " * 33_000,
        "a@" * 50_000,
        "Salam\n" * 16_000,
        "sent from my\n" * 8_000,
        "1.1.\n" * 20_000,
        "1 wrote:\n" * 11_000,
        "\u200b" * MAX_TEXT,
        "\r" * MAX_TEXT,
        "x" * 3_000_000,
    ],
    ids=lambda text: repr(text[:12]),
)
def test_hostile_text_is_split_in_linear_time(text: str) -> None:
    started = time.monotonic()
    split(text)
    assert time.monotonic() - started < HANG_SECONDS


@given(st.lists(st.sampled_from([*OWN.split("\n"), *QUOTED.split("\n"), *INDONESIAN, *SIGNATURES, ""])))
def test_no_arrangement_of_lines_loses_all_text(lines: list[str]) -> None:
    text = "\n".join(lines).replace("|", "\n")
    assert bool(split(text).new_text) == bool(text.strip())


@given(st.text(max_size=400))
def test_any_text_can_be_split(text: str) -> None:
    assert bool(split(text).new_text) == bool(text.strip())
