"""What is answered when: the office and its hours, what may leave without a person, limits."""

from __future__ import annotations

from datetime import time
from typing import Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from responder.config.fields import Section


class Service(Section):
    """What vendors are told about the office, and how it counts time."""

    time_zone: str = "Asia/Jakarta"
    days: str = Field(default="Senin-Jumat", min_length=1)  # service days, as vendors read them
    opens: time = time(8, 0)
    closes: time = time(16, 0)

    @field_validator("time_zone")
    @classmethod
    def _zone_exists(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"unknown time zone {value!r} (example: Asia/Jakarta)") from None
        return value

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)


class Brakes(Section):
    """Limits on automatic mail (rules 19 to 25)."""

    same_answer_days: int = Field(default=7, ge=1)  # rule 19; RFC 5230 4.2: never below 1
    per_address_day: int = Field(default=10, ge=1)  # rule 23
    per_domain_day: int = Field(default=50, ge=1)  # rule 23
    per_hour: int = Field(default=200, ge=1)  # rule 22


LEAST_AUDITED = 0.05
"""Share of blind audits below which a topic that answers by itself would be judged by too few mails."""


class Policy(Section):
    mode: Literal["review", "auto"] = "review"
    target_error: float = Field(default=0.02, gt=0, lt=0.5)
    acknowledge: bool = False
    undo_seconds: int = Field(default=60, ge=0, le=3600)
    max_age_hours: float = Field(default=24, gt=0)  # rule 16
    precedence_bulk: bool = False  # rule 30
    require_evidence: bool = True  # a topic answers by itself only after staff's verdicts have proved it
    audit_share: float = Field(default=0.07, ge=0, le=0.5)  # of sure mails: staff choose before they see ours
    brakes: Brakes = Brakes()

    @model_validator(mode="after")
    def _evidence_goes_on(self) -> Self:
        if self.require_evidence and self.audit_share < LEAST_AUDITED:
            raise ValueError(
                f"audit_share is at least {LEAST_AUDITED} while require_evidence is true: "
                "a topic that answers by itself is proved by audits alone"
            )
        return self


class Limits(Section):
    message_bytes: int = Field(default=32 * 1024 * 1024, ge=64 * 1024)
    raw_kept_bytes: int = Field(default=256 * 1024, ge=64 * 1024)  # whole raw mail kept up to this
    batch: int = Field(default=50, ge=1, le=500)  # mails per intake commit

    @model_validator(mode="after")
    def _what_is_kept_is_taken(self) -> Self:
        if self.raw_kept_bytes > self.message_bytes:
            raise ValueError(
                "raw_kept_bytes is more than message_bytes: a mail over the limit would be taken whole"
            )
        return self
