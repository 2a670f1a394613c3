"""Tokens that prove that something came from this installation: Message-IDs, subject tags, loop and plus tokens.

Each is keyed with the installation's secret and separated from the others by its purpose, so that one never
verifies as another. All are lower-case base32 (a-z, 2-7), which survives case-folding relays.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b32encode

from responder.errors import ConfigError
from responder.mail.domains import a_label

LOOP_HEADER = "X-LPSE-Loop"

MAX_MESSAGE_ID = 75  # with angle brackets (rule 40): the longest that no client folds or encodes
TAG_LENGTH = 16  # base32 characters: 80 bits, more than the 64 that rule 40 asks for
SUBJECT_MAC_LENGTH = 5  # 25 bits: typed by people; a subject tag alone opens nothing (rule 48)
PLUS_MAC_LENGTH = 8  # 40 bits: an address is never typed, yet local parts end at 64 octets

_SEALED = re.compile(rf"([a-z2-7]{{{TAG_LENGTH}}})\.([a-z2-7]{{{TAG_LENGTH}}})")
_SUBJECT_TAG = re.compile(rf"\[LPSE-([0-9]{{6,10}})-([a-z2-7]{{{SUBJECT_MAC_LENGTH}}})\]", re.IGNORECASE)
_PLUS = re.compile(rf"[^@]+\+([0-9]{{6,10}})-([a-z2-7]{{{PLUS_MAC_LENGTH}}})@[^@]+", re.IGNORECASE)


def message_id(key: bytes, *, mailbox: str, identity: str, kind: str, n: int, domain: str) -> str:
    """Return the Message-ID, without angle brackets, of reply `n` of `kind` to the mail `identity` (rule 40).

    The form is `tag.seal@domain`: tag = HMAC over the inputs, so the same reply always gets the same id; seal =
    HMAC over tag and domain, so `is_own_message_id` can tell ours without the inputs. Nothing of a ticket is in it.
    A domain too long for `MAX_MESSAGE_ID` loses its leading labels. Raises ConfigError when that leaves no domain
    of ours.
    """
    host = _short_domain(domain)
    tag = _mac(key, "message-id", TAG_LENGTH, mailbox, identity, kind, str(n))
    return f"{tag}.{_mac(key, 'message-id-seal', TAG_LENGTH, tag, host)}@{host}"


def is_own_message_id(key: bytes, message_id: str) -> bool:
    """Whether `message_id` (with or without angle brackets) was made with `key` by the function of that name."""
    local, _, host = message_id.strip().strip("<>").lower().partition("@")
    sealed = _SEALED.fullmatch(local)
    return sealed is not None and _same(sealed[2], _mac(key, "message-id-seal", TAG_LENGTH, sealed[1], host))


def subject_tag(key: bytes, number: int) -> str:
    """Return the tag of ticket `number` for subjects, such as "[LPSE-000123-k7f3q]"."""
    return f"[LPSE-{number:06d}-{_mac(key, 'subject', SUBJECT_MAC_LENGTH, str(number))}]"


def find_subject_tag(key: bytes, subject: str) -> int | None:
    """Return the ticket number of the first tag in `subject` whose MAC verifies, or None."""
    for tag in _SUBJECT_TAG.finditer(subject):
        number = int(tag[1])
        if _same(tag[2].lower(), _mac(key, "subject", SUBJECT_MAC_LENGTH, str(number))):
            return number
    return None


def strip_subject_tags(subject: str) -> str:
    """Return `subject` without any tag of our form, verified or not, and without the gaps they leave."""
    return " ".join(_SUBJECT_TAG.sub(" ", subject).split())


def loop_token(key: bytes, message_id: str) -> str:
    """Return the value of `LOOP_HEADER` for the mail `message_id` (rule 30)."""
    tag = _mac(key, "loop", TAG_LENGTH, message_id)
    return f"{tag}.{_mac(key, 'loop-seal', TAG_LENGTH, tag)}"


def is_own_loop_token(key: bytes, value: str) -> bool:
    """Whether the header value was made by `loop_token` with `key`, for whatever mail (rules 9 and 27)."""
    sealed = _SEALED.fullmatch(value.strip().lower())
    return sealed is not None and _same(sealed[2], _mac(key, "loop-seal", TAG_LENGTH, sealed[1]))


def plus_address(address: str, key: bytes, number: int) -> str:
    """Return `address` with a token of ticket `number` in its local part, for Reply-To (rule 49, RFC 5233)."""
    local, _, domain = address.rpartition("@")
    return f"{local}+{number:06d}-{_mac(key, 'plus', PLUS_MAC_LENGTH, str(number))}@{domain}"


def number_from_address(key: bytes, address: str) -> int | None:
    """Return the ticket number of an address made by `plus_address` with `key`, or None."""
    token = _PLUS.fullmatch(address.strip())
    if token is None:
        return None
    number = int(token[1])
    return number if _same(token[2].lower(), _mac(key, "plus", PLUS_MAC_LENGTH, str(number))) else None


def _short_domain(domain: str) -> str:
    host = a_label(domain)
    room = MAX_MESSAGE_ID - len("<.@>") - 2 * TAG_LENGTH
    while len(host) > room and host.count(".") >= 2:
        host = host.partition(".")[2]
    if len(host) > room:
        raise ConfigError(f"domain {domain!r} is too long for a Message-ID: at most {room} characters")
    return host


def _mac(key: bytes, purpose: str, length: int, *parts: str) -> str:
    # Each part is preceded by its length, or ("ab", "c") and ("a", "bc") would share a MAC.
    text = b"".join(len(data).to_bytes(4, "big") + data for data in (p.encode() for p in (purpose, *parts)))
    digest = hmac.digest(key, text, hashlib.sha256)
    return b32encode(digest[: length * 5 // 8 + 1])[:length].decode().lower()


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())
