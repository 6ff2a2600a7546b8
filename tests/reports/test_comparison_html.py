"""The page of a comparison asks for nothing, runs nothing, and says what the comparison says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reports.comparison import Comparison, CorrectedTest, Pair, cost_rows, differing
from reports.comparison_html import write_comparison
from reports.side import read_side
from tests.reports.test_html import HOSTILE, Page
from tests.reports.written import finished

TEST = CorrectedTest(test="delong", over="rows", n=67, difference=-0.0123, low=-0.02, high=-0.004, p=0.0004, p_holm=0.0008)


def comparison(out: Path, *, comparable: bool = True, name: str = "Mass", **settings: object) -> Comparison:
    sides = [read_side(finished(out, name=name, **{**settings, "time": 10.0 * (k + 1)}).path, "AB"[k]) for k in range(2)]
    pair = Pair(first="A", second="B", tests=(TEST,), untested=("over folds: none",), decisive="delong", better="B", verdict=f"B {name}")
    return Comparison(
        comparable=comparable,
        why=() if comparable else (f"target: {name} in A",),
        task="binary",
        target=name,
        metric="roc_auc" if comparable else None,
        direction="maximize",
        runs=tuple(sides),
        settings=differing([side.settings for side in sides]),
        versions=(),
        parameters=differing([{name: 1}, {name: 2}]),
        candidates=differing([{"a": 0.9}, {"a": 0.8}]),
        pairs=(pair,) if comparable else (),
        notes=("A note.",),
    )


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    out = tmp_path_factory.mktemp("runs")
    return Page(write_comparison(comparison(out), out / "page.html"))


def test_it_says_what_the_comparison_says(page: Page) -> None:
    text = " ".join(page.text.split())
    for part in ("2 runs compared: predicting Mass", "scores comparable", "0.9777", "B Mass", "DeLong's test", "−0.0123", "<0.001"):
        assert part in text
    for part in ("−0.0200 to −0.0040", "Not tested over folds: none", "10.0 s", "20.0 s", "A note.", "0.9000", "What each did"):
        assert part in text
    for title, _ in cost_rows([]):
        assert title in text


def test_it_is_self_contained(page: Page) -> None:
    assert page.open == []
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "link", "iframe", "object", "embed", "base", "form", "img"}
    assert all(link.startswith("#") for link in page.links())
    assert {link[1:] for link in page.links()} <= set(page.ids)
    assert not re.search(r"url\(|@import|https?://", page.source)


def test_scores_that_are_not_comparable_are_marked_and_not_drawn(tmp_path: Path) -> None:
    page = Page(write_comparison(comparison(tmp_path, comparable=False), tmp_path / "page.html"))
    assert "Scores are not comparable" in page.text
    assert "target: Mass in A" in page.text
    assert "(not comparable)" in page.text
    assert not any(tag == "svg" for tag, _ in page.elements)


def test_hostile_text_is_text(tmp_path: Path) -> None:
    for comparable in (True, False):
        made = comparison(tmp_path, comparable=comparable, name=HOSTILE, source=HOSTILE, goal=HOSTILE, model=HOSTILE)
        page = Page(write_comparison(made, tmp_path / "page.html"))
        assert page.open == []
        assert not any(tag in ("script", "img") for tag, _ in page.elements)
        assert not any(name.startswith("on") for _, attrs in page.elements for name in attrs)
        assert "<script>alert(1)</script>" in page.text
        assert "{{ 7*7 }}" in page.text


def test_the_same_comparison_gives_the_same_bytes_and_nothing_else_is_left(tmp_path: Path) -> None:
    made = comparison(tmp_path / "runs")
    folder = tmp_path / "pages"
    folder.mkdir()
    first = write_comparison(made, folder / "page.html").read_bytes()
    assert write_comparison(made, folder / "page.html").read_bytes() == first
    assert [path.name for path in folder.iterdir()] == ["page.html"]
