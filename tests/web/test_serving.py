"""The pages on a real socket, and the terminal's part: accounts and `responder web`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from responder.config import load
from responder.errors import ConfigError
from responder.web.server import serve_in_thread
from tests.web.conftest import PASSWORD, Pages


def _responder(config: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "responder", *arguments, "--config", str(config)],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
    )


def _on_a_free_port(config: Path) -> None:
    config.write_text(config.read_text() + '[web]\nlisten = "127.0.0.1:0"\n')


def test_pages_are_served_and_end(config: Path, pages: Pages) -> None:
    _on_a_free_port(config)
    served = serve_in_thread(load(config), pages.database, pages.clock)
    with urlopen(f"{served.address}/healthz", timeout=30) as answer:
        assert answer.status == 200
    served.stop()
    with pytest.raises(OSError, match="refused"):
        urlopen(f"{served.address}/healthz", timeout=30)


def test_a_taken_port_is_one_clear_line(config: Path, pages: Pages) -> None:
    _on_a_free_port(config)
    served = serve_in_thread(load(config), pages.database, pages.clock)
    port = served.address.rpartition(":")[2]
    config.write_text(config.read_text().replace("127.0.0.1:0", f"127.0.0.1:{port}"))
    with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{port}"):
        serve_in_thread(load(config), pages.database, pages.clock)
    served.stop()


def test_the_operator_makes_the_first_account_and_serves_the_pages(config: Path) -> None:
    _on_a_free_port(config)
    made = _responder(
        config, "user", "add", "budi", "--role", "admin", "--password-stdin", stdin=f"{PASSWORD}\n"
    )
    assert made.returncode == 0, made.stderr
    (listed,) = _responder(config, "user", "list", "--json").stdout.splitlines()
    assert json.loads(listed)["role"] == "admin"
    weak = _responder(config, "user", "passwd", "budi", "--password-stdin", stdin="pendek\n")
    assert weak.returncode == 7
    assert "at least 12 characters" in weak.stderr

    process = subprocess.Popen(
        [sys.executable, "-m", "responder", "web", "--config", str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    address = next(line for line in process.stdout if line.startswith("pages: ")).split()[1]
    for page in ("masuk", "healthz"):
        with urlopen(f"{address}{page}", timeout=30) as answer:
            assert answer.status == 200
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 0


def test_the_terminal_closes_no_ticket_over_a_mail_that_was_not_seen(config: Path, pages: Pages) -> None:
    ticket = str(pages.receive())
    (shown,) = json.loads(_responder(config, "show", ticket, "--json").stdout)["messages"]
    refused = _responder(config, "close", ticket, "--mail", str(shown["id"] + 1))
    assert refused.returncode == 7
    assert "has written again" in refused.stderr
    assert _responder(config, "close", ticket, "--mail", str(shown["id"])).returncode == 0
    (listed,) = _responder(config, "tickets", "--status", "closed", "--json").stdout.splitlines()
    assert json.loads(listed)["status"] == "closed"
