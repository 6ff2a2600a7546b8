"""The site of an eval: pages that ask for nothing, lead only where they say, say what the standings say, and hold hostile names as text."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pandas as pd
import pytest

from evals.blocks import rightly
from evals.site.addresses import file_name, report_link
from evals.site.diagram import diagram
from evals.site.summary import markdown, verdict
from evals.site.writing import publish
from evals.standings import standings
from evals.suite import load_suite
from team.errors import UsageError
from tests.browser import DESK, PHONE, Seen, complaints, fit
from tests.evals.attempted import attempt, field, grid, kept
from tests.reports.test_html import HOSTILE, Page

if TYPE_CHECKING:
    from playwright.sync_api import Page as Screen

UNSAFE = f"a/../{HOSTILE}\u202e"


def everything() -> list:
    """Two budgets, reports, failures, an expected refusal, and names that are markup."""
    rows = field(6)
    rows += [row.model_copy(update={"budget_s": 10.0, "score": row.score and row.score - 0.05}) for row in rows]
    rows[0] = rows[0].model_copy(update={"report": "runs/a b/report.html", "versions": {"scikit-learn": "1.9.1"}})
    for system in ("strong", "weak", "dummy", UNSAFE):
        refused = system != "weak"
        rows.append(attempt(UNSAFE, system, None if refused else 0.7, status="refused" if refused else "ok", reason=HOSTILE, right=refused))
    rows.append(
        attempt("task00", UNSAFE, None, status="out_of_memory", reason=f"{HOSTILE} | *killed*", tokens_in=5, tokens_out=2, dollars=0.2)
    )
    return rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = kept(tmp_path_factory.mktemp("eval"), everything())
    (found / "runs" / "a b").mkdir(parents=True)
    (found / "runs" / "a b" / "report.html").write_text("<p>a run</p>")
    assert publish(found) == found / "site" / "index.html"
    return found


@pytest.fixture(scope="module")
def pages(folder: Path) -> dict[str, Page]:
    return {str(path.relative_to(folder / "site")): Page(path) for path in sorted((folder / "site").rglob("*.html"))}


def test_there_is_a_page_for_each_task_and_each_system(pages: dict[str, Page]) -> None:
    assert {"index.html", "failures.html", "systems/strong.html"} <= set(pages)
    assert sum(name.startswith("tasks/") for name in pages) == 7
    assert sum(name.startswith("systems/") for name in pages) == 4


def test_pages_ask_for_nothing_and_their_links_lead_to_what_is_there(folder: Path, pages: dict[str, Page]) -> None:
    led: set[str] = set()
    for name, page in pages.items():
        assert page.open == []
        tags = {tag for tag, _ in page.elements}
        assert not tags & {"link", "iframe", "object", "embed", "base", "form", "img"}
        assert len(page.scripts) == 1
        assert not re.search(r"url\(|@import|https?://", page.source)
        assert len(page.ids) == len(set(page.ids))
        for link in page.links():
            address, _, place = link.partition("#")
            if place:
                assert place in page.ids
            if address:
                target = (folder / "site" / name).parent / unquote(address)
                assert target.resolve().is_file(), link
                assert target.resolve().is_relative_to(folder)
                led.add(str(target.resolve().relative_to(folder)))
    assert "runs/a b/report.html" in led
    assert {f"site/{name}" for name in pages} <= led, "every page is led to"


def test_hostile_names_and_reasons_are_text(folder: Path, pages: dict[str, Page]) -> None:
    for page in pages.values():
        assert not any(name.startswith("on") for _, attrs in page.elements for name in attrs)
        assert "\u202e" not in page.source
    failures = pages["failures.html"].text
    assert "<script>alert(1)</script>" in failures
    assert "{{ 7*7 }}" in failures
    told = (folder / "summary.md").read_text()
    assert "<script" not in told
    assert "<img" not in told
    assert "&#124; &#42;killed&#42;" in told


def test_the_index_says_what_the_standings_say(folder: Path, pages: dict[str, Page]) -> None:
    text = " ".join(pages["index.html"].text.split())
    document = json.loads((folder / "standings.json").read_text())
    assert [(one["suite"], one["budget_s"], one["schema_version"]) for one in document["standings"]] == [
        ("classic", 10, 1),
        ("classic", 60, 1),
    ]
    told = ("Ranks, 10.0 s", "Ranks, 1 min", "Critical difference", "What a score costs", "2 of 113 attempts failed", "18–0–0")
    for part in told:
        assert part in text
    assert "strong has the best average rank, 1.00 of 3" in text
    assert "Score by time" in text
    assert "Score by dollars" in text
    task = " ".join(pages[f"tasks/{file_name('classic/task00')}"].text.split())
    assert "ROC AUC, higher is better; 400 rows to learn from, 100 to predict" in task
    assert "out of memory" in task
    judged = " ".join(pages[f"tasks/{file_name(f'classic/{UNSAFE}')}"].text.split())
    assert "Judged by whether the outcome is the right one" in judged
    assert "higher is better" not in judged
    assert "not right" in judged
    system = " ".join(pages["systems/strong.html"].text.split())
    assert "scikit-learn" in system
    assert "as it should be" in system


def test_rows_and_what_is_made_of_them_lie_beside_each_other(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {
        *("attempts.jsonl", "attempts.parquet", "attempts.json", "standings.json", "summary.md", "site", "runs"),
    }
    assert len(pd.read_parquet(folder / "attempts.parquet")) == len(json.loads((folder / "attempts.json").read_text()))


def test_a_page_that_is_no_longer_wanted_goes_and_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    index = publish(kept(tmp_path, field(2)))
    first = index.read_bytes()
    (index.parent / "tasks" / "old.html").write_text("old")
    assert publish(tmp_path).read_bytes() == first
    assert not (index.parent / "tasks" / "old.html").exists()


def test_what_a_suite_says_of_its_tasks_is_said_when_pages_are_written_again(tmp_path: Path) -> None:
    task = load_suite("smoke").tasks[0]
    index = publish(kept(tmp_path, grid({task.name: {"a": [0.9]}}, suite="smoke")), load_suite("smoke").tasks)
    page = index.parent / "tasks" / file_name(f"smoke/{task.name}")
    first = page.read_bytes()
    assert task.licence in Page(page).text
    publish(tmp_path)
    assert page.read_bytes() == first
    (tmp_path / "tasks.json").write_text("{")
    publish(tmp_path)
    assert task.licence not in Page(page).text, "pages can do without"


@pytest.mark.parametrize(("share", "attempts", "told"), [(1.0, 1, "right"), (0.0, 3, "not right"), (2 / 3, 3, "2 of 3 right")])
def test_outcomes_are_told_in_words(share: float, attempts: int, told: str) -> None:
    assert rightly(share, attempts) == told


def test_the_diagram_draws_each_system_and_each_group() -> None:
    (found,) = standings(field(8))
    drawn = str(diagram(found))
    assert drawn.count('class="dot"') == 3
    assert drawn.count('class="clique"') == len(found.test.groups if found.test else ()) == 2
    assert "critical difference 1.17" in drawn
    (two,) = standings(field(2))
    assert "longer than the axis" in str(diagram(two))
    (single,) = standings(grid({"t": {"only": [0.9]}}))
    assert str(diagram(single)) == ""


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (field(8), "It is told apart from dummy, and not from weak."),
        (field(12), "It is told apart from all others."),
        (grid({f"t{k}": {"a": [0.9 + 0.01 * (-1) ** k], "b": [0.9]} for k in range(6)}), "All 2 systems share the average rank 1.50."),
        (grid({f"t{k}": {"a": [0.9], "b": [0.95 if k else 0.8]} for k in range(3)}), "differ by no more than chance"),
        (grid({"t": {"a": [0.9], "b": [0.8]}}), "Over one task ranks are not tested."),
        (grid({"t": {"only": [0.9]}}), "One system alone"),
        (grid({"t": {"a": [0.9]}, "u": {"b": [0.9]}}), "There are no ranks"),
    ],
)
def test_the_verdict_claims_no_more_than_the_tests_say(rows: list, said: str) -> None:
    (found,) = standings(rows)
    assert said in verdict(found)
    assert said.replace("'", "&#39;") in markdown([found], rows)


@pytest.mark.parametrize(
    "rows", [grid({"t": {"only": [0.9]}}), grid({"t": {"a": [None], "b": [None]}}), grid({"t": {"a": [0.9]}, "u": {"b": [None]}})]
)
def test_poor_results_have_a_site_all_the_same(tmp_path: Path, rows: list) -> None:
    page = Page(publish(kept(tmp_path, rows)))
    assert page.open == []
    assert "Failures" in page.text


def test_an_eval_without_attempts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"attempts.jsonl' is not there, expected the rows of an eval. `mlteam eval SUITE --out"):
        publish(tmp_path)
    (tmp_path / "attempts.jsonl").write_text("")
    with pytest.raises(UsageError, match="holds no attempt"):
        publish(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["attempts.jsonl"]


def test_names_of_files_are_plain_and_differ() -> None:
    names = ["plain", "a/b", "a b", "A-b", "..", "", "体", "x" * 300, "\ud800"]
    files = [file_name(name) for name in names]
    assert len({*files}) == len(names)
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9-]{0,70}\.html", name) for name in files)
    assert files[0] == "plain.html"


@pytest.mark.parametrize(
    "report", ["", "/etc/passwd", "../outside.html", "javascript:alert(1)", "gone.html", "way/out.html", "runs", "a\0b"]
)
def test_a_report_that_is_no_file_of_the_eval_is_not_linked(tmp_path: Path, report: str) -> None:
    folder = tmp_path / "eval"
    (folder / "runs").mkdir(parents=True)
    (tmp_path / "outside.html").write_text("")
    (folder / "way").symlink_to(tmp_path)
    (tmp_path / "out.html").write_text("")
    assert report_link(folder, attempt("t", "s", 0.9, report=report)) is None


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("name", ["index.html", "failures.html", "systems/strong.html", f"tasks/{file_name('classic/task00')}"])
def test_pages_fit_their_window_and_can_be_read(folder: Path, page: Screen, seen: Seen, name: str) -> None:
    for width, scheme in ((DESK, "light"), (PHONE, "dark")) if name != "index.html" else ((DESK, "dark"), (PHONE, "light")):
        fit(page, width, scheme)
        page.goto((folder / "site" / name).as_uri())
        assert complaints(page) == [], f"{width} pixels, {scheme}"
    assert seen.hosts() == {""}
