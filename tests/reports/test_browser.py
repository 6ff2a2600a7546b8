"""The report as its readers get it: in a browser, at a desk and on a phone, light and dark, by pointer, key and screen reader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest

from reports.html import write_report
from tests.browser import DESK, PHONE, Seen, complaints, fit
from tests.reports.written import searched

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = [pytest.mark.slow, pytest.mark.browser]
NAME = "Körper & <Masse> 体"


CHARTS = 17


def drawn(page: Page, number: int | None = None) -> None:
    """Come to a chart, or to all one after another, and wait until it is drawn."""
    for one in range(page.locator(".plot").count()) if number is None else [number]:
        page.locator(".plot").nth(one).evaluate("one => one.scrollIntoView({ block: 'center', behavior: 'instant' })")
        page.wait_for_function("number => 'drawn' in document.querySelectorAll('.plot')[number].dataset", arg=one)


def chart_of(page: Page, title: str) -> Locator:
    """The chart under this title, drawn."""
    number = [one.inner_text() for one in page.locator("figure.chartbox figcaption b").all()].index(title)
    drawn(page, number)
    return page.locator(".plot").nth(number)


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
    drawn(page)
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
    for chart in page.locator(".plot").all():
        assert chart.get_attribute("role") in ("img", "application", "group"), "an image until it is drawn and answers keys"
        assert len(chart.get_attribute("aria-label") or "") > 10, chart.evaluate("one => one.outerHTML.slice(0, 200)")
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
    assert page.locator(".plot").count() == CHARTS
    chart = chart_of(page, "ROC curve")
    assert chart.get_attribute("role") == "application"
    hover, spoken = chart.locator(".hoverlayer .hovertext"), page.locator("[role=status]")
    first = chart.evaluate("one => JSON.parse(one.nextElementSibling.textContent).data.find((trace) => trace.hovertext).hovertext[0]")
    assert first.startswith("false alarms 0.000, found ")
    chart.focus()
    page.keyboard.press("ArrowRight")
    assert spoken.text_content() == first
    assert hover.text_content() == first
    page.keyboard.press("Escape")
    hover.wait_for(state="detached")
    tree = chart_of(page, "From drafts to what was taken")
    tree.focus()
    for line in ("baseline dummy-1: ROC AUC 0.5000 ± 0.0050", "baseline linear-1: ROC AUC 0.9600 ± 0.0050"):
        page.keyboard.press("ArrowDown")
        assert spoken.text_content() == line


def test_the_pointer_is_told_of_the_mark_that_it_comes_to(page: Page, address: str) -> None:
    page.goto(address)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")  # all are drawn, so that none above this one moves it meanwhile
    page.wait_for_function("document.querySelectorAll('.plot:not([data-drawn])').length === 0")
    chart = chart_of(page, "Optimisation history")
    mark = chart.locator(".scatterlayer .points path").last.bounding_box()
    assert mark is not None
    page.mouse.move(mark["x"] + mark["width"] / 2 - 20, mark["y"] + mark["height"] / 2)
    page.mouse.move(mark["x"] + mark["width"] / 2, mark["y"] + mark["height"] / 2, steps=4)
    # On its way the pointer passes the mark before, and Plotly tells of that one until it has caught up.
    chart.locator(".hoverlayer .hovertext", has_text="trial 11 of lightgbm, 0.955").wait_for(state="attached")


def test_parallel_coordinates_have_an_axis_for_each_parameter_and_one_for_the_score(page: Page, address: str) -> None:
    page.goto(address)
    chart = chart_of(page, "Trials of lightgbm")
    assert chart.locator("canvas").count() > 1, "WebGL draws its lines"
    names = [name.text_content() for name in chart.locator(".axis-title").all()]
    assert sorted(names[:-1]) == ["booster", "learning_rate", "leaves"]
    assert names[-1] == "ROC AUC"
    values = chart.locator("xpath=ancestor::figure").locator("details.marks")
    values.locator("summary").click()
    assert values.get_by_text("trial 11, 0.955: learning_rate 0.001, leaves 96, booster b").is_visible()


@pytest.mark.parametrize("way", ["pointer", "key"])
def test_a_legend_switches_a_series_off(page: Page, address: str, way: str) -> None:
    page.goto(address)
    chart = chart_of(page, "Optimisation history")
    toggle = chart.locator(".legendtoggle").first
    shown = chart.evaluate("one => one.querySelectorAll('.scatterlayer .trace').length")
    assert (toggle.get_attribute("aria-label"), toggle.get_attribute("aria-pressed")) == ("best so far", "true")
    if way == "pointer":
        toggle.click()
    else:
        toggle.focus()
        page.keyboard.press("Enter")
    count = "one => document.querySelectorAll('.plot')[one.at].querySelectorAll('.scatterlayer .trace').length === one.shown - 1"
    at = chart.evaluate("one => [...document.querySelectorAll('.plot')].indexOf(one)")
    page.wait_for_function(count, arg={"at": at, "shown": shown})
    assert chart.locator(".legendtoggle").first.get_attribute("aria-pressed") == "false"


def test_colours_follow_the_scheme_and_what_was_switched_off_stays_off(page: Page, address: str) -> None:
    page.emulate_media(color_scheme="light")
    page.goto(address)
    chart = chart_of(page, "Optimisation history")
    paint = "one => getComputedStyle(one.querySelector('.legendtext')).fill"
    light = chart.evaluate(paint)
    at = chart.evaluate("one => [...document.querySelectorAll('.plot')].indexOf(one)")
    chart.locator(".legendtoggle").nth(1).click()
    page.wait_for_function("at => document.querySelectorAll('.plot')[at].data[1].visible === 'legendonly'", arg=at)
    page.emulate_media(color_scheme="dark")
    changed = "one => getComputedStyle(document.querySelectorAll('.plot')[one.at].querySelector('.legendtext')).fill !== one.light"
    page.wait_for_function(changed, arg={"at": at, "light": light})
    assert chart.evaluate("one => one.data[1].visible") == "legendonly"


def test_the_threshold_is_moved_by_key_and_the_counts_follow(page: Page, address: str) -> None:
    page.goto(address)
    slider, told = page.get_by_role("slider"), page.locator(".threshold output")
    chart = chart_of(page, "Confusion matrix")
    cells = "one => one.data[0].z.flat()"
    before, scored = told.inner_text(), chart.evaluate(cells)
    slider.focus()
    page.keyboard.press("Home")
    assert told.inner_text().startswith("0.02: precision ")
    lowest = told.inner_text()
    page.keyboard.press("ArrowRight")
    assert told.inner_text() not in (before, lowest)
    at = chart.evaluate("one => [...document.querySelectorAll('.plot')].indexOf(one)")
    same = "one => (String(document.querySelectorAll('.plot')[one.at].data[0].z.flat()) === String(one.scored)) === one.same"
    page.wait_for_function(same, arg={"at": at, "scored": scored, "same": False})
    page.get_by_role("button", name="As it was scored").click()
    page.wait_for_function(same, arg={"at": at, "scored": scored, "same": True})


def test_it_is_whole_without_its_script_and_in_print(page: Page, address: str) -> None:
    page.goto(address)
    spoken = page.locator("main").inner_text()
    page.emulate_media(media="print")
    page.wait_for_function("[...document.querySelectorAll('.plot')].every((one) => 'drawn' in one.dataset)")
    bare = page.context.browser.new_context(java_script_enabled=False) if page.context.browser else None
    assert bare is not None
    silent = bare.new_page()
    silent.goto(address)
    assert silent.locator("main").inner_text()[:400] == spoken[:400]
    assert silent.get_by_role("img", name="ROC AUC: ").count() == 1
    values = silent.locator("details.marks").nth(1)
    values.locator("summary").click()
    assert values.get_by_role("row").count() > 3, "a chart's values are there for who has no script"
    bare.close()
