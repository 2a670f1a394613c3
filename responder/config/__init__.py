"""config.toml and environment overrides as typed settings.

Every key can be overridden by `RESPONDER_SECTION__KEY` (for a mailbox: `RESPONDER_MAILBOXES__NAME__IMAP__HOST`).
Paths are relative to the folder of config.toml. Secrets never stand in config.toml: a password comes from a file,
an environment variable or a systemd credential that config.toml names, or OAuth 2 takes its place.
"""

from responder.config.fields import LOOPBACK_HOSTS
from responder.config.mailbox import Folders, MailboxConfig
from responder.config.policy import Limits, Policy, Service
from responder.config.reading import load
from responder.config.servers import ImapServer, OAuth2, Server, SmtpServer
from responder.config.settings import Logging, Settings
from responder.config.upkeep import Alarms, Retention, Schedule
from responder.config.web import Web

__all__ = [
    "LOOPBACK_HOSTS",
    "Alarms",
    "Folders",
    "ImapServer",
    "Limits",
    "Logging",
    "MailboxConfig",
    "OAuth2",
    "Policy",
    "Retention",
    "Schedule",
    "Server",
    "Service",
    "Settings",
    "SmtpServer",
    "Web",
    "load",
]
