"""The report as its readers get it: in a browser, at a desk and on a phone, light and dark, by pointer and by key."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports.html import write_report
from tests.notebook.lab import Page, browser, browser_program
from tests.reports.written import searched

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(browser_program() is None, reason="there is no Chromium: apt-get install chromium"),
]
AUDIT = Path(__file__).with_name("audit.js").read_text(encoding="utf-8")
LISTEN = """
window.trouble = [];
addEventListener("error", (event) => trouble.push(String(event.message)));
addEventListener("securitypolicyviolation", (event) => trouble.push(`${event.violatedDirective}: ${event.blockedURI}`));
for (const kind of ["error", "warn"]) console[kind] = (...said) => trouble.push(said.join(" "));
"""
MIDDLE_OF_BEST = """(() => {
  const box = [...document.querySelectorAll("svg.parallel circle.high")].at(-1).getBoundingClientRect();
  return [box.x + box.width / 2, box.y + box.height / 2];
})()"""
TO_THE_LEFT = """(() => {
  const slider = document.querySelector(".threshold input");
  slider.value = 0;
  slider.dispatchEvent(new Event("input"));
})()"""
KEYS = {"ArrowRight": 39, "ArrowDown": 40, "Escape": 27, "Enter": 13}
WITHIN_S = 60.0


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_report(searched(tmp_path_factory.mktemp("runs"), name="Körper & <Masse> 体").path).as_uri()


async def opened(page: Page, address: str, *, width: int, scheme: str) -> None:
    await page.ask("Page.enable")
    await page.ask("Page.addScriptToEvaluateOnNewDocument", source=LISTEN)
    await page.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500)
    await page.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    await page.ask("Page.navigate", url=address)
    await page.until("location.protocol === 'file:' && document.readyState === 'complete'", WITHIN_S)


async def press(page: Page, key: str) -> None:
    text = {"text": "\r"} if key == "Enter" else {}
    await page.ask("Input.dispatchKeyEvent", type="keyDown", key=key, code=key, windowsVirtualKeyCode=KEYS[key], **text)
    await page.ask("Input.dispatchKeyEvent", type="keyUp", key=key, code=key, windowsVirtualKeyCode=KEYS[key])


async def test_it_fits_its_window_can_be_read_and_has_names_for_what_cannot_be_seen(address: str) -> None:
    async with browser("about:blank") as page:
        for width, scheme in ((1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")):
            await opened(page, address, width=width, scheme=scheme)
            await page.value("for (const part of document.querySelectorAll('details')) part.open = true")
            assert await page.value(AUDIT) == [], f"{width} pixels, {scheme}"
            assert await page.value("trouble") == []


async def test_charts_tables_and_the_threshold_answer_pointer_and_keys(address: str) -> None:
    async with browser("about:blank") as page:
        await opened(page, address, width=1280, scheme="light")
        shown = "(() => { const tip = document.querySelector('.tip'); return tip.hidden ? '' : tip.textContent; })()"
        assert await page.value("document.querySelectorAll('svg.plane').length") == 8
        # By key: the marks of a chart one after another, each spoken; Escape leaves.
        await page.value("document.querySelector('svg.plane').focus({ preventScroll: true })")
        first = await page.value("document.querySelector('svg.plane [data-t]').dataset.t")
        await press(page, "ArrowRight")
        assert await page.value(shown) == first
        assert await page.value("document.querySelector('[role=status]').textContent") == first
        await press(page, "Escape")
        assert await page.value(shown) == ""
        # The tree: down its lines by the arrow that points down.
        await page.value("document.querySelector('svg.tree').focus({ preventScroll: true })")
        for line in ("baseline dummy-1: ROC AUC 0.5000 ± 0.0050", "baseline linear-1: ROC AUC 0.9600 ± 0.0050"):
            await press(page, "ArrowDown")
            assert await page.value(shown) == line
        await press(page, "Escape")
        # By pointer: the nearest mark.
        await page.value("document.querySelector('svg.parallel').scrollIntoView({ block: 'center', behavior: 'instant' })")
        at = await page.value(MIDDLE_OF_BEST)
        await page.ask("Input.dispatchMouseEvent", type="mouseMoved", x=at[0], y=at[1])
        assert "trial 11, 0.955: learning_rate 0.001, leaves 96, booster b" in await page.value(shown)
        assert await page.value("document.querySelectorAll('svg.parallel .on').length") == 2, "the line goes with its dot"
        # A series is switched off, a table is sorted, a threshold is moved.
        await page.value("document.querySelector('.legend button').focus({ preventScroll: true })")
        await press(page, "Enter")
        assert await page.value("document.querySelector('.legend button').getAttribute('aria-pressed')") == "false"
        assert await page.value("document.querySelectorAll('svg .off').length") == 2
        await page.value(TO_THE_LEFT)
        assert str(await page.value("document.querySelector('.threshold output').textContent")).startswith("0.02: precision ")
        assert await page.value("trouble") == []
