"""One pass over serialised HTML that keeps what a reader sees, as text and as markup (rule 66).

The input is a browser parser's serialisation: every element is closed, and no ">" stands inside an attribute.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape

from responder.mail import css

# Longer targets are tracking links, whose rest tells a person nothing.
MAX_TARGET = 200
# Quotations nested deeper than anyone reads are marked like this depth.
MAX_MARKS = 10
# How Outlook sets off the mail it answers in plain text; the quote splitter knows it.
SEPARATOR = "_" * 32

_TOKEN = re.compile(
    r"<!--(?:[^-]++|-(?!->))*+-->|<!doctype[^>]*>"
    # Serialised without escaping: a "<" inside them is text.
    r"|<(?P<raw>script|style|iframe|noembed|noframes)\b[^>]*>.*?</(?P=raw)>"
    r"|<(?P<close>/?)(?P<tag>[a-z][^\s/>]*+)(?P<attributes>[^>]*+)>|(?P<text>[^<]++|<)",
    re.IGNORECASE | re.DOTALL,
)
_ATTRIBUTE = re.compile(r'([^\s=/"]+)="([^"]*)"')
_NEEDED = re.compile(
    r"\b(?:style|class|id|hidden|href|src|color|bgcolor|background|type|start|alt|colspan|rowspan)\b",
    re.IGNORECASE,
)

# No prose of the mail: pictures, forms and data that only a browser interprets.
_UNSHOWN = frozenset({"title", "svg", "math", "template", "object", "select", "audio", "video"})
# What nh3 may let pass; it checks the values.
_KEPT = ("href", "src", "alt", "width", "height", "colspan", "rowspan", "start")
_VOID = frozenset({
    "area", "base", "basefont", "bgsound", "br", "col", "embed", "frame", "hr", "img", "input",
    "keygen", "link", "meta", "param", "source", "track", "wbr",
})  # fmt: skip
_BLOCKS = frozenset({
    "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "div", "dl", "dt",
    "fieldset", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "html",
    "li", "main", "nav", "ol", "p", "pre", "section", "table", "tbody", "tfoot", "thead", "tr", "ul",
})  # fmt: skip
_PARAGRAPHS = frozenset(
    {"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "table", "blockquote", "dl", "pre"}
)
# Word closes paragraphs with an explicit non-breaking space; blank lines beyond one say nothing.
_BLANKS = re.compile(r"\n{3,}")
# Links have the reader's own link colour unless they say otherwise.
_LINK_COLOUR = "color:link"
_SCHEME = re.compile(r"^(?:https?://(?:www\.)?|mailto:|tel:)", re.IGNORECASE)


class _Look:
    """What an element inherits; `readable` says whether its text can be seen."""

    __slots__ = ("background", "children", "clear", "colour", "readable", "shown", "tiny")

    def __init__(
        self,
        shown: bool = True,
        tiny: bool = False,
        clear: bool = False,
        colour: css.Colour | None = css.BLACK,
        background: css.Colour | None = css.WHITE,
    ) -> None:
        self.shown, self.tiny, self.clear = shown, tiny, clear
        self.colour, self.background = colour, background
        camouflaged = colour is not None and background is not None and css.alike(colour, background)
        self.readable = shown and not tiny and not clear and not camouflaged
        self.children: dict[css.Style, _Look] = {}

    def under(self, style: css.Style) -> _Look:
        """The look of a child with its own `style`. Mails repeat the same few styles, so each is made once."""
        look = self.children.get(style)
        if look is None:
            look = self.children[style] = _Look(
                self.shown if style.visible is None else style.visible,
                self.tiny if style.tiny is None else style.tiny,
                self.clear if style.clear is None else style.clear,
                None if style.unknown_colour else style.colour or self.colour,
                None if style.unknown_background else style.background or self.background,
            )
        return look


class Visible:
    """Reads one document; afterwards `text()` and `markup()` give what can be seen of it."""

    def __init__(self, sheet: str = "") -> None:
        self._rules = css.sheet(sheet) if sheet else {}
        self._lines = _Lines()
        self._markup: list[str] = []
        self._looks: list[_Look] = [_Look()]
        self._tags: list[str] = []
        self._quotes: list[bool] = []
        self._lists: list[int | None] = []
        self._link: _Link | None = None
        self._preformatted = 0

    def read(self, html: str) -> None:
        """Take in a serialised document, once."""
        skipped = ""
        depth = 0
        for token in _TOKEN.finditer(html):
            if token["text"] is not None:
                if not skipped:
                    self._text(token["text"])
                continue
            if token["tag"] is None:
                continue
            tag = token["tag"].lower()
            if skipped:
                # Inside a hidden element only its own end matters; equal names inside it are counted.
                if tag == skipped:
                    depth += -1 if token["close"] else 1
                    skipped = skipped if depth else ""
            elif token["close"]:
                self._leave(tag)
            elif not self._enter(tag, token["attributes"]):
                skipped, depth = tag, 1

    def text(self) -> str:
        return self._lines.text()

    def markup(self) -> str:
        return "".join(self._markup)

    def _enter(self, tag: str, attributes: str) -> bool:
        """Open an element; False when it and all in it is hidden."""
        said = _attributes(attributes)
        style = self._style(tag, said)
        void = tag in _VOID
        if style.gone or "hidden" in said or tag in _UNSHOWN:
            return void
        self._markup.append(_start_tag(tag, said))
        if tag == "br":
            self._lines.end()
        elif tag == "hr":
            self._lines.separate(SEPARATOR)
        if void:
            return True
        self._open_block(tag, said, style)
        look = self._looks[-1]
        if style is not css.PLAIN:
            look = look.under(style)
        self._looks.append(look)
        self._tags.append(tag)
        if tag == "a" and "href" in said:
            self._link = _Link(said["href"], [])
        return True

    def _open_block(self, tag: str, said: dict[str, str], style: css.Style) -> None:
        if tag in _BLOCKS:
            self._lines.block(tag in _PARAGRAPHS)
        if tag == "td" or tag == "th":
            self._lines.cell()
        elif tag == "blockquote":
            # Mail clients also use the element for indenting one's own words.
            cited = not style.indented or said.get("type") == "cite" or "quote" in said.get("class", "")
            self._quotes.append(cited)
            self._lines.depth += cited
        elif tag == "div" and (style.separator or said.get("id", "").lower().endswith("divrplyfwdmsg")):
            self._lines.separate(SEPARATOR)
        elif tag == "pre":
            self._preformatted += 1
        elif tag in ("ul", "ol"):
            start = said.get("start", "1")
            number = int(start) if start.isdecimal() and len(start) < 6 else 1
            self._lists.append(number if tag == "ol" else None)
        elif tag == "li":
            self._lines.add(self._bullet())

    def _leave(self, tag: str) -> None:
        if tag in _VOID or not self._tags or self._tags[-1] != tag:
            return
        self._tags.pop()
        self._looks.pop()
        if tag == "a" and self._link is not None:
            self._end_link(self._link)
            self._link = None
        self._markup.append(f"</{tag}>")
        if tag == "blockquote":
            self._lines.block(paragraph=False)
            self._lines.depth -= self._quotes.pop()
        if tag in _BLOCKS:
            self._lines.block(tag in _PARAGRAPHS)
        if tag == "pre":
            self._preformatted -= 1
        elif tag in ("ul", "ol"):
            self._lists.pop()

    def _text(self, source: str) -> None:
        if not self._looks[-1].readable:
            return
        self._markup.append(source.replace("&nbsp;", "\xa0"))
        text = _plain(source)
        if self._link is not None:
            self._link.words.append(text)
        if self._preformatted:
            self._lines.verbatim(text)
        else:
            self._lines.add(text)

    def _end_link(self, link: _Link) -> None:
        """Write the real target behind a link whose text does not show it."""
        target = link.hidden_target
        if target:
            self._lines.add(f" <{_plain(target)}>")
            self._markup.append(f" &lt;{target}&gt;")

    def _bullet(self) -> str:
        if not self._lists or self._lists[-1] is None:
            return "- "
        number = self._lists[-1]
        self._lists[-1] = number + 1
        return f"{number}. "

    def _style(self, tag: str, said: dict[str, str]) -> css.Style:
        if not said and not self._rules:
            return css.style(_LINK_COLOUR) if tag == "a" else css.PLAIN
        declarations = [self._rules[tag]] if tag in self._rules else []
        if self._rules and said:
            for name in said.get("class", "").lower().split():
                declarations += [
                    self._rules[key] for key in (f".{name}", f"{tag}.{name}") if key in self._rules
                ]
            name = said.get("id", "").lower()
            declarations += [self._rules[key] for key in (f"#{name}", f"{tag}#{name}") if key in self._rules]
        if "bgcolor" in said:
            declarations.insert(0, f"background-color:{said['bgcolor']}")
        if "background" in said:
            declarations.insert(0, "background:url()")
        if tag == "font" and "color" in said:
            declarations.append(f"color:{said['color']}")
        if tag == "a":
            declarations.insert(0, _LINK_COLOUR)
        if "style" in said:
            declarations.append(unescape(said["style"]))
        return css.style(";".join(declarations)) if declarations else css.PLAIN


@dataclass(frozen=True, slots=True)
class _Link:
    target: str
    words: list[str]

    @property
    def hidden_target(self) -> str:
        """The target when the link's text is not the target; "" for none, for pictures and for page anchors."""
        shown = " ".join("".join(self.words).split())
        target = self.target.strip()
        if not shown or not _SCHEME.match(target):
            return ""
        plain = _SCHEME.sub("", target).rstrip("/")
        if _SCHEME.sub("", shown).rstrip("/").casefold() == plain.casefold():
            return ""
        target = target.removeprefix("mailto:")
        return target if len(target) <= MAX_TARGET else target[:MAX_TARGET] + "…"


