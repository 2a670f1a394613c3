"""Limits that a mail must keep before anything interprets it (rule 63).

The checks scan bytes, in linear time: a mail that would cost a parser seconds or its stack is refused here.
Parts and nesting are counted by `mime.walk`, which is itself such a scan and stops at the same limits.
"""

from __future__ import annotations

import re

from responder.errors import UnreadableMail

# A vendor's scanned documents stay below 25 MiB with every large provider; base64 makes 34 MiB of them.
MAX_SIZE = 36 * 1024 * 1024
# The longest honest header blocks (ARC chains, Exchange anti-spam stamps) measure some 40 KiB.
MAX_HEADER_BLOCK = 128 * 1024
MAX_HEADER = 16 * 1024
# Address parsers are the slowest of all header parsers; 8 KiB hold some 200 recipients.
MAX_ADDRESS_HEADER = 8 * 1024
# RFC 5322 comments nest; parsers that follow the grammar recurse once a level.
MAX_PARENTHESES = 20
# Of all parts together: some 2 KiB for each of the most parts there may be.
MAX_PART_HEADERS = 1024 * 1024
MAX_NESTING = 30
MAX_PARTS = 500

ADDRESS_HEADERS = frozenset(
    {"from", "sender", "reply-to", "to", "cc", "bcc", "return-path", "errors-to"}
    | {f"resent-{name}" for name in ("from", "sender", "to", "cc", "bcc")}
)
# Free text, where a row of smileys is no comment.
_UNSTRUCTURED = frozenset({"subject", "comments", "thread-topic", "keywords"})

_FIELD_START = re.compile(rb"\n(?![ \t])")


def check_size(size: int, max_size: int = MAX_SIZE) -> None:
    """Refuse a mail of `size` octets over `max_size`. Raises UnreadableMail."""
    if size > max_size:
        raise UnreadableMail(f"mail of {size} octets is over the limit of {max_size}")


def check_headers(block: bytes) -> None:
    """Refuse a header block (of a mail or of a part) with a limit broken. Raises UnreadableMail."""
    if len(block) > MAX_HEADER_BLOCK:
        raise UnreadableMail(f"header block is over the limit of {MAX_HEADER_BLOCK} octets")
    for line in _FIELD_START.split(block):
        if len(line) <= MAX_PARENTHESES:
            continue
        name = line.partition(b":")[0].strip().lower().decode("ascii", "replace")
        limit = MAX_ADDRESS_HEADER if name in ADDRESS_HEADERS else MAX_HEADER
        if len(line) > limit:
            raise UnreadableMail(f"header {name[:40]!r} is over the limit of {limit} octets")
        if (
            line.count(b"(") > MAX_PARENTHESES
            and name not in _UNSTRUCTURED
            and _depth(line) > MAX_PARENTHESES
        ):
            raise UnreadableMail(f"header {name[:40]!r} nests comments deeper than {MAX_PARENTHESES}")


def _depth(line: bytes) -> int:
    """Deepest nesting of parentheses, whatever stands around them."""
    depth = deepest = 0
    for octet in line:
        if octet == 0x28:
            depth += 1
            deepest = max(deepest, depth)
        elif octet == 0x29 and depth:
            depth -= 1
    return deepest
