"""Replies as vendors and staff read them."""

from dataclasses import replace
from datetime import date, time
from html.parser import HTMLParser
from pathlib import Path

import pytest

from responder.errors import ContentError
from responder.knowledge.checklist import check
from responder.knowledge.confirm import confirm
from responder.knowledge.load import load_topics
from responder.paths import shipped
from responder.replies.render import (
    Office,
    RenderedReply,
    Renderer,
    VendorContext,
    html_from_text,
    link_hosts,
)
from responder.replies.vendor import clean_name
from tests.topics import make_topic, write_topic

DAY = date(2026, 6, 1)
TAG = "[LPSE-000123-k7f3q]"
OFFICE = Office("LPSE Contoh", "lpse@instansi.example")
FACT = "unconfirmed:\n  - key: biaya\n    what: nilai meterai\n    reading: Rp10.000,-\n"
LETTER_TAGS = {"html", "head", "meta", "body", "div", "p", "h2", "ol", "ul", "li", "strong", "br", "a"}
SHIPPED = load_topics(shipped("content"))


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer(shipped("templates"))


def answer(renderer: Renderer, *slugs: str, name: str = "", language: str = "id") -> RenderedReply:
    return renderer.render_answer(
        [SHIPPED[s] for s in slugs], VendorContext(name, language), OFFICE, TAG, DAY
    )


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_data(self, data: str) -> None:
        self.found.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def read_html(html: str) -> _Words:
    parser = _Words()
    parser.feed(html)
    return parser


def seen(html: str) -> str:
    return " ".join("".join(read_html(html).found).split())


def test_the_letter_follows_the_etiquette_of_an_office(renderer: Renderer):
    reply = answer(renderer, "lupa-password", name="Budi Santoso")
    in_order = [
        "Yth. Bapak/Ibu Budi Santoso",
        "Dengan hormat,",
        "Terima kasih telah menghubungi LPSE Contoh.",
        "1. klik login",
        "9. masukkan password baru",
        TAG,
        "kami ucapkan terima kasih",
        "Hormat kami,",
        "LPSE Contoh",
        "Jam layanan: Senin-Jumat pukul 08.00-16.00 WIB",
        "LPSE tidak pernah meminta password",
        "tidak dipungut biaya",
    ]
    text = " ".join(reply.text.split())
    position = 0
    for words in in_order:
        position = text.index(words, position)
    for words in in_order:
        assert words.removeprefix("1. ").removeprefix("9. ") in seen(reply.html)
    assert reply.subject == ""


def test_service_hours_are_those_of_the_configuration():
    office = Office("LPSE", "a@b.example", "Senin-Kamis", time(7, 30), time(15, 0), "WITA")
    assert office.hours == "Senin-Kamis pukul 07.30-15.00 WITA"


def test_several_topics_are_one_reply_with_numbered_sections(renderer: Renderer):
    reply = answer(renderer, "lupa-password", "tender-cepat")
    assert reply.text.count("Dengan hormat") == 1
    first = reply.text.index("Bagian 1: Lupa password")
    assert first < reply.text.index("Bagian 2: Tender cepat")
    assert "Bagian 2: Tender cepat" in seen(reply.html)
    assert "Bagian" not in answer(renderer, "lupa-password").text


def test_english_mail_gets_one_english_line_above_the_indonesian_answer(renderer: Renderer):
    reply = answer(renderer, "lupa-password", language="en")
    first, empty, second = reply.text.splitlines()[:3]
    assert first.startswith("Thank you for your email.")
    assert (empty, second) == ("", "Yth. Bapak/Ibu")
    assert "Thank you for your email." in seen(reply.html)
    assert "Thank you" not in answer(renderer, "lupa-password").text


