"""Search over what vendors wrote and what we said, on both engines by the same rules."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, text, update

from responder.tickets import search
from responder.tickets.database import Database
from responder.tickets.models import Message, Reply, Ticket
from responder.tickets.queues import Filters
from responder.tickets.status import TicketStatus
from tests.store import NOW, VENDOR, drafted, ticketed

EVERYTHING = Filters()


def said(connection: Connection, uid: int, words: str, **values: Any) -> int:
    """A ticket whose mail says `words`; returns it."""
    given = {"subject": "Pertanyaan", "text": words, "new_text": words, "from_name": "Ratna Wijaya"}
    ticket_id, _ = ticketed(connection, uid, **given | values)
    return ticket_id


def found(
    connection: Connection, words: str, filters: Filters = EVERYTHING, limit: int = 50, offset: int = 0
) -> list[int | None]:
    return [line.ticket_id for line in search.find(connection, words, filters, limit, offset).rows]


def test_every_word_has_to_be_there_in_any_order_and_case(database: Database) -> None:
    with database.begin() as connection:
        said(connection, 1, "Saya lupa password akun SPSE")
        said(connection, 2, "Password saya terkunci")
        assert found(connection, "PASSWORD lupa") == [1]


def test_the_newest_is_first(database: Database) -> None:
    with database.begin() as connection:
        for uid in (1, 2, 3):
            said(connection, uid, "lupa password")
        assert found(connection, "password") == [3, 2, 1]


def test_the_beginning_of_a_word_finds_it_but_not_one_or_two_letters(database: Database) -> None:
    with database.begin() as connection:
        said(connection, 1, "mohon verifikasinya, NIB terlampir")
        assert found(connection, "verifikasi") == [1]
        assert found(connection, "ve") == []
        assert found(connection, "nib") == [1]


@pytest.mark.parametrize(
    "words", ["Pertanyaan", "ratna", VENDOR, "baharijaya", "LUPA", "admin@baharijaya.example"]
)
def test_subject_name_address_and_text_are_searched(database: Database, words: str) -> None:
    with database.begin() as connection:
        said(connection, 1, "saya lupa password")
        assert found(connection, words) == [1]


def test_what_we_answered_is_found_too(database: Database) -> None:
    with database.begin() as connection:
        ticket_id, message_id = ticketed(connection, 1, text="halo")
        drafted(connection, ticket_id, message_id, text="Silakan klik tautan pemulihan.")
        assert found(connection, "tautan pemulihan") == [ticket_id]


@pytest.mark.parametrize("words", ["1", "#1", "LPSE-000001", "[LPSE-000001-k7f3q]", " lpse-1 "])
def test_a_number_jumps_to_its_ticket(database: Database, words: str) -> None:
    with database.begin() as connection:
        said(connection, 1, "apa saja")
        said(connection, 2, "LPSE-000001 disebut di sini, juga 1")
        assert found(connection, words)[0] == 1


def test_words_are_never_a_query_language(database: Database) -> None:
    with database.begin() as connection:
        said(connection, 1, "pertama")
        said(connection, 2, "kedua or not near")
        assert found(connection, 'pertama" OR "kedua') == []
        assert found(connection, "pertama OR kedua") == []
        assert found(connection, "text:pertama") == []
        assert found(connection, "-pertama ^(*)") == [1]
        assert found(connection, "kedua NOT NEAR") == [2]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.text(max_size=60))
def test_no_input_is_an_error(database: Database, words: str) -> None:
    with database.read() as connection:
        search.find(connection, words, EVERYTHING, 10)


def test_no_words_find_nothing(database: Database) -> None:
    with database.begin() as connection:
        said(connection, 1, "lupa password")
        assert found(connection, "  ?!  ") == []


def test_a_ticket_with_many_hits_is_one_result(database: Database) -> None:
    with database.begin() as connection:
        for uid in range(1, 6):
            said(connection, uid, "lupa password", ticket_id=1 if uid > 1 else None)
        said(connection, 6, "lupa password")
        assert found(connection, "password") == [2, 1]


def test_results_come_in_pages(database: Database) -> None:
    with database.begin() as connection:
        for uid in range(1, 6):
            said(connection, uid, "lupa password")
        first = search.find(connection, "password", EVERYTHING, 3, 0)
        assert first.more
        assert found(connection, "password", limit=3, offset=3) == [2, 1]
        assert not search.find(connection, "password", EVERYTHING, 3, 3).more


def test_results_can_be_narrowed(database: Database) -> None:
    with database.begin() as connection:
        said(connection, 1, "lupa password")
        said(connection, 2, "lupa password")
        values = {
            "topics": ["lupa-password"],
            "status": TicketStatus.CLOSED,
            "updated_at": NOW + timedelta(1),
        }
        connection.execute(update(Ticket).where(Ticket.id == 2).values(**values))
        for one in (
            Filters(topic="lupa-password"),
            Filters(status=TicketStatus.CLOSED),
            Filters(since=NOW + timedelta(hours=1)),
        ):
            assert found(connection, "password", one) == [2]
        assert found(connection, "password", Filters(vendor="lain@x.example")) == []


def test_what_changes_is_found_as_it_is(database: Database) -> None:
    with database.begin() as connection:
        said(connection, 1, "lupa password")
        connection.execute(update(Message).values(text="ganti email", subject="Ganti"))
        assert found(connection, "password") == []
        assert found(connection, "ganti email") == [1]


def test_what_is_erased_is_in_no_index(database: Database) -> None:
    with database.begin() as connection:
        ticket_id, message_id = ticketed(connection, 1, text="rahasiasekali", from_name="Ratna")
        drafted(connection, ticket_id, message_id, text="balasanrahasia")
        connection.execute(update(Message).values(text="", subject="", from_address="", from_name=""))
        connection.execute(delete(Reply))
        assert found(connection, "rahasiasekali") == []
        assert found(connection, "balasanrahasia") == []
        search.compact(connection)
        if database.is_sqlite:
            for index in ("message_words", "reply_words"):
                kept = connection.execute(text(f"SELECT block FROM {index}_data")).scalars()
                assert not any(b"rahasia" in block for block in kept)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)  # PostgreSQL derives its index itself
def test_the_index_agrees_with_the_text_after_everything(database: Database) -> None:
    with database.begin() as connection:
        for uid in range(1, 5):
            said(connection, uid, f"surat nomor {uid}")
        connection.execute(update(Message).where(Message.id == 2).values(text="lain"))
        connection.execute(delete(Message).where(Message.id == 3))
        # Raises "database disk image is malformed" when index and table differ.
        connection.execute(
            text("INSERT INTO message_words(message_words, rank) VALUES ('integrity-check', 1)")
        )


def test_a_mail_of_any_length_is_stored_and_found(database: Database) -> None:
    with database.begin() as connection:
        said(connection, 1, "awalnya " + " ".join(f"kata{number}" for number in range(200_000)))
        assert found(connection, "awalnya kata12") == [1]
