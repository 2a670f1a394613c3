"""Server and ledger compared UID by UID, a few at a time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from responder.config import Folders
from responder.mail.imap import ImapSession
from responder.pipeline.reconcile import Comparison, UidState, compare, last
from responder.tickets import ledger
from responder.tickets.database import Database
from responder.tickets.ledger import Cursor, Seen
from responder.tickets.status import Disposition
from tests.mails import build_mail
from tests.servers import PASSWORD, Dovecot
from tests.store import MAILBOX, NOW

INBOX = "INBOX"


@pytest.fixture(autouse=True)
def _few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("responder.mail.imap.SMALL_WINDOW", 3)
    monkeypatch.setattr("responder.mail.imap.SET_SIZE", 2)
    monkeypatch.setattr("responder.pipeline.reconcile.ROWS_AT_ONCE", 2)


@pytest.fixture
def session(dovecot: Dovecot) -> Iterator[ImapSession]:
    with ImapSession.connect(dovecot.imap(), password=PASSWORD, folders=Folders()) as opened:
        yield opened


def deliver(dovecot: Dovecot, count: int) -> dict[int, int]:
    """UID → size of so many mails."""
    mails = [build_mail(subject=f"ke-{number}") for number in range(count)]
    return {dovecot.deliver(mail): len(mail) for mail in mails}


def know(database: Database, session: ImapSession, sizes: dict[int, int], cursor: int) -> None:
    """Have the ledger hold handled mails of these UIDs and sizes, and say that it was read up to `cursor`."""
    uidvalidity = session.select(INBOX, readonly=True).uidvalidity
    with database.begin() as connection:
        seen = [
            Seen(uid, f"identity-{uid}", size, NOW, (), b"raw", disposition=Disposition.IGNORED)
            for uid, size in sizes.items()
        ]
        ledger.start_folder(connection, MAILBOX, INBOX, Cursor(uidvalidity, 0), NOW)
        nothing = Seen(cursor, f"identity-{cursor}", 0, NOW, (), b"raw", disposition=Disposition.IGNORED)
        ledger.store(connection, MAILBOX, INBOX, uidvalidity, [*seen, nothing], NOW)


def compared(session: ImapSession, database: Database) -> tuple[Comparison, dict[int, UidState]]:
    listed: list[UidState] = []
    found = compare(session, database, MAILBOX, INBOX, NOW + timedelta(hours=2), listed.append)
    assert [one.uid for one in listed] == sorted(one.uid for one in listed)
    return found, {one.uid: one for one in listed}


def test_every_uid_of_both_sides_is_told_once_with_its_state(
    dovecot: Dovecot, session: ImapSession, database: Database
) -> None:
    sizes = deliver(dovecot, 9)
    uids = list(sizes)
    known = {uid: size for uid, size in sizes.items() if uid not in (uids[2], uids[5], uids[8])}
    known[uids[3]] += 1
    know(database, session, known, cursor=uids[7])
    with dovecot.client() as staff:
        staff.delete_messages(uids[:2])
        staff.expunge()
    found, states = compared(session, database)
    assert {uid: one.state for uid, one in states.items()} == {
        uids[0]: "ignored",
        uids[1]: "ignored",
        uids[2]: "missing",
        uids[3]: "changed",
        uids[4]: "ignored",
        uids[5]: "missing",
        uids[6]: "ignored",
        uids[7]: "ignored",
        uids[8]: "pending",
    }
    assert [uid for uid, one in states.items() if not one.on_server] == uids[:2]
    assert found.counts == {"ignored": 5, "missing": 2, "changed": 1, "pending": 1}
    assert list(found.missing) == [uids[2], uids[5]]
    assert found.differences == [
        f"INBOX: 1 UIDs changed: {uids[3]}",
        f"INBOX: 2 UIDs missing: {uids[2]}, {uids[5]}",
    ]
    with database.read() as connection:
        assert last(connection, MAILBOX)["differences"] == found.differences


def test_a_mailbox_that_staff_have_emptied_differs_in_nothing(
    dovecot: Dovecot, session: ImapSession, database: Database
) -> None:
    sizes = deliver(dovecot, 7)
    know(database, session, sizes, cursor=max(sizes))
    with dovecot.client() as staff:
        staff.delete_messages(list(sizes))
        staff.expunge()
    found, states = compared(session, database)
    assert found.differences == []
    assert list(states) == list(sizes)


def test_before_the_first_poll_every_mail_is_still_to_come(
    dovecot: Dovecot, session: ImapSession, database: Database
) -> None:
    sizes = deliver(dovecot, 4)
    found, states = compared(session, database)
    assert found.counts == {"pending": 4}
    assert list(states) == list(sizes)


def test_mails_older_than_the_first_connection_are_told_apart_from_missing_ones(
    dovecot: Dovecot, session: ImapSession, database: Database
) -> None:
    sizes = deliver(dovecot, 5)
    uids = list(sizes)
    uidvalidity = session.select(INBOX, readonly=True).uidvalidity
    with database.begin() as connection:
        ledger.start_folder(connection, MAILBOX, INBOX, Cursor(uidvalidity, uids[2]), NOW, exists=3)
    found, states = compared(session, database)
    assert {uid: one.state for uid, one in states.items()} == dict.fromkeys(
        uids[:3], "baseline"
    ) | dict.fromkeys(uids[3:], "pending")
    assert found.differences == []
