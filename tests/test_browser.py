"""The fixture itself: it tells what a page did wrong, and whom it asked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser import PHONE, Seen, complaints, fit

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


def test_trouble_requests_and_what_a_page_owes_are_told(page: Page, seen: Seen, tmp_path: Path) -> None:
    bad = tmp_path / "bad.html"
    bad.write_text(
        "<p style='color: #ccc; background: #fff; width: 900px'>pale<img src='http://127.0.0.1:9/x'><script>console.error('no')</script>"
    )
    page.goto(bad.as_uri())
    fit(page, PHONE, "dark")
    told = "\n".join(complaints(page))
    assert "contrast" in told
    assert "wide in a window of 400" in told
    assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    assert "127.0.0.1:9" in seen.hosts()
    assert any("no" in line for line in seen.trouble)
    seen.trouble.clear()
