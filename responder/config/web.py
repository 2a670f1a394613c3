"""The staff pages."""

from __future__ import annotations

from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from responder.config.fields import LOOPBACK_HOSTS, RelativePath, Section


class Web(Section):
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
