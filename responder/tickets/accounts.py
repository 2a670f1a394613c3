"""Accounts of staff: passwords, log-ins with their throttling, sessions that the server can end."""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from ipaddress import IPv6Address, ip_address
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection, Row, case, delete, func, insert, select, update

from responder.errors import Refused
from responder.refusal import Refusal
from responder.tickets import audit, switches
from responder.tickets.database import Database
from responder.tickets.models_staff import LoginAttempts, Role, Session, User

SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 200  # characters; more is no password, only work
LANGUAGES = ("id", "en")

FREE_FAILURES = {"account": 5, "address": 20}
"""Failed log-ins in a row before the first delay. Many people may share an address (one office, one proxy)."""

LONGEST_DELAY = timedelta(minutes=5)
"""Delays double up to this and never become a lock-out: nobody can shut an officer out by failing in his name."""

FAILURES_FORGOTTEN = timedelta(hours=24)
EXPIRED_KEPT = timedelta(days=7)
"""An expired session is still recognised for so long, so that what was typed in it finds its owner."""

SEEN_EVERY = timedelta(minutes=1)
"""How exactly the idle time is known; a write with every request would be dear."""

OF_ACCOUNT = (User.id.label("user_id"), User.name, User.full_name, User.role, User.language)
"""What is read of the account with each session or token of its own."""

_NAME = re.compile(r"[a-z][a-z0-9._-]{1,58}[a-z0-9]")
_ROLES = tuple(Role)
# Argon2 takes 64 MiB for each: two at a time bound what a crowd of log-ins can cost.
_hashing = threading.BoundedSemaphore(2)
_hasher = PasswordHasher()


@dataclass(frozen=True, slots=True)
class Opened:
    """A session that begins; the token is for the browser and is kept nowhere else."""

    token: str
    user_id: int
    language: str


@dataclass(frozen=True, slots=True)
class Denied:
    """Name or password is wrong (`wait` is zero), or attempts come too fast and nothing was looked at."""

    wait: timedelta = timedelta()


def may(role: Role, needed: Role) -> bool:
    """Whether `role` includes what `needed` may do."""
    return _ROLES.index(role) >= _ROLES.index(needed)


def add(
    connection: Connection,
    name: str,
    role: Role,
    password: str,
    actor: str,
    now: datetime,
    *,
    full_name: str = "",
    language: str = "id",
) -> int:
    """Make an account and return its id. Raises Refused for a name in use or unfit, or too weak a password."""
    name = name.strip().lower()
    if not _NAME.fullmatch(name):
        raise Refused(Refusal.BAD_NAME, name=name)
    if by_name(connection, name) is not None:
        raise Refused(Refusal.NAME_TAKEN, name=name)
    _check_password(password, name)
    user_id = connection.execute(
        insert(User)
        .values(
            name=name,
            full_name=full_name.strip(),
            role=role,
            password_hash=_hash(password),
            language=language,
            created_at=now,
            password_set_at=now,
        )
        .returning(User.id)
    ).scalar_one()
    _record(connection, actor, "account_added", {"account": name, "role": role.value}, now)
    return user_id


def set_password(connection: Connection, name: str, password: str, actor: str, now: datetime) -> None:
    """Give an account another password and end its sessions. Raises Refused."""
    user = _existing(connection, name)
    _check_password(password, user.name)
    _change(connection, user.id, password_hash=_hash(password), password_set_at=now)
    end_all(connection, user.id)
    connection.execute(delete(LoginAttempts).where(LoginAttempts.key == _account_key(user.name)))
    _record(connection, actor, "password_set", {"account": user.name}, now)


def set_role(connection: Connection, name: str, role: Role, actor: str, now: datetime) -> None:
    """Give an account another role. Raises Refused when no admin would be left."""
    user = _existing(connection, name)
    if role is not Role.ADMIN:
        _keep_an_admin(connection, user)
    _change(connection, user.id, role=role)
    _record(connection, actor, "role_set", {"account": user.name, "role": role.value}, now)


def set_active(connection: Connection, name: str, active: bool, actor: str, now: datetime) -> None:
    """Switch an account on or off; off ends its sessions. Raises Refused when no admin would be left."""
    user = _existing(connection, name)
    if not active:
        _keep_an_admin(connection, user)
        end_all(connection, user.id)
    _change(connection, user.id, active=active)
    _record(connection, actor, "account_on" if active else "account_off", {"account": user.name}, now)


