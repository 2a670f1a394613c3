"""The pictures of the documentation, taken from the running demo: `make screenshots`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.browser.conftest import CHROMIUM_FLAGS, log_in
from tests.needs import needs

DOCS = Path(__file__).resolve().parents[2] / "docs"
WIDE = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 780}


def main() -> None:
    demo = subprocess.Popen(
        [sys.executable, "-m", "responder", "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        address, password = _log_in_of(demo)
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(
                executable_path=needs("chromium", "chromium"), args=CHROMIUM_FLAGS
            )
            page = chromium.new_context(viewport=WIDE, locale="id-ID", base_url=address).new_page()
            page.goto("/")
            log_in(page, "senior", password)
            _take(page, "/antrean?antrean=to_approve", "antrean")
            page.get_by_role("link", name=re.compile("Penggantian email")).click()
            page.get_by_role("heading", level=1).filter(has_text="Penggantian email").wait_for()
            ticket = page.url
            page.screenshot(path=DOCS / "tiket.png")
            _take(page, "/laporan", "laporan")
            _take(page, "/topik/demo/lupa-password", "topik")
            state = page.context.storage_state()
            small = chromium.new_context(
                viewport=PHONE, color_scheme="dark", is_mobile=True, storage_state=state, base_url=address
            ).new_page()
            _take(small, ticket, "ponsel")
            chromium.close()
    finally:
        demo.terminate()
        demo.communicate(timeout=60)


def _take(page: Page, path: str, name: str) -> None:
    page.goto(path)
    page.screenshot(path=DOCS / f"{name}.png")


def _log_in_of(demo: subprocess.Popen[str]) -> tuple[str, str]:
    """Wait until the demo has said where its pages are; return (address, password)."""
    assert demo.stdout is not None
    said = ""
    for line in demo.stdout:
        said += line
        found = re.search(r"Staff pages:\s+(http://\S+?)/? .*\n.*with password (\S+)", said)
        if found:
            return found[1], found[2]
    raise SystemExit(f"the demo ended:\n{said}")


if __name__ == "__main__":
    main()
