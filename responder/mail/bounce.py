"""Bounces: what says that a mail is one, and what it reports (RFC 3464, RFC 3462, and the many older forms).

Standard reports are read from their parts; of the others, the recipients and the returned Message-ID are looked for
in the text. Nothing here raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

from responder.mail import addresses, charset, headers, phrases
from responder.mail.headers import Fields
from responder.mail.message import DeliveryReport, RecipientStatus
from responder.mail.phrases import Likelihood

MAX_DIAGNOSTIC = 500
MAX_RECIPIENTS = 50
MAX_NOTICE = 20_000  # characters of text that are searched

_DAEMON = re.compile(
    r"(?:mailer|mail|mailing|smtp|delivery)[-_.]?(?:daemon|system|subsystem|demon)|mdaemon|mail-deliver|"
    r"microsoftexchange[0-9a-f]{32}|postmast\Z",
    re.IGNORECASE,
)
_DAEMON_NAME = re.compile(
    r"(?:internet )?mail delivery|mail(?:er)?[ -]daemon|mail (?:delivery )?(?:sub)?system|system administrator|"
    r"mail administrator|e?mail delivery|microsoft exchange|postmaster|returned mail",
    re.IGNORECASE,
)
_ADDRESS = r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}@[\w.-]{1,190}\.\w{2,24}"
_ADDRESS_IN_TEXT = re.compile(_ADDRESS)
_RECIPIENT_LINE = re.compile(
    rf"[ \t]{{0,20}}(?:(?:final|original)-recipient:\s?(?:rfc822|smtp)\s?;\s?|to:\s|recipient:\s|e-?mail:\s|"
    rf"error-for:\s|[-*•>]{{1,3}}\s|\(expanded from:\s|user\s|failed recipients?:\s)?<?(?:smtp:|mailto:)?"
    rf"(?P<address>{_ADDRESS})>?(?=[\s:;,)]|\Z)",
    re.IGNORECASE,
)
_STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
_REPLY_CODE = re.compile(r"(?<!\d)([45]\d\d)(?=[ -]\S)")
_MESSAGE_ID_LINE = re.compile(
    r"^[> \t]{0,10}(?:original-|x-original-)?message-id\s?:\s?(<[^<>\s]{3,900}>)", re.I | re.M
)
_RETURNED_MAIL = re.compile(
    r"^[> \t]{0,10}(?:[-=_*]{2,} ?(?:below this line|this is a copy|this is the|returned|the (?:body|header|original|"
    r"unsent|returned)|original|unsent|included is|message (?:header|text))|(?:received|return-path|dkim-signature): )",
    re.I | re.M,
)
_DELAY = re.compile(
    r"delay|not yet been delivered|will be retried|still trying|temporary|could not send message for past|"
    r"do not need to resend|tertunda",
    re.IGNORECASE,
)


class Part(Protocol):
    """What is read of a MIME part; `mime.Part` is one."""

    @property
    def content_type(self) -> str: ...

    @property
    def payload(self) -> bytes: ...


class Signs(NamedTuple):
    """What says that a mail is a bounce."""

    sure: tuple[str, ...]  # no person's mail has these
    system: tuple[str, ...]  # hints from the sender's side
    words: tuple[str, ...]  # hints that a person who complains about a bounce gives too

    @property
    def certain(self) -> bool:
        return bool(self.sure) or len(self.system) > 1 or bool(self.system and self.words)


def signs(fields: Fields, subject: str, text: str, content_types: Sequence[str] = ()) -> Signs:
    """The signs of a bounce in a mail with these headers, decoded subject, text and part types."""
    sure, system = _sender_signs(fields)
    words: list[str] = []
    if any(kind.endswith("delivery-status") for kind in content_types):
        sure.append("rule 3: it holds a delivery status")
    for name in ("x-failed-recipients", "x-ms-exchange-message-is-ndr"):
        if _values(fields, name):
            sure.append(f"it has a header {name}")
    if addresses.null_or_address(_values(fields, "return-path")) == "":
        system.append("rule 1: Return-Path is <>")
    likely = phrases.bounce_subject(subject)
    if likely is Likelihood.SURE:
        sure.append("the subject is that of a bounce")
    elif likely is Likelihood.MAYBE:
        words.append("the subject may be that of a bounce")
    if phrases.bounce_text(text):
        words.append("the text reads like a delivery notification")
    return Signs(tuple(sure), tuple(system), tuple(words))


def _sender_signs(fields: Fields) -> tuple[list[str], list[str]]:
    """Sure signs and hints that From gives (rule 8)."""
    values = _values(fields, "from")
    senders = addresses.mailboxes(values)
    names = [sender.address.rpartition("@")[0].strip('"').lower() for sender in senders]
    # "MAILER-DAEMON (Mail Delivery System)" has no domain, so that no mailbox is found in it.
    names += [] if senders else [word.strip('<">').lower() for word in " ".join(values).split()[:3]]
    if any(map(_DAEMON.match, names)):
        return ["rule 8: From is a mail system"], []
    if "postmaster" in names or any(_DAEMON_NAME.match(sender.name) for sender in senders):
        return [], ["rule 8: From is named like a mail system"]
    return [], []


def _values(fields: Fields, name: str) -> list[str]:
    return [value for key, value in fields if key.lower() == name]


def report_from(parts: Iterable[Part], fields: Fields, text: str) -> DeliveryReport | None:
    """What a bounce reports, or None when the mail is none.

    `parts`: all text and message parts; `fields`: the mail's headers, unfolded; `text`: its visible text.
    """
    parts = tuple(parts)
    blocks = [
        block
        for part in parts
        if part.content_type.endswith("delivery-status")
        for block in _recipient_blocks(charset.decode(part.payload).text)
    ]
    subject = headers.decode_words(headers.first(fields, "subject")).text
    types = [part.content_type for part in parts]
    if not blocks and not signs(fields, subject, text, types).certain:
        return None
    recipients = (
        blocks or list(_recipient_blocks(text[:MAX_NOTICE])) or _recipients_in_text(fields, subject, text)
    )
    ids = [*_returned_ids(parts), *_ids_in_text(text), *_answered_ids(fields)]
    return DeliveryReport(tuple(dict.fromkeys(ids))[: addresses.MAX_IDS], tuple(recipients[:MAX_RECIPIENTS]))


def _recipient_blocks(text: str) -> Iterator[RecipientStatus]:
    """The per-recipient groups of a delivery status (RFC 3464 2.3), wherever blank lines were lost or added."""
    fields: dict[str, str] = {}
    for line in [*_unfolded(text), "final-recipient: "]:
        name, colon, value = line.partition(":")
        name = name.strip().lower()
        if not colon or (name in fields and name not in ("final-recipient", "original-recipient")):
            continue
        starts = name == "final-recipient" or (name == "original-recipient" and "final-recipient" in fields)
        if starts and ("final-recipient" in fields or "action" in fields):
            if "final-recipient" in fields and ("action" in fields or "status" in fields):
                yield _recipient_status(fields)
            # Original-Recipient may stand in front of the block that it belongs to.
            fields = {}
        fields[name] = value.strip()


def _unfolded(text: str) -> Iterator[str]:
    pending = ""
    for line in text.splitlines():
        if line[:1] in (" ", "\t") and pending and line.strip():
            pending += " " + line.strip()
            continue
        if pending:
            yield pending
        pending = line
    if pending:
        yield pending


def _recipient_status(fields: dict[str, str]) -> RecipientStatus:
    recipient = fields["final-recipient"] or fields.get("original-recipient", "")
    found = _ADDRESS_IN_TEXT.search(recipient)
    status = _STATUS.search(fields.get("status", ""))
    action = re.match(r"[a-z]+", fields.get("action", "").lower())
    return RecipientStatus(
        recipient=found[0].lower() if found else headers.one_line(recipient.rpartition(";")[2])[:320],
        action=action[0] if action else "",
        status=status[1] if status else "",
        diagnostic=_diagnostic(fields.get("diagnostic-code", "")),
    )


def _recipients_in_text(fields: Fields, subject: str, text: str) -> list[RecipientStatus]:
    """The recipients that a bounce without a delivery status names in its header or its first lines."""
    notice = text[:MAX_NOTICE]
    returned = _RETURNED_MAIL.search(notice)
    notice = notice[: returned.start()] if returned and returned.start() > 100 else notice
    action = "delayed" if _DELAY.search(f"{subject}\n{notice[:1000]}") else "failed"
    lines = notice.splitlines()
    found: dict[str, RecipientStatus] = {}
    for value in _values(fields, "x-failed-recipients"):
        for address in _ADDRESS_IN_TEXT.findall(value):
            found[address.lower()] = _described(address.lower(), action, lines)
    if found:
        return list(found.values())
    senders = {sender.address.lower() for sender in addresses.mailboxes(_values(fields, "from"))}
    for index, line in enumerate(lines):
        match = _RECIPIENT_LINE.match(line)
        if match and match["address"].lower() not in senders:
            address = match["address"].lower()
            found.setdefault(address, _described(address, action, lines[index : index + 8]))
    return list(found.values())


def _described(address: str, action: str, lines: Sequence[str]) -> RecipientStatus:
    """The recipient with the first status and the words around it."""
    status = code = said = ""
    for line in lines:
        if not said and (_REPLY_CODE.search(line) or _STATUS.search(line)):
            said = line
        status = status or next(iter(_STATUS.findall(line)), "")
        code = code or next(iter(_REPLY_CODE.findall(line)), "")
    if not status and code:
        status = f"{code[0]}.0.0"
    return RecipientStatus(address, action, status, _diagnostic(said or " ".join(lines[1:3])))


def _returned_ids(parts: Sequence[Part]) -> Iterator[str]:
    """Message-IDs of the returned mail, whole or only its headers (RFC 3462 2)."""
    for part in parts:
        if part.content_type in (
            "message/rfc822",
            "text/rfc822-headers",
            "message/global",
            "message/rfc822-headers",
        ):
            block, _ = headers.split(part.payload.lstrip())
            for name, value in headers.fields(block)[0]:
                if name.lower() == "message-id":
                    yield from addresses.message_ids(value)
        elif part.content_type.endswith("delivery-status"):
            yield from _ids_in_text(charset.decode(part.payload).text)


def _ids_in_text(text: str) -> Iterator[str]:
    for found in _MESSAGE_ID_LINE.finditer(text):
        yield from addresses.message_ids(found[1])


def _answered_ids(fields: Fields) -> Iterator[str]:
    """Exchange, Gmail and others thread the bounce to the mail that it returns."""
    for name in ("in-reply-to", "references"):
        yield from reversed(addresses.message_ids(headers.first(fields, name)))


def _diagnostic(text: str) -> str:
    kind, semicolon, words = text.partition(";")
    words = (
        words
        if semicolon and kind.strip().lower() in ("smtp", "x-unix", "x-postfix", "x400", "x-qmail")
        else text
    )
    return headers.one_line(words)[:MAX_DIAGNOSTIC]
