"""Accounts of staff, for admins."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path

from responder.tickets import accounts
from responder.tickets.models_staff import Role
from responder.web.api import given
from responder.web.api.callers import Admin
from responder.web.api.problems import described, not_found
from responder.web.api.shapes import Shape
from responder.web.service import Service, UsesService

router = APIRouter(tags=["accounts"])


class Account(Shape):
    name: str
    full_name: str
    role: Role
    language: str
    active: bool
    created_at: datetime
    password_set_at: datetime


class Accounts(Shape):
    accounts: list[Account]


@router.get("/accounts", responses=described(403))
def listed(service: UsesService, caller: Admin) -> Accounts:
    """Every account by name."""
    with service.database.read() as connection:
        rows = accounts.listed(connection)
    return Accounts(accounts=[Account.model_validate(row) for row in rows])


@router.post("/accounts", status_code=201, responses=described(403, 409))
def add(service: UsesService, caller: Admin, wish: given.NewAccount) -> Account:
    """Make an account. 409 for a name in use or unfit, or a weak password."""
    with service.database.begin() as connection:
        accounts.add(
            connection,
            wish.name,
            wish.role,
            wish.password,
            caller.name,
            service.clock(),
            full_name=wish.full_name,
        )
    return _one(service, wish.name)


@router.patch("/accounts/{name}", responses=described(403, 404, 409))
def change(
    service: UsesService,
    caller: Admin,
    name: Annotated[str, Path(min_length=1, max_length=60)],
    wish: given.AccountChange,
) -> Account:
    """Another role or password, on or off; off and another password end the account's sessions at once."""
    before = _one(service, name)
    with service.database.begin() as connection:
        if wish.role is not None and wish.role is not before.role:
            accounts.set_role(connection, name, wish.role, caller.name, service.clock())
        if wish.password is not None:
            accounts.set_password(connection, name, wish.password, caller.name, service.clock())
        if wish.active is not None and wish.active != before.active:
            accounts.set_active(connection, name, wish.active, caller.name, service.clock())
    return _one(service, name)


def _one(service: Service, name: str) -> Account:
    with service.database.read() as connection:
        row = accounts.by_name(connection, name)
    if row is None:
        raise not_found(f"account {name!r}")
    return Account.model_validate(row)
