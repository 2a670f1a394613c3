"""The application: every route, what guards them, and how errors look."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

from responder.config import Settings
from responder.tickets.database import Database
from responder.web.guard import Guard


def create_app(settings: Settings, database: Database, clock: Callable[[], datetime]) -> FastAPI:
    """Return the application; nothing is listened on."""
    app = FastAPI(title="LPSE responder", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Guard, web=settings.web)

    @app.get("/sehat")
    def healthy() -> PlainTextResponse:
        """For a load balancer: the process answers."""
        return PlainTextResponse("ok")

    return app