def test_an_unconfirmed_fact_is_marked_until_it_is_confirmed(renderer: Renderer, tmp_path: Path):
    topic = make_topic(tmp_path, head=FACT, body="dicap meterai {{ fakta.biaya }} ya")
    reply = renderer.preview(topic, OFFICE, DAY)
    assert reply.unconfirmed == ("[belum dikonfirmasi: nilai meterai]",)
    assert "Rp10.000" not in reply.text + reply.html
    confirm(tmp_path, topic.slug, "biaya", None, "Siti", DAY)
    reply = renderer.preview(load_topics(tmp_path)[topic.slug], OFFICE, DAY)
    assert (reply.unconfirmed, reply.problems) == ((), ())
    assert "dicap meterai Rp10.000,- ya" in reply.text
    assert "dicap meterai Rp10.000,- ya" in seen(reply.html)


@pytest.mark.parametrize(
    ("value", "lines"),
    [
        ("", ["1. satu", "2. dua"]),
        ("lima", ["1. satu", "2. lima", "3. dua"]),
        ("a\nb", ["2. a", "3. b", "4. dua"]),
    ],
)
def test_a_missing_step_becomes_none_one_or_several_items(
    renderer: Renderer, tmp_path: Path, value: str, lines: list[str]
):
    topic = make_topic(tmp_path, head=FACT, body="1. satu\n2. {{ fakta.biaya }}\n3. dua\n")
    confirm(tmp_path, topic.slug, "biaya", value, "Siti", DAY)
    text = renderer.preview(load_topics(tmp_path)[topic.slug], OFFICE, DAY).text.splitlines()
    assert all(line in text for line in lines)


def test_a_confirmed_value_is_words_and_never_markup(renderer: Renderer, tmp_path: Path):
    value = "<b>PT_A_B</b> *x* [klik](https://jahat.example) & 5. lima"
    topic = make_topic(tmp_path, head=FACT, body="nilai {{ fakta.biaya }} ya\n")
    confirm(tmp_path, topic.slug, "biaya", value, "Siti", DAY)
    reply = renderer.preview(load_topics(tmp_path)[topic.slug], OFFICE, DAY)
    assert f"nilai {value} ya" in " ".join(reply.text.split())
    assert f"nilai {value} ya" in seen(reply.html)
    assert not any(tag in {"a", "b"} for tag, _ in read_html(reply.html).tags)


def test_a_note_shows_only_while_it_is_valid(renderer: Renderer, tmp_path: Path):
    note = "notes:\n  - text: Kantor tutup sementara.\n    valid_from: 2026-06-01\n    valid_to: 2026-06-02\n"
    topic = make_topic(tmp_path, head=note)
    shown = ["tutup" in renderer.preview(topic, OFFICE, date(2026, 6, day)).text for day in (1, 2, 3)]
    assert shown == [True, True, False]
    assert "tutup" not in renderer.preview(topic, OFFICE, date(2026, 5, 31)).html


def test_links_are_label_and_address_in_text_and_clickable_in_html(renderer: Renderer, tmp_path: Path):
    url = "https://lpse.example/eproc4/publik/detil_special?beritaId=1&x=" + "y" * 80
    topic = make_topic(
        tmp_path,
        head=f"links:\n  - label: Formulir\n    url: {url}\n",
        body="lihat [laman](https://a.example/b)",
    )
    reply = renderer.preview(topic, OFFICE, DAY)
    assert url in reply.text.split()
    assert "laman: https://a.example/b" in reply.text
    hrefs = [attributes["href"] for tag, attributes in read_html(reply.html).tags if tag == "a"]
    assert hrefs == ["https://a.example/b", url]
    assert link_hosts([topic]) == {"lpse.example", "a.example"}


def test_attached_forms_are_named_and_handed_on(renderer: Renderer, tmp_path: Path):
    topic = make_topic(tmp_path, head="attachments: [formulir.pdf]\n")
    reply = renderer.preview(topic, OFFICE, DAY)
    assert reply.attachments == (tmp_path / "ganti-sandi" / "formulir.pdf",)
    assert "Terlampir: formulir.pdf" in reply.text


def test_outgoing_html_loads_nothing_and_sets_no_colours(renderer: Renderer):
    """Rule 42: no remote image, pixel, external CSS or script."""
    html = answer(renderer, *SHIPPED).html
    tags = read_html(html).tags
    assert {tag for tag, _ in tags} <= LETTER_TAGS
    for _, attributes in tags:
        assert not {"src", "background", "srcset", "onclick"} & attributes.keys()
        style = attributes.get("style") or ""
        assert "url(" not in style
        assert "color" not in style


