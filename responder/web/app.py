"""The application: every route, what guards them, and how errors look."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

import structlog
from anyio import to_thread
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from responder.config import Settings
from responder.errors import Refused, ResponderError, StoreError, Unstorable
from responder.tickets.database import Database
from responder.web import (
    assets,
    decisions,
    frames,
    health,
    lists,
    login,
    people,
    reports,
    ticket,
    topics,
    writing,
)
from responder.web.api.app import create_api
from responder.web.guard import API, Guard
from responder.web.login import login_page
from responder.web.pages import render
from responder.web.service import Service
from responder.web.visitors import Forbidden, SignedOut, find
from responder.web.wording import refusal, words

log = structlog.get_logger("responder.web")

THREADS = 8
"""Requests worked on at a time: more would only wait for one another, and each may hold a connection."""


def create_app(settings: Settings, database: Database, clock: Callable[[], datetime]) -> FastAPI:
    """Return the application; nothing is listened on."""
    service = Service(settings, database, clock)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        to_thread.current_default_thread_limiter().total_tokens = THREADS
        yield
        service.close()

    app = FastAPI(
        title="LPSE responder",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,  # it would build an address from a Host header that is only roughly ours
        lifespan=lifespan,
    )
    app.state.service = service
    app.add_middleware(Guard, web=settings.web)
    # `ticket` last: it takes every other address below a ticket.
    for module in (assets, health, login, lists, people, reports, topics, frames, writing, decisions, ticket):
        app.include_router(module.router)
    app.mount(API.rstrip("/"), create_api(service))
    app.add_exception_handler(SignedOut, _signed_out)
    app.add_exception_handler(Forbidden, _forbidden)
    app.add_exception_handler(ResponderError, _failed)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _http)
    return app


def _signed_out(request: Request, error: Exception) -> Response:
    assert isinstance(error, SignedOut)
    return login_page(request, request.app.state.service, error)


def _forbidden(request: Request, _: Exception) -> Response:
    return _problem(request, 403, "error.forbidden")


def _failed(request: Request, error: Exception) -> Response:
    if isinstance(error, Refused):
        return _problem(request, 409, "error.refused", error)
    if isinstance(error, Unstorable):
        return _problem(request, 400, "error.malformed")
    log.error("request failed", path=request.url.path, error=str(error))
    return _problem(request, 503 if isinstance(error, StoreError) else 500, "error.failed", str(error))


def _malformed(request: Request, _: Exception) -> Response:
    return _problem(request, 400, "error.malformed")


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    key = "error.not_found" if error.status_code == 404 else "error.http"
    answer = _problem(request, error.status_code, key)
    answer.headers.update(error.headers or {})  # a 405 names the methods that are served (RFC 9110 15.5.6)
    return answer


def _problem(request: Request, status: int, key: str, why: str | Refused = "") -> Response:
    """An error as a page; the API answers its own."""
    service: Service = request.app.state.service
    try:
        visitor = find(request, service)
    except StoreError:
        visitor = None
    said = visitor.words if visitor is not None else words(request.cookies.get("bahasa", ""))
    # What the database says may name hosts, users and tables: for members of staff only.
    told = why if visitor is not None else ""
    detail = refusal(said, why) if isinstance(why, Refused) else told
    return render(
        request, service, "error.html", visitor, status, push="false", key=key, detail=detail, code=status
    )
