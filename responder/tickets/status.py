"""Every state a record can be in; each member says what it means. Transitions are in `lifecycle`."""

from __future__ import annotations

from enum import StrEnum


class Disposition(StrEnum):
    """What became of a message in the mailbox: its one end state in the ledger."""

    RECEIVED = "received"  # raw bytes are stored, work on it is not finished
    TICKETED = "ticketed"  # belongs to a ticket
    DUPLICATE = "duplicate"  # the same mail again (rule 50): recorded, nothing more
    IGNORED = "ignored"  # needs no ticket, `reason` says why (own mail, bounce noted on its reply, ...)
    QUARANTINED = "quarantined"  # could not be read or handled; raw bytes kept for a person
    BASELINE = "baseline"  # stands for every UID older than the first connection


class TicketStatus(StrEnum):
    """Who has to act on a conversation."""

    NEEDS_STAFF = "needs_staff"  # a person must write the answer
    NEEDS_APPROVAL = "needs_approval"  # a draft waits for a person's decision
    ANSWERED = "answered"  # a reply was approved or sent; nothing to do unless it fails
    CLOSED = "closed"  # ended by a person


class ReplyStatus(StrEnum):
    """The life of one version of what we say."""

    DRAFTED = "drafted"  # frozen bytes exist; nobody has allowed it to leave
    APPROVED = "approved"  # allowed by a person or the policy; leaves when due
    SENDING = "sending"  # committed before MAIL FROM; a crash here means `uncertain`
    SENT = "sent"  # the server's 250 after the final dot was received
    UNCERTAIN = "uncertain"  # the answer after the final dot was lost: evidence or a person settles it
    FAILED = "failed"  # refused for good (5xx) or given up: a person must act
    DISCARDED = "discarded"  # rejected by a person, or taken over by one (rule 28b)
    SUPERSEDED = "superseded"  # a newer version exists


class ReplyKind(StrEnum):
    """What a reply is."""

    ANSWER = "answer"  # from content: topics and templates
    ACKNOWLEDGEMENT = "ack"  # fixed text: received, a person will answer
    MANUAL = "manual"  # written by staff


class Filing(StrEnum):
    """The wish to file a sent reply in Sent and mark the original answered; never decides about sending."""

    NONE = "none"  # nothing to file (not sent yet)
    PENDING = "pending"  # sent, to be filed; tried for ever
    DONE = "done"  # filed, or the provider files Sent itself


class DraftCopy(StrEnum):
    """The copy of a draft in the mailbox's Drafts folder, for staff who live in their mail client."""

    NONE = "none"  # not wanted
    PENDING = "pending"  # to be placed
    PLACED = "placed"  # in Drafts
    REMOVE = "remove"  # to be taken out: the draft is no longer current
    GONE = "gone"  # taken out, or never placed
