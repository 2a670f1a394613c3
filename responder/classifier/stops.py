"""Hard stops: signs in a mail that keep a machine from answering it, whatever the topic scores say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from responder.classifier import reasons
from responder.classifier.trust import Scores

# Cues of konsep.yaml that forbid an automatic answer, in order of precedence, and the reason they give.
FORBIDDING: Final[dict[str, str]] = {
    "h:auto_text": reasons.AUTO_TEXT,
    "h:complaint": reasons.COMPLAINT,
    "h:deadline": reasons.DEADLINE,
    "h:submission": reasons.SUBMISSION,
    "h:follow_up": reasons.FOLLOW_UP,
    "h:sudah_dicoba": reasons.FOLLOW_UP,
    "h:spam": reasons.SPAM,
}
_THANKS = "h:thanks"
_QUESTION = "h:tanya"
# "terima kasih pak sudah bisa": longer mails that thank also ask.
_LONGEST_THANKS = 12


def stop(scores: Scores) -> str | None:
    """Return the reason why a person must answer, or None."""
    if scores.words == 0:
        return reasons.EMPTY
    if _THANKS in scores.concepts and _QUESTION not in scores.concepts and scores.words <= _LONGEST_THANKS:
        return reasons.THANKS
    return next((reason for cue, reason in FORBIDDING.items() if cue in scores.concepts), None)


def cue_names(concepts: Sequence[str]) -> list[str]:
    """Return the cues among concept keys, sorted."""
    return sorted(key for key in concepts if key.startswith("h:"))
