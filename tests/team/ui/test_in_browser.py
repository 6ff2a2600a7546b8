"""The page in Chromium: at a desk and on a phone, light and dark, by key, and while a real run goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from team.events import ToolCalled, ToolReturned
from tests.browser import DESK, PHONE, Seen, complaints, fit
from tests.reports.written import Written, finished
from tests.team.commands import command, follow, lines, running
from tests.team.scored import scored
from tests.team.ui.feeding import Said, said
from tests.team.ui.served import served

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]
HOSTILE = "Körper <img src=x onerror=alert(1)> 体"
PENGUINS = Path(__file__).parents[3] / "evals" / "data" / "penguins.csv"


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def names(out: Path) -> list[str]:
    """Three finished runs; the first has hostile text."""
    return [finished(out, name=HOSTILE).name, scored(out, noise=0.1).name, scored(out, noise=0.4).name]


@pytest.fixture(scope="module")
def client(out: Path, names: list[str]) -> Iterator[httpx.Client]:
    with served(out) as made:
        yield made


def test_every_page_can_be_read_at_a_desk_and_on_a_phone_light_and_dark(
    page: Page, seen: Seen, client: httpx.Client, names: list[str]
) -> None:
    place = f"/runs/{names[0]}"
    compared = f"/compare?run={names[1]}&run={names[2]}"
    for path in ("/", f"{place}/", f"{place}/trace", f"{place}/cells/1", "/compare", compared):
        page.goto(f"{client.base_url}{path}")
        for width, scheme in ((DESK, "light"), (DESK, "dark"), (PHONE, "light"), (PHONE, "dark")):
            fit(page, width, scheme)
            page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
            assert complaints(page) == [], f"{path} at {width} pixels, {scheme}"
    assert seen.hosts() == {f"127.0.0.1:{client.base_url.port}"}


def test_the_list_is_filtered_sorted_and_leads_to_a_comparison_by_keys_alone(page: Page, client: httpx.Client, names: list[str]) -> None:
    page.goto(f"{client.base_url}/")
    shown = page.locator("#rows tr:visible")
    assert page.locator("#count").text_content() == "3 runs"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.locator("#filter").focus()
    page.keyboard.type("mass linear")
    assert shown.count() == 0
    page.keyboard.press("Control+a")
    page.keyboard.type("breast_cancer")
    assert page.locator("#count").text_content() == "2 of 3 runs"
    page.locator("button[data-sort='5']").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert page.locator("#runs th[aria-sort]").get_attribute("aria-sort") == "ascending"
    scores = [float(row.get_attribute("data-v") or "nan") for row in page.locator("#rows tr:visible td[data-title=Holdout]").all()]
    assert scores == sorted(scores)
    assert page.locator("#comparing").is_disabled()
    for box in page.locator("#rows tr:visible input").all():
        box.focus()
        page.keyboard.press("Space")
    page.locator("#comparing").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/compare?**")
    assert "2 runs compared" in (page.locator("h1").text_content() or "")


def test_the_timeline_zooms_to_what_is_chosen_and_back(page: Page, client: httpx.Client, names: list[str]) -> None:
    page.goto(f"{client.base_url}/runs/{names[0]}/trace")
    spans = page.locator(".span:visible")
    assert spans.count() == 17
    page.locator("#depth").select_option("1")
    assert spans.count() == 9
    page.locator(".span.stage .name", has_text="train").focus()
    page.keyboard.press("Enter")
    assert page.locator(".span.stage:visible .lane rect[width^='100']").count() == 1
    page.keyboard.press("Escape")
    assert spans.count() == 9
    assert page.locator("#whole").is_disabled()


def test_hostile_text_is_text_and_what_was_unfolded_stays_so_while_a_turn_grows(
    page: Page, client: httpx.Client, out: Path, names: list[str]
) -> None:
    page.goto(f"{client.base_url}/runs/{names[0]}/")
    assert page.locator("img").count() == 0
    assert page.get_by_text("<img src=x onerror=alert(1)>").count() > 0
    with Written(out) as w:
        w.start()
        w.turn("engineer", "train")
        w.add(ToolCalled(call="c", turn=1, role="engineer", tool="train", where="kernel", arguments={"note": HOSTILE}))
        w.add(ToolReturned(call="c", tool="train", status="ok", seconds=1.0, text=f"All of {HOSTILE}"))
        with w.run.lock():
            page.goto(f"{client.base_url}/runs/{w.run.name}/")
            page.locator("#turn-0 summary", has_text="result").focus()
            page.keyboard.press("Enter")
            assert page.locator("#turn-0 details[open] pre").text_content() == f"All of {HOSTILE}"
            w.say("engineer", f"Then {HOSTILE}")
            page.locator("#turn-0", has_text="Then").wait_for()
            assert page.locator("#turn-0 details[open] pre").text_content() == f"All of {HOSTILE}"
            assert page.locator("img").count() == 0


def test_a_real_run_is_seen_to_grow_and_its_feed_is_taken_up_where_it_was_cut(page: Page, seen: Seen, tmp_path: Path) -> None:
    words = ["--target", "Sex", "--time", "60s", "--trials", "0", "--families", "linear", "--sandbox", "unsafe-local"]
    with served(tmp_path) as client, running(command("run", str(PENGUINS), *words, "--out", str(tmp_path))) as process:
        run = follow(process, tmp_path, lambda event: event["kind"] == "turn_started")
        assert client.get("/api/runs").json()["runs"][0]["entry"]["state"] == "running"
        page.goto(f"{client.base_url}/runs/{run.name}/")
        before = page.locator(".turn").count()
        page.locator(f"#turn-{before}").wait_for(state="attached")
        assert page.locator("#feed").text_content() == "live"
        assert page.locator("#now").is_visible()
        found: list[Said] = []
        while not found or found[-1].kind != "over":
            last = {"last-event-id": str(found[-1].number)} if found else {}
            with client.stream("GET", f"/api/runs/{run.name}/events", headers=last) as answer:
                for count, one in enumerate(said(answer), 1):
                    found.append(one)
                    if count == 25:
                        break
        assert [json.loads(one.data) for one in found[:-1]] == lines(run)
        assert found[-1].data == "done"
        page.wait_for_selector("body[data-state=over]", state="attached")
        logged = lines(run)
        assert page.locator(".turn").count() == sum(event["kind"] == "turn_started" for event in logged)
        assert page.locator("#head .pill").text_content() == "done"
        assert page.locator("#now").is_hidden()
        # What grew is what a page that is opened now has.
        grown = page.locator("#turns").inner_text()
        page.reload()
        assert page.locator("#turns").inner_text() == grown
        page.locator(".turn summary", has_text="cell").first.click()
        assert "show(" in (page.locator(".turn details[open] pre.code").first.text_content() or "")
        page.locator("#documents a", has_text="Report").click()
        page.wait_for_url("**/reports/report.html")
        assert "penguins" in (page.locator("body").text_content() or "")
    assert len(seen.hosts()) == 1