@pytest.mark.parametrize("name", ["{{7*7}}", "{% raw %}", "Budi {{ office }}", "${7*7}"])
def test_a_template_expression_in_a_name_is_never_evaluated(renderer: Renderer, name: str):
    """Rule 67: mail content is data; a name that is no person's name is left out."""
    reply = answer(renderer, "lupa-password", name=name)
    assert reply.text.startswith("Yth. Bapak/Ibu\n")
    assert "49" not in reply.text


def test_a_name_cannot_break_lines_or_markup(renderer: Renderer):
    """Rule 68: CR and LF fold to a space in text, HTML is escaped."""
    reply = answer(renderer, "lupa-password", name="Budi\r\nSantoso")
    assert reply.text.startswith("Yth. Bapak/Ibu Budi Santoso\n")
    assert "<b>" not in answer(renderer, "lupa-password", name="<b>Budi</b>").html


@pytest.mark.parametrize(
    ("name", "greeted"),
    [
        ("Budi Santoso", "Budi Santoso"),
        ("budi santoso", "Budi Santoso"),
        ("SITI AMINAH", "Siti Aminah"),
        ('"Dr. Ir. H. Ahmad Fauzi, S.T., M.T."', "Dr. Ir. H. Ahmad Fauzi"),
        ("Ma'ruf O'Neil-Siregar", "Ma'ruf O'Neil-Siregar"),
        ("Sukarno", "Sukarno"),
        ("Santoso, Budi", ""),
        ("PT Maju Jaya", ""),
        ("CV. Karya", ""),
        ("Admin Tender", ""),
        ("budi@penyedia.example", ""),
        ("Klik evil.example", ""),
        ("https://evil.example", ""),
        ("Budi 0812", ""),
        ("Budi\u202eotnas", ""),
        ("a", ""),
        ("", ""),
        ("x " * 40, ""),
    ],
)
def test_only_what_is_surely_a_persons_name_is_greeted(name: str, greeted: str):
    assert clean_name(name) == greeted


def test_acknowledgement_repeats_nothing_of_the_mail(renderer: Renderer):
    """Rule 36: fixed subject with the ticket number, fixed text."""
    one = renderer.render_acknowledgement(VendorContext("Budi Santoso"), OFFICE, TAG)
    other = renderer.render_acknowledgement(VendorContext("Klik evil"), OFFICE, TAG)
    assert one == other
    assert one.subject == f"{TAG} Email Bapak/Ibu telah kami terima"
    assert TAG in one.text
    assert "Budi" not in one.text + one.html


def test_handed_in_documents_are_confirmed_with_what_seems_missing(renderer: Renderer):
    topic = SHIPPED["ganti-email"]
    checklist = check(topic, ["ktp_dir.pdf", "jahat {{7*7}} npwp.pdf"], "")
    reply = renderer.render_documents_received(topic, checklist, VendorContext(), OFFICE, TAG)
    assert "1. KTP direktur dan yang diberi kuasa\n2. NPWP perusahaan\n" in reply.text
    assert "tampaknya belum ada" in reply.text
    assert "1. Surat permohonan penggantian e-mail\n2. Surat kuasa\n3. SIUP/NIB\n4. Akta" in reply.text
    assert "SIUP/NIB" in seen(reply.html)
    assert "jahat" not in reply.text + reply.html
    assert reply.problems


def copy_templates(target: Path) -> Path:
    (target / "replies").mkdir(parents=True)
    for path in (shipped("templates") / "replies").iterdir():
        (target / "replies" / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    return target


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ("satu\n{{ tidak_ada }}\n", r"answer\.txt\.j2:2: variabel 'tidak_ada' tidak dikenal"),
        ("satu\n{% if %}\n", r"answer\.txt\.j2:2: templat salah"),
    ],
)
def test_a_broken_template_is_refused_with_its_line_when_loaded(tmp_path: Path, broken: str, words: str):
    """Rule 67: StrictUndefined."""
    templates = copy_templates(tmp_path / "t")
    (templates / "replies" / "answer.txt.j2").write_text(broken)
    with pytest.raises(ContentError, match=words):
        Renderer(templates)


