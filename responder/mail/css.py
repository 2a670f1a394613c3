"""As much of CSS as decides whether a reader can see a text (rule 66).

Senders hide text to fool filters (invisible words) or previews. Only declarations that hide are understood, and
only simple selectors; whatever is not understood counts as visible, because losing a vendor's words is worse.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

# Style sheets of honest mails stay below these; Word writes some 200 rules.
MAX_SHEET = 64 * 1024
MAX_RULES = 500
# Colours this close on every channel cannot be told apart (#fefefe on white).
_CLOSE = 12
# Smaller than any letter that can be read.
_TINY = {"": 0.0, "px": 2.0, "pt": 1.5, "em": 0.15, "rem": 0.15, "%": 15.0}
# Further out than any screen is wide.
_OFF_SCREEN = 900.0

Colour = tuple[int, int, int]
WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)
_NAMED: dict[str, Colour] = {
    "white": WHITE,
    "black": BLACK,
    "red": (255, 0, 0),
    "green": (0, 128, 0),
    "blue": (0, 0, 255),
    "yellow": (255, 255, 0),
    "gray": (128, 128, 128),
    "grey": (128, 128, 128),
    "silver": (192, 192, 192),
    "navy": (0, 0, 128),
    "snow": (255, 250, 250),
    "ivory": (255, 255, 240),
    "whitesmoke": (245, 245, 245),
    "windowtext": BLACK,
    "window": WHITE,
}

_COMMENT = re.compile(r"/\*(?:[^*]++|\*(?!/))*+(?:\*/|\Z)")
_RULE = re.compile(r"([^{}]*+)\{([^{}]*+)(\}|\{)")
_SELECTOR = re.compile(r"[a-z][a-z0-9]*|(?:[a-z][a-z0-9]*)?[.#][\w-]+", re.IGNORECASE)
_LENGTH = re.compile(r"(-?\d*\.?\d+)\s*([a-z%]*)")
_HEX = re.compile(r"#([0-9a-f]{3}|[0-9a-f]{6})\b")
_RGB = re.compile(r"rgba?\(\s*(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\d{1,3})(?:[\s,/]+([\d.]+))?")
_RELEVANT = re.compile(
    r"display|visibility|opacity|font|colou?r|background|mso-hide|height|width|text-indent|left|top|border-top|margin",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, eq=False)
class Style:
    """What an element's declarations say about its visibility. None means: nothing said, inherit.

    Compared by identity: `style` makes one object for the same declarations.
    """

    gone: bool = False  # the element and all in it is not shown, whatever they say
    visible: bool | None = None  # visibility; descendants may override
    tiny: bool | None = None  # font size too small to read; descendants may override
    clear: bool | None = None  # transparent letters
    colour: Colour | None = None
    background: Colour | None = None
    unknown_background: bool = False  # an image, a gradient, a colour name not known here
    unknown_colour: bool = False
    separator: bool = False  # a line above and none around: how Outlook sets off the mail it answers
    indented: bool = False  # an indentation without a border, which is no quotation


PLAIN = Style()


@lru_cache(maxsize=2048)
def style(declarations: str) -> Style:
    """Understand the text of a style attribute. Of two declarations of a property the later counts."""
    said = _declared(declarations)
    if not said:
        return PLAIN
    background = said.get("background-color") or said.get("background", "")
    foreground = said.get("color", "")
    back, fore = colour(background), colour(foreground)
    return Style(
        gone=_gone(said),
        visible={"hidden": False, "collapse": False, "visible": True}.get(said.get("visibility", "")),
        tiny=_tiny(said.get("font-size") or _shorthand_size(said.get("font", ""))),
        clear=_transparent(foreground) if foreground else None,
        colour=fore,
        background=back,
        unknown_background="url(" in background
        or "background-image" in said
        or bool(
            background and back is None and background not in ("none", "transparent", "inherit", "initial")
        ),
        unknown_colour=bool(foreground) and fore is None,
        separator="solid" in said.get("border-top", "") and said.get("border") == "none",
        indented=said.get("border", "").startswith("none") and "margin" in said and "border-left" not in said,
    )


@lru_cache(maxsize=64)
def sheet(text: str) -> dict[str, str]:
    """Simple rules of a style sheet: selector (lower case) to its relevant declarations.

    Rules inside @media and other at-rules depend on the reader's screen and are left out.
    """
    rules: dict[str, str] = {}
    text = _COMMENT.sub("", text[:MAX_SHEET]).replace("<!--", "").replace("-->", "")
    position = 0
    while len(rules) < MAX_RULES and (match := _RULE.search(text, position)):
        selectors, declarations, end = match.groups()
        if end == "{":
            position = _block_end(text, match.start(2))
            continue
        position = match.end()
        if "@" in selectors or not _RELEVANT.search(declarations):
            continue
        for selector in selectors.lower().split(",", 50):
            name = selector.strip()
            if _SELECTOR.fullmatch(name):
                rules[name] = f"{rules.get(name, '')};{declarations}"
    return rules


def colour(value: str) -> Colour | None:
    """The RGB value of a CSS or HTML colour, None when not understood."""
    value = value.strip().lower()
    if found := _HEX.search(value):
        digits = found[1] if len(found[1]) == 6 else "".join(c * 2 for c in found[1])
        return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)
    if found := _RGB.search(value):
        return int(found[1]), int(found[2]), int(found[3])
    return next((_NAMED[word] for word in value.split() if word in _NAMED), None)


def alike(one: Colour, other: Colour) -> bool:
    """Whether letters of one colour cannot be seen on the other."""
    return all(abs(a - b) <= _CLOSE for a, b in zip(one, other, strict=True))


def _declared(declarations: str) -> dict[str, str]:
    if not _RELEVANT.search(declarations):
        return {}
    said: dict[str, str] = {}
    for declaration in _COMMENT.sub("", declarations).lower().split(";"):
        name, colon, value = declaration.partition(":")
        if colon:
            said[name.strip()] = value.replace("!important", "").strip()
    return said


def _gone(said: dict[str, str]) -> bool:
    if said.get("display") == "none" or said.get("mso-hide") == "all" or _zero(said.get("opacity", "1")):
        return True
    if _zero(said.get("max-height", "1")):
        return True
    clipped = said.get("overflow", "visible") == "hidden"
    if clipped and (_zero(said.get("height", "1")) or _zero(said.get("width", "1"))):
        return True
    placed = said.get("position") in ("absolute", "fixed")
    far = [said.get("text-indent", "")] + ([said.get("left", ""), said.get("top", "")] if placed else [])
    return any(_pixels(value) <= -_OFF_SCREEN for value in far)


def _pixels(value: str) -> float:
    found = _LENGTH.match(value)
    if not found:
        return 0.0
    scale = {"em": 16.0, "rem": 16.0, "pt": 1.33, "in": 96.0, "cm": 37.8, "%": 10.0, "vw": 10.0}.get(
        found[2], 1.0
    )
    return float(found[1]) * scale


def _zero(value: str) -> bool:
    found = _LENGTH.match(value)
    return found is not None and abs(float(found[1])) < 0.02


def _tiny(size: str) -> bool | None:
    found = _LENGTH.match(size)
    if not found:
        return False if size and size != "inherit" else None
    if found[2] in ("em", "%") and float(found[1]) > _TINY[found[2]]:
        return None  # relative to a parent that may itself be tiny
    return abs(float(found[1])) <= _TINY.get(found[2], 0.0)


def _shorthand_size(font: str) -> str:
    """The size within `font: bold 12px/1.5 Arial`, "" when there is none."""
    return next((word for word in font.split() if word[:1].isdigit()), "")


def _transparent(value: str) -> bool:
    found = _RGB.search(value)
    return value == "transparent" or bool(found and found[4] and _zero(found[4]))


def _block_end(text: str, start: int) -> int:
    """The position after the block whose inner rules begin at `start`."""
    depth = 1
    for brace in re.finditer(r"[{}]", text[start:]):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return start + brace.end()
    return len(text)