class _Lines:
    """Collects text into lines, each with the quotation depth at which it began."""

    def __init__(self) -> None:
        self.depth = 0
        self._done: list[str] = []
        self._line: list[str] = []
        self._blank = True  # nothing visible since the last blank line

    def add(self, text: str) -> None:
        """Append text whose white space means nothing but a gap."""
        words = text.split()
        if not words:
            if text and self._line and not self._line[-1].endswith(" "):
                self._line.append(" ")
            return
        joined = " ".join(words)
        before = " " if text[0].isspace() and self._line and not self._line[-1].endswith(" ") else ""
        self._line.append(f"{before}{joined}{' ' if text[-1].isspace() else ''}")

    def verbatim(self, text: str) -> None:
        first, *rest = text.split("\n")
        self._line.append(first)
        for line in rest:
            self.end()
            self._line.append(line)

    def cell(self) -> None:
        """Set a table cell apart from the one before."""
        if self._line:
            self._line.append("  ")

    def end(self) -> None:
        """End the line, also an empty one."""
        line = "".join(self._line).rstrip()
        marks = ">" * min(self.depth, MAX_MARKS)
        self._done.append(f"{marks} {line}".rstrip() if marks else line)
        self._blank = not line
        self._line.clear()

    def block(self, paragraph: bool) -> None:
        """Begin a block: on a line of its own, with a blank line before a paragraph."""
        if "".join(self._line).strip():
            self.end()
        self._line.clear()
        if paragraph and not self._blank:
            self.end()

    def separate(self, separator: str) -> None:
        self.block(paragraph=False)
        if not self._done or not self._done[-1].endswith(separator):
            self._line.append(separator)
            self.end()

    def text(self) -> str:
        if self._line:
            self.end()
        return _BLANKS.sub("\n\n", "\n".join(self._done)).strip("\n")


def _attributes(source: str) -> dict[str, str]:
    """The attributes of a serialised start tag, names in lower case, values as escaped there."""
    if not source or not _NEEDED.search(source):
        return {}
    return {name.lower(): value for name, value in _ATTRIBUTE.findall(source)}


def _plain(source: str) -> str:
    """Serialised text as it reads, every space an ordinary one."""
    return unescape(source).replace("\xa0", " ") if "&" in source else source


def _start_tag(tag: str, said: dict[str, str]) -> str:
    if not said:
        return f"<{tag}>"
    kept = "".join(f' {name}="{said[name]}"' for name in _KEPT if name in said)
    return f"<{tag}{kept}>"
