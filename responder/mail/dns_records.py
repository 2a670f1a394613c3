"""What the DNS says about who may send for a domain: SPF, DKIM and DMARC (rule 46)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import dns.exception
import dns.resolver

from responder.errors import ResponderError

LIFETIME = 5.0  # seconds for one question, all servers and retries together

RESERVED = frozenset({"example", "test", "invalid", "localhost", "local"})
"""Top levels that nobody owns (RFC 2606, RFC 6762): there is nothing to ask about."""

Ask = Callable[[str], Sequence[str]]
"""Name → its TXT records, () when there are none. Raises NoAnswer when that cannot be known."""


class NoAnswer(ResponderError):  # noqa: N818 - no fault of ours: nothing can be said
    """The DNS could not be asked: offline, no resolver, or a server that fails."""


@dataclass(frozen=True, slots=True)
class Published:
    """One of the three: `good`, and in words what is published or missing."""

    what: str  # SPF, DKIM or DMARC
    good: bool
    message: str


def txt_records(name: str) -> Sequence[str]:
    """Return the TXT records of `name`, each as one string (RFC 7208 3.3). Raises NoAnswer."""
    try:
        answer = dns.resolver.resolve(name, "TXT", lifetime=LIFETIME)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return ()
    except (dns.exception.DNSException, OSError) as error:
        raise NoAnswer(f"{name}: {type(error).__name__}") from error
    return [b"".join(record.strings).decode("utf-8", "replace") for record in answer]


def published(
    domain: str, envelope_domain: str, selectors: Sequence[str], ask: Ask = txt_records
) -> list[Published]:
    """Return what is published for mail from `domain` with `envelope_domain` in MAIL FROM, which SPF is about.

    DKIM is looked up for each of `selectors`, which nobody can guess. Raises NoAnswer.
    """
    if domain.rpartition(".")[2] in RESERVED:
        return []
    keys = [_dkim(domain, selector, ask) for selector in selectors]
    return [_spf(envelope_domain, ask), *keys, _dmarc(domain, ask)]


def _spf(domain: str, ask: Ask) -> Published:
    found = [text for text in ask(domain) if text.lower().split(" ")[0] == "v=spf1"]
    if len(found) > 1:
        # RFC 7208 4.5: several records are an error, and then none counts.
        return Published("SPF", False, f"{domain} has {len(found)} SPF records; only one is allowed")
    if not found:
        text = (
            f"{domain} has no SPF record; replies may be taken for forged. Publish which servers send for it"
        )
        return Published("SPF", False, text)
    if "+all" in found[0].lower().split():
        return Published("SPF", False, f"{domain}: +all lets everybody send in its name")
    return Published("SPF", True, found[0])


def _dkim(domain: str, selector: str, ask: Ask) -> Published:
    name = f"{selector}._domainkey.{domain}"
    # RFC 6376 3.6.1: v= may be left out; an empty p= is a key that was revoked.
    keys = [_tags(text).get("p") for text in ask(name) if "p" in _tags(text)]
    if not keys:
        return Published("DKIM", False, f"{name} has no key; ask whoever runs the mail server for the record")
    if not any(keys):
        return Published("DKIM", False, f"{name}: the key was revoked (p= is empty)")
    return Published("DKIM", True, f"{name} has a key")


def _dmarc(domain: str, ask: Ask) -> Published:
    labels = domain.split(".")
    # RFC 7489 6.6.3: the domain itself, else the one that it belongs to. Without a list of public suffixes that is
    # the nearest one above that has a record.
    for start in range(max(len(labels) - 1, 1)):
        name = f"_dmarc.{'.'.join(labels[start:])}"
        found = [text for text in ask(name) if _tags(text).get("v") == "DMARC1"]
        if found:
            return Published("DMARC", True, f"{name}: {found[0]}")
    return Published("DMARC", False, f"{domain} has no DMARC record; begin with v=DMARC1; p=none")


def _tags(text: str) -> dict[str, str]:
    """The tag=value list of RFC 6376 3.2, names in lower case."""
    pairs = (part.partition("=") for part in text.split(";"))
    return {name.strip().lower(): value.strip() for name, equals, value in pairs if equals}
