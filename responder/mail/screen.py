"""May a machine answer this mail at all? Rules 1 to 17, 27, 34 and 47 in one verdict with its reasons.

Pure: the time, the mailbox's state and the key come in `Setting`. Evidence only ever lowers the verdict.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from responder.errors import UnsendableMail
from responder.mail import addresses, authentication, phrases, signals
from responder.mail.authentication import Outcome
from responder.mail.domains import wire_address
from responder.mail.message import IncomingMail, Kind, Screening, Setting, Verdict
from responder.mail.signals import Signal

# When several kinds show, the one that says most about what to do with the mail.
_KINDS = (Kind.OWN, Kind.BOUNCE, Kind.REPORT, Kind.LIST, Kind.AUTO_REPLY, Kind.UNREADABLE)


def screen(mail: IncomingMail, setting: Setting) -> Screening:
    """Judge `mail`. Never raises; what is not known counts against answering automatically."""
    from_domain = mail.sender.domain if mail.sender else ""
    vouched = authentication.judge(mail.values("authentication-results"), setting.authserv_id, from_domain)
    found = [
        *signals.collect(mail, setting),
        *_sender(mail),
        *_reply_to(mail, setting),
        *_authentication(vouched, setting),
    ]
    if not setting.trust:
        found += [*_addressed(mail, setting), *_age(setting)]
    verdict = min((signal.verdict for signal in found), key=lambda v: v.rank, default=Verdict.AUTO)
    kinds = {signal.kind for signal in found}
    return Screening(
        verdict=verdict,
        kind=next((kind for kind in _KINDS if kind in kinds), Kind.PERSON),
        # The reasons for the verdict come first: they are what a person asks for.
        reasons=tuple(dict.fromkeys(s.reason for s in sorted(found, key=lambda s: s.verdict.rank))),
        authenticated=vouched.outcome is Outcome.PASS,
        reply_address=_reply_address(mail, verdict, kinds),
        stop_request=phrases.stop_request(mail.subject, mail.new_text),
    )


def _sender(mail: IncomingMail) -> Iterator[Signal]:
    """Rule 11: From must be exactly one mailbox with a domain."""
    if mail.sender is None:
        seen = ", ".join(address.address for address in mail.from_addresses[:3]) or "none"
        yield Signal(Verdict.DRAFT, None, f"rule 11: From is not one mailbox ({seen})")
    elif not mail.sender.domain:
        yield Signal(Verdict.DRAFT, None, "rule 11: From has no domain")
    elif not _can_be_written_to(mail.sender.address):
        yield Signal(Verdict.DRAFT, None, f"rule 45: {mail.sender.address} cannot be written to")


def _reply_to(mail: IncomingMail, setting: Setting) -> Iterator[Signal]:
    """Rule 34: a Reply-To that leads elsewhere is for a person, who is shown both addresses."""
    if mail.sender is None or not mail.reply_to:
        return
    wanted = dict.fromkeys(address.address for address in mail.reply_to)
    shown = f"Reply-To {', '.join(list(wanted)[:3])}, From {mail.sender.address}"
    if len(wanted) > 1:
        yield Signal(Verdict.DRAFT, None, f"rule 34: more than one reply address: {shown}")
    elif any(signals.own_address(address, setting) for address in wanted):
        yield Signal(Verdict.DRAFT, None, f"rule 34: the reply address is our own: {shown}")
    elif not _same_organisation(mail.reply_to[0].domain, mail.sender.domain):
        yield Signal(Verdict.DRAFT, None, f"rule 34: the reply address is elsewhere: {shown}")


def _same_organisation(one: str, other: str) -> bool:
    return authentication.organisational_domain(one) == authentication.organisational_domain(other)


def _authentication(vouched: authentication.Verdict, setting: Setting) -> Iterator[Signal]:
    """Rules 13 and 14. `trust` takes the pass for granted; a failure that our server saw still counts."""
    if vouched.outcome is Outcome.FAIL:
        yield Signal(Verdict.NO_AUTO, None, f"rule 13: {vouched.why}")
    elif vouched.outcome is Outcome.NONE and not setting.trust:
        yield Signal(Verdict.DRAFT, None, f"rule 14: not authenticated: {vouched.why}")


def _addressed(mail: IncomingMail, setting: Setting) -> Iterator[Signal]:
    """Rule 10: one of our addresses in To, Cc, Resent-To or Resent-Cc (RFC 5230 4.5)."""
    resent = addresses.mailboxes((*mail.values("resent-to"), *mail.values("resent-cc")))
    if not any(signals.own_address(a.address, setting) for a in (*mail.to, *mail.cc, *resent)):
        yield Signal(Verdict.DRAFT, None, "rule 10: not addressed to us by name")


def _age(setting: Setting) -> Iterator[Signal]:
    """Rule 16: by INTERNALDATE, which the sender cannot set."""
    if setting.now is None or setting.received is None:
        yield Signal(Verdict.DRAFT, None, "rule 16: the time of arrival is not known")
    elif setting.now - setting.received > timedelta(hours=setting.max_age_hours):
        yield Signal(Verdict.DRAFT, None, f"rule 16: older than {setting.max_age_hours:g} hours")


def _can_be_written_to(address: str) -> bool:
    try:
        wire_address(address)
    except UnsendableMail:
        return False
    return True


def _reply_address(mail: IncomingMail, verdict: Verdict, kinds: set[Kind | None]) -> str:
    """Rules 1, 34 and 45: the From mailbox; nowhere for our own mail, bounces, the null sender and odd addresses."""
    nowhere = (
        verdict is Verdict.LOOP or mail.return_path == "" or kinds & {Kind.BOUNCE, Kind.REPORT, Kind.OWN}
    )
    if nowhere or mail.sender is None or not _can_be_written_to(mail.sender.address):
        return ""
    return mail.sender.address
