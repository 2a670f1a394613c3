"""config.toml and environment overrides as typed settings.

Every key can be overridden by `RESPONDER_SECTION__KEY` (for a mailbox: `RESPONDER_MAILBOXES__NAME__IMAP__HOST`).
Paths are relative to the folder of config.toml. Secrets never stand in config.toml: a password comes from a file,
an environment variable or a systemd credential that config.toml names, or OAuth 2 takes its place.
"""

from __future__ import annotations

import os
import re
import tomllib
from contextvars import ContextVar
from datetime import time
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from pydantic_settings.exceptions import SettingsError

from responder.errors import ConfigError
from responder.paths import shipped
from responder.secret import Secret

ENV_PREFIX = "RESPONDER_"

_root: ContextVar[Path] = ContextVar("config_root", default=Path())
_file: ContextVar[Path | None] = ContextVar("config_file", default=None)

RelativePath = Annotated[Path, AfterValidator(lambda path: (_root.get() / path.expanduser()).resolve())]
"""A path that is relative to the folder of config.toml."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


CredentialName = Annotated[str, Field(pattern=r"^([A-Za-z0-9_-][A-Za-z0-9._-]{0,200})?$")]
"""A name of systemd's LoadCredential=, which is a file name; "" for none."""

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})


def _one_of(**given: object) -> None:
    if len(names := [name for name, value in given.items() if value]) > 1:
        raise ValueError(f"give {names[0]} or {names[1]}, not both")


class OAuth2(_Section):
    """How a mailbox gets tokens to sign in with (RFC 6749) in place of a password; `responder login` gets the first."""

    provider: Literal["google", "microsoft", "custom"]
    client_id: str = Field(min_length=1)
    client_secret_file: RelativePath | None = None
    client_secret_env: str = ""
    client_secret_credential: CredentialName = ""
    tenant: str = Field(default="organizations", pattern=r"^[A-Za-z0-9.-]+$")  # Microsoft's directory
    scopes: tuple[str, ...] = ()  # (): what the provider wants for IMAP and SMTP
    token_file: RelativePath | None = None  # None: oauth2/NAME.json in state.directory
    authorization_url: str = ""  # "": the provider's; the same for the two below
    token_url: str = ""
    device_url: str = ""
    _mailbox: str = PrivateAttr("")

    @field_validator("authorization_url", "token_url", "device_url")
    @classmethod
    def _tokens_travel_over_tls(cls, value: str) -> str:
        if value:
            parts = urlsplit(value)
            if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname == "127.0.0.1"):
                raise ValueError("must start with https:// (http:// is allowed for 127.0.0.1 only)")
        return value

    @model_validator(mode="after")
    def _complete(self) -> Self:
        _one_of(
            client_secret_file=self.client_secret_file,
            client_secret_env=self.client_secret_env,
            client_secret_credential=self.client_secret_credential,
        )
        if self.provider == "custom" and not (self.authorization_url and self.token_url and self.scopes):
            raise ValueError('provider = "custom" needs authorization_url, token_url and scopes')
        return self

    @property
    def mailbox(self) -> str:
        """Name of the mailbox that these settings are for."""
        return self._mailbox

    @property
    def client_secret(self) -> Secret:
        return Secret(
            f"client secret of mailbox {self.mailbox}",
            self.client_secret_file,
            self.client_secret_env,
            self.client_secret_credential,
        )

    def of(self, mailbox: str, state_directory: Path) -> OAuth2:
        """These settings as `mailbox` uses them."""
        default = state_directory / "oauth2" / f"{mailbox}.json"
        own = self.model_copy(update={"token_file": self.token_file or default})
        own._mailbox = mailbox
        return own


