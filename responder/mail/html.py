"""HTML to text for classifying, and to safe HTML for showing (rule 66).

A browser's parser (lexbor) makes the tree that a reader would see; its serialisation is then passed over once,
as a flat run of tags and texts, dropping what is hidden. That pass yields the text and a markup without hidden
nodes, which nh3 reduces to an allow list. Hostile sizes and nestings take a cruder way, with a doubt.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape, unescape

import nh3
from selectolax.lexbor import LexborHTMLParser

from responder.mail.charset import clean
from responder.mail.visible import Visible

# 256 KiB of HTML is a hundred pages of text; lexbor and nh3 were measured quadratic in nesting and attributes.
MAX_HTML = 256 * 1024
MAX_NESTING = 1000
MAX_ATTRIBUTES = 300
# nh3 takes 3 µs for a character reference.
MAX_REFERENCES = 20_000

# Tags that never enclose anything; the others may nest.
_OPENING = re.compile(r"<(?!(?:br|p|hr|img|li|td|tr|th|meta|link|input|col)\b)[a-zA-Z]")
_CLOSING = re.compile(r"</[a-zA-Z]")
_LONG_TAG = re.compile(r"<[a-zA-Z][^<>]{1500,}")
_SEPARATOR = re.compile(r"[\s/\"']+[^\s/\"'=]")
_ANY_TAG = re.compile(r"<!--(?:[^-]++|-(?!->))*+(?:-->)?|<[/!?a-zA-Z][^<>]*+>?")
_RAW_TEXT = re.compile(r"<(style|script|title)\b[^>]*>.*?(?:</\1|\Z)", re.IGNORECASE | re.DOTALL)
_PLAINTEXT = re.compile(r"<(/?)(?:plaintext|xmp|listing)\b", re.IGNORECASE)

_TAGS = frozenset({
    "a", "abbr", "b", "blockquote", "br", "caption", "center", "code", "col", "colgroup", "dd", "del",
    "div", "dl", "dt", "em", "font", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img", "ins", "li",
    "ol", "p", "pre", "q", "s", "small", "span", "strike", "strong", "sub", "sup", "table", "tbody",
    "td", "tfoot", "th", "thead", "tr", "tt", "u", "ul",
})  # fmt: skip
_CLEANER = nh3.Cleaner(
    tags=set(_TAGS),
    clean_content_tags={
        "script",
        "style",
        "title",
        "template",
        "svg",
        "math",
        "iframe",
        "object",
        "noembed",
        "noframes",
    },
    attributes={
        "a": {"href"},
        "img": {"src", "alt", "width", "height"},
        "td": {"colspan", "rowspan"},
        "th": {"colspan", "rowspan"},
        "ol": {"start"},
    },
    attribute_filter=lambda tag, name, value: _keep(tag, name, value),
    url_schemes={"http", "https", "mailto", "tel", "cid"},
    url_relative="deny",
    link_rel="noopener noreferrer nofollow",
)


@dataclass(frozen=True, slots=True)
class Page:
    """An HTML text as a person would see it."""

    text: str
    markup: str  # hidden nodes removed, link targets written out; not yet safe to show
    doubt: str = ""

    @property
    def safe(self) -> str:
        """The markup reduced to the allow list: no script, style or remote content."""
        if self.markup.count("&") > MAX_REFERENCES:
            return preformatted(self.text)
        return _CLEANER.clean(self.markup)


def read(html: str, most: int = MAX_HTML) -> Page:
    """Read an HTML text of any size and make, cut at `most` characters; never raises."""
    doubt = ""
    if len(html) > most:
        html, doubt = html[:most], f"HTML cut at {most} characters"
    html = _PLAINTEXT.sub(r"<\1pre", clean(html))
    if _hostile(html):
        text = _crude(html)
        return Page(text, preformatted(text), "HTML nested or attributed too heavily, tags stripped")
    tree = LexborHTMLParser(html)
    sheets = [node.text() for node in tree.css("style")] if "<style" in html.lower() else []
    visible = Visible("\n".join(sheets))
    visible.read(tree.html or "")
    return Page(visible.text(), visible.markup(), doubt)


def to_text(html: str) -> str:
    """The visible text of `html`: lines, lists, "> " before quotations, link targets that differ from their text."""
    return read(html).text


def sanitise(html: str) -> str:
    """`html` made safe to show to people, without hidden nodes."""
    return read(html).safe


def preformatted(text: str) -> str:
    """Plain text as HTML."""
    return f"<pre>{escape(text, quote=False)}</pre>"


def _keep(tag: str, name: str, value: str) -> str | None:
    """The attribute filter: pictures come from the mail itself only."""
    if name == "src":
        return value if value.lower().startswith("cid:") else None
    if name == "href" and value.lower().startswith("cid:"):
        return None
    return value


def _hostile(html: str) -> bool:
    """Whether parsing would take quadratic time: nesting or attributes beyond any honest mail."""
    if html.count("<") > MAX_NESTING:
        opened = sum(1 for _ in _OPENING.finditer(html)) - sum(1 for _ in _CLOSING.finditer(html))
        if opened > MAX_NESTING or _deepest(html) > MAX_NESTING:
            return True
    return any(len(_SEPARATOR.findall(tag[0])) > MAX_ATTRIBUTES for tag in _LONG_TAG.finditer(html))


def _deepest(html: str) -> int:
    """The nesting that the tags amount to when each is closed where it says so."""
    depth = deepest = 0
    for tag in re.finditer(r"<(/?)(?!(?:br|p|hr|img|li|td|tr|th|meta|link|input|col)\b)[a-zA-Z]", html):
        depth = depth - 1 if tag[1] and depth else depth + (not tag[1])
        deepest = max(deepest, depth)
    return deepest


def _crude(html: str) -> str:
    """All text between tags, hidden or not."""
    text = _ANY_TAG.sub(" ", _RAW_TEXT.sub(" ", html))
    return "\n".join(" ".join(line.split()) for line in clean(unescape(text)).split("\n")).strip()
