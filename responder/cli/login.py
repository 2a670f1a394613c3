"""`responder login`: a person allows access to a mailbox that is signed in to by token."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from responder.cli.common import DEFAULT_CONFIG, ConfigOption, say, settings
from responder.errors import ConfigError

if TYPE_CHECKING:
    from responder.config import MailboxConfig, OAuth2, Settings
    from responder.mail.oauth_exchange import DeviceCode, Grant


def add_to(app: typer.Typer) -> None:
    app.command()(login)


def login(
    mailbox: Annotated[str, typer.Argument(help="Which mailbox; needed when several sign in by token.")] = "",
    config: ConfigOption = DEFAULT_CONFIG,
    device: Annotated[
        bool, typer.Option("--device", help="By a code on another device (Microsoft).")
    ] = False,
    browser: Annotated[bool, typer.Option("--browser", help="Open the browser of this machine.")] = False,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Where the browser comes back to; 0: any free port.")
    ] = 0,
) -> None:
    """Sign in to a mailbox by OAuth 2 and keep the token; a running daemon goes on with it by itself."""
    from responder.mail import oauth, oauth_login

    options = settings(config)
    served, oauth2 = _chosen(options, mailbox)
    _refuse_root(options.state.directory)
    if device:
        grant = oauth_login.by_device(oauth2, _show_code)
    else:
        grant = _by_browser(oauth2, served.imap.username, port=port, browser=browser)
    token = oauth.keep(oauth2, grant)
    until = datetime.fromtimestamp(token.expires_at, options.service.zone)
    say(f"token kept in {oauth2.token_file}; renewed by itself before {until:%H:%M}")
    _try(served)


def _chosen(options: Settings, name: str) -> tuple[MailboxConfig, OAuth2]:
    by_token = [name for name, mailbox in options.mailboxes.items() if mailbox.oauth2]
    if name and name not in options.mailboxes:
        raise ConfigError(f"{name}: there is no such mailbox; there are {', '.join(options.mailboxes)}")
    if name and name not in by_token:
        raise ConfigError(f"{name}: signs in with a password; there is no [mailboxes.{name}.oauth2]")
    if not by_token:
        raise ConfigError("no mailbox has an [mailboxes.NAME.oauth2] table; docs/gmail.md shows one")
    if not name and len(by_token) > 1:
        raise ConfigError(f"which mailbox? {', '.join(by_token)}")
    mailbox = options.mailboxes[name or by_token[0]]
    assert mailbox.oauth2 is not None
    return mailbox, mailbox.oauth2


def _refuse_root(directory: Path) -> None:
    """A token that root keeps, 0600, cannot be read by a service that runs as another user."""
    if os.geteuid() != 0 or not directory.exists() or directory.stat().st_uid == 0:
        return
    owner = f"#{directory.stat().st_uid}"
    with suppress(KeyError):
        owner = directory.owner()
    raise ConfigError(
        f"{directory} belongs to user {owner}; run this as that user: sudo -u {owner} responder login"
    )


def _by_browser(oauth2: OAuth2, username: str, *, port: int, browser: bool) -> Grant:
    from responder.mail import oauth_login

    def show(url: str) -> None:
        say(f"Open this address in a browser on this machine and sign in as {username}:")
        say()
        say(url)
        say()
        sys.stdout.flush()
        if browser:
            import webbrowser

            webbrowser.open(url)

    return oauth_login.by_browser(oauth2, username, show, port=port)


def _show_code(device: DeviceCode) -> None:
    say(f"On any device open {device.verification_url} and enter {device.user_code}")
    sys.stdout.flush()


def _try(served: MailboxConfig) -> None:
    """Sign in to both servers: most often it fails because the browser was signed in as somebody else."""
    from responder.mail.imap import ImapSession
    from responder.mail.smtp import SmtpSession

    ImapSession.connect(served.imap, password=served.imap.password(), folders=served.folders).close()
    say(f"IMAP: signed in as {served.imap.username}")
    SmtpSession.connect(served.smtp, served.smtp.password()).close()
    say(f"SMTP: signed in as {served.smtp.username}" if served.smtp.username else "SMTP: needs no log-in")
