"""Addresses and domains as they go on the wire: A-labels, and no character that could end a command or header."""

from __future__ import annotations

import re

import idna

from responder.errors import UnsendableMail

MAX_LOCAL_PART = 64  # octets, RFC 5321 4.5.3.1.1
MAX_ADDRESS = 254  # octets, RFC 5321 4.5.3.1.3 less the angle brackets

_LOCAL_PART = re.compile(r"[^\s<>()\[\]\\,;:@\"\x00-\x20\x7f-\x9f]+")
_HOST = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
)


def a_label(domain: str) -> str:
    """Return `domain` in lower case with every label in ASCII (IDNA 2008; rule 45).

    Raises UnsendableMail when it is no domain name.
    """
    try:
        host = domain.lower() if domain.isascii() else idna.encode(domain, uts46=True).decode()
    except (idna.IDNAError, UnicodeError) as error:
        raise UnsendableMail(f"{domain!r} is not a domain name: {error}") from None
    if not _HOST.fullmatch(host):
        raise UnsendableMail(f"{domain!r} is not a domain name")
    return host


def wire_address(address: str) -> str:
    """Return `address` with its domain as A-label (RFC 6531 3.2); the local part stays as it is.

    Raises UnsendableMail for anything but one plain `local@domain`: quoted local parts and address literals exist
    in RFC 5321, but a mail that asks for a reply to one is for a person.
    """
    local, at, domain = address.rpartition("@")
    if not at or not _LOCAL_PART.fullmatch(local) or len(local.encode()) > MAX_LOCAL_PART:
        raise UnsendableMail(f"{address!r} is not an address that can be written to")
    wire = f"{local}@{a_label(domain)}"
    if len(wire.encode()) > MAX_ADDRESS:
        raise UnsendableMail(f"{address!r} is longer than {MAX_ADDRESS} octets")
    return wire
