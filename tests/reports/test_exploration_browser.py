"""The data page in a browser: the rows in skrub's report, which works without a network, and hostile cells that stay text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from reports.exploration import write_exploration
from tests.browser import Seen
from tests.reports.test_exploration import HOSTILE
from tests.reports.written import finished
from tools.columns import infer_schema

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.slow, pytest.mark.browser]


def test_rows_are_shown_and_cells_are_text(tmp_path: Path, page: Page, seen: Seen) -> None:
    run = finished(tmp_path)
    rows = pd.DataFrame({"Mass": range(60), "Depth": [HOSTILE, "deep"] * 30, "Sex": ["MALE", "FEMALE"] * 30})
    rows.to_parquet(run.data / "train.parquet")
    (run.data / "schema.json").write_text(infer_schema(rows, "Sex").model_dump_json())
    write_exploration(run.path)
    page.goto((run.reports / "data.html").as_uri())
    title = page.title()
    charts = page.locator(".plot")
    assert page.locator("figcaption b").first.text_content() == "The target"
    for place in range(charts.count()):
        charts.nth(place).scroll_into_view_if_needed()
        charts.nth(place).locator(".main-svg").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "no chart makes the page wider than the window"
    inside = page.frame_locator("iframe")
    inside.get_by_text("FEMALE").first.wait_for(state="attached")
    cell = inside.locator("td", has_text="parent.document.title").first
    cell.wait_for(state="attached")
    assert "<script>" in str(cell.text_content()), "markup in a cell is shown as it stands there"
    assert page.title() == title
    assert all(url.startswith(("file:", "about:", "data:", "blob:")) for url in seen.requests), "the page asks nobody for anything"
