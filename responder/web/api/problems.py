"""Errors of the API as problem details (RFC 9457). A program decides by `code`; the other words are for people."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, Field

from responder.errors import Refused
from responder.refusal import Refusal

MEDIA_TYPE = "application/problem+json"


class Code(StrEnum):
    """What went wrong. Members are never renamed."""

    UNAUTHENTICATED = (
        "unauthenticated"  # no token, or one that is unknown, expired, revoked, of no active account
    )
    FORBIDDEN = "forbidden"  # the account's role does not allow it
    NOT_FOUND = "not_found"  # no such address, ticket, reply, topic or account
    INVALID = "invalid"  # the request does not fit the description; `errors` says where
    STALE = "stale"  # another text is the draft by now; `shown` and `current` hold both
    NEWER_MAIL = "newer_mail"  # the vendor wrote after the mail that the draft answers
    UNCONFIRMED = "unconfirmed"  # the draft still holds an unconfirmed fact
    DECIDED = "decided"  # the reply is no longer a draft
    BLIND = "blind"  # a blind audit: the topic has to be chosen before anything else
    TOO_LATE = "too_late"  # the reply has begun to leave
    NOT_EARNED = "not_earned"  # the verdicts of staff do not prove that the topic may answer by itself
    REFUSED = "refused"  # another rule forbids it; `detail` names it
    NOT_SERVED = "not_served"  # no such method here
    UNAVAILABLE = "unavailable"  # the database is away; try again
    FAILED = "failed"  # a fault of the service or its content; `detail` says what


_TITLES = {
    Code.UNAUTHENTICATED: "A valid bearer token is needed",
    Code.FORBIDDEN: "The role of the account does not allow this",
    Code.NOT_FOUND: "There is no such thing",
    Code.INVALID: "The request does not fit its description",
    Code.STALE: "Another text is the draft by now",
    Code.NEWER_MAIL: "The vendor has written again",
    Code.UNCONFIRMED: "The draft holds an unconfirmed fact",
    Code.DECIDED: "The reply is decided already",
    Code.BLIND: "The topic has to be chosen blindly first",
    Code.TOO_LATE: "The reply has begun to leave",
    Code.NOT_EARNED: "The topic has not earned to answer by itself",
    Code.REFUSED: "A rule forbids this",
    Code.NOT_SERVED: "This method is not served here",
    Code.UNAVAILABLE: "The service cannot reach its database",
    Code.FAILED: "The service failed",
}


_CODES: Mapping[Refusal | None, Code] = {
    Refusal.UNSEEN_MAIL: Code.NEWER_MAIL,
    Refusal.TOO_LATE: Code.TOO_LATE,
    Refusal.NOT_EARNED: Code.NOT_EARNED,
    Refusal.NO_LONGER_EARNED: Code.NOT_EARNED,
}
"""Refusals with a code of their own; the others are `refused`, unless the endpoint knows better."""


class Version(BaseModel):
    """One text of a draft, as its hash names it."""

    reply: int
    sha256: str
    text: str


class FieldError(BaseModel):
    """One thing about the request that does not fit."""

    location: str = Field(description="Where: `body.text`, `query.limit`, `path.ticket_id`")
    message: str


class Problem(BaseModel):
    """An error (RFC 9457 section 3)."""

    type: str = Field(description="A tag URI that ends with the code")
    title: str
    status: int
    detail: str
    code: Code
    errors: list[FieldError] = Field(default=[], description="Of `invalid`")
    shown: Version | None = Field(default=None, description="Of `stale`: the text that the request names")
    current: Version | None = Field(default=None, description="Of `stale`: the text that waits by now")


class ApiProblem(Exception):  # noqa: N818 - an answer of the API, not a failure
    """Ends a request with a problem."""

    def __init__(
        self,
        status: int,
        code: Code,
        detail: str | Refused = "",
        *,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(str(detail))
        self.refused = detail if isinstance(detail, Refused) else None  # told in the caller's language
        self.headers = dict(headers or {})
        self.problem = Problem(
            type=f"tag:lpse-responder,2026:{code.value}",
            title=_TITLES[code],
            status=status,
            detail=str(detail),
            code=code,
            **more,
        )


def not_found(what: str) -> ApiProblem:
    return ApiProblem(404, Code.NOT_FOUND, f"there is no {what}")


def conflict(code: Code, detail: str | Refused, **more: Any) -> ApiProblem:
    return ApiProblem(409, code, detail, **more)


def refused(error: Refused) -> ApiProblem:
    return conflict(_CODES.get(error.refusal, Code.REFUSED), error)


def described(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The entries of an operation's `responses` for the problems that are its own."""
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: schema}}
        for status in statuses
    }
