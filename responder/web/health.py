"""For monitoring: /healthz, /readyz and /metrics. No log-in, and therefore not a word about any person.

Who may ask is decided by where the pages listen (`web.listen`), and by the proxy in front of them.
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from responder.errors import StoreError
from responder.upkeep import health, metrics
from responder.upkeep.situation import observe
from responder.web.service import Service

router = APIRouter(include_in_schema=False)


@router.api_route("/healthz", methods=["GET", "HEAD"])
def healthz() -> JSONResponse:
    """200 while the process lives and its threads get on, else 503."""
    stuck = health.stuck()
    return JSONResponse({"ok": not stuck, "problems": stuck}, 503 if stuck else 200)


@router.api_route("/readyz", methods=["GET", "HEAD"])
def readyz(request: Request) -> JSONResponse:
    """200 while the database answers and every mailbox was read lately, else 503."""
    service: Service = request.app.state.service
    try:
        found = health.check(observe(service.database, service.settings, service.clock()), service.settings)
    except StoreError:
        # Its message may name hosts and users of the database, and nobody has signed in here.
        found = health.Health(("the database cannot be used",))
    return JSONResponse({"ok": found.ready, "problems": list(found.problems)}, 200 if found.ready else 503)


@router.get("/metrics")
def figures(request: Request) -> Response:
    """Prometheus' text format; 503 without a database."""
    service: Service = request.app.state.service
    try:
        text = metrics.scrape(service.database, service.settings, service.clock())
    except StoreError:
        return Response(status_code=503)
    return Response(text, media_type=metrics.CONTENT_TYPE)
