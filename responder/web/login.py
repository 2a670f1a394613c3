"""Logging in and out, and what an account may change about itself."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from responder.errors import Refused
from responder.pipeline import desk
from responder.tickets import accounts
from responder.web import visitors
from responder.web.pages import render
from responder.web.place import Place
from responder.web.service import Service, UsesService
from responder.web.ticket import ticket_page
from responder.web.typed import Printable
from responder.web.visitors import Decides, Reads, SignedOut, Visitor, local_path

router = APIRouter()

_TICKET = re.compile(r"/tiket/(\d{1,18})(?:\?|$)")


@router.get("/masuk")
def ask(request: Request, service: UsesService, lanjut: str = "/") -> Response:
    """The log-in page."""
    return login_page(request, service, SignedOut(local_path(lanjut)), status=200)


@router.post("/masuk")
def log_in(
    request: Request,
    service: UsesService,
    nama: Annotated[str, Form(max_length=200)] = "",
    sandi: Annotated[str, Form(max_length=1000)] = "",
    lanjut: Annotated[str, Form(max_length=2000)] = "/",
    catatan: Annotated[str, Form(max_length=desk.LONGEST_NOTE), Printable] = "",
) -> Response:
    """Begin a session and go on; a note that its predecessor did not live to save comes back on its ticket."""
    client = request.client.host if request.client else ""
    agent = request.headers.get("user-agent", "")
    found = accounts.log_in(service.database, nama, sandi, client, agent, service.clock(), service.lasts)
    onward = local_path(lanjut)
    if isinstance(found, accounts.Denied):
        seconds = _seconds(found)
        answer = login_page(
            request,
            service,
            SignedOut(onward, note=catatan),
            status=429 if seconds else 403,
            name=nama,
            wait=seconds,
        )
        if seconds:
            answer.headers["retry-after"] = str(seconds)
        return answer
    ticket = _TICKET.match(onward)
    response: Response = RedirectResponse(onward, 303)
    if catatan and ticket is not None:
        visitor = visitors.of_token(service, found.token)
        assert visitor is not None
        response = ticket_page(request, service, visitor, int(ticket[1]), Place(), note=catatan)
    _set_cookie(response, service, found.token)
    _remember_language(response, service, found.language)
    return response


@router.post("/keluar")
def log_out(service: UsesService, visitor: Decides) -> Response:
    with service.database.begin() as connection:
        accounts.end(connection, visitor.token_hash)
    response = RedirectResponse("/masuk", 303)
    response.delete_cookie(
        visitors.cookie_name(service), path="/", secure=service.settings.web.secure, httponly=True
    )
    return response


@router.get("/saya")
def own_account(request: Request, service: UsesService, visitor: Reads) -> Response:
    return _own_page(request, service, visitor)


@router.post("/saya/bahasa")
def set_language(service: UsesService, visitor: Decides, bahasa: Annotated[str, Form()]) -> Response:
    with service.database.begin() as connection:
        accounts.set_language(connection, visitor.user_id, bahasa)
    response = RedirectResponse("/saya", 303)
    _remember_language(response, service, bahasa)
    return response


@router.post("/saya/sandi")
def set_password(
    request: Request,
    service: UsesService,
    visitor: Decides,
    lama: Annotated[str, Form(max_length=1000)] = "",
    baru: Annotated[str, Form(max_length=1000)] = "",
    ulang: Annotated[str, Form(max_length=1000)] = "",
) -> Response:
    """Another password; every session ends, this one too."""
    if baru != ulang:
        return _own_page(request, service, visitor, 422, visitor.words("account.not_repeated"))
    denied = accounts.ask_again(service.database, visitor.user_id, visitor.name, lama, service.clock())
    if denied is not None and denied.wait:
        seconds = _seconds(denied)
        answer = _own_page(request, service, visitor, 429, visitor.words("login.wait", seconds=seconds))
        answer.headers["retry-after"] = str(seconds)
        return answer
    if denied is not None:
        return _own_page(request, service, visitor, 422, visitor.words("account.old_wrong"))
    try:
        with service.database.begin() as connection:
            accounts.set_password(connection, visitor.name, baru, visitor.name, service.clock())
    except Refused:
        return _own_page(request, service, visitor, 422, visitor.words("account.weak"))
    return RedirectResponse("/masuk?lanjut=/saya", 303)


@router.post("/saya/keluar-semua")
def log_out_everywhere(service: UsesService, visitor: Decides) -> Response:
    """End every other session of the account."""
    with service.database.begin() as connection:
        accounts.end_all(connection, visitor.user_id, but=visitor.token_hash)
    return RedirectResponse("/saya", 303)


def login_page(
    request: Request,
    service: Service,
    ended: SignedOut,
    *,
    status: int = 401,
    name: str = "",
    wait: int = 0,
) -> Response:
    """The log-in page in place of another one."""
    return render(
        request,
        service,
        "login.html",
        status=status,
        push="false",
        onward=ended.onward,
        expired=ended.expired,
        kept=ended.kept,
        note=ended.note,
        denied=status == 403,
        name=name,
        wait=wait,
    )


def _seconds(denied: accounts.Denied) -> int:
    """Until the next attempt, rounded up."""
    return -(-denied.wait // timedelta(seconds=1))


def _own_page(
    request: Request, service: Service, visitor: Visitor, status: int = 200, error: str = ""
) -> Response:
    with service.database.read() as connection:
        open_sessions = accounts.sessions(connection, visitor.user_id, service.clock())
    return render(
        request,
        service,
        "account.html",
        visitor,
        status,
        push="false" if error else None,
        sessions=open_sessions,
        languages=accounts.LANGUAGES,
        shortest=accounts.SHORTEST_PASSWORD,
        error=error,
    )


def _set_cookie(response: Response, service: Service, token: str) -> None:
    """SameSite=Lax: a link in a mail to staff opens its ticket; forms from elsewhere are refused by their Origin."""
    response.set_cookie(
        visitors.cookie_name(service),
        token,
        max_age=round(service.lasts.total_seconds()),
        path="/",
        secure=service.settings.web.secure,
        httponly=True,
        samesite="lax",
    )


def _remember_language(response: Response, service: Service, language: str) -> None:
    """For the log-in page, which knows nobody yet."""
    response.set_cookie(
        "bahasa",
        language,
        max_age=31_536_000,
        secure=service.settings.web.secure,
        httponly=True,
        samesite="lax",
    )
