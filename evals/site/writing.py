"""The site of an eval: static pages that ask for nothing, of which each holds its style and script.

Everything that comes from tasks, systems and what they said is text (see `reports/pages.py`); links lead to pages of the site, and to
reports of runs that lie in the eval's folder.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from evals.attempts import Attempt, Attempts
from evals.blocks import ending, rightly, well
from evals.figures import RIGHT, Cell, Duel, Figure, Place, Standing
from evals.site.about import About, Described, kept
from evals.site.addresses import file_name, report_link
from evals.site.costs import cost_charts
from evals.site.diagram import diagram
from evals.site.summary import alike, markdown, verdict
from evals.standings import standings
from reports import charts, pages
from reports.charts import Axis, focused_axis
from reports.figures import duration, score_format
from team.errors import UsageError
from team.rundir import write_atomic
from tools.files import remove_tree

MOST_ROWS = 2000
MOST_REASON_CHARS = 600
FOLDER, INDEX, STANDINGS, SUMMARY = "site", "index.html", "standings.json", "summary.md"
TEMPLATES = Path(__file__).with_name("templates")


class Results(Figure):
    """The document `standings.json`."""

    standings: tuple[Standing, ...]


def publish(folder: Path, described: Iterable[Described] = ()) -> Path:
    """Write what the attempts of an eval say, beside them: `site/`, `summary.md` and `standings.json`; and the attempts as tables.

    Args:
        folder: of an eval, with its `attempts.jsonl`.
        described: tasks whose source, licence and reason are told, and kept for the next time.

    Returns:
        the first page.

    Raises:
        UsageError: when there are no attempts, or they cannot be read.
    """
    attempts = read(folder)
    found = standings(attempts)
    attempts.write_parquet()
    write_atomic(folder / STANDINGS, Results(standings=tuple(found)).model_dump_json(indent=1) + "\n")
    write_atomic(folder / SUMMARY, markdown(found, list(attempts)))
    return write_site(folder, found, list(attempts), kept(folder, described))


def read(folder: Path) -> Attempts:
    """The attempts of an eval.

    Raises:
        UsageError: when there are none.
    """
    attempts = Attempts(folder)
    if not len(attempts):
        what = "holds no attempt" if attempts.path.exists() else "is not there"
        raise UsageError(f"{str(attempts.path)!r} {what}, expected the rows of an eval. `mlteam eval SUITE --out {folder}` makes them.")
    return attempts


def write_site(folder: Path, found: Sequence[Standing], attempts: Sequence[Attempt], about: Mapping[str, About]) -> Path:
    """Write the pages to `site/` in `folder`, in place of those that were there, and return the first page."""
    made, site = folder / f".{FOLDER}.made", folder / FOLDER
    remove_tree(made)
    for part in ("tasks", "systems"):
        (made / part).mkdir(parents=True)
    writer = _Pages(folder, found, attempts, about)
    for name, text in writer.pages():
        (made / name).write_text(text, encoding="utf-8", errors="replace")
    remove_tree(site)
    made.rename(site)
    return site / INDEX


class _Pages:
    """All pages of one eval."""

    def __init__(self, folder: Path, found: Sequence[Standing], attempts: Sequence[Attempt], about: Mapping[str, About]) -> None:
        self.found, self.attempts, self.about = found, sorted(attempts, key=lambda row: row.key), about
        self.environment = pages.environment(score_format(1.0), folders=[TEMPLATES])
        self.environment.filters |= {
            "file_name": file_name,
            "report_link": lambda row: report_link(folder, row),
            "well": well,
            "ending": ending,
            "rightly": lambda cell: rightly(cell.score.value, cell.attempts),
            "reason": lambda text: text if len(text) <= MOST_REASON_CHARS else text[: MOST_REASON_CHARS - 1] + "…",
            "mebibytes": lambda value: f"{value:,.0f} MiB",
            "has": _has,
            "duel": _duel,
            "aside": self._aside,
        }
        self.environment.globals["right_metric"] = RIGHT
        self.shared = {
            "css": pages.stylesheet("report.css", "plots.css", "comparison.css", TEMPLATES / "site.css"),
            "suites": ", ".join(dict.fromkeys(standing.suite for standing in found)),
            "finished": max(standing.finished for standing in found)[:19].replace("T", " ") + " UTC",
            "most_rows": MOST_ROWS,
        }

    def pages(self) -> Iterator[tuple[str, str]]:
        """Name and text of each."""
        yield INDEX, self._page("index.html", "", **self._index())
        yield "failures.html", self._page("failures.html", "./", **self._failures())
        for suite, name in dict.fromkeys((row.suite, row.task) for row in self.attempts):
            yield f"tasks/{file_name(f'{suite}/{name}')}", self._page("task.html", "../", **self._task(suite, name))
        for name in dict.fromkeys(row.system for row in self.attempts):
            yield f"systems/{file_name(name)}", self._page("system.html", "../", **self._system(name))

    def _page(self, template: str, up: str, **facts: Any) -> str:
        drawn = [chart for _, found in facts.get("costs", ()) for chart in found]
        return self.environment.get_template(template).render(**self.shared, **pages.script(drawn), up=up, **facts)

    def _index(self) -> dict[str, Any]:
        failed = [row for row in self.attempts if not well(row)]
        by_system: dict[str, Counter[str]] = {}
        for row in failed:
            by_system.setdefault(row.system, Counter())[row.status] += 1
        known = [row.dollars for row in self.attempts if row.dollars is not None]
        by_suite: dict[str, list[Standing]] = {}
        for standing in self.found:
            by_suite.setdefault(standing.suite, []).append(standing)
        return {
            "standings": [(standing, self._view(standing)) for standing in self.found],
            "systems": sorted({row.system for row in self.attempts}),
            "tasks": len({(row.suite, row.task) for row in self.attempts}),
            "attempts": len(self.attempts),
            "failed": len(failed),
            "expecting": any(row.right is not None for row in self.attempts),
            "seeds": len({row.seed for row in self.attempts}),
            "budgets": sorted({row.budget_s for row in self.attempts}),
            "wall": math.fsum(row.wall_s for row in self.attempts),
            "spent": math.fsum(known) if len(known) == len(self.attempts) else None,
            "costs": [(suite, drawn) for suite, mine in by_suite.items() if (drawn := cost_charts(mine))],
            "statuses": sorted({row.status for row in failed}),
            "failures": sorted(by_system.items(), key=lambda one: (-one[1].total(), one[0])),
        }

    def _view(self, standing: Standing) -> dict[str, Any]:
        """What the templates need beside a standing."""
        count = len(standing.ranked)
        axis = Axis(1.0, float(count)) if count > 1 else None
        return {
            "aside": self._aside(standing),
            "verdict": verdict(standing),
            "alike": alike(standing),
            "ranked": sum(task.shared for task in standing.tasks),
            "expecting": any(place.right is not None for place in standing.places),
            "charts": {place.system: _rank_chart(axis, place, k == 0) for k, place in enumerate(standing.places)},
            "ticks": charts.ticks(axis, axis.tick_texts()) if axis else "",
            "diagram": diagram(standing),
            "cells": {(cell.task, cell.system): cell for task in standing.tasks for cell in task.cells},
            "scales": {task.name: _scale(task.cells) for task in standing.tasks},
        }

    def _aside(self, standing: Standing) -> str:
        """What tells a standing apart from the others of the eval; empty where there is one."""
        suite = f", {standing.suite}" if len({one.suite for one in self.found}) > 1 else ""
        budget = f", {duration(standing.budget_s)}" if len({one.budget_s for one in self.found}) > 1 else ""
        return suite + budget

    def _failures(self) -> dict[str, Any]:
        failed = [row for row in self.attempts if not well(row)]
        reasons: dict[tuple[str, str, str], list[tuple[str, str]]] = {}
        for row in failed:
            reasons.setdefault((row.system, row.status, row.reason), []).append((row.suite, row.task))
        return {
            "attempts": len(self.attempts),
            "failed": failed,
            "expected": [row for row in self.attempts if well(row) and row.status != "ok"],
            "reasons": sorted(reasons.items(), key=lambda one: (-len(one[1]), one[0])),
        }

    def _task(self, suite: str, name: str) -> dict[str, Any]:
        lines = [(s, line) for s in self.found if s.suite == suite for line in s.tasks if line.name == name]
        scale = _scale([cell for _, line in lines for cell in line.cells])
        views = []
        for standing, line in lines:
            scored = [cell for cell in line.cells if cell.score and line.metric != RIGHT]
            ends = [
                value for cell in scored if cell.score for value in (cell.score.low, cell.score.high, cell.score.value) if value is not None
            ]
            axis = focused_axis(ends, whole=[cell.score.value for cell in scored[:1] if cell.score])
            rows = [
                {"cell": cell, "kind": "holdout" if k == 0 else "cv", "chart": _score_chart(axis, cell, k == 0)}
                for k, cell in enumerate(scored)
            ]
            views.append({"line": line, "budget": standing.budget_s, "rows": rows, "ticks": charts.ticks(axis, axis.tick_texts())})
        return {
            "task": name,
            "line": lines[0][1],
            "about": self.about.get(name),
            "scale": scale,
            "views": views,
            "attempts": [row for row in self.attempts if (row.suite, row.task) == (suite, name)],
        }

    def _system(self, name: str) -> dict[str, Any]:
        rows = [row for row in self.attempts if row.system == name]
        versions: dict[str, str] = {}
        for row in sorted(rows, key=lambda row: row.finished):
            versions |= row.versions
        lines = [
            (s, [(task, cell, _scale(task.cells)) for task in s.tasks for cell in task.cells if cell.system == name])
            for s in self.found
            if name in s.systems
        ]
        return {
            "system": name,
            "places": [(s, place) for s in self.found for place in s.places if place.system == name],
            "tasks": lines,
            "versions": sorted(versions.items()),
            "attempts": rows,
            "failed": sum(not well(row) for row in rows),
        }


def _has(rows: Sequence[Attempt]) -> dict[str, bool]:
    """Which columns a table of attempts needs."""
    return {
        "folds": any(row.fold for row in rows),
        "budgets": len({row.budget_s for row in rows}) > 1,
        "scores": any(row.score is not None for row in rows),
        "reports": any(row.report for row in rows),
        "tokens": any(row.tokens_in is not None for row in rows),
        "costs": any(row.dollars != 0 for row in rows),
    }


def _duel(both: tuple[str, str], standing: Standing) -> dict[str, Any] | None:
    """Two systems from the first one's side."""
    for duel in standing.duels:
        if (duel.first, duel.second) == both:
            return _side(duel)
        if (duel.second, duel.first) == both:
            return _side(duel, mirrored=True)
    return None


