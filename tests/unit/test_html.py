"""HTML: what a person sees becomes text, what staff see is safe, and hidden words are in neither."""

from __future__ import annotations

import pytest

from responder.mail import html


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<p>satu</p><p>dua</p>", "satu\n\ndua"),
        ("<div>satu</div><div>dua</div>", "satu\ndua"),
        ("satu<br>dua<br/><br>tiga", "satu\ndua\n\ntiga"),
        ("  banyak \n  spasi&nbsp;di <b>sini</b>!", "banyak spasi di sini!"),
        ("<b>a</b><i>b</i> <u>c</u>", "ab c"),
        ("<ul><li>satu</li><li>dua</li></ul>", "- satu\n- dua"),
        ("<ol start=3><li>satu<li>dua</ol>", "3. satu\n4. dua"),
        (
            "<table><tr><td>NPWP</td><td>01.2</td></tr><tr><td>Nama</td><td>PT</td></tr></table>",
            "NPWP  01.2\nNama  PT",
        ),
        ("<pre>a\n  b</pre>", "a\n  b"),
        ("&lt;b&gt; &amp;amp; &#x1F600; &eacute;", "<b> &amp; 😀 é"),
        ("<p>tidak ditutup <b>tebal", "tidak ditutup tebal"),
        ("<title>judul</title><style>p{}</style><script>if(a<b){}</script>isi", "isi"),
        ("<!-- komentar --><!--[if mso]>kantor<![endif]-->isi", "isi"),
        ("a < b dan c > d", "a < b dan c > d"),
        ("", ""),
        ("<select><option>ya</select><svg><text>x</text></svg>isi", "isi"),
    ],
)
def test_lines_and_lists_survive(page: str, text: str) -> None:
    assert html.to_text(page) == text


@pytest.mark.parametrize(
    "style",
    [
        "display:none",
        "DISPLAY : NONE !important",
        "display:/**/none",
        "color:red;display:none",
        "visibility:hidden",
        "font-size:0",
        "font-size:0px;line-height:0",
        "font-size:1px",
        "font:0/0 Arial",
        "opacity:0",
        "mso-hide:all",
        "max-height:0;overflow:hidden",
        "height:0;overflow:hidden",
        "text-indent:-9999px",
        "position:absolute;left:-5000px",
        "color:white",
        "color:#fefefe",
        "color:rgb(255,255,255)",
        "background:#222;color:#242424",
        "color:transparent",
        "color:rgba(0,0,0,0)",
    ],
)
def test_hidden_text_is_dropped(style: str) -> None:
    """Rule 66: from the text and from what staff see, before style is stripped."""
    page = f'<p>tampak</p><div style="{style}">tersembunyi</div>'
    assert html.to_text(page) == "tampak"
    assert "tersembunyi" not in html.sanitise(page)


@pytest.mark.parametrize(
    "page",
    [
        "<div hidden>x</div>",
        '<style>.h{display:none}</style><div class="a H">x</div>',
        "<style>#h{visibility:hidden}</style><div id=h>x</div>",
        "<style>/* a */ span.h, b { font-size:0 }</style><span class=h>x</span><b>x</b>",
        "<font color=white>x</font>",
        '<table bgcolor="#ff0000"><tr><td><font color=red>x</font></td></tr></table>',
        '<div style="display:none"><div><p>x</p></div>x<div>x</div></div>',
        "<template>x</template>",
    ],
)
def test_hiding_by_other_means_is_seen_too(page: str) -> None:
    """Rule 66."""
    assert html.to_text(page) == ""


@pytest.mark.parametrize(
    "page",
    [
        '<div style="background:#003366"><span style="color:#fff">x</span></div>',
        '<table bgcolor=navy><tr><td style="color:white">x</td></tr></table>',
        '<div style="background:url(a.png)"><span style="color:#fff">x</span></div>',
        '<div style="font-size:0"><span style="font-size:14px">x</span></div>',
        '<div style="visibility:hidden"><span style="visibility:visible">x</span></div>',
        "<style>@media (max-width:600px){.h{display:none}}</style><p class=h>x</p>",
        '<style>.kop{background:#036}</style><div class=kop><b style="color:#fff">x</b></div>',
        '<p style="display:none;display:block">x</p>',
        '<p style="opacity:0.9;font-size:0.8em;max-height:100px;width:0;height:10px">x</p>',
    ],
)
def test_visible_text_is_kept(page: str) -> None:
    """Losing a vendor's words is worse than keeping invisible ones."""
    assert html.to_text(page) == "x"


def test_link_shows_its_real_target() -> None:
    """Rule 66, in the text and in what staff see."""
    page = '<a href="http://jahat.example/masuk">https://spse.instansi.example</a>'
    assert html.to_text(page) == "https://spse.instansi.example <http://jahat.example/masuk>"
    assert "&lt;http://jahat.example/masuk&gt;" in html.sanitise(page)