class Server(_Section):
    """One IMAP or SMTP server and how to sign in to it."""

    host: str = Field(min_length=1)
    port: int = Field(default=0, ge=0, le=65535)  # 0: the usual port for `security`
    security: Literal["tls", "starttls", "none"] = "tls"
    username: str = ""
    password_file: RelativePath | None = None
    password_env: str = ""
    password_credential: CredentialName = ""
    timeout_seconds: float = Field(default=60, gt=0)
    _oauth2: OAuth2 | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _plain_text_stays_on_this_machine(self) -> Self:
        if self.security == "none" and self.host not in LOOPBACK_HOSTS:
            raise ValueError(f'security = "none" is allowed for a loopback host only, not for {self.host}')
        _one_of(
            password_file=self.password_file,
            password_env=self.password_env,
            password_credential=self.password_credential,
        )
        return self

    @property
    def oauth2(self) -> OAuth2 | None:
        """How to get a token to sign in with; None: sign in with the password."""
        return self._oauth2

    def with_oauth2(self, oauth2: OAuth2) -> Self:
        """This server, signed in to by token, unless it has a password of its own or wants no log-in at all."""
        if not self.username or self.secret.given:
            return self
        own = self.model_copy()
        own._oauth2 = oauth2
        return own

    @property
    def secret(self) -> Secret:
        return Secret(
            f"password of {self.username} at {self.host}",
            self.password_file,
            self.password_env,
            self.password_credential,
        )

    def password(self) -> str:
        """Return the password; "" when none is configured. Raises ConfigError when it cannot be had."""
        return self.secret.read()


class ImapServer(Server):
    @property
    def effective_port(self) -> int:
        return self.port or (993 if self.security == "tls" else 143)


class SmtpServer(Server):
    max_per_connection: int = Field(default=50, ge=1)
    max_connections: int = Field(default=8, ge=1, le=8)  # side by side, with a server that answers slowly
    data_timeout_seconds: float = Field(
        default=600, ge=600
    )  # RFC 5321 4.5.3.2.6: 10 minutes after the final dot

    @property
    def effective_port(self) -> int:
        return self.port or {"tls": 465, "starttls": 587, "none": 25}[self.security]


class Folders(_Section):
    """IMAP folder names; "" = found by SPECIAL-USE (RFC 6154), then by usual names.

    `approved` and `rejected` are made when they are named here and not there.
    """

    inbox: str = "INBOX"
    drafts: str = ""
    sent: str = ""
    approved: str = ""
    rejected: str = ""


def _check_cron(value: str) -> None:
    # Importing APScheduler takes longer than all the rest of reading a configuration.
    from apscheduler.triggers.cron import CronTrigger

    try:
        CronTrigger.from_crontab(value, timezone="UTC")
    except ValueError as error:
        raise ValueError(f"{value!r} is not a cron line: {error}") from None


def _check_address(value: str) -> None:
    if not re.fullmatch(r"[^\s@<>\"]+@[^\s@<>\"]+", value):
        raise ValueError(f"{value!r} is not an email address")


class MailboxConfig(_Section):
    """One mailbox served: who we are to vendors there, and the servers."""

    unit: str = Field(min_length=1)
    address: str
    aliases: tuple[str, ...] = ()
    envelope_from: str = ""  # "": the mailbox itself
    authserv_id: str | None = None
    dkim_selectors: tuple[str, ...] = ()  # for `check`: under which names the provider publishes its keys
    files_sent_itself: bool = False
    plus_addressing: bool = (
        False  # Reply-To with a token, where the provider delivers "address+token" (rule 49)
    )
    content: RelativePath = Field(default_factory=lambda: shipped("content"))
    templates: RelativePath = Field(default_factory=lambda: shipped("templates"))
    imap: ImapServer
    smtp: SmtpServer
    oauth2: OAuth2 | None = None
    folders: Folders = Folders()

    @field_validator("address", "aliases")
    @classmethod
    def _addresses_are_addresses(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for address in (value,) if isinstance(value, str) else value:
            _check_address(address)
        return value.lower() if isinstance(value, str) else tuple(address.lower() for address in value)

    @field_validator("envelope_from")
    @classmethod
    def _bounces_come_back(cls, value: str) -> str:
        if value:
            _check_address(value)
        return value

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]

    @property
    def secret_files(self) -> tuple[Path, ...]:
        """The files that this mailbox's passwords and tokens are in; a change of one may mend a refused sign-in."""
        kept = [self.imap.secret.path, self.smtp.secret.path]
        if self.oauth2 is not None:
            kept += [self.oauth2.client_secret.path, self.oauth2.token_file]
        return tuple(path for path in kept if path is not None)

    def signing_in(self, name: str, state_directory: Path) -> MailboxConfig:
        """This mailbox, called `name`, with its servers knowing whether a token signs in to them."""
        if self.oauth2 is None:
            return self
        oauth2 = self.oauth2.of(name, state_directory)
        servers = {"imap": self.imap.with_oauth2(oauth2), "smtp": self.smtp.with_oauth2(oauth2)}
        return self.model_copy(update={"oauth2": oauth2, **servers})


