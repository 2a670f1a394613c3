"""The application under /api: its routes, how errors look, its description."""

from __future__ import annotations

from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from responder.errors import Refused, ResponderError, StoreError, Unstorable
from responder.web.api import deciding, people, presence, reading, reporting, running, topics
from responder.web.api.problems import MEDIA_TYPE, ApiProblem, Code, FieldError, Problem, described, refused
from responder.web.service import Service
from responder.web.wording import refusal, words

log = structlog.get_logger("responder.web.api")

VERSION = "1.0"
_ABOUT = (
    "What staff do on the pages, for programs. Every call needs a bearer token of an account and may do what the "
    "account's role allows. Errors are problem details (RFC 9457); decide by their `code`."
)
_BY_THE_GUARD = {413: "The body is too large", 421: "This host is not served here"}
"""Answered in plain text before the API sees the request (`web.guard`)."""


def create_api(service: Service) -> FastAPI:
    """Return the application for mounting at /api."""
    api = FastAPI(title="LPSE responder", version=VERSION, docs_url=None, redoc_url=None)
    api.state.service = service
    for module in (reading, deciding, presence, topics, reporting, running, people):
        api.include_router(module.router, prefix="/v1")
    api.add_exception_handler(ApiProblem, _problem)
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(ResponderError, _failed)
    api.add_exception_handler(HTTPException, _http)
    api.openapi = lambda: _description(api)  # type: ignore[method-assign]
    return api


def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiProblem)
    body = error.problem.model_dump(mode="json")
    if error.refused is not None:
        body["detail"] = refusal(words(getattr(request.state, "language", "")), error.refused)
    return JSONResponse(body, error.problem.status, error.headers, MEDIA_TYPE)


def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [
        FieldError(location=".".join(map(str, one["loc"])), message=one["msg"]) for one in error.errors()
    ]
    return _problem(request, ApiProblem(422, Code.INVALID, f"{len(errors)} things do not fit", errors=errors))


def _failed(request: Request, error: Exception) -> Response:
    if isinstance(error, Refused):
        return _problem(request, refused(error))
    if isinstance(error, Unstorable):
        return _problem(request, ApiProblem(422, Code.INVALID, str(error)))
    log.error("request failed", path=request.url.path, error=str(error))
    if isinstance(error, StoreError):
        # Its message may name hosts, users and tables, and perhaps nobody has shown a token yet.
        return _problem(request, ApiProblem(503, Code.UNAVAILABLE, "the log says why"))
    return _problem(request, ApiProblem(500, Code.FAILED, str(error)))


def _http(request: Request, error: Exception) -> Response:
    """What the framework itself refuses: an address or a method that there is not, a body that is no JSON."""
    assert isinstance(error, HTTPException)
    known = {404: Code.NOT_FOUND, 405: Code.NOT_SERVED}
    code = known.get(error.status_code, Code.INVALID)
    headers = dict(error.headers or {})
    if code is Code.NOT_SERVED:
        headers = {"allow": ", ".join(sorted(_served(request)))}
    return _problem(request, ApiProblem(error.status_code, code, str(error.detail), headers=headers))


def _served(request: Request) -> set[str]:
    """The methods of this address (RFC 9110 15.5.6); the framework names only those of its first route."""
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    known = request.app.openapi()["paths"].items()
    return {
        method.upper()
        for address, operations in known
        if compile_path(address)[0].fullmatch(path)
        for method in operations
    }


def _description(api: FastAPI) -> dict[str, Any]:
    """The OpenAPI document. It is open to everybody: it says no more than this source does."""
    if api.openapi_schema is None:
        made = get_openapi(
            title=api.title, version=api.version, description=_ABOUT, routes=api.routes, tags=api.openapi_tags
        )
        components = made["components"]["schemas"]
        for unused in ("HTTPValidationError", "ValidationError"):
            components.pop(unused, None)
        problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        components |= {**problem.pop("$defs"), "Problem": problem}
        for operation in (one for path in made["paths"].values() for one in path.values()):
            operation["responses"] |= _common()
        made["servers"] = [{"url": "/api"}]
        api.openapi_schema = made
    return api.openapi_schema


def _common() -> dict[str, Any]:
    plain = {"text/plain": {"schema": {"type": "string"}}}
    guarded = {str(code): {"description": said, "content": plain} for code, said in _BY_THE_GUARD.items()}
    own = {str(code): entry for code, entry in described(400, 401, 422, 500, 503).items()}
    return own | guarded
