"""Accounts, sessions, notes and edits of staff; jobs, alarms and link visits; queues, search and evidence."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "alarms",
        sa.Column("key", sa.String(length=160), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("recovered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("recovery_told_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_table(
        "jobs",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("node", sa.String(length=100), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("succeeded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "link_visits",
        sa.Column("url", sa.String(length=500), nullable=False),
        sa.Column("visited_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("works", sa.Boolean(), nullable=False),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("url"),
    )
    op.create_table(
        "login_attempts",
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_table(
        "users",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("full_name", sa.Text(), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("language", sa.String(length=5), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("password_set_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "api_tokens",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("token_hash"),
    )
    op.create_table(
        "notes",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("ticket_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.String(length=120), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["ticket_id"],
            ["tickets.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_notes_ticket", "notes", ["ticket_id"], unique=False)
    op.create_table(
        "presence",
        sa.Column("ticket_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("editing", sa.Boolean(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["ticket_id"],
            ["tickets.id"],
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
        ),
        sa.PrimaryKeyConstraint("ticket_id", "user_id"),
    )
    op.create_table(
        "sessions",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("csrf", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("agent", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
        ),
        sa.PrimaryKeyConstraint("token_hash"),
    )
    op.create_index("ix_sessions_expires", "sessions", ["expires_at"], unique=False)
    op.create_index("ix_sessions_user", "sessions", ["user_id"], unique=False)
    op.create_table(
        "edits",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("ticket_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("reply_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("saved_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["reply_id"],
            ["replies.id"],
        ),
        sa.ForeignKeyConstraint(
            ["ticket_id"],
            ["tickets.id"],
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_edits_ticket", "edits", ["ticket_id", "user_id", "saved_at"], unique=False)
    op.add_column("tickets", sa.Column("senior", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("verdicts", sa.Column("blind", sa.Boolean(), server_default=sa.false(), nullable=False))
    _make_content_erasable()
    _index_queues()
    _index_work()
    if op.get_context().dialect.name == "sqlite":
        _index_words_on_sqlite("message_words", "messages", ("subject", "text", "from_address", "from_name"))
        _index_words_on_sqlite("reply_words", "replies", ("subject", "text", "recipient"))
    else:
        _index_words_on_postgresql("messages", ("subject", "text", "from_address", "from_name"))
        _index_words_on_postgresql("replies", ("subject", "text", "recipient"))


def _make_content_erasable() -> None:
    op.add_column("messages", sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("tickets", sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("events", sa.Column("salt", sa.String(length=32), server_default="", nullable=False))
    op.add_column("events", sa.Column("digest", sa.String(length=64), server_default="", nullable=False))
    op.add_column("verdicts", sa.Column("masked_text", sa.Text(), server_default="", nullable=False))


def _index_queues() -> None:
    op.drop_index("ix_tickets_queue", "tickets")
    if op.get_context().dialect.name == "sqlite":
        op.create_index("ix_tickets_queue", "tickets", ["status", "updated_at", "id", "topics"])
    else:
        op.create_index(
            "ix_tickets_queue", "tickets", ["status", "updated_at", "id"], postgresql_include=["topics"]
        )
    op.drop_index("ix_tickets_vendor", "tickets")
    op.create_index("ix_tickets_vendor", "tickets", ["vendor_address", "mailbox"])
    _index_some("ix_messages_quarantined", "messages", ["received_at", "id"], "disposition = 'quarantined'")
    _index_some("ix_messages_ignored", "messages", ["received_at", "id", "kind"], "disposition = 'ignored'")
    op.create_index(
        "ix_replies_automatic",
        "replies",
        ["sent_at", "id"],
        sqlite_where=sa.text("automatic = 1"),
        postgresql_where=sa.text("automatic"),
    )
    op.create_index("ix_verdicts_message", "verdicts", ["message_id"])
    op.create_index("ix_verdicts_predicted", "verdicts", ["predicted_at"])
    _index_some(
        "ix_verdicts_evidence", "verdicts", ["decided_at", "id"], "predicted = 'auto' AND decision <> ''"
    )


def _index_work() -> None:
    """A mail that is handled leaves the index of what is to be done, which stays as small as the work."""
    op.drop_index("ix_messages_work", "messages")
    _index_some("ix_messages_received", "messages", ["mailbox", "id"], "disposition = 'received'")
    op.drop_index("ix_messages_header_id", "messages")
    op.create_index("ix_messages_header_id", "messages", ["header_id", "mailbox"])


def _index_some(name: str, table: str, columns: list[str], condition: str) -> None:
    op.create_index(
        name, table, columns, sqlite_where=sa.text(condition), postgresql_where=sa.text(condition)
    )


def _index_words_on_sqlite(index: str, table: str, columns: tuple[str, ...]) -> None:
    """An FTS5 table over `columns` of `table`, which keeps the text itself, and triggers that keep it in step.

    A row whose columns are all empty (a mail that was received and not read) is not in the index.
    """
    names = ", ".join(columns)
    op.execute(
        f"CREATE VIRTUAL TABLE {index} USING fts5({names}, content='{table}', content_rowid='id', "
        "tokenize='unicode61 remove_diacritics 2', prefix='3')"
    )

    def of(row: str) -> str:
        return ", ".join(f"{row}{column}" for column in columns)

    def said(row: str) -> str:
        return " || ".join(f"{row}{column}" for column in columns) + " <> ''"

    def add(row: str, table: str = "") -> str:
        return f"INSERT INTO {index} (rowid, {names}) SELECT {row}id, {of(row)} {table} WHERE {said(row)};"

    # An index without text of its own has to be told what stood there.
    take = (
        f"INSERT INTO {index} ({index}, rowid, {names}) "
        f"SELECT 'delete', old.id, {of('old.')} WHERE {said('old.')};"
    )
    op.execute(add("", f"FROM {table}"))
    op.execute(f"CREATE TRIGGER {index}_add AFTER INSERT ON {table} BEGIN {add('new.')} END")
    op.execute(f"CREATE TRIGGER {index}_take AFTER DELETE ON {table} BEGIN {take} END")
    op.execute(
        f"CREATE TRIGGER {index}_change AFTER UPDATE OF {names} ON {table} BEGIN {take} {add('new.')} END"
    )


def _index_words_on_postgresql(table: str, columns: tuple[str, ...]) -> None:
    """A column of the words in `columns`, which PostgreSQL derives by itself, and its index.

    Signs that make the parser take an address, a path or a tag for one word become spaces. What is beyond
    200,000 characters is not indexed: a tsvector ends at 1 MiB, and no mail may be refused for its length.
    """
    said = " || ' ' || ".join(columns)
    signs = "@._-/:<>&+=~%#"
    cut = f"translate(left({said}, 200000), '{signs}', '{' ' * len(signs)}')"
    # exec_driver_sql: a colon or percent sign is itself here, not a parameter's
    op.get_bind().exec_driver_sql(
        f"ALTER TABLE {table} ADD COLUMN words tsvector "
        f"GENERATED ALWAYS AS (to_tsvector('simple', {cut})) STORED".replace("%", "%%")
    )
    op.create_index(f"ix_{table}_words", table, ["words"], postgresql_using="gin")
