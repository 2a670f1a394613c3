"""The API keeps what its description promises: generated requests, good and bad, against a store of every kind.

Everything is real: the application in this process, SQLite, content, an account. Requests come from schemathesis with
all its default checks: no fault of the server, documented statuses, media types and shapes, refused without a token,
bad data refused, good data taken.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, cast

import pytest
import schemathesis
from fastapi import FastAPI
from schemathesis.config import SchemathesisConfig
from sqlalchemy import update
from starlette.types import Receive, Scope, Send

from bench.store import fill
from responder.config import load
from responder.paths import shipped
from responder.pipeline.office import make_key
from responder.tickets import accounts, api_tokens
from responder.tickets.database import Database
from responder.tickets.models import Message, StaffVerdict
from responder.tickets.models_staff import ApiToken, Role
from responder.tickets.status import Disposition
from responder.web.api.app import create_api
from responder.web.app import create_app
from responder.web.service import Service
from tests.web.conftest import PASSWORD, Clock

LONG = os.environ.get("RESPONDER_FUZZ") == "long"
EXAMPLES = 400 if LONG else 10
TICKETS = 60
HOST = "127.0.0.1:8080"
TOKEN = f"{api_tokens.PREFIX}{'k' * 43}"

pytestmark = pytest.mark.timeout(7200 if LONG else 300)


class _Served:
    """The application that requests go to. Tests are collected from its description before there is a database."""

    def __init__(self) -> None:
        self.app: Any = FastAPI()
        self.app.mount("/api", create_api(cast("Service", None)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


served = _Served()


@pytest.fixture(scope="module")
def _store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("api")
    path = folder / "config.toml"
    server = 'host = "127.0.0.1"\nsecurity = "none"\nport = 1\n'
    path.write_text(
        '[mailboxes.kemenperin]\nunit = "LPSE"\naddress = "lpse@instansi.example"\ncontent = "content"\n'
        f"[mailboxes.kemenperin.imap]\n{server}[mailboxes.kemenperin.smtp]\n{server}"
    )
    shutil.copytree(shipped("content"), folder / "content")  # facts are confirmed in it
    make_key(folder / "state" / "secret.key")
    settings, clock = load(path), Clock()
    database = Database(settings.database.url)
    database.migrate()
    fill(database, TICKETS, now=clock(), open_share=0.6)
    with database.begin() as connection:
        connection.execute(update(StaffVerdict).where(StaffVerdict.ticket_id % 7 == 0).values(blind=True))
        connection.execute(
            update(Message).where(Message.id % 11 == 0).values(disposition=Disposition.QUARANTINED)
        )
        accounts.add(connection, "admin.satu", Role.ADMIN, PASSWORD, "uji", clock())
        api_tokens.add(connection, "admin.satu", "uji", timedelta(days=30), "uji", clock())
        connection.execute(update(ApiToken).values(token_hash=accounts.hashed(TOKEN)))
    served.app = create_app(settings, database, clock)
    yield
    served.app.state.service.close()
    database.close()


def _config() -> SchemathesisConfig:
    numbers = {"dictionary": "numbers", "probability": 0.7}
    return SchemathesisConfig.from_dict(
        {
            "seed": 20261123,
            "headers": {"host": HOST},
            "auth": {"openapi": {"token": {"bearer": TOKEN}}},
            "generation": {
                "max-examples": EXAMPLES,
                "deterministic": not LONG,
                "database": "none",
                "dictionaries": {"integer": numbers},
            },
            "dictionaries": {
                "numbers": {"values": list(range(1, TICKETS + 1))},
                "mailboxes": {"values": ["kemenperin"]},
                "topics": {
                    "values": sorted(one.name for one in shipped("content").iterdir() if one.is_dir())
                },
            },
            "parameters": {
                "path.mailbox": {"dictionary": "mailboxes", "probability": 0.8},
                "path.slug": {"dictionary": "topics", "probability": 0.8},
            },
        }
    )


schema = schemathesis.openapi.from_asgi("/api/openapi.json", served, config=_config(), headers={"host": HOST})


@schema.parametrize()
@pytest.mark.usefixtures("_store")
def test_the_api_keeps_its_description(case: schemathesis.Case) -> None:
    case.call_and_validate()
