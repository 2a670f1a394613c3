"""Fixtures that every kind of test may ask for: the real servers of `tests.servers`."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from responder.classifier.model import load_or_train
from responder.paths import shipped
from responder.tickets.database import Database
from tests.faulty_smtp import FaultySmtp
from tests.needs import needs
from tests.postgres import Postgres
from tests.servers import Dovecot, MailDevel


def require_dovecot() -> None:
    needs("dovecot", "dovecot-imapd")


@pytest.fixture(scope="session")
def shared_dovecot() -> Iterator[Dovecot]:
    require_dovecot()
    with Dovecot() as server:
        yield server


@pytest.fixture
def dovecot(shared_dovecot: Dovecot, request: pytest.FixtureRequest) -> Dovecot:
    """An empty mailbox of its own on a server that all tests share."""
    return shared_dovecot.view(f"{zlib.crc32(request.node.nodeid.encode()):08x}@contoh.go.id")


@pytest.fixture
def own_dovecot() -> Iterator[Dovecot]:
    """A server that the test may stop and start."""
    require_dovecot()
    with Dovecot() as server:
        yield server


@pytest.fixture(scope="module")
def dovecot_tls() -> Iterator[Dovecot]:
    require_dovecot()
    with Dovecot(tls=True) as server:
        yield server


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models as `state/models` holds them: the shipped content's, trained once."""
    folder = tmp_path_factory.mktemp("models")
    load_or_train(shipped("content"), folder / "kemenperin")
    return folder


@pytest.fixture
def mail_devel() -> Iterator[MailDevel]:
    with MailDevel() as server:
        yield server


@pytest.fixture
def faulty_smtp() -> Iterator[FaultySmtp]:
    with FaultySmtp() as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty, migrated database of each kind."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/responder.db"
    else:
        url = request.getfixturevalue("postgres").database()
    store = Database(url)
    store.migrate()
    yield store
    store.close()