def set_language(connection: Connection, user_id: int, language: str) -> None:
    """The language of the pages. Raises Refused for one that there is not."""
    if language not in LANGUAGES:
        raise Refused(Refusal.NO_LANGUAGE, language=language, known=", ".join(LANGUAGES))
    _change(connection, user_id, language=language)


def listed(connection: Connection) -> Sequence[Row[Any]]:
    """Every account by name, without the password's hash."""
    columns = [column for column in User.__table__.columns if column.name != "password_hash"]
    return connection.execute(select(*columns).order_by(User.name)).all()


def by_name(connection: Connection, name: str) -> Row[Any] | None:
    return connection.execute(select(User.__table__).where(User.name == name.strip().lower())).first()


def ask_again(database: Database, user_id: int, name: str, password: str, now: datetime) -> Denied | None:
    """Ask whoever is logged in for the account's password before it is changed; None when it fits.

    Guesses are counted like log-ins, but apart from them: who holds a stolen session must not slow the owner down.
    """
    keys = {"account": f"again:{name}"}
    with database.begin() as connection:
        if wait := _wait(connection, keys, now):
            return Denied(wait)
        _count(connection, keys["account"], now)
        kept = connection.scalar(select(User.password_hash).where(User.id == user_id))
    if not _verify(kept or _nobody(), password):
        return Denied()
    with database.begin() as connection:
        connection.execute(delete(LoginAttempts).where(LoginAttempts.key == keys["account"]))
    return None


def log_in(
    database: Database, name: str, password: str, address: str, agent: str, now: datetime, lasts: timedelta
) -> Opened | Denied:
    """Begin a session for the right password. An unknown name takes as long to refuse as a wrong password.

    Each attempt is counted before it is looked at, so that many at once are no way around the throttle.
    """
    name = name.strip().lower()[:60]
    keys = {"account": _account_key(name), "address": f"address:{_network(address)}"}
    with database.begin() as connection:
        if wait := _wait(connection, keys, now):
            return Denied(wait)
        for key in keys.values():
            _count(connection, key, now)
        user = by_name(connection, name)
    usable = user is not None and user.active
    fits = _verify(user.password_hash if usable and user is not None else _nobody(), password)
    if not fits or user is None or not usable:
        return Denied()
    token = secrets.token_urlsafe(32)
    with database.begin() as connection:
        _forget_own_attempt(connection, keys)
        _sweep(connection, now)
        if _hasher.check_needs_rehash(user.password_hash):
            _change(connection, user.id, password_hash=_hash(password))
        connection.execute(
            insert(Session).values(
                token_hash=hashed(token),
                user_id=user.id,
                csrf=secrets.token_urlsafe(32),
                created_at=now,
                seen_at=now,
                expires_at=now + lasts,
                agent=agent[:200],
            )
        )
        _record(connection, user.name, "logged_in", {"address": address}, now)
    return Opened(token, user.id, user.language)


def session(connection: Connection, token: str) -> Any | None:
    """The session of a browser's token joined with its account, also when its time is over; None when unknown."""
    return connection.execute(
        select(Session.token_hash, Session.csrf, Session.seen_at, Session.expires_at, *OF_ACCOUNT)
        .join(User, User.id == Session.user_id)
        .where(Session.token_hash == hashed(token), User.active)
    ).first()


def is_over(row: Any, idle: timedelta, now: datetime) -> bool:
    """Whether a session of `session` has ended by its own time or by idleness."""
    return bool(now >= row.expires_at or now >= row.seen_at + idle)


def seen(connection: Connection, token_hash: str, now: datetime) -> None:
    connection.execute(update(Session).where(Session.token_hash == token_hash).values(seen_at=now))


def sessions(connection: Connection, user_id: int, now: datetime) -> Sequence[Any]:
    """The account's sessions that are not over, newest first."""
    return connection.execute(
        select(Session.token_hash, Session.created_at, Session.seen_at, Session.expires_at, Session.agent)
        .where(Session.user_id == user_id, Session.expires_at > now)
        .order_by(Session.created_at.desc())
    ).all()


def csrf_tokens(connection: Connection, user_id: int) -> Sequence[str]:
    """The form tokens of an account's sessions, also of those that are over but still recognised."""
    return connection.scalars(select(Session.csrf).where(Session.user_id == user_id)).all()


def end(connection: Connection, token_hash: str) -> None:
    """End one session at once."""
    connection.execute(delete(Session).where(Session.token_hash == token_hash))


def end_all(connection: Connection, user_id: int, *, but: str = "") -> int:
    """End every session of an account except the one with token hash `but`; return how many."""
    return connection.execute(
        delete(Session).where(Session.user_id == user_id, Session.token_hash != but)
    ).rowcount


