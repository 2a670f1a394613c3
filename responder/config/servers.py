"""IMAP and SMTP servers, and how to sign in to them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, PrivateAttr, field_validator, model_validator

from responder.config.fields import LOOPBACK_HOSTS, CredentialName, RelativePath, Section, one_of
from responder.secret import Secret


class OAuth2(Section):
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
        one_of(
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


class Server(Section):
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
        one_of(
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
