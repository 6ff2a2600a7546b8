"""The example notebooks in a real JupyterLab: they open, their outputs are drawn in both themes, and a run is shown while it goes."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import nbformat
import pytest

from evals.notebooks import NOTEBOOKS, REPOSITORY, fresh
from tests.notebook.lab import TOKEN, browser, jupyter_lab, obstacle

pytestmark = [pytest.mark.notebook, pytest.mark.skipif(obstacle() is not None, reason=str(obstacle()))]
WITHIN_S = 300
READY = """(kernel => kernel?.connectionStatus === 'connected' && kernel?.status === 'idle')(
  [...(window.jupyterapp?.shell?.widgets('main') ?? [])].find(shown => shown.sessionContext)?.sessionContext.session?.kernel)"""
"""Whether the notebook's kernel can be asked; before that JupyterLab asks the user which one is meant."""
COLOURS = """(() => {
  const shown = document.querySelector('.mlteam');
  let behind = shown;
  while (behind && getComputedStyle(behind).backgroundColor === 'rgba(0, 0, 0, 0)') behind = behind.parentElement;
  return [getComputedStyle(shown).color, getComputedStyle(behind || document.body).backgroundColor];
})()"""
"""Of the text, and of what lies behind it."""


def contrast(text: str, behind: str) -> float:
    """Contrast ratio of two colours of CSS, by the formula of WCAG 2; the first may be translucent."""
    ink, paper = ([float(part) for part in re.findall(r"[\d.]+", colour)] for colour in (text, behind))
    share = ink[3] if len(ink) > 3 else 1.0
    seen = [share * a + (1 - share) * b for a, b in zip(ink[:3], paper[:3], strict=True)]
    lighter, darker = sorted((_luminance(seen), _luminance(paper[:3])), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: list[float]) -> float:
    linear = [c / 12.92 if (c := part / 255) <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for part in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def kept(name: str, tmp_path: Path) -> Path:
    """Where a screenshot goes: to the folder that SCREENSHOTS names, for who wants to look."""
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder / name


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_a_run_is_shown_while_it_goes_and_its_result_after_it(tmp_path: Path, theme: str) -> None:
    shutil.copy(REPOSITORY / "evals" / "data" / "penguins.csv", tmp_path)
    given = 'from team import run\nr = run("penguins.csv", target="Sex", time="120s", trials=0, families="linear,tree", sandbox="auto")'
    cells = [nbformat.v4.new_code_cell(code) for code in (given, "r", "r.predictions.head(3)")]
    nbformat.write(fresh(cells), tmp_path / "first.ipynb")
    with jupyter_lab(tmp_path, dark=theme == "dark") as address:
        async with browser(f"{address}/lab/tree/first.ipynb?token={TOKEN}&reset") as page:
            await page.until(READY, WITHIN_S)
            await page.value("void jupyterapp.commands.execute('notebook:run-all-cells')")
            live = await page.until("document.querySelector('.mlteam .stages .now')?.textContent", WITHIN_S)
            await page.screenshot(kept(f"{theme}-live.png", tmp_path))
            await page.until("document.querySelector('.mlteam .big')?.textContent", WITHIN_S)
            await page.until("document.querySelectorAll('.jp-OutputArea-output table.dataframe').length > 0", WITHIN_S)
            await page.screenshot(kept(f"{theme}-done.png", tmp_path))
            shown = await page.value("document.querySelectorAll('.mlteam').length")
            colours = await page.value(COLOURS)
    assert live
    assert shown == 2, "one display that was updated in place, and the result"
    assert contrast(*colours) > 4.5


async def test_the_example_notebooks_open_with_their_outputs(tmp_path: Path) -> None:
    names = sorted(path.name for path in NOTEBOOKS.glob("*.ipynb"))
    for name in names:
        shutil.copy(NOTEBOOKS / name, tmp_path)
    with jupyter_lab(tmp_path) as address:
        for name in names:
            async with browser(f"{address}/lab/tree/{name}?token={TOKEN}&reset", height=4000) as page:
                await page.until("document.querySelectorAll('.jp-OutputArea-output').length > 3", WITHIN_S)
                await page.screenshot(kept(f"{Path(name).stem}.png", tmp_path))
                text = await page.value("document.querySelector('.jp-Notebook').textContent")
                assert "Traceback" not in text
    assert len(names) == 3