def _side(duel: Duel, *, mirrored: bool = False) -> dict[str, Any]:
    share, low, high = duel.share.value, duel.share.low, duel.share.high
    if mirrored:
        share, low, high = 1 - share, None if high is None else 1 - high, None if low is None else 1 - low
    return {
        "wins": duel.losses if mirrored else duel.wins,
        "ties": duel.ties,
        "losses": duel.wins if mirrored else duel.losses,
        "share": share,
        "low": low,
        "high": high,
        "beyond": low is not None and high is not None and not low <= 0.5 <= high,
    }


def _scale(cells: Sequence[Cell]) -> float:
    """What the scores of a task are printed to: the best system's."""
    return next((cell.score.value for cell in cells if cell.score and cell.score.value), 1.0)


def _rank_chart(axis: Axis | None, place: Place, best: bool) -> Any:
    if axis is None or place.rank is None:
        return ""
    rank = place.rank
    low, high = (rank.value if bound is None else bound for bound in (rank.low, rank.high))
    return charts.interval(axis, rank.value, low, high, "holdout" if best else "cv")


def _score_chart(axis: Axis, cell: Cell, best: bool) -> Any:
    assert cell.score is not None
    low, high = (cell.score.value if bound is None else bound for bound in (cell.score.low, cell.score.high))
    return charts.interval(axis, cell.score.value, low, high, "holdout" if best else "cv")
