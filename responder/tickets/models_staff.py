"""Tables about the people who decide: accounts, sessions, what they type, note and look at."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Boolean, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from responder.tickets.models import Base, RecordId, ShortText, Status


class Role(StrEnum):
    """What an account may do; each role may do what the ones before it may."""

    OFFICER = "petugas"  # decide about drafts and answer
    SENIOR = "senior"  # also arm and disarm, confirm content, set levels of topics
    ADMIN = "admin"  # also accounts


class User(Base):
    """An account of staff. It is never deleted, only made inactive: events name it."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(RecordId, primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(ShortText(60), unique=True)  # the log-in, lower case
    full_name: Mapped[str] = mapped_column(default="")
    role: Mapped[Role] = mapped_column(Status(Role))
    password_hash: Mapped[str]  # argon2id, as argon2-cffi writes it
    language: Mapped[str] = mapped_column(ShortText(5), default="id")
    active: Mapped[bool] = mapped_column(Boolean, default=True)
    created_at: Mapped[datetime]
    password_set_at: Mapped[datetime]


class Session(Base):
    """A log-in of the pages: the browser holds the token, the table its SHA-256."""

    __tablename__ = "sessions"
    __table_args__ = (Index("ix_sessions_user", "user_id"), Index("ix_sessions_expires", "expires_at"))

    token_hash: Mapped[str] = mapped_column(ShortText(64), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    csrf: Mapped[str] = mapped_column(ShortText(64))
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]  # whatever is done with it, it ends here
    agent: Mapped[str] = mapped_column(ShortText(200), default="")


class ApiToken(Base):
    """A key of a program that uses the JSON API on behalf of an account."""

    __tablename__ = "api_tokens"

    id: Mapped[int] = mapped_column(RecordId, primary_key=True, autoincrement=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    name: Mapped[str] = mapped_column(ShortText(80))
    token_hash: Mapped[str] = mapped_column(ShortText(64), unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class LoginAttempts(Base):
    """Failed log-ins in a row for one account name or one client address."""

    __tablename__ = "login_attempts"

    key: Mapped[str] = mapped_column(ShortText(200), primary_key=True)
    failures: Mapped[int]
    last_at: Mapped[datetime]


class Presence(Base):
    """Who has a ticket open, and whether they are writing in it. Ends by itself at `until`."""

    __tablename__ = "presence"

    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True)
    editing: Mapped[bool] = mapped_column(Boolean, default=False)
    until: Mapped[datetime]


class Edit(Base):
    """A version of a text that somebody types and has not handed in: nothing typed is ever lost."""

    __tablename__ = "edits"
    __table_args__ = (Index("ix_edits_ticket", "ticket_id", "user_id", "saved_at"),)

    id: Mapped[int] = mapped_column(RecordId, primary_key=True, autoincrement=True)
    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id"))
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    reply_id: Mapped[int | None] = mapped_column(ForeignKey("replies.id"))  # the draft it started from
    text: Mapped[str]
    saved_at: Mapped[datetime]


class Note(Base):
    """A remark of staff on a ticket; vendors never see it."""

    __tablename__ = "notes"
    __table_args__ = (Index("ix_notes_ticket", "ticket_id"),)

    id: Mapped[int] = mapped_column(RecordId, primary_key=True, autoincrement=True)
    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id"))
    at: Mapped[datetime]
    by: Mapped[str] = mapped_column(ShortText(120))
    text: Mapped[str]
