"""Keys of programs that use the JSON API: shown once, kept as a hash, limited in time, with the role of an account."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, insert, select, update

from responder.errors import Refused
from responder.tickets import accounts, audit
from responder.tickets.models_staff import ApiToken, User

PREFIX = "lpse_"
"""Begins every token, so that scanners of code and logs recognise one that leaked."""

LONGEST = timedelta(days=366)
LONGEST_NAME = 80  # characters

USED_EVERY = timedelta(minutes=1)
"""How exactly the last use is known; a write with every request would be dear."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A token that begins; its text is for the program and is kept nowhere else."""

    id: int
    token: str
    expires_at: datetime


def add(
    connection: Connection, account: str, name: str, lasts: timedelta, actor: str, now: datetime
) -> Issued:
    """Make a token of `account`; `name` says which program has it. Raises Refused."""
    user = accounts.by_name(connection, account)
    name = " ".join(name.split())
    if user is None or not user.active:
        raise Refused(f"there is no active account {account!r}")
    if not 0 < len(name) <= LONGEST_NAME:
        raise Refused(f"a token is named by the program that has it, in at most {LONGEST_NAME} characters")
    if not timedelta() < lasts <= LONGEST:
        raise Refused(f"a token lasts between 1 and {LONGEST.days} days")
    token = PREFIX + secrets.token_urlsafe(32)
    expires_at = now + lasts
    token_id = connection.execute(
        insert(ApiToken)
        .values(
            user_id=user.id,
            name=name,
            token_hash=accounts.hashed(token),
            created_at=now,
            expires_at=expires_at,
        )
        .returning(ApiToken.id)
    ).scalar_one()
    _record(connection, actor, "token_added", {"account": user.name, "token": token_id, "name": name}, now)
    return Issued(token_id, token, expires_at)


def listed(connection: Connection) -> Sequence[Any]:
    """Every token with its account, newest first, without hashes."""
    return connection.execute(
        select(
            ApiToken.id,
            User.name.label("account"),
            User.role,
            ApiToken.name,
            ApiToken.created_at,
            ApiToken.expires_at,
            ApiToken.last_used_at,
            ApiToken.revoked_at,
        )
        .join(User, User.id == ApiToken.user_id)
        .order_by(ApiToken.id.desc())
    ).all()


def revoke(connection: Connection, token_id: int, actor: str, now: datetime) -> None:
    """End a token at once. Raises Refused when there is none, or it is revoked already."""
    revoked = update(ApiToken).where(ApiToken.id == token_id, ApiToken.revoked_at.is_(None))
    if not connection.execute(revoked.values(revoked_at=now)).rowcount:
        raise Refused(f"there is no token {token_id} that is not revoked")
    _record(connection, actor, "token_revoked", {"token": token_id}, now)


def find(connection: Connection, token: str, now: datetime) -> Any | None:
    """The token with its account while both are good; None otherwise."""
    return connection.execute(
        select(
            ApiToken.id,
            ApiToken.name.label("program"),
            ApiToken.expires_at,
            ApiToken.last_used_at,
            *accounts.OF_ACCOUNT,
        )
        .join(User, User.id == ApiToken.user_id)
        .where(
            ApiToken.token_hash == accounts.hashed(token),
            ApiToken.revoked_at.is_(None),
            ApiToken.expires_at > now,
            User.active,
        )
    ).first()


def used(connection: Connection, token_id: int, now: datetime) -> None:
    """Note that a token was used."""
    connection.execute(update(ApiToken).where(ApiToken.id == token_id).values(last_used_at=now))


def _record(connection: Connection, actor: str, action: str, detail: dict[str, Any], now: datetime) -> None:
    audit.record(connection, [audit.Entry(audit.INSTALLATION, actor, action, detail)], now)
