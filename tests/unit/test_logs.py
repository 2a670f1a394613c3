"""Log lines: what a stranger writes in a header cannot leave its place in them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import pytest
import structlog

from responder.config import Logging
from responder.logs import configure

FORGED = "a\nround: all is well\r\x1b[2J\x9b\u2028z"


@pytest.fixture(autouse=True)
def _usual_logging() -> Iterator[None]:
    yield
    structlog.reset_defaults()


@pytest.mark.parametrize("form", ["console", "json"])
def test_a_header_cannot_forge_a_line_or_move_the_cursor(
    form: Literal["console", "json"], capsys: pytest.CaptureFixture[str]
) -> None:
    """Rule 71."""
    configure(Logging(format=form))
    structlog.get_logger().warning("refused", subject=FORGED)
    line = capsys.readouterr().err
    assert line.endswith("\n")
    assert len(line.splitlines()) == 1
    assert "\x1b" not in line
    assert "\x9b" not in line


def test_an_exception_that_quotes_a_header_cannot_either(capsys: pytest.CaptureFixture[str]) -> None:
    """Rule 71."""
    configure(Logging())
    try:
        raise ValueError(FORGED.replace("\n", ""))
    except ValueError:
        structlog.get_logger().exception("failed")
    said = capsys.readouterr().err
    assert "ValueError: around" in said
    assert not {"\x1b", "\x9b", "\r", "\u2028"} & set(said)


def test_personal_numbers_and_passwords_that_a_server_quotes_stay_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Rule 71."""
    configure(Logging(format="json"))
    said = "550 NIK 3201012345670001, NPWP 01.234.567.8-901.000, telp 0812-3456-7890, password: Rahasia123"
    structlog.get_logger().warning("refused", answer=said, message=3201012345670001)
    line = capsys.readouterr().err
    for secret in ("01.234.567.8", "0812-3456", "Rahasia123", "NIK 3201"):
        assert secret not in line
    assert "550" in line and '"message": 3201012345670001' in line
