"""Markdown of an answer → HTML for mail clients and plain text of at most 76 columns.

The part of CommonMark that letters need: headings, paragraphs, lists, emphasis, links, rules. Raw HTML, images and
code are switched off, so that nothing remote or active can come out of content (rule 42).
"""

from __future__ import annotations

import textwrap
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.tree import SyntaxTreeNode

WIDTH = 76  # columns of the plain text: 78 is the RFC 5322 2.1.1 limit, and a quoted reply adds "> "

# Without the html_* rules raw HTML is plain text.
_OFF = ("image", "code", "fence", "html_block", "html_inline", "reference", "lheading", "backticks")
# No colours: a client in dark mode then chooses readable ones itself.
_STYLES = {
    "paragraph_open": "margin:0 0 12px 0",
    "heading_open": "margin:20px 0 8px 0;font-size:17px;line-height:1.35",
    "ordered_list_open": "margin:0 0 12px 0;padding-left:28px",
    "bullet_list_open": "margin:0 0 12px 0;padding-left:28px",
    "list_item_open": "margin:0 0 6px 0",
    "blockquote_open": "margin:0 0 12px 0;padding-left:12px;border-left:3px solid",
}


def to_html(source: str) -> str:
    """Return `source` as an HTML fragment with inline styles (mail clients drop style sheets)."""
    parser = _parser()
    tokens = parser.parse(source)
    for token in tokens:
        if style := _STYLES.get(token.type):
            token.attrSet("style", style)
    return str(parser.renderer.render(tokens, parser.options, {}))


def to_text(source: str, width: int = WIDTH) -> str:
    """Return `source` as plain text: list numbers kept, links as "label: url", long words and URLs unbroken."""
    return "\n\n".join(_block(node, width) for node in _tree(source).children)


def plain(source: str) -> str:
    """Return the words of `source` as a reader sees them, with no wrapping."""
    return to_text(source, width=1_000_000)


def link_targets(source: str) -> list[str]:
    """Return the address of every link in `source`, in order."""
    return [str(node.attrs["href"]) for node in _tree(source).walk() if node.type == "link"]


def wrap(words: str, width: int = WIDTH, first: str = "", rest: str = "") -> str:
    """Return `words` folded to `width` columns, the first line after `first`, the others after `rest`."""
    lines = [
        line
        for paragraph in words.split("\n")
        for line in textwrap.wrap(
            paragraph, width - len(rest), break_long_words=False, break_on_hyphens=False
        )
        or [""]
    ]
    return "\n".join(f"{rest if number else first}{line}".rstrip() for number, line in enumerate(lines))


@cache
def _parser() -> MarkdownIt:
    """Made on first use, as it takes longer to load than a poll without new mail takes."""
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False}).disable(_OFF)


def _tree(source: str) -> SyntaxTreeNode:
    from markdown_it.tree import SyntaxTreeNode

    return SyntaxTreeNode(_parser().parse(source))


def _block(node: SyntaxTreeNode, width: int) -> str:
    if node.type in {"ordered_list", "bullet_list"}:
        return _list(node, width)
    if node.type == "hr":
        return "-" * width
    if node.type == "blockquote":
        inner = "\n\n".join(_block(child, width - 2) for child in node.children)
        return textwrap.indent(inner, "  ")
    return wrap("".join(_inline(child) for child in node.children), width)


def _list(node: SyntaxTreeNode, width: int) -> str:
    number = int(node.attrs.get("start", 1))
    loose = any(
        child.type == "paragraph" and not child.hidden for item in node.children for child in item.children
    )
    items = []
    for offset, item in enumerate(node.children):
        lead = f"{number + offset}{node.markup} " if node.type == "ordered_list" else "- "
        text = ""
        for child in item.children:
            # A list belongs to the line that introduces it; other blocks of an item stand apart.
            gap = "" if not text else "\n" if child.type.endswith("_list") else "\n\n"
            text += gap + _block(child, width - len(lead))
        items.append(lead + textwrap.indent(text, " " * len(lead)).removeprefix(" " * len(lead)))
    return ("\n\n" if loose else "\n").join(items)


def _inline(node: SyntaxTreeNode) -> str:
    if node.type == "text":
        return str(node.content)
    if node.type == "softbreak":
        return " "
    if node.type == "hardbreak":
        return "\n"
    words = "".join(_inline(child) for child in node.children)
    if node.type == "link":
        target = str(node.attrs["href"])
        return words if words == target else f"{words}: {target}"
    return words
