"""The policy: may this reply leave by itself, must a person approve it, or must a person answer?

A pure function of what is known. Unattended sending needs every condition; the first that fails is the reason.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from responder.classifier.decision import Decision, Outcome
from responder.mail.message import Screening, Verdict
from responder.replies.reason_words import told, told_all
from responder.tickets.switches import AUTOMATIC, Arming


class Course(StrEnum):
    """What happens with a mail that has become a ticket."""

    AUTOMATIC = "automatic"  # the reply is queued without a person
    APPROVAL = "approval"  # a draft waits for a person
    FLAGGED = "flagged"  # a person must answer


@dataclass(frozen=True, slots=True)
class Ruling:
    """The course, and why: `blockers` in Indonesian for staff, empty only for AUTOMATIC."""

    course: Course
    blockers: tuple[str, ...]
    acknowledge: bool = False


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything the decision depends on."""

    screening: Screening
    decision: Decision
    mode: str  # review or auto
    arming: Arming
    received: datetime | None  # INTERNALDATE of the mail
    levels: Mapping[str, str]  # topic → level
    content_problems: Sequence[str] = ()  # unconfirmed facts, validity (Indonesian)
    acknowledgements: bool = False  # whether the policy sends them
    first_mail: bool = True  # of its ticket (rule 20)
    audited: bool = False  # chosen for a blind audit: staff name the topic before they see ours
    address_note: str = ""  # why the address gets no automatic mail (rules 28, 47)
    extra: Sequence[str] = field(
        default=()
    )  # further reasons of the pipeline (claimed thread, Reply-To, ...)


def decide(situation: Situation) -> Ruling:
    """Return what may happen. Nothing in here can raise a verdict, only lower it."""
    decision = situation.decision
    blockers = tuple(_blockers(situation))
    if decision.outcome is Outcome.STAFF or not situation.screening.reply_address:
        reasons = [] if situation.screening.reply_address else ["Alamat balasan tidak diketahui."]
        return Ruling(Course.FLAGGED, (*reasons, *blockers), acknowledge=_may_acknowledge(situation))
    if blockers:
        return Ruling(Course.APPROVAL, blockers)
    return Ruling(Course.AUTOMATIC, ())


def chosen_for_audit(key: bytes, mailbox: str, identity: str, share: float) -> bool:
    """Whether a mail is one of the `share` (0 to 1) of mails for blind audits.

    The same mail is always chosen or never, so that handling it again after a crash cannot send it; who has no `key`
    cannot foresee which ones are.
    """
    drawn = hmac.digest(key, f"audit\0{mailbox}\0{identity}".encode(), "sha256")
    return int.from_bytes(drawn[:8], "big") < share * 2**64


def _may_acknowledge(situation: Situation) -> bool:
    """Acknowledgements need screening AUTO and the switches, not the classifier (rule 36)."""
    return situation.acknowledgements and not any(_sending_blockers(situation))


def _blockers(situation: Situation) -> list[str]:
    found = []
    if situation.decision.outcome is not Outcome.AUTO:
        found.append(situation.decision.explanation)
    if situation.audited:
        found.append("Dipilih untuk audit: petugas memilih topik sebelum melihat pilihan mesin.")
    found += _sending_blockers(situation)
    found += [
        f"Topik “{slug}” belum diizinkan menjawab sendiri."
        for slug in situation.decision.topics
        if situation.levels.get(slug) != AUTOMATIC
    ]
    found += [f"{problem[:1].upper()}{problem[1:]}." for problem in situation.content_problems]
    return found


def _sending_blockers(situation: Situation) -> list[str]:
    found = []
    arming = situation.arming
    if situation.mode != "auto":
        found.append("Mode peninjauan: semua balasan menunggu persetujuan.")
    if not arming.armed:
        found.append("Pengiriman belum diaktifkan (responder arm).")
    elif arming.since is None or situation.received is None or situation.received < arming.since:
        found.append("Surat diterima sebelum pengiriman diaktifkan.")
    if arming.breaker:
        found.append(f"Pengiriman otomatis dihentikan pengaman: {told(arming.breaker)}")
    if arming.hold:
        found.append(f"Mode peninjauan sampai petugas menjalankan responder arm: {told(arming.hold)}")
    if situation.screening.verdict is not Verdict.AUTO:
        found.append(f"Penyaringan: {told_all(situation.screening.reasons)}")
    if not situation.first_mail:
        found.append("Surat lanjutan dalam tiket yang sama selalu ditinjau petugas.")
    if situation.address_note:
        found.append(f"Alamat ini tidak menerima surat otomatis: {situation.address_note}")
    return [*found, *situation.extra]
