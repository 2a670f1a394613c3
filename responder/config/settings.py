"""All of config.toml, and where it is kept and logged."""

from __future__ import annotations

import re
from contextvars import ContextVar
from pathlib import Path
from typing import Literal

from pydantic import Field, PrivateAttr, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from responder.config.fields import RelativePath, Section, root
from responder.config.mailbox import MailboxConfig
from responder.config.policy import Limits, Policy, Service
from responder.config.upkeep import Alarms, Backup, Links, Retention, Schedule
from responder.config.web import Web

ENV_PREFIX = "RESPONDER_"

being_read: ContextVar[Path | None] = ContextVar("config_file", default=None)
"""The config.toml that is being read."""


class State(Section):
    directory: RelativePath = Path("state")
    secret_key_file: RelativePath = Path("state/secret.key")


class Database(Section):
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
            return f"sqlite:///{(root.get() / path).resolve()}"
        if value.startswith("postgresql+psycopg://"):
            return value
        raise ValueError("must start with sqlite:/// or postgresql+psycopg://")


class Logging(Section):
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
    _file: Path = PrivateAttr(default_factory=lambda: being_read.get() or Path())

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
        return env_settings, TomlConfigSettingsSource(settings_cls, toml_file=being_read.get())