def hashed(token: str) -> str:
    """What the table holds of a token: it has 256 random bits, so a plain hash is enough."""
    return hashlib.sha256(token.encode()).hexdigest()


def _wait(connection: Connection, keys: dict[str, str], now: datetime) -> timedelta:
    """How long the next attempt has to wait by the failures before it."""
    rows = connection.execute(
        select(LoginAttempts.key, LoginAttempts.failures, LoginAttempts.last_at).where(
            LoginAttempts.key.in_(keys.values())
        )
    ).all()
    waits = [timedelta()]
    for kind, key in keys.items():
        for row in rows:
            over = row.failures - FREE_FAILURES[kind]
            if row.key == key and over >= 0 and now - row.last_at < FAILURES_FORGOTTEN:
                delay = min(timedelta(seconds=2.0 ** min(over, 20)), LONGEST_DELAY)
                waits.append(row.last_at + delay - now)
    return max(waits)


def _count(connection: Connection, key: str, now: datetime) -> None:
    stale = LoginAttempts.last_at <= now - FAILURES_FORGOTTEN
    counted = connection.execute(
        update(LoginAttempts)
        .where(LoginAttempts.key == key)
        .values(failures=case((stale, 1), else_=LoginAttempts.failures + 1), last_at=now)
    ).rowcount
    if not counted:
        switches.upsert(connection, LoginAttempts, {"key": key}, {"failures": 1, "last_at": now})


def _forget_own_attempt(connection: Connection, keys: dict[str, str]) -> None:
    """The right password clears the account's failures, but of its address only its own attempt."""
    connection.execute(delete(LoginAttempts).where(LoginAttempts.key == keys["account"]))
    connection.execute(
        update(LoginAttempts)
        .where(LoginAttempts.key == keys["address"])
        .values(failures=LoginAttempts.failures - 1)
    )


def _sweep(connection: Connection, now: datetime) -> None:
    connection.execute(delete(Session).where(Session.expires_at < now - EXPIRED_KEPT))
    connection.execute(delete(LoginAttempts).where(LoginAttempts.last_at < now - FAILURES_FORGOTTEN))


def _account_key(name: str) -> str:
    return f"account:{name}"


def _network(address: str) -> str:
    """The address, of IPv6 its /64: a household has 2**64 of them to try from."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address[:100]
    if isinstance(parsed, IPv6Address):
        return f"{IPv6Address(int(parsed) >> 64 << 64)}/64"
    return str(parsed)


def _existing(connection: Connection, name: str) -> Row[Any]:
    user = by_name(connection, name)
    if user is None:
        raise Refused(Refusal.NO_ACCOUNT, name=name)
    return user


def _keep_an_admin(connection: Connection, user: Row[Any]) -> None:
    others = connection.scalar(
        select(func.count()).where(User.role == Role.ADMIN, User.active, User.id != user.id)
    )
    if user.role is Role.ADMIN and user.active and not others:
        raise Refused(Refusal.LAST_ADMIN, name=user.name)


def _change(connection: Connection, user_id: int, **values: Any) -> None:
    connection.execute(update(User).where(User.id == user_id).values(**values))


def _record(connection: Connection, actor: str, action: str, detail: dict[str, Any], now: datetime) -> None:
    audit.record(connection, [audit.Entry(audit.INSTALLATION, actor, action, detail)], now)


def _check_password(password: str, name: str) -> None:
    if len(password) < SHORTEST_PASSWORD:
        raise Refused(Refusal.SHORT_PASSWORD, least=SHORTEST_PASSWORD)
    if len(password) > LONGEST_PASSWORD:
        raise Refused(Refusal.LONG_PASSWORD, most=LONGEST_PASSWORD)
    if name in password.lower() or len(set(password)) < 5:
        raise Refused(Refusal.EASY_PASSWORD)


def _hash(password: str) -> str:
    with _hashing:
        return _hasher.hash(_normal(password))


def _verify(kept: str, password: str) -> bool:
    if len(password) > LONGEST_PASSWORD:
        password = ""
    try:
        with _hashing:
            return _hasher.verify(kept, _normal(password))
    except (VerificationError, InvalidHashError):
        return False


def _normal(password: str) -> str:
    """One form for the same characters, however the keyboard composes them (RFC 8265 4.2)."""
    return unicodedata.normalize("NFC", password)


@cache
def _nobody() -> str:
    """A hash that no password fits, to spend the same time on."""
    return _hasher.hash(secrets.token_urlsafe(32))
