"""Hard stops: signs in a mail that keep a machine from answering it, whatever the topic scores say."""

from __future__ import annotations

from typing import Final

from responder.classifier import reasons
from responder.classifier.trust import Scores

# Parts of `henti` in konsep.yaml, in order of precedence, and the reason that each gives.
FORBIDDING: Final[dict[str, str]] = {
    "s:balasan_otomatis": reasons.AUTO_TEXT,
    "s:keluhan": reasons.COMPLAINT,
    "s:keamanan": reasons.SECURITY,
    "s:tenggat": reasons.DEADLINE,
    "s:penyerahan": reasons.SUBMISSION,
    "s:tindak_lanjut": reasons.FOLLOW_UP,
    "s:sudah_dicoba": reasons.FOLLOW_UP,
    "s:iklan": reasons.SPAM,
    "s:dasar_hukum": reasons.NEAR_MISS,
}
_THANKS = "h:thanks"
_QUESTION = "h:tanya"
# "terima kasih pak sudah bisa": longer mails that thank also ask.
_LONGEST_THANKS = 20


def stop(scores: Scores) -> str | None:
    """Return the reason why no machine may answer, or None."""
    if scores.words == 0:
        return reasons.EMPTY
    if _THANKS in scores.cues and _QUESTION not in scores.cues and scores.words <= _LONGEST_THANKS:
        return reasons.THANKS
    return next((reason for cue, reason in FORBIDDING.items() if cue in scores.cues), None)
