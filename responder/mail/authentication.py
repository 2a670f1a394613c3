"""Who vouches for the From domain: the receiving server's Authentication-Results (RFC 8601; rules 14 and 15).

Only the header of the configured server counts. A plain one, of nothing but words and comments, is read by a small
grammar of our own, any other by the authres library, which knows all of RFC 8601 and takes twenty times as long. Where
that fails, as on the header of Microsoft 365 with its `action=none`, ours has the last word. What neither can read is
no verdict.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import authres

# RFC 8601 has no limit; real headers stay below 4 KiB, and both parsers here are linear only in practice.
MAX_LENGTH = 8 * 1024

# Labels under which a country's registry sells names one level further down: "co.id" is no organisation.
# A list of the registries' common labels instead of the Public Suffix List, which would have to be kept fresh. A name
# that it misjudges as an organisation would have to sign mail for all its children: no registry does.
_REGISTRY_LABEL = re.compile(
    "ac|biz|co|com|desa|edu|go|gob|gov|gub|id|info|ltd|mil|my|name|ne|net|nic|nom|or|org|plc|ponpes|pro|sch|web"
)


class Outcome(StrEnum):
    """What the receiving server found out about the From domain."""

    PASS = "pass"  # noqa: S105 - DMARC passed, or a DKIM signature of the same organisation did
    FAIL = "fail"  # DMARC failed: rule 13
    NONE = "none"  # nobody vouches: not configured, no header, not readable, ambiguous, not aligned


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome and why, in words."""

    outcome: Outcome
    why: str


@dataclass(frozen=True, slots=True)
class _Result:
    """One method of the header: `dkim=pass header.d=a.b` is dkim, pass, {"header.d": "a.b"}."""

    method: str
    result: str
    properties: dict[str, str]


def judge(values: Sequence[str], authserv_id: str | None, from_domain: str) -> Verdict:
    """Judge the Authentication-Results header values (in order, unfolded) of a mail from `from_domain`.

    `authserv_id` None: nobody is believed. "": the topmost header is believed if it has no id of its own, as
    Microsoft 365 writes it. Otherwise the first header with that id counts, and no other.
    """
    if authserv_id is None:
        return Verdict(Outcome.NONE, "no authserv_id is configured")
    if not from_domain:
        return Verdict(Outcome.NONE, "there is no one From domain")
    header = _trusted(values, authserv_id)
    if header is None:
        return Verdict(Outcome.NONE, "no Authentication-Results of our server")
    results = _parse(header, authserv_id)
    if results is None:
        return Verdict(Outcome.NONE, "Authentication-Results cannot be read")
    return _weigh(results, from_domain.lower())


def aligned(domain: str, from_domain: str) -> bool:
    """Whether `domain` may vouch for `from_domain`: the same, or one above or below it (RFC 7489 3.1, narrowed).

    DMARC's relaxed mode also aligns sisters (a.x.org and b.x.org); without the Public Suffix List that would align
    two strangers on one hosting domain, so it is not taken.
    """
    domain, from_domain = domain.lower().rstrip("."), from_domain.lower().rstrip(".")
    shorter, longer = sorted((domain, from_domain), key=len)
    return _is_registrable(shorter) and (shorter == longer or longer.endswith(f".{shorter}"))


def organisational_domain(domain: str) -> str:
    """The part of `domain` that an organisation registers: "pt.co.id" for "mail.pt.co.id"."""
    labels = domain.lower().rstrip(".").split(".")
    return ".".join(labels[-_suffix_length(labels) - 1 :])


def _is_registrable(domain: str) -> bool:
    labels = domain.split(".")
    return all(labels) and len(labels) > _suffix_length(labels)


def _suffix_length(labels: Sequence[str]) -> int:
    country = len(labels) >= 2 and len(labels[-1]) == 2
    return 2 if country and _REGISTRY_LABEL.fullmatch(labels[-2]) else 1


def _trusted(values: Sequence[str], authserv_id: str) -> str | None:
    """The one header that is believed, or None."""
    if not authserv_id:
        return values[0] if values and _id_of(values[0]) == "" else None
    return next((value for value in values if _id_of(value) == authserv_id.lower()), None)


def _id_of(value: str) -> str | None:
    """The authserv-id of a header, lower case; "" when it has none; None when that cannot be told."""
    tokens = _tokens(value)
    if not tokens or tokens[0].kind != "word":
        return None
    if len(tokens) > 1 and tokens[1].text == "=" and tokens[1].kind == "special":
        return ""
    return tokens[0].text.lower()


