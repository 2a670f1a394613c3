"""A mailbox served: addresses, folders, servers, and where its content is."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import Field, field_validator

from responder.config.fields import RelativePath, Section
from responder.config.servers import ImapServer, OAuth2, SmtpServer
from responder.paths import shipped


class Folders(Section):
    """IMAP folder names; "" = found by SPECIAL-USE (RFC 6154), then by usual names.

    `approved` and `rejected` are made when they are named here and not there.
    """

    inbox: str = "INBOX"
    drafts: str = ""
    sent: str = ""
    approved: str = ""
    rejected: str = ""


class MailboxConfig(Section):
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
            check_address(address)
        return value.lower() if isinstance(value, str) else tuple(address.lower() for address in value)

    @field_validator("envelope_from")
    @classmethod
    def _bounces_come_back(cls, value: str) -> str:
        if value:
            check_address(value)
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


def check_address(value: str) -> None:
    if not re.fullmatch(r"[^\s@<>\"]+@[^\s@<>\"]+", value):
        raise ValueError(f"{value!r} is not an email address")