class State(_Section):
    directory: RelativePath = Path("state")
    secret_key_file: RelativePath = Path("state/secret.key")


class Service(_Section):
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


class Database(_Section):
    url: str = "sqlite:///state/responder.db"

    @field_validator("url")
    @classmethod
    def _known_engine(cls, value: str) -> str:
        if value.startswith("sqlite:///"):
            path = value.removeprefix("sqlite:///")
            if not path or path == ":memory:":
                raise ValueError(
                    "a database in memory forgets everything; give a file: sqlite:///state/responder.db"
                )
            return f"sqlite:///{(_root.get() / path).resolve()}"
        if value.startswith("postgresql+psycopg://"):
            return value
        raise ValueError("must start with sqlite:/// or postgresql+psycopg://")


class Brakes(_Section):
    """Limits on automatic mail (rules 19 to 25)."""

    same_answer_days: int = Field(default=7, ge=1)  # rule 19; RFC 5230 4.2: never below 1
    per_address_day: int = Field(default=10, ge=1)  # rule 23
    per_domain_day: int = Field(default=50, ge=1)  # rule 23
    per_hour: int = Field(default=200, ge=1)  # rule 22


LEAST_AUDITED = 0.05
"""Share of blind audits below which a topic that answers by itself would be judged by too few mails."""


class Policy(_Section):
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


class Schedule(_Section):
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


class Alarms(_Section):
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
        _one_of(urls_file=self.urls_file, urls_env=self.urls_env, urls_credential=self.urls_credential)
        return self

    @property
    def urls(self) -> Secret:
        return Secret("addresses of [alarms]", self.urls_file, self.urls_env, self.urls_credential)


Days = Annotated[int, Field(ge=0, le=36525)]
"""A period of retention; 0 keeps for ever."""


class Retention(_Section):
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


class Backup(_Section):
    directory: RelativePath | None = None  # None: backups in state.directory
    keep: int = Field(default=14, ge=1)  # newest ones


class Links(_Section):
    """Visits to the links of answers (rule 28a)."""

    control_url: str = "https://example.com/"  # must answer before any link counts as failing
    timeout_seconds: float = Field(default=15, gt=0, le=120)


class Limits(_Section):
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


