"""What runs beside the mail: jobs and their times, alarms, links, how long things are kept."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from responder.config.fields import CredentialName, RelativePath, Section, one_of
from responder.secret import Secret


class Schedule(Section):
    """When jobs run: an interval in seconds, a cron line in the service's time zone, or "" for never."""

    poll: int | str = 60
    idle: bool = True  # IMAP IDLE between the rounds, where the server has it (RFC 2177)
    outbox: int | str = 2  # looks for approved replies whose undo window is over
    filing: int | str = 60  # looks for replies to be filed in Sent again after a refusal
    reconcile: int | str = 3600
    alarms: int | str = 30
    digest: int | str = "30 7 * * *"  # on working days only
    links: int | str = "20 */6 * * *"
    retention: int | str = "15 2 * * *"
    backup: int | str = "45 1 * * *"
    retrain: int | str = "0 3 * * *"
    autonomy: int | str = 60  # takes topics back to review whose proof no longer holds

    @field_validator("*")
    @classmethod
    def _a_time(cls, value: int | str | bool, info: ValidationInfo) -> int | str | bool:
        if isinstance(value, bool) or value == cls.model_fields[info.field_name or ""].default:
            return value
        if isinstance(value, int):
            if value < 1:
                raise ValueError("an interval is at least 1 second")
        elif value:
            _check_cron(value)
        return value

    @field_validator("poll")
    @classmethod
    def _always(cls, value: int | str) -> int | str:
        if value == "":
            raise ValueError("mail must be fetched: give an interval in seconds or a cron line")
        return value


def _check_cron(value: str) -> None:
    # Importing APScheduler takes longer than all the rest of reading a configuration.
    from apscheduler.triggers.cron import CronTrigger

    try:
        CronTrigger.from_crontab(value, timezone="UTC")
    except ValueError as error:
        raise ValueError(f"{value!r} is not a cron line: {error}") from None


class Alarms(Section):
    """What people are told of, and by which way; see `upkeep/alarms.py`."""

    urls_file: RelativePath | None = None  # one apprise address a line: they hold passwords
    urls_env: str = ""
    urls_credential: CredentialName = ""
    digest: bool = True  # the daily summary goes the same way
    poll_minutes: float = Field(default=15, gt=0)  # since the last good round of a mailbox
    unsent_minutes: float = Field(default=30, gt=0)  # since a reply was due
    unapproved_hours: float = Field(default=8, gt=0)  # working hours that a ticket waits for staff
    disk_free_mb: int = Field(default=500, ge=0)

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        one_of(urls_file=self.urls_file, urls_env=self.urls_env, urls_credential=self.urls_credential)
        return self

    @property
    def urls(self) -> Secret:
        return Secret("addresses of [alarms]", self.urls_file, self.urls_env, self.urls_credential)


Days = Annotated[int, Field(ge=0, le=36525)]
"""A period of retention; 0 keeps for ever."""


class Retention(Section):
    """For how long content is kept; see docs/privasi.md. Rows of the ledger, states and counts stay in any case."""

    raw_days: Days = 180  # bytes of mails with their attachments, after the ticket ended
    tickets_days: Days = 730  # text and people of a ticket and of its replies, after it ended
    ignored_days: Days = 90  # machine mail without a ticket, and quarantined mail that a person set aside
    edits_days: Days = 30  # what staff typed and did not hand in, after the ticket ended
    training_days: Days = 1095  # masked text of erased tickets that staff's decisions teach with
    events_days: Days = 1825  # what events of the installation say about people
    address_notes_days: Days = (
        730  # addresses without automatic mail; they become pseudonyms that go on stopping it
    )
    log_ins_days: Days = 30  # ended sessions and failed log-ins, with network addresses


class Backup(Section):
    directory: RelativePath | None = None  # None: backups in state.directory
    keep: int = Field(default=14, ge=1)  # newest ones


class Links(Section):
    """Visits to the links of answers (rule 28a)."""

    control_url: str = "https://example.com/"  # must answer before any link counts as failing
    timeout_seconds: float = Field(default=15, gt=0, le=120)