def _parse(value: str, authserv_id: str) -> list[_Result] | None:
    if len(value) > MAX_LENGTH:
        return None
    if authserv_id:
        if (plain := _plain(value)) is not None:
            return plain
        try:
            header = authres.AuthenticationResultsHeader.parse(f"Authentication-Results: {value}")
        except (authres.AuthResError, ValueError):
            pass
        else:
            return [
                _Result(
                    found.method.lower(),
                    found.result.lower(),
                    {f"{p.type}.{p.name}".lower(): str(p.value).lower() for p in found.properties},
                )
                for found in header.results
            ]
    return _own_parse(value, has_id=bool(authserv_id))


def _plain(value: str) -> list[_Result] | None:
    """The results of a header that can be read in one way only; None when authres should read it."""
    tokens = _tokens(value)
    if tokens is None or not all(token.kind != "quoted" and _PLAIN.fullmatch(token.text) for token in tokens):
        return None
    results = _results(tokens, has_id=True)
    if results is None or any("." not in name for found in results for name in found.properties):
        return None
    return results


def _weigh(results: Sequence[_Result], from_domain: str) -> Verdict:
    dmarc = [found for found in results if found.method == "dmarc"]
    if len(dmarc) > 1:
        return Verdict(Outcome.NONE, "Authentication-Results holds more than one dmarc result")
    if dmarc and dmarc[0].result in ("fail", "permerror"):
        return Verdict(
            Outcome.FAIL if dmarc[0].result == "fail" else Outcome.NONE, f"dmarc={dmarc[0].result}"
        )
    if dmarc and dmarc[0].result == "pass" and dmarc[0].properties.get("header.from") == from_domain:
        return Verdict(Outcome.PASS, f"dmarc=pass for {from_domain}")
    for found in results:
        if found.method == "dkim" and found.result == "pass":
            signer = (
                found.properties.get("header.d") or found.properties.get("header.i", "").rpartition("@")[2]
            )
            if aligned(signer, from_domain):
                return Verdict(Outcome.PASS, f"dkim=pass by {signer}")
    return Verdict(Outcome.NONE, f"nothing that passed is for {from_domain}")


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str  # word, quoted or special
    text: str


_TOKEN = re.compile(
    r'(?P<space>\s+)|(?P<open>\()|(?P<quoted>"(?:[^"\\]|\\.)*")|(?P<special>[;=])|(?P<word>[^\s();="]+)'
)
_PLAIN = re.compile(r"[;=]|[A-Za-z0-9._@+/-]+")
_COMMENT = re.compile(r"[^()\\]+|\\.|[()]")


def _tokens(value: str) -> list[_Token] | None:
    """The tokens of a header value without comments (which nest, RFC 5322 3.2.2); None when they do not add up."""
    tokens: list[_Token] = []
    position = 0
    while position < len(value):
        found = _TOKEN.match(value, position)
        if found is None:
            return None
        position = found.end()
        if found.lastgroup == "open":
            end = _end_of_comment(value, position)
            if end is None:
                return None
            position = end
        elif found.lastgroup != "space":
            tokens.append(_Token(found.lastgroup or "", found[0]))
    return tokens


def _end_of_comment(value: str, start: int) -> int | None:
    depth = 1
    for found in _COMMENT.finditer(value, start):
        depth += {"(": 1, ")": -1}.get(found[0], 0)
        if depth == 0:
            return found.end()
    return None


def _own_parse(value: str, *, has_id: bool) -> list[_Result] | None:
    """`[id [version]] *( ; method=result *( name=value ) )`, each name plain ("action") or dotted ("header.d")."""
    tokens = _tokens(value)
    return None if tokens is None else _results(tokens, has_id=has_id)


def _results(tokens: Sequence[_Token], *, has_id: bool) -> list[_Result] | None:
    groups: list[list[_Token]] = [[]]
    for token in tokens:
        if token == _Token("special", ";"):
            groups.append([])
        else:
            groups[-1].append(token)
    if has_id:
        groups = groups[1:]
    if groups and not groups[-1]:
        groups = groups[:-1]
    results = []
    for group in groups:
        result = _result(group)
        if result is None:
            return None
        results.append(result)
    return results


def _result(group: Sequence[_Token]) -> _Result | None:
    """A method with its properties; None unless the group is nothing but `name=value` pairs, each name once."""
    if len(group) % 3 or not group:
        return None
    pairs: list[tuple[str, str]] = []
    for name, equals, value in zip(group[::3], group[1::3], group[2::3], strict=True):
        if name.kind != "word" or equals != _Token("special", "=") or value.kind == "special":
            return None
        pairs.append((name.text.lower(), value.text.strip('"').lower()))
    properties = dict(pairs[1:])
    if len(properties) != len(pairs) - 1:
        return None
    return _Result(pairs[0][0].partition("/")[0], pairs[0][1], properties)
