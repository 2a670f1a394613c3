"""Working days and hours of an Indonesian office."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest

from responder.config import Service
from responder.upkeep.workdays import is_working_day, working_hours

SERVICE = Service()
JAKARTA = ZoneInfo("Asia/Jakarta")


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (date(2025, 3, 3), True),
        (date(2025, 3, 1), False),  # a Saturday
        (date(2025, 3, 31), False),  # Idulfitri
        (date(2025, 4, 2), False),  # cuti bersama after Idulfitri
        (date(2025, 8, 17), False),
        (date(2025, 12, 26), False),  # cuti bersama after Christmas
    ],
)
def test_offices_are_closed_on_weekends_holidays_and_cuti_bersama(day: date, expected: bool) -> None:
    assert is_working_day(day) is expected


@pytest.mark.parametrize(
    ("since", "until", "hours"),
    [
        ("2025-03-03 09:00", "2025-03-03 11:30", 2.5),
        ("2025-02-28 15:00", "2025-03-03 09:00", 2),  # over a weekend
        ("2025-03-03 18:00", "2025-03-04 07:00", 0),
        ("2025-03-03 06:00", "2025-03-03 20:00", 8),
        ("2025-03-03 12:00", "2025-03-03 11:00", 0),
    ],
)
def test_hours_count_while_the_office_is_open(since: str, until: str, hours: float) -> None:
    def at(text: str) -> datetime:
        return datetime.fromisoformat(text).replace(tzinfo=JAKARTA)

    assert working_hours(at(since), at(until), SERVICE) == hours
