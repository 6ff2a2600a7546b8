"""Pages and parts of pages as text, by the templates in `templates/`.

A part is one element with an `id`: the page has it from the start, or gets it when it comes, and it takes the place of the one before.
Everything from runs is text (`reports/pages.py`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from reports import pages
from reports.figures import score_format
from team.rundir import RunDir
from team.ui.listing import EvalRow, RunRow
from team.ui.places import Folder
from team.ui.spans import Span, read_spans
from team.ui.watched import Watched, told

TEMPLATES = Path(__file__).with_name("templates")
MOST_LEADERS = 50
MOST_TEXT_CHARS = 4_000
MOST_PRINTED_CHARS = 8_000
"""Of what a cell prints while it runs: the newest."""


class Rendering:
    """Draws the pages of one folder."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._environment = pages.environment(score_format(1.0), folders=[TEMPLATES])
        self._environment.filters |= {
            "told": told,
            "clock": lambda at: time.strftime("%H:%M:%S", time.localtime(at)),
            "day": lambda at: time.strftime("%Y-%m-%d %H:%M", time.localtime(at)),
            "excerpt": _excerpt,
            "percent": lambda value: f"{100 * value:.3f}%",
            "scored": lambda value: score_format(value)(value),
            "said_of": lambda arguments: _arguments(arguments),
        }
        self._environment.globals["now"] = time.time

    def index(self, runs: Sequence[RunRow], evals: Sequence[EvalRow]) -> str:
        """The first page."""
        return self._render("index.html", runs=runs, evals=evals, root=str(self._folder.root))

    def rows(self, runs: Sequence[RunRow]) -> str:
        """The body of its table of runs."""
        return self._render("_rows.html", runs=runs)

    def run(self, watched: Watched, run: RunDir, address: str, *, going_on: bool, printed: str = "") -> str:
        """The page of a run."""
        return self._render(
            "run.html",
            parts=self.parts(watched, run, address, going_on=going_on, printed=printed),
            turns=self.turns(watched, address).values(),
            **self._about(watched, run, address, going_on),
        )

    def parts(self, watched: Watched, run: RunDir, address: str, *, going_on: bool, printed: str = "") -> dict[str, str]:
        """What its page says but for the turns, by the id: where it stands, what is going on, who leads, documents."""
        leaders = watched.leaders()
        facts = {
            **self._about(watched, run, address, going_on),
            "leaders": leaders[:MOST_LEADERS],
            "count": len(leaders),
            "figure": score_format(max((abs(one.score) for one in leaders), default=1.0)),
            "call": watched.call if going_on else None,
            "printed": printed[-MOST_PRINTED_CHARS:],
        }
        return {part: self._render(f"_{part}.html", **facts) for part in ("head", "standing", "now", "leaders", "documents")}

    def turns(self, watched: Watched, address: str, which: Iterable[int] | None = None) -> dict[str, str]:
        """Turns by the id of the element that shows each; all of them, or those."""
        found = watched.turns(which)
        return {f"turn-{shown.number}": self._render("_turn.html", shown=shown, address=address) for shown in found}

    def trace(self, watched: Watched, run: RunDir, address: str, *, going_on: bool) -> str:
        """The page of a run's timeline."""
        part = self.spans(watched, going_on=going_on)
        return self._render("trace.html", part=part, **self._about(watched, run, address, going_on))

    def spans(self, watched: Watched, *, going_on: bool) -> str:
        """Its timeline."""
        spans = read_spans(watched.events)
        began = watched.began
        newest = watched.events[-1].at if watched.events else began
        end = time.time() if going_on else max([newest, *(span.end or newest for span in spans)])
        return self._render("_trace.html", spans=spans, began=began, end=max(end, began + 1e-3), ticks=_ticks(end - began), bar=_bar)

    def cell(self, watched: Watched, address: str, cell: dict[str, Any]) -> str:
        """A page with one cell: its code and what it gave back."""
        return self._render("cell.html", name=watched.name, address=address, cell=cell, outputs=_outputs(cell))

    def compare(self, runs: Sequence[RunRow]) -> str:
        """The page on which runs are chosen to be compared."""
        return self._render("compare.html", runs=[row for row in runs if row.address])

    def problem(self, status: int, told: str) -> str:
        """A page that says why there is none."""
        return self._render("problem.html", status=status, told=told)

    def _about(self, watched: Watched, run: RunDir, address: str, going_on: bool) -> dict[str, Any]:
        ended, reason = watched.status
        return {
            "name": watched.name,
            "address": address,
            "watched": watched,
            "g": watched.glance(),
            "going_on": going_on,
            "state": "running" if going_on else "stopped" if ended == "unfinished" else ended,
            "reason": reason,
            "documents": self._folder.documents(run),
        }

    def _render(self, template: str, **facts: Any) -> str:
        return self._environment.get_template(template).render(**facts)


def _bar(span: Span, began: float, end: float) -> tuple[float, float]:
    """Where a span begins and how long it is, as shares of the whole."""
    whole = end - began
    start = min(max(span.start - began, 0.0), whole)
    return start / whole, max(0.0, min((span.end or end) - began, whole) - start) / whole


def _ticks(seconds: float) -> list[tuple[float, float]]:
    """Round times along a span of seconds: seconds and share of the whole."""
    steps = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
    step = next((step for step in steps if seconds / step <= 6), steps[-1])
    return [(n * step, n * step / seconds) for n in range(int(seconds / step) + 1)] if seconds > 0 else [(0.0, 0.0)]


def _excerpt(text: str) -> str:
    """Head and tail of a long text."""
    if len(text) <= MOST_TEXT_CHARS:
        return text
    half = MOST_TEXT_CHARS // 2
    return f"{text[:half]}\n… {len(text) - 2 * half:,} characters left out …\n{text[-half:]}"


def _arguments(arguments: dict[str, Any]) -> str:
    """Arguments of a call in a line, as a person would type them."""
    typed = {
        name: value if isinstance(value, str) and len(value) > 60 else json.dumps(value, default=str) for name, value in arguments.items()
    }
    line = ", ".join(f"{name}={value}" for name, value in typed.items())
    line = " ".join(line.split())
    return line if len(line) <= 160 else line[:159] + "…"


def _outputs(cell: dict[str, Any]) -> list[tuple[str, str]]:
    """Outputs of a cell as kinds and texts."""
    found: list[tuple[str, str]] = []
    for output in cell.get("outputs", []):
        data = output.get("data") or {}
        if output.get("output_type") == "stream":
            found.append((str(output.get("name", "stdout")), _text(output.get("text"))))
        elif output.get("output_type") == "error":
            found.append(("error", "\n".join(map(str, output.get("traceback") or [output.get("evalue", "")]))))
        elif "text/plain" in data:
            found.append(("result", _text(data["text/plain"])))
        else:
            found.append(("shown", ", ".join(map(str, data))))
    return found


def _text(value: Any) -> str:
    return "".join(map(str, value)) if isinstance(value, list) else str(value)
