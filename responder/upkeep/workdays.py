"""Working days and hours of an Indonesian office: no weekends, no public holidays, no cuti bersama."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import lru_cache

import holidays

from responder.config import Service

SATURDAY = 5  # date.weekday()

LONGEST = timedelta(days=366)
"""Working hours are counted over this long at most; what waited longer has waited long enough."""


@lru_cache(maxsize=1024)
def is_working_day(day: date) -> bool:
    """Whether offices work on `day`; the days of cuti bersama are known once the government has set them."""
    return day.weekday() < SATURDAY and day not in _holidays(day.year)


def working_hours(since: datetime, until: datetime, service: Service) -> float:
    """Return the hours of service between two times, as `[service]` says when the office opens and closes."""
    zone = service.zone
    since, until = since.astimezone(zone), until.astimezone(zone)
    day = max(since, until - LONGEST).date()
    total = timedelta()
    while day <= until.date():
        if is_working_day(day):
            opens = datetime.combine(day, service.opens, zone)
            closes = datetime.combine(day, service.closes, zone)
            total += max(min(closes, until) - max(opens, since), timedelta())
        day += timedelta(days=1)
    return total / timedelta(hours=1)


@lru_cache(maxsize=8)
def _holidays(year: int) -> holidays.HolidayBase:
    return holidays.country_holidays(
        "ID", years=year, expand=False, categories=(holidays.PUBLIC, holidays.GOVERNMENT)
    )
