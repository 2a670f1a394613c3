"""The pages in a real Chromium, served by a running `responder run` on Dovecot and an SMTP server."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect, sync_playwright

from tests.daemon import Daemon, running
from tests.needs import needs
from tests.scenarios.conftest import dovecot_office, no_audits  # noqa: F401 - fixtures
from tests.scenarios.installation import Installation
from tests.servers import wait_until

PASSWORD = "kuda-laut-berenang-7"
PATIENCE_MS = 20_000  # a hang guard, not an expectation: other work may share the machine
CHROMIUM_FLAGS = [
    "--no-sandbox",  # tests may run as root, where Chromium's own sandbox cannot
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_SETTINGS = """[policy]
undo_seconds = 5
[schedule]
poll = 1
[web]
listen = "127.0.0.1:0"
"""

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = needs("chromium", "chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@dataclass
class Desk:
    """A running office and the browsers of its staff."""

    office: Installation
    daemon: Daemon
    address: str
    chromium: Browser
    errors: list[str] = field(default_factory=list)  # what a page's console or its requests complained about
    foreign: list[str] = field(default_factory=list)  # requests to anywhere but the office
    _contexts: list[BrowserContext] = field(default_factory=list)

    def account(self, name: str, role: str = "petugas") -> None:
        self.office.run("user", "add", name, "--role", role, "--password-stdin", stdin=f"{PASSWORD}\n")

    def browser(self, name: str = "", **options: Any) -> Page:
        """A window of a browser of its own, logged in as `name` unless that is ""."""
        context = self.chromium.new_context(locale="id-ID", base_url=self.address, **options)
        context.set_default_timeout(PATIENCE_MS)
        self._contexts.append(context)
        context.on("request", self._requested)
        page = context.new_page()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda message: self._said(message.type, message.text))
        page.goto("/")
        if name:
            log_in(page, name)
        return page

    def receive(self, subject: str, body: str, **more: Any) -> int:
        """A vendor's mail arrives; returns its ticket once it is handled."""
        before = {row["id"] for row in self.office.tickets()}
        self.office.deliver(subject, body, **more)
        made: list[int] = []

        def handled() -> bool:
            made[:] = sorted({row["id"] for row in self.office.tickets()} - before)
            return bool(made)

        wait_until(handled, f"a ticket for {subject!r}; the daemon says:\n{self.daemon.log}")
        return made[-1]

    def waits(self, what: Callable[[], bool], name: str) -> None:
        wait_until(what, f"{name}; the daemon says:\n{self.daemon.log}")

    def close(self) -> None:
        for context in self._contexts:
            context.close()

    def _requested(self, request: Request) -> None:
        if not request.url.startswith((self.address, "data:", "about:", "blob:")):
            self.foreign.append(request.url)

    def _said(self, kind: str, text: str) -> None:
        # A refused request is an answer that tests ask for; a blocked or broken script is not.
        if kind == "error" and "Failed to load resource" not in text:
            self.errors.append(text)


def log_in(page: Page, name: str, password: str = PASSWORD) -> None:
    page.get_by_label("Nama akun").fill(name)
    page.get_by_label("Kata sandi").fill(password)
    page.get_by_role("button", name="Masuk").click()
    expect(page.get_by_role("navigation", name="Antrean")).to_be_visible()


@pytest.fixture
def desk(dovecot_office: Installation, chromium: Browser) -> Iterator[Desk]:  # noqa: F811
    dovecot_office.write_config(_SETTINGS)
    dovecot_office.ready()
    with ExitStack() as stack:
        daemon = stack.enter_context(running(dovecot_office))
        daemon.logs("pages are served")
        found = re.search(r"http://127\.0\.0\.1:\d+", daemon.log)
        assert found, daemon.log
        desk = Desk(dovecot_office, daemon, found[0], chromium)
        stack.callback(desk.close)
        yield desk
        assert desk.errors == []
        assert desk.foreign == []