@pytest.mark.parametrize(
    "page",
    [
        '<a href="https://www.lpse.example/">lpse.example</a>',
        '<a href="mailto:a@b.example">a@b.example</a>',
        '<a href="#atas">ke atas</a>',
        '<a href="javascript:x()">klik</a>',
        '<a href="http://x.example"><img src="cid:a"></a>',
    ],
)
def test_link_whose_target_shows_or_leads_nowhere_stays_as_it_is(page: str) -> None:
    assert "<" not in html.to_text(page)


def test_quotations_are_marked_for_the_quote_splitter() -> None:
    page = "Halo<blockquote type=cite>kutip<blockquote>dalam</blockquote></blockquote>akhir"
    lines = [line for line in html.to_text(page).split("\n") if line.strip("> ")]
    assert lines == ["Halo", "> kutip", ">> dalam", "akhir"]


def test_indented_text_is_no_quotation() -> None:
    page = '<blockquote style="margin:0 0 0 40px;border:none;padding:0px">poin saya</blockquote>'
    assert html.to_text(page) == "poin saya"


def test_answered_mail_of_outlook_is_set_off() -> None:
    page = (
        '<p>Baik.</p><div style="border:none;border-top:solid #E1E1E1 1.0pt;padding:3pt 0cm">'
        "<p><b>From:</b> LPSE<br><b>Sent:</b> Senin</p></div>"
    )
    assert html.to_text(page).split("\n") == ["Baik.", "", "_" * 32, "", "From: LPSE", "Sent: Senin"]


@pytest.mark.parametrize(
    "page",
    [
        '<img src="http://pelacak.example/x.gif">',
        '<img src="//pelacak.example/x.gif">',
        '<img src="data:image/png;base64,AAAA">',
        '<table background="http://pelacak.example/x"><tr><td>x</table>',
        '<p style="background:url(http://pelacak.example/x)">x</p>',
        '<link rel=stylesheet href="http://pelacak.example/x"><style>@import "http://pelacak.example/x"</style>',
        '<iframe src="http://pelacak.example/x"></iframe><object data="http://pelacak.example/x"></object>',
        '<a href="javascript:alert(1)" onclick="alert(1)">x</a><script>alert(1)</script>',
        '<svg><style><img src="http://pelacak.example/x" onerror=alert(1)></style></svg>',
        '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">',
        '<form action="http://pelacak.example"><input><button>x</button></form><base href="http://pelacak.example">',
    ],
)
def test_nothing_remote_or_active_is_shown(page: str) -> None:
    """Rule 66."""
    safe = html.sanitise(page)
    for forbidden in (
        "pelacak",
        'alert(1)"',
        "javascript",
        "<script",
        "style",
        "data:",
        '<img src="http',
        "<form",
    ):
        assert forbidden not in safe
    assert "<img src=1" not in safe


def test_picture_of_the_mail_itself_is_kept() -> None:
    assert html.sanitise('<img src="cid:logo@x" alt="logo">') == '<img src="cid:logo@x" alt="logo">'


def test_markup_in_text_and_attributes_stays_text() -> None:
    safe = html.sanitise(
        '<p title="<script>">&lt;script&gt;x&lt;/script&gt; <a href="http://a/?b=1&c=%22">k</a></p>'
    )
    assert "<script" not in safe
    assert "&lt;script&gt;x" in safe


@pytest.mark.parametrize(
    "page",
    [
        "<div>" * 100_000 + "x",
        "<div " + " ".join(f"a{n}=1" for n in range(60_000)) + ">x</div>",
        "<b><i><u><a>" * 3000 + "<p>" * 3000 + "x",
        "<table>" * 20_000 + "x",
        "<" * 500_000,
        "&" * 500_000,
        "&nbsp;" * 100_000,
        "<p>" * 200_000,
        "<!--" * 100_000,
        "<a href='" * 50_000,
        "<style>" + "a{" * 50_000,
        '<p style="' + "display:" * 20_000 + '">x',
        "<blockquote>" * 900 + "x\n" * 1000,
    ],
)
@pytest.mark.timeout(20)
def test_hostile_pages_end_soon_and_bounded(page: str) -> None:
    """Rule 64 and the measured time bombs of parsers; the guard is far above the honest time."""
    read = html.read(page)
    assert len(read.text) < 2_000_000
    assert len(read.safe) < 4_000_000


def test_overdone_nesting_is_read_crudely_with_a_doubt() -> None:
    read = html.read("<div>" * 5000 + "isi &amp; <b>tebal</b>")
    assert read.text == "isi & tebal"
    assert read.doubt
    assert read.safe == "<pre>isi &amp; tebal</pre>"


def test_page_over_the_limit_is_cut_with_a_doubt() -> None:
    read = html.read("<p>kata " * 100_000)
    assert read.doubt == "HTML cut at 262144 characters"
    assert read.text.startswith("kata")
