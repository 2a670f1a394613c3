"""Who asks: the session of a request, what its role allows, and the token that its forms must bring."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Form, Request

from responder.tickets import accounts
from responder.tickets.models_staff import Role
from responder.web.service import Service, UsesService
from responder.web.wording import Words, words

HEARTBEAT = "/hadir"
"""A page that is open asks by itself; that is no activity, or no session would ever be idle."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """A member of staff who is logged in; `over` only where an expired session still may hand in its text."""

    user_id: int
    name: str  # the actor of every event
    full_name: str
    role: Role
    csrf: str
    token_hash: str
    words: Words
    over: bool = False

    def may(self, role: str) -> bool:
        return accounts.may(self.role, Role(role))


class SignedOut(Exception):  # noqa: N818 - an answer of the pages, not a failure; app.py shows the log-in page
    """Nobody is logged in, or no longer; the log-in page leads on to `onward`."""

    def __init__(
        self, onward: str = "/", *, expired: bool = False, kept: bool = False, note: str = ""
    ) -> None:
        super().__init__(onward)
        self.onward = onward
        self.expired = expired  # somebody was
        self.kept = kept  # what was typed is stored
        self.note = note  # what was typed and goes on with the log-in form


class Forbidden(Exception):  # noqa: N818 - as above
    """The account's role does not allow it, or the form is not one of ours."""


def cookie_name(service: Service) -> str:
    """`__Host-` binds the cookie to this host over TLS (RFC 6265bis 4.1.3); browsers refuse it without TLS."""
    return "__Host-lpse" if service.settings.web.secure else "lpse"


def find(request: Request, service: Service) -> Visitor | None:
    """The session that the request's cookie names, over or not; None when there is none."""
    token = request.cookies.get(cookie_name(service), "")
    active = not request.url.path.endswith(HEARTBEAT)
    return of_token(service, token, active=active) if token else None


def of_token(service: Service, token: str, *, active: bool = True) -> Visitor | None:
    """The session with `token`, which is noted as in use when `active`; None when there is none."""
    now = service.clock()
    with service.database.read() as connection:
        row = accounts.session(connection, token)
    if row is None:
        return None
    over = accounts.is_over(row, service.idle, now)
    if not over and active and now - row.seen_at >= accounts.SEEN_EVERY:
        with service.database.begin() as connection:
            accounts.seen(connection, row.token_hash, now)
    return Visitor(
        row.user_id, row.name, row.full_name, row.role, row.csrf, row.token_hash, words(row.language), over
    )


def here(request: Request) -> str:
    """The page that a log-in leads back to: of a form the ticket it belongs to, never the form itself."""
    if request.method == "GET":
        return request.url.path + (f"?{request.url.query}" if request.url.query else "")
    ticket = request.path_params.get("ticket_id")
    return f"/tiket/{ticket}" if ticket is not None else "/"


def local_path(onward: str) -> str:
    """`onward` when it is a path of ours, else "/": a link must not lead staff elsewhere after the log-in."""
    parts = urlsplit(onward)
    fits = onward.startswith("/") and not onward.startswith(("//", "/\\")) and onward.isprintable()
    return onward if fits and not parts.scheme and not parts.netloc and "\\" not in onward else "/"


def _reading(role: Role) -> Callable[..., Visitor]:
    def visitor(request: Request, service: UsesService) -> Visitor:
        return _current(request, service, role)

    return visitor


def _deciding(role: Role) -> Callable[..., Visitor]:
    def visitor(request: Request, service: UsesService, csrf: Annotated[str, Form()] = "") -> Visitor:
        found = _current(request, service, role)
        _check(found, csrf)
        return found

    return visitor


def _typing(request: Request, service: UsesService, csrf: Annotated[str, Form()] = "") -> Visitor:
    found = find(request, service)
    if found is None:
        raise SignedOut(here(request))
    if not _same(found.csrf, csrf):
        # The page is of an earlier session: somebody logged in again beside it, and goes on writing in it.
        with service.database.read() as connection:
            tokens = accounts.csrf_tokens(connection, found.user_id)
        if not any(_same(token, csrf) for token in tokens):
            raise Forbidden
    return found


def _signs_of_life(
    request: Request, service: UsesService, csrf: Annotated[str, Form()] = ""
) -> Visitor | None:
    found = find(request, service)
    if found is None or found.over:
        return None
    _check(found, csrf)
    return found


def _current(request: Request, service: Service, role: Role) -> Visitor:
    found = find(request, service)
    if found is None or found.over:
        raise SignedOut(here(request), expired=found is not None)
    if not accounts.may(found.role, role):
        raise Forbidden
    return found


def _check(visitor: Visitor, csrf: str) -> None:
    if not _same(visitor.csrf, csrf):
        raise Forbidden


def _same(token: str, given: str) -> bool:
    return secrets.compare_digest(token.encode(), given.encode())


Reads = Annotated[Visitor, Depends(_reading(Role.OFFICER))]
Decides = Annotated[Visitor, Depends(_deciding(Role.OFFICER))]
Types = Annotated[Visitor, Depends(_typing)]
"""Hands in text: the session may be over, and the endpoint must then store the text and raise SignedOut."""
Beats = Annotated[Visitor | None, Depends(_signs_of_life)]
"""An open page; None when its session is over, which must not replace the page that may hold text."""
SeniorReads = Annotated[Visitor, Depends(_reading(Role.SENIOR))]
SeniorDecides = Annotated[Visitor, Depends(_deciding(Role.SENIOR))]
AdminReads = Annotated[Visitor, Depends(_reading(Role.ADMIN))]
AdminDecides = Annotated[Visitor, Depends(_deciding(Role.ADMIN))]
