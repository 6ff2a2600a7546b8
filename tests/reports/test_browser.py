"""The report as its readers get it: in a browser, at a desk and on a phone, light and dark, by pointer, key and screen reader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest

from reports.html import write_report
from tests.browser import DESK, PHONE, Seen, complaints, fit
from tests.reports.written import searched

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.slow, pytest.mark.browser]
NAME = "Körper & <Masse> 体"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_report(searched(tmp_path_factory.mktemp("runs"), name=NAME).path).as_uri()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [DESK, PHONE])
def test_it_fits_its_window_can_be_read_and_breaks_no_rule_of_axe(
    page: Page, seen: Seen, address: str, width: int, scheme: Literal["light", "dark"]
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    fit(page, width, scheme)
    page.goto(address)
    page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
    assert complaints(page) == []
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert seen.requests == [address], "nothing is asked for but the file itself"


def test_axe_sees_what_is_wrong(page: Page) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page.set_content("<main><img src='data:,'><button></button></main>")
    told = Axe().run(page).generate_report()
    assert "image-alt" in told
    assert "button-name" in told


def test_charts_and_controls_have_names_and_roles_that_a_screen_reader_tells(page: Page, address: str) -> None:
    page.goto(address)
    for drawing in page.locator("svg.plane").all():
        assert drawing.get_attribute("role")
        assert len(drawing.get_attribute("aria-label") or "") > 10, drawing.evaluate("one => one.outerHTML.slice(0, 200)")
    assert page.get_by_role("main").count() == 1
    assert page.get_by_role("navigation").first.get_attribute("aria-label")
    assert page.get_by_role("heading", level=1).count() == 1
    for table in page.get_by_role("table").all():
        assert table.get_by_role("columnheader").count() or table.get_by_role("rowheader").count()
    slider = page.get_by_role("slider")
    assert slider.count() == 1
    assert slider.evaluate("one => one.labels.length || one.getAttribute('aria-label')")


def test_marks_of_a_chart_are_gone_through_by_key_and_spoken(page: Page, address: str) -> None:
    page.goto(address)
    tip, spoken = page.locator(".tip"), page.locator("[role=status]")
    assert page.locator("svg.plane").count() == 8
    chart = page.locator("svg.plane").first
    first = chart.locator("[data-t]").first.get_attribute("data-t") or ""
    chart.focus()
    page.keyboard.press("ArrowRight")
    assert tip.inner_text() == first
    assert spoken.text_content() == first
    page.keyboard.press("Escape")
    assert tip.is_hidden()
    page.locator("svg.tree").focus()
    for line in ("baseline dummy-1: ROC AUC 0.5000 ± 0.0050", "baseline linear-1: ROC AUC 0.9600 ± 0.0050"):
        page.keyboard.press("ArrowDown")
        assert tip.text_content() == line


def test_the_pointer_is_told_of_the_nearest_mark_and_lights_what_belongs_to_it(page: Page, address: str) -> None:
    page.goto(address)
    chart = page.locator("svg.parallel")
    chart.evaluate("one => one.scrollIntoView({ block: 'center', behavior: 'instant' })")
    dot = chart.locator("circle.high").last.bounding_box()
    assert dot is not None
    page.mouse.move(dot["x"] + dot["width"] / 2, dot["y"] + dot["height"] / 2)
    assert "trial 11, 0.955: learning_rate 0.001, leaves 96, booster b" in page.locator(".tip").inner_text()
    assert chart.locator(".on").count() == 2, "the line goes with its dot"


def test_a_series_is_switched_off_by_key(page: Page, address: str) -> None:
    page.goto(address)
    button = page.locator(".legend button").first
    assert button.get_attribute("aria-pressed") == "true"
    button.focus()
    page.keyboard.press("Enter")
    assert button.get_attribute("aria-pressed") == "false"
    assert page.locator("svg .off").count() == 2


def test_the_threshold_is_moved_by_key_and_the_counts_follow(page: Page, address: str) -> None:
    page.goto(address)
    slider, told = page.get_by_role("slider"), page.locator(".threshold output")
    before = told.inner_text()
    slider.focus()
    page.keyboard.press("Home")
    assert told.inner_text().startswith("0.02: precision ")
    lowest = told.inner_text()
    page.keyboard.press("ArrowRight")
    assert told.inner_text() not in (before, lowest)


def test_it_is_whole_without_its_script_and_in_print(page: Page, address: str) -> None:
    page.goto(address)
    spoken = page.locator("main").inner_text()
    page.emulate_media(media="print")
    assert page.locator("svg.plane").first.is_visible()
    bare = page.context.browser.new_context(java_script_enabled=False) if page.context.browser else None
    assert bare is not None
    silent = bare.new_page()
    silent.goto(address)
    assert silent.locator("main").inner_text()[:400] == spoken[:400]
    assert silent.locator("svg.plane").count() == 8
    bare.close()