def test_a_missing_template_is_named(tmp_path: Path):
    with pytest.raises(ContentError, match=r"answer\.txt\.j2: templat tidak ada"):
        Renderer(tmp_path)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{{ office.telepon }}", "telepon"),
        ("{% for i in range(99999) %}banyak sekali {% endfor %}", "karakter"),
        ("{{ '{{ fakta.x }}' }}", "tidak terisi"),
    ],
)
def test_a_template_that_fails_while_rendering_gives_no_reply(tmp_path: Path, source: str, words: str):
    """Rule 67: an unfilled variable is an error, and the output is capped."""
    templates = copy_templates(tmp_path / "t")
    (templates / "replies" / "answer.txt.j2").write_text(source)
    with pytest.raises(ContentError, match=words):
        Renderer(templates).preview(SHIPPED["lupa-password"], OFFICE, DAY)


def test_the_version_changes_with_any_template(tmp_path: Path):
    templates = copy_templates(tmp_path / "t")
    before = Renderer(templates).version
    assert before == Renderer(shipped("templates")).version
    phrases = templates / "replies" / "phrases.j2"
    phrases.write_text(phrases.read_text(encoding="utf-8").replace("Hormat kami", "Salam"), encoding="utf-8")
    assert Renderer(templates).version != before


@pytest.mark.parametrize("slug", SHIPPED)
def test_html_from_the_text_says_the_same_as_the_text(renderer: Renderer, slug: str):
    text = answer(renderer, slug).text
    assert seen(html_from_text(text)) == " ".join(text.split())


def test_edited_text_keeps_numbers_and_joins_folded_lines():
    folded = "1. Surat permohonan penggantian email yang ditandatangani oleh direktur utama\n   perusahaan"
    html = html_from_text(f"Yth. Ibu\n\n{folded}\n2. KTP\n")
    assert "direktur utama perusahaan</div>" in html
    assert ">2. KTP</div>" in html


def test_edited_text_is_escaped():
    """Rule 68."""
    html = html_from_text('<script>alert(1)</script> "a" & b')
    assert "<script>" not in html
    assert seen(html) == '<script>alert(1)</script> "a" & b'


@pytest.mark.parametrize(
    ("url", "clickable"),
    [
        ("https://lpse.kemenperin.go.id/a?b=1&c=2", True),
        ("https://forms.example/x", True),
        ("https://jahat.example/x", False),
        ("https://lpse.go.id.jahat.example/", False),
        ("https://go.id@jahat.example/", False),
        ("https://jahatgo.id/", False),
        ("javascript:alert(1)", False),
        ("https://[::1/", False),
    ],
)
def test_only_known_addresses_become_clickable_in_edited_text(url: str, clickable: bool):
    """Rule 68: a vendor's address is never put in clickable form."""
    tags = read_html(html_from_text(f"Lihat {url}.", {"forms.example"})).tags
    assert [attributes["href"] for tag, attributes in tags if tag == "a"] == ([url] if clickable else [])


def test_nested_lists_keep_their_numbers_in_plain_text(renderer: Renderer, tmp_path: Path):
    body = "3. tiga\n   1) satu\n   2) dua\n      - titik\n4. empat\n"
    text = renderer.preview(make_topic(tmp_path, body=body), OFFICE, DAY).text
    assert "3. tiga\n   1) satu\n   2) dua\n      - titik\n4. empat\n" in text


def test_content_that_lost_a_fact_after_loading_gives_no_reply(renderer: Renderer, tmp_path: Path):
    write_topic(tmp_path, head=FACT, body="{{ fakta.biaya }}")
    topic = replace(load_topics(tmp_path)["ganti-sandi"], unconfirmed=())
    with pytest.raises(ContentError, match="biaya"):
        renderer.preview(topic, OFFICE, DAY)