class Web(_Section):
    """The staff pages: where they listen, as which address browsers know them, how long a log-in lasts."""

    enabled: bool = True  # `responder run` serves them too; `responder web` always does
    listen: str = "127.0.0.1:8080"
    base_url: str = ""  # as browsers see it, "https://petugas.lpse.example"; "": only this machine uses them
    behind_proxy: bool = False  # believe the last X-Forwarded-For for the client's address
    tls_certificate_file: RelativePath | None = None
    tls_key_file: RelativePath | None = None
    session_idle_minutes: int = Field(default=60, ge=1, le=24 * 60)
    session_hours: int = Field(default=12, ge=1, le=7 * 24)
    body_bytes: int = Field(default=1024 * 1024, ge=64 * 1024)

    @field_validator("listen")
    @classmethod
    def _host_and_port(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65535:
            raise ValueError(f'{value!r} is not HOST:PORT (example: "127.0.0.1:8080")')
        return value

    @field_validator("base_url")
    @classmethod
    def _origin_only(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in {"http", "https"} or not parts.hostname or parts.path.strip("/")):
            raise ValueError('must be scheme and host only (example: "https://petugas.lpse.example")')
        if parts.scheme == "http" and parts.hostname not in LOOPBACK_HOSTS:
            raise ValueError("log-ins travel over https only; http:// is allowed for this machine")
        return value.rstrip("/").lower()

    @model_validator(mode="after")
    def _others_come_over_tls(self) -> Self:
        if self.host not in LOOPBACK_HOSTS and not self.base_url:
            raise ValueError(f'listen = "{self.listen}" is reached by others: give base_url = "https://…"')
        if (self.tls_certificate_file is None) != (self.tls_key_file is None):
            raise ValueError("give tls_certificate_file and tls_key_file, or neither")
        return self

    @property
    def host(self) -> str:
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        return int(self.listen.rpartition(":")[2])

    @property
    def secure(self) -> bool:
        """Whether browsers come over TLS, our own or a proxy's."""
        return self.base_url.startswith("https://") or self.tls_certificate_file is not None


class Logging(_Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["console", "json"] = "console"


class Settings(BaseSettings):
    """All of config.toml."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True, validate_default=True
    )

    state: State = Field(default_factory=State)
    mailboxes: dict[str, MailboxConfig] = Field(min_length=1)  # after `state`, where their tokens are kept
    service: Service = Field(default_factory=Service)
    database: Database = Field(default_factory=Database)
    policy: Policy = Field(default_factory=Policy)
    schedule: Schedule = Field(default_factory=Schedule)
    alarms: Alarms = Field(default_factory=Alarms)
    links: Links = Field(default_factory=Links)
    retention: Retention = Field(default_factory=Retention)
    backup: Backup = Field(default_factory=Backup)
    limits: Limits = Field(default_factory=Limits)
    web: Web = Field(default_factory=Web)
    logging: Logging = Field(default_factory=Logging)
    _file: Path = PrivateAttr(default_factory=lambda: _file.get() or Path())

    @field_validator("mailboxes")
    @classmethod
    def _names_fit_environment_variables(
        cls, value: dict[str, MailboxConfig], info: ValidationInfo
    ) -> dict[str, MailboxConfig]:
        for name in value:
            if not re.fullmatch(r"[a-z0-9_]{1,40}", name):
                raise ValueError(f"mailbox name {name!r}: use lower-case letters, digits and _ only")
        # A `state` that is wrong is missing here; its own message is the one that counts.
        directory = info.data["state"].directory if "state" in info.data else Path()
        return {name: mailbox.signing_in(name, directory) for name, mailbox in value.items()}

    @property
    def file(self) -> Path:
        """The config.toml that these settings were read from."""
        return self._file

    @property
    def backups(self) -> Path:
        """Where backups are kept."""
        return self.backup.directory or self.state.directory / "backups"

    @property
    def own_addresses(self) -> frozenset[str]:
        """Every address of this installation (rule 9)."""
        return frozenset(
            address for mailbox in self.mailboxes.values() for address in (mailbox.address, *mailbox.aliases)
        )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, TomlConfigSettingsSource(settings_cls, toml_file=_file.get())


def load(path: Path) -> Settings:
    """Read config.toml at `path` with the environment over it.

    Raises ConfigError: one line a problem, each naming the key, the file's line where it can, and what is wrong.
    """
    path = path.resolve()
    try:
        text = path.read_text(encoding="utf-8")
        tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the configuration: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error
    root, file = _root.set(path.parent), _file.set(path)
    try:
        return Settings()  # type: ignore[call-arg]  # the sources give `mailboxes`
    except SettingsError as error:
        raise ConfigError(f"{path}: environment override: {error}") from error
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(path, text, problem) for problem in error.errors())) from None
    finally:
        _root.reset(root)
        _file.reset(file)


def _explain(path: Path, text: str, problem: object) -> str:
    assert isinstance(problem, dict)
    location = tuple(str(part) for part in problem["loc"])
    key = ".".join(location) or "configuration"
    message = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        message = "unknown key"
    variable = ENV_PREFIX + "__".join(location).upper()
    if variable in os.environ:
        return f"{variable} (environment): {key}: {message}"
    line = _line_of(text, location)
    return f"{path}{f':{line}' if line else ''}: {key}: {message}"


def _line_of(text: str, location: tuple[str, ...]) -> int | None:
    """Line of the assignment or table header that `location` names; of its nearest parent if it has no own line."""
    table: tuple[str, ...] = ()
    found: dict[tuple[str, ...], int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[+\s*([^\]]+?)\s*\]+", line):
            table = tuple(part.strip().strip("\"'") for part in header[1].split("."))
            found.setdefault(table, number)
        elif assignment := re.match(r"\s*([\w.\"'-]+)\s*=", line):
            found.setdefault((*table, *(part.strip("\"'") for part in assignment[1].split("."))), number)
    for length in range(len(location), 0, -1):
        if location[:length] in found:
            return found[location[:length]]
    return None
