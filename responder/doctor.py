"""`responder check`: is everything there that answering mail needs? Each finding says what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from responder.config import MailboxConfig, Settings, load
from responder.errors import ResponderError
from responder.knowledge.finding import Severity
from responder.knowledge.lint import lint
from responder.mail import dns_records, oauth
from responder.mail.imap import ImapSession
from responder.mail.smtp import SmtpSession
from responder.pipeline.office import Office, read_key
from responder.tickets import switches
from responder.tickets.database import Database


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: `state` is ok, note (works, but look at it) or failed."""

    check: str
    state: str
    message: str


def examine(path: Path, now: datetime) -> list[Finding]:
    """Run every check on the configuration at `path`; a failed one does not stop those that can still run."""
    try:
        settings = load(path)
    except ResponderError as error:
        return [Finding("configuration", "failed", line) for line in str(error).splitlines()]
    found = [Finding("configuration", "ok", f"{path}: {len(settings.mailboxes)} mailboxes")]
    found += _guarded("secret key", lambda: [_key(settings)])
    found += _guarded("database", lambda: _database(settings))
    for name, mailbox in settings.mailboxes.items():
        found += _guarded(f"{name}: content", partial(_content, settings, name, mailbox, now))
        found += _guarded(f"{name}: sign-in", partial(_sign_in, settings, name, mailbox, now))
        found += _guarded(f"{name}: IMAP", partial(_imap, name, mailbox))
        found += _guarded(f"{name}: SMTP", partial(_smtp, name, mailbox))
        found += _sending_domain(name, mailbox)
        if mailbox.authserv_id is None:
            text = "authserv_id is not set: every sender counts as unauthenticated, nothing is answered by itself"
            found.append(Finding(f"{name}: authentication", "note", text))
    return found


def _guarded(check: str, run: Callable[[], Iterable[Finding]]) -> list[Finding]:
    try:
        return list(run())
    except ResponderError as error:
        return [Finding(check, "failed", str(error))]


def _key(settings: Settings) -> Finding:
    path = settings.state.secret_key_file
    read_key(path)
    if path.stat().st_mode & 0o077:
        return Finding("secret key", "failed", f"{path} can be read by others; run: chmod 600 {path}")
    return Finding("secret key", "ok", str(path))


def _database(settings: Settings) -> list[Finding]:
    database = Database(settings.database.url)
    try:
        database.migrate()
        with database.read() as connection:
            state = switches.arming(connection)
    finally:
        database.close()
    armed = "armed" if state.armed else "not armed: nothing is sent until `responder arm`"
    found = [Finding("database", "ok", "schema is current")]
    found.append(Finding("sending", "ok" if state.armed else "note", armed))
    if state.breaker:
        text = f"automatic sending is stopped: {state.breaker}; `responder arm` resets it"
        found.append(Finding("sending", "note", text))
    return found


def _content(settings: Settings, name: str, mailbox: MailboxConfig, now: datetime) -> list[Finding]:
    today = now.astimezone(settings.service.zone).date()
    office = Office(name, mailbox, settings, b"")
    findings = lint(mailbox.content, today)
    found = [
        Finding(f"{name}: content", "failed", str(one)) for one in findings if one.severity is Severity.ERROR
    ]
    if found:
        return found
    for topic in office.topics.values():
        office.renderer.preview(topic, office.text, today)
    blocked = [slug for slug, topic in office.topics.items() if topic.problems(today)]
    found.append(Finding(f"{name}: content", "ok", f"{len(office.topics)} topics, templates render"))
    if blocked:
        text = f"never sent automatically until settled (`responder content lint`): {', '.join(blocked)}"
        found.append(Finding(f"{name}: content", "note", text))
    return found


def _sign_in(settings: Settings, name: str, mailbox: MailboxConfig, now: datetime) -> Iterator[Finding]:
    """What is kept on disk for signing in: readable by nobody else, and a token that can still be renewed."""
    check = f"{name}: sign-in"
    token_file = mailbox.oauth2.token_file if mailbox.oauth2 else None
    for path in mailbox.secret_files:
        if path.exists() and path.stat().st_mode & 0o077:
            # Containers mount secrets readable; a token file is made by us, 0600.
            state = "failed" if path == token_file else "note"
            yield Finding(check, state, f"{path} can be read by others; run: chmod 600 {path}")
    if mailbox.oauth2 is None:
        return
    token = oauth.present(mailbox.oauth2)
    until = datetime.fromtimestamp(token.expires_at, settings.service.zone)
    state = (
        f"access token until {until:%Y-%m-%d %H:%M}" if until > now else "access token over, to be renewed"
    )
    yield Finding(
        check, "ok", f"signed in by {mailbox.oauth2.provider}; {state}; scopes: {token.scope or '-'}"
    )
    if token.ends_at:
        end = datetime.fromtimestamp(token.ends_at, settings.service.zone)
        text = f"the provider ends this sign-in at {end:%Y-%m-%d %H:%M}; run `responder login {name}` before"
        yield Finding(check, "note", text)


def _imap(name: str, mailbox: MailboxConfig) -> Iterator[Finding]:
    check = f"{name}: IMAP"
    with ImapSession.connect(
        mailbox.imap, password=mailbox.imap.password(), folders=mailbox.folders
    ) as session:
        state = session.select(mailbox.folders.inbox, readonly=True)
        if not session.can_idle:
            yield Finding(check, "note", "the server has no IDLE: mail is fetched on the schedule only")
        yield Finding(check, "ok", f"signed in, {mailbox.folders.inbox} holds {state.exists} mails")
        for role in ("drafts", "sent"):
            folder = session.find_folder(role)
            if folder is None:
                yield Finding(
                    check, "note", f"no {role} folder found; name it as folders.{role} in config.toml"
                )
            else:
                yield Finding(check, "ok", f"{role} folder is {folder}")


def _smtp(name: str, mailbox: MailboxConfig) -> Iterator[Finding]:
    SmtpSession.connect(mailbox.smtp, mailbox.smtp.password()).close()
    yield Finding(f"{name}: SMTP", "ok", "signed in")


def _sending_domain(name: str, mailbox: MailboxConfig) -> list[Finding]:
    """What the DNS says about mail of this mailbox (rule 46): never a failure, as others publish it."""
    check = f"{name}: DNS"
    envelope = (mailbox.envelope_from or mailbox.address).rpartition("@")[2]
    try:
        records = dns_records.published(mailbox.domain, envelope, mailbox.dkim_selectors)
    except dns_records.NoAnswer as error:
        return [Finding(check, "note", f"could not ask the DNS about SPF, DKIM and DMARC: {error}")]
    found = [Finding(check, "ok" if one.good else "note", f"{one.what}: {one.message}") for one in records]
    if not mailbox.dkim_selectors and records:
        text = f"DKIM: not looked up; name the provider's selectors as mailboxes.{name}.dkim_selectors"
        found.append(Finding(check, "note", text))
    return found
