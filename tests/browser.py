"""Pages as their readers get them: headless Chromium, driven by Playwright, that tells what went wrong in a page and what it asked for.

A module with these fixtures is marked `browser` and has no `async` tests: Playwright keeps a loop of its own in the thread.
"""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
DESK, PHONE = 1280, 400
"""Widths of a window in CSS pixels."""
AUDIT = Path(__file__).parent.joinpath("reports", "audit.js").read_text(encoding="utf-8")
WITHIN_MS = 60_000.0


def obstacle() -> str | None:
    """What is missing here, and how to get it; None where nothing is."""
    if program() is None:
        return "there is no Chromium: apt-get install chromium"
    if importlib.util.find_spec("playwright") is None:
        return "there is no Playwright: pip install playwright"
    return None


def program() -> str | None:
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


@dataclass
class Seen:
    """What a page had to say and asked for since the test began."""

    trouble: list[str] = field(default_factory=list)
    """Errors and warnings of the console (what the page's policy refused is one), exceptions, and requests that failed."""
    requests: list[str] = field(default_factory=list)
    """Every address that was asked for."""

    def hear(self, kind: str, text: str) -> None:
        """Note what the console said, but that Chromium's software WebGL took its time, which says nothing of a page."""
        if kind in ("error", "warning") and not (text.startswith("[.WebGL-") and "GPU stall due to ReadPixels" in text):
            self.trouble.append(f"console: {text}")

    def hosts(self) -> set[str]:
        """Where requests went: host and port, empty for files and data."""
        return {urlsplit(address).netloc for address in self.requests}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # As root Chromium starts without its own sandbox only; /dev/shm is small in containers.
        launched = playwright.chromium.launch(executable_path=program(), args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield launched
        launched.close()


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def page(browser: Browser, seen: Seen) -> Iterator[Page]:
    """A page in a context of its own. A test ends with an error when there was trouble in it that the test did not take from `seen`."""
    context = browser.new_context(viewport={"width": DESK, "height": 900}, accept_downloads=True)
    context.set_default_timeout(WITHIN_MS)
    opened = context.new_page()
    opened.on("console", lambda said: seen.hear(said.type, said.text))
    opened.on("pageerror", lambda error: seen.trouble.append(f"exception: {error}"))
    opened.on("request", lambda request: seen.requests.append(request.url))
    yield opened
    context.close()
    assert seen.trouble == []


def fit(page: Page, width: int, scheme: Literal["light", "dark"]) -> None:
    """A window of that width whose reader prefers that scheme."""
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)


def complaints(page: Page) -> list[str]:
    """What the page owes its readers: contrast, names, headings, its width, keys that reach everything (`tests/reports/audit.js`)."""
    return list(page.evaluate(AUDIT))
