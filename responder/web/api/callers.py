"""Who calls: the account of a bearer token (RFC 6750), and what its role allows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from responder.tickets import accounts, api_tokens
from responder.tickets.models_staff import Role
from responder.web.api.problems import ApiProblem, Code
from responder.web.service import Service, UsesService

_BEARER = HTTPBearer(
    auto_error=False, scheme_name="token", description="A token of `responder token add ACCOUNT PROGRAM`."
)
_Given = Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]


@dataclass(frozen=True, slots=True)
class Caller:
    """The account that a program acts for."""

    user_id: int
    name: str  # the actor of every event
    full_name: str
    role: Role
    language: str  # that it is told in why it was refused
    program: str  # the token's name
    expires_at: datetime


def _with(role: Role) -> Callable[..., Caller]:
    def caller(request: Request, service: UsesService, given: _Given) -> Caller:
        found = _find(service, given.credentials if given is not None else "")
        if found is None:
            raise ApiProblem(401, Code.UNAUTHENTICATED, headers={"www-authenticate": "Bearer"})
        if not accounts.may(found.role, role):
            raise ApiProblem(
                403, Code.FORBIDDEN, f"{role.value} is needed, the account is {found.role.value}"
            )
        request.state.language = found.language
        return found

    return caller


def _find(service: Service, token: str) -> Caller | None:
    if not token:
        return None
    now = service.clock()
    with service.database.read() as connection:
        row = api_tokens.find(connection, token, now)
    if row is None:
        return None
    if row.last_used_at is None or now - row.last_used_at >= api_tokens.USED_EVERY:
        with service.database.begin() as connection:
            api_tokens.used(connection, row.id, now)
    return Caller(row.user_id, row.name, row.full_name, row.role, row.language, row.program, row.expires_at)


Officer = Annotated[Caller, Depends(_with(Role.OFFICER))]
Senior = Annotated[Caller, Depends(_with(Role.SENIOR))]
Admin = Annotated[Caller, Depends(_with(Role.ADMIN))]
