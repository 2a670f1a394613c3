"""What staff can be refused, each with the sentence that the terminal shows.

A member's `code` names its sentence in the languages of the pages (responder/web/words, table `refused`); it is never
renamed. The {places} are filled with the facts that `errors.Refused` is raised with.
"""

from __future__ import annotations

from enum import Enum, unique


@unique
class Refusal(Enum):
    """One kind of refusal that pages and API can meet."""

    # tickets, drafts and replies
    NO_TICKET = "there is no ticket {ticket}"
    CLOSED = "ticket {ticket} is closed"
    NO_MAIL = "ticket {ticket} has no mail to answer"
    NO_ADDRESS = "ticket {ticket}: the mail has no address that a reply could go to"
    NO_REPLY = "there is no reply {reply}"
    NO_DRAFT = "there is no draft {reply}"
    NOTHING_TO_REJECT = "ticket {ticket} has no draft to reject"
    MAILBOX_GONE = "mailbox {mailbox!r} is no longer in config.toml"

    # approving, and what follows
    CHANGED = "draft of ticket {ticket} has changed since it was shown; look at it again"
    NEWER_DRAFT = "ticket {ticket} has a newer draft; look at that one"
    NEWER_MAIL = "ticket {ticket} has a newer mail from the vendor than this draft answers"
    UNSEEN_MAIL = "ticket {ticket}: the vendor has written again since it was shown; look at it again"
    DECIDED = "ticket {ticket}: the draft is already {state} ({who})"
    DECIDED_MEANWHILE = "draft of ticket {ticket} was decided by somebody else in the meantime"
    UNCONFIRMED = (
        "ticket {ticket}: the draft still says {marker}; edit it out, "
        "or settle the fact with `responder content confirm`"
    )
    UNSETTLED = "ticket {ticket} has a reply in state {state}; settle it first"
    SECOND_ANSWER = (
        "ticket {ticket}: another answer to the same mail is on its way (approved by {who}); "
        "take that one back first"
    )
    TOO_LATE = "reply {reply} cannot be taken back: it is {state}"
    NOTHING_TO_UNDO = "ticket {ticket} has no approved reply to take back"
    NOT_AGAIN = "reply {reply} is {state}; only an uncertain or failed one can be sent again"
    ERASED = "reply {reply}: its content was erased; there is nothing to send"

    # writing and topics
    EMPTY_TEXT = "ticket {ticket}: the text is empty"
    LONG_TEXT = "ticket {ticket}: the text has more than {most} characters"
    MOVED = "ticket {ticket}: the draft has changed since the editing began"
    NO_TOPIC = "there is no topic {topic!r}; topics are: {known}"
    NAME_A_TOPIC = "name at least one topic"
    EMPTY_NOTE = "ticket {ticket}: the note is empty"
    LONG_NOTE = "ticket {ticket}: a note has at most {most} characters"
    SENIOR_ASKED = "ticket {ticket} already waits for a senior"
    SENIOR_NOT_ASKED = "ticket {ticket} does not wait for a senior"

    # blind audits, batches, autonomy
    BLIND = "ticket {ticket} is a blind audit; its topic is chosen first"
    BLIND_IN_BATCH = "ticket {ticket} is a blind audit; decide about it singly"
    TOPIC_CHOSEN = "ticket {ticket}: the topic is already chosen"
    LARGE_BATCH = "at most {most} drafts are approved at once"
    OTHER_TOPIC = "ticket {ticket}: its draft does not answer {topic!r} alone"
    BATCH_OF_NO_TOPIC = "batch approval needs a topic"
    NOT_EARNED = "{topic} may not answer by itself yet: {proof}"
    NO_LONGER_EARNED = "{topic} may not go on answering by itself: {why}"

    # lists and quarantine
    NO_PAGE = "there is no page {cursor!r}"
    NOT_IN_QUARANTINE = "message {message} is not in quarantine"

    # accounts
    BAD_NAME = "name {name!r}: 3 to 60 of a-z, 0-9, '.', '_', '-', beginning with a letter"
    NAME_TAKEN = "there is already an account {name!r}"
    NO_ACCOUNT = "there is no account {name!r}"
    LAST_ADMIN = "{name} is the only active admin; make another one first"
    SHORT_PASSWORD = "a password has at least {least} characters"  # noqa: S105 - a sentence
    LONG_PASSWORD = "a password has at most {most} characters"  # noqa: S105 - a sentence
    EASY_PASSWORD = "the password is too easy to guess: it holds the name, or hardly any different characters"  # noqa: S105 - a sentence
    NO_LANGUAGE = "language {language!r}: one of {known}"

    @property
    def code(self) -> str:
        """The stable name."""
        return self.name.lower()
