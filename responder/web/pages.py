"""Pages from templates/web: one Jinja environment, everything escaped, dates as the language writes them."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import cache
from typing import Any

from babel.dates import format_date, format_datetime, format_timedelta
from babel.numbers import format_decimal, format_percent
from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from responder.mail import masking
from responder.paths import shipped
from responder.replies.reason_words import told_line
from responder.tickets.models_staff import Role
from responder.web import assets
from responder.web.service import Service
from responder.web.visitors import Visitor
from responder.web.wording import DEFAULT, Words, words

HTMX_CONFIG = (
    '{"includeIndicatorStyles":false,"allowEval":false,"allowScriptTags":false,"selfRequestsOnly":true,'
    '"historyCacheSize":0,"refreshOnHistoryMiss":true,"scrollBehavior":"instant",'
    '"responseHandling":[{"code":"204","swap":false},{"code":".*","swap":true}]}'
)
"""No inline style or eval, which the policy forbids; no page kept in the browser's storage; errors are pages too."""


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(shipped("templates") / "web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"asset": assets.url, "htmx_config": HTMX_CONFIG}
    environment.filters["mask"] = masking.mask
    return environment


class Formats:
    """Dates, spans of time and shares in one language and zone."""

    def __init__(self, service: Service, said: Words) -> None:
        self._zone = service.settings.service.zone
        self._locale = said.language
        self.now = service.clock()

    def when(self, at: datetime) -> str:
        """ "22 Nov 2026 10.05" """
        pattern = (
            "d MMM HH.mm"
            if at.astimezone(self._zone).year == self.now.astimezone(self._zone).year
            else "d MMM y HH.mm"
        )
        return format_datetime(at.astimezone(self._zone), pattern, locale=self._locale)

    def day(self, day: date) -> str:
        """ "22 Nov" """
        return format_date(day, "d MMM", locale=self._locale)

    def hours(self, value: float | None) -> str:
        """ "3,5"; a dash for none"""
        return "–" if value is None else format_decimal(round(value, 1), locale=self._locale)

    def clock(self, at: datetime) -> str:
        return format_datetime(at.astimezone(self._zone), "HH.mm.ss", locale=self._locale)

    def ago(self, at: datetime) -> str:
        """ "3 jam" """
        return format_timedelta(self.now - at, threshold=1.2, format="short", locale=self._locale)

    def iso(self, at: datetime) -> str:
        return at.astimezone(self._zone).isoformat(timespec="seconds")

    def seconds_left(self, until: datetime) -> int:
        return max(0, round((until - self.now) / timedelta(seconds=1)))

    def permille(self, value: float) -> str:
        """A share that one percent more or less matters to: "1,9 %" """
        return format_percent(value, "#,##0.0 %", locale=self._locale)

    def share(self, value: float) -> str:
        return f"{value:.0%}"


def render(
    request: Request,
    service: Service,
    template: str,
    visitor: Visitor | None = None,
    status: int = 200,
    *,
    push: str | None = None,
    **context: Any,
) -> HTMLResponse:
    """The page `template`; `push` is the address that htmx shows for it where it is not the one asked for."""
    said = visitor.words if visitor is not None else words(request.cookies.get("bahasa", ""))
    body = (
        _environment()
        .get_template(template)
        .render(
            t=said,
            f=Formats(service, said),
            told=told_line if said.language == DEFAULT else str,
            visitor=visitor,
            csrf=visitor.csrf if visitor is not None else "",
            roles=tuple(Role),
            boosted="hx-request" in request.headers,
            **context,
        )
    )
    headers = {} if push is None else {"hx-push-url": push}
    return HTMLResponse(body, status, headers)
