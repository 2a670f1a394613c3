"""`responder token`: the operator makes keys for programs, sees their use and ends them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from responder.cli import app
from responder.errors import Refused
from responder.tickets import accounts
from responder.tickets.models_staff import Role
from tests.web.conftest import PASSWORD, Pages

runner = CliRunner()


def run(config: Path, *words: str) -> str:
    result = runner.invoke(app, ["token", *words, "--config", str(config)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.stdout


@pytest.fixture
def account(pages: Pages) -> str:
    with pages.database.begin() as connection:
        accounts.add(connection, "budi", Role.OFFICER, PASSWORD, "uji", pages.clock())
    return "budi"


def test_a_token_is_printed_once_and_listed_without_its_text(config: Path, account: str) -> None:
    token = run(config, "add", account, "helpdesk lama").splitlines()[0]
    assert token.startswith("lpse_")
    row = json.loads(run(config, "list", "--json"))
    assert (row["account"], row["name"], row["role"], row["revoked_at"]) == (
        account,
        "helpdesk lama",
        "petugas",
        None,
    )
    assert token not in run(config, "list", "--json")
    assert "helpdesk lama" in run(config, "list")


def test_a_token_is_revoked_once(config: Path, account: str) -> None:
    made = json.loads(run(config, "add", account, "helpdesk", "--json"))
    assert "revoked" in run(config, "revoke", str(made["id"]))
    with pytest.raises(Refused):
        run(config, "revoke", str(made["id"]))


@pytest.mark.parametrize(
    "words",
    [
        ["siapa", "helpdesk"],
        ["budi", " "],
        ["budi", "helpdesk", "--days", "0"],
        ["budi", "x", "--days", "400"],
    ],
)
def test_a_token_needs_an_account_a_program_and_an_end(config: Path, account: str, words: list[str]) -> None:
    with pytest.raises(Refused):
        run(config, "add", *words)
