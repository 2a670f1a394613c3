"""Accounts of staff, for admins."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from responder.errors import Refused
from responder.tickets import accounts
from responder.tickets.models_staff import Role
from responder.web.pages import render
from responder.web.service import Service, UsesService
from responder.web.typed import Printable
from responder.web.visitors import AdminDecides, AdminReads, Visitor
from responder.web.wording import refusal

router = APIRouter()

Field = Annotated[str, Form(max_length=200), Printable]


@router.get("/akun")
def listed(request: Request, service: UsesService, visitor: AdminReads) -> Response:
    return _page(request, service, visitor)


@router.post("/akun/tambah")
def add(
    request: Request,
    service: UsesService,
    visitor: AdminDecides,
    nama: Field = "",
    lengkap: Field = "",
    peran: Annotated[Role, Form()] = Role.OFFICER,
    sandi: Annotated[str, Form(max_length=1000)] = "",
) -> Response:
    return _changed(
        request,
        service,
        visitor,
        partial(accounts.add, name=nama, role=peran, password=sandi, full_name=lengkap),
    )


@router.post("/akun/{name}/sandi")
def set_password(
    request: Request,
    service: UsesService,
    visitor: AdminDecides,
    name: str,
    sandi: Annotated[str, Form(max_length=1000)] = "",
) -> Response:
    """Another password; the account is logged out everywhere."""
    return _changed(request, service, visitor, partial(accounts.set_password, name=name, password=sandi))


@router.post("/akun/{name}/peran")
def set_role(
    request: Request,
    service: UsesService,
    visitor: AdminDecides,
    name: str,
    peran: Annotated[Role, Form()],
) -> Response:
    return _changed(request, service, visitor, partial(accounts.set_role, name=name, role=peran))


@router.post("/akun/{name}/aktif")
def set_active(
    request: Request,
    service: UsesService,
    visitor: AdminDecides,
    name: str,
    aktif: Annotated[bool, Form()],
) -> Response:
    return _changed(request, service, visitor, partial(accounts.set_active, name=name, active=aktif))


def _changed(
    request: Request, service: Service, visitor: Visitor, operation: Callable[..., object]
) -> Response:
    """Do `operation` of `accounts`, and list the accounts again, with the reason where it was refused."""
    try:
        with service.database.begin() as connection:
            operation(connection, actor=visitor.name, now=service.clock())
    except Refused as error:
        return _page(request, service, visitor, error)
    return RedirectResponse("/akun", 303)


def _page(request: Request, service: Service, visitor: Visitor, error: Refused | None = None) -> Response:
    with service.database.read() as connection:
        people = accounts.listed(connection)
    return render(
        request,
        service,
        "people.html",
        visitor,
        422 if error is not None else 200,
        push="false" if error is not None else None,
        people=people,
        shortest=accounts.SHORTEST_PASSWORD,
        error=refusal(visitor.words, error) if error is not None else "",
    )
