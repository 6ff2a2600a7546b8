"""The notebook: the cells that were executed, with the outputs they gave, and the team's words between them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from reports.commands import replay_commands
from reports.conversation import ToolCall
from reports.facts import RunFacts, read_facts
from reports.figures import compact, metric_title
from reports.markdown import escape, paragraphs
from reports.plots import BadImage, checked_png
from reports.safe_html import sanitise
from reports.submissions import FOLD_TOOL, SUBMISSION_TOOL, is_trial, one_cell, words
from reports.visible import visible
from team.cells import read_cells
from team.events import ToolReturned
from team.log import read_events
from team.rundir import RunDir, write_atomic
from team.terminal import clean

NBFORMAT, NBFORMAT_MINOR = 4, 5
LEFT_OUT_TOOLS = ("predict_rows",)
PROGRESS_MIME = "application/vnd.mlteam.progress+json"

Cell = dict[str, Any]


def write_notebook(run: Path) -> Path:
    """Write `notebook.ipynb` of the run directory `run` and return its path. The same run gives the same bytes.

    The notebook executes again from top to bottom in the run directory, and writes to `replay/` there.

    Raises:
        MlteamError: when the event log is damaged, naming the line.
    """
    place = RunDir(run)
    facts = read_facts(place.path)
    cells = list(executed(facts, place))
    made = document(facts, [_opening(facts, cells), *cells, _closing(facts)])
    write_atomic(place.notebook, json.dumps(made, indent=1, ensure_ascii=False) + "\n")
    return place.notebook


def document(facts: RunFacts, cells: Sequence[Cell]) -> dict[str, Any]:
    """A notebook of these cells."""
    return {
        "cells": list(cells),
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python", **_python(facts)},
            "mlteam": {"run": facts.name},
        },
        "nbformat": NBFORMAT,
        "nbformat_minor": NBFORMAT_MINOR,
    }


def _opening(facts: RunFacts, cells: Sequence[Cell]) -> Cell:
    target = facts.contract.target if facts.contract else facts.settings.get("target")
    lines = [f"# Predicting {escape(str(target))}" if target else f"# {escape(facts.name)}"]
    wish = [f"Run `{facts.name}`"]
    if facts.manifest:
        wish.append(f"{facts.manifest.rows:,} rows from {escape(facts.manifest.source)}")
    if facts.contract:
        wish.append(f"{facts.contract.task}, judged by {metric_title(facts.contract.metric)}")
    lines.append(", ".join(wish) + ".")
    if facts.plan:
        lines.append(paragraphs(facts.plan.approach))
    apart = any(cell["metadata"].get("mlteam", {}).get("tool") == SUBMISSION_TOOL for cell in cells)
    lines.append(
        "Every cell below was executed by the team in this order, and its outputs are those it gave"
        + (", but for code that was scored in sandboxes of its own, as is told there" if apart else "")
        + ". To execute it again, in an environment with mlteam installed:"
    )
    lines.append(f"```sh\n{visible(replay_commands(facts)).replace('```', '')}\n```")
    lines.append(
        "The cells read `data/` and write to `replay/`, so the run itself stays as it is. How far a search comes in its time can differ."
    )
    return markdown_cell("opening", "\n\n".join(lines))


def executed(facts: RunFacts, place: RunDir, only: Collection[str] | None = None) -> Iterator[Cell]:
    """The journal's cells with the words between them; of these calls alone where `only` names some."""
    calls = {call.call: call for turn in facts.turns for call in turn.calls}
    texts = {turn.calls[-1].call: turn.texts[-1] for turn in facts.turns if turn.calls and turn.texts}
    journal = (cell for cell in read_cells(place.cells) if only is None or cell["call"] in only)
    cells = [cell for cell in journal if cell["tool"] not in LEFT_OUT_TOOLS]
    folds: dict[str, list[Cell]] = {}
    for cell in cells:
        if cell["tool"] == FOLD_TOOL:
            folds.setdefault(cell["call"], []).append(cell)
    # Where the folds followed, they stand for the trial on a few rows as well.
    folds = {call: [cell for cell in made if not is_trial(cell)] or made for call, made in folds.items()}
    returned = {e.call: e for e in read_events(place.events) if isinstance(e, ToolReturned) and e.call in folds}
    stage = None
    for cell in cells:
        call, number = calls.get(cell["call"]), int(cell["cell"])
        together = folds.get(cell["call"])
        if together is not None and (call is None or cell is not together[0]):
            continue
        parts = []
        if cell["stage"] != stage:
            stage = cell["stage"]
            parts.append(f"## {escape(str(stage)).capitalize()}")
        parts.append(_words(cell, call))
        if together and call:
            parts.append(words(call, together))
        yield markdown_cell(f"words-{number}", "\n\n".join(parts))
        yield _code(one_cell(call, together, returned.get(call.call)) if together and call else cell, number)
        said = texts.get(cell["call"])
        if said and said != (call.why if call else None):
            yield markdown_cell(f"said-{number}", f"**{_role(cell)}:** {paragraphs(said)}")


def _words(cell: Cell, call: ToolCall | None) -> str:
    why = paragraphs(call.why) if call and call.why else f"calls `{escape(str(cell['tool']))}`"
    return f"**{_role(cell)}:** {why}"


def _role(cell: Cell) -> str:
    return escape(str(cell["role"]).replace("_", " ")).capitalize()


def _code(cell: Cell, number: int) -> Cell:
    metadata: dict[str, Any] = {
        "mlteam": {"call": cell["call"], "tool": cell["tool"], "role": cell["role"], "stage": cell["stage"], "seconds": cell["seconds"]}
    }
    if cell["status"] != "ok":
        # A cell that hung or took its kernel with it would do so again; one that raised may raise again.
        metadata["tags"] = ["raises-exception"] if cell["status"] == "error" else ["raises-exception", "skip-execution"]
    return {
        "cell_type": "code",
        "execution_count": number + 1,
        "id": f"cell-{number}",
        "metadata": metadata,
        "outputs": [output for raw in cell["outputs"] for output in _output(raw, number + 1)],
        "source": str(cell["code"]).splitlines(keepends=True),
    }


def _output(raw: dict[str, Any], count: int) -> Iterator[dict[str, Any]]:
    """The output as the notebook keeps it, if it does: streams, errors, and displays as text, tables and PNG images."""
    kind = raw["output_type"]
    if kind == "stream":
        yield {"output_type": "stream", "name": str(raw["name"]), "text": _lines(raw["text"])}
    elif kind == "error":
        traceback = ["".join(_lines(line)) for line in raw["traceback"]]
        yield {"output_type": "error", "ename": clean(str(raw["ename"])), "evalue": clean(str(raw["evalue"])), "traceback": traceback}
    elif PROGRESS_MIME not in raw["data"]:
        data = _shown(raw["data"])
        if data:
            counted = {"execution_count": count} if kind == "execute_result" else {}
            yield {"output_type": kind, "data": data, "metadata": {}, **counted}


def _shown(data: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    if isinstance(data.get("text/plain"), str):
        shown["text/plain"] = _lines(data["text/plain"])
    if isinstance(data.get("text/html"), str):
        shown["text/html"] = sanitise(data["text/html"]).splitlines(keepends=True)
    if "image/png" in data:
        try:
            checked_png(data["image/png"])
        except BadImage:
            pass
        else:
            shown["image/png"] = data["image/png"]
    return shown


def _lines(text: object) -> list[str]:
    """A cell's text in lines, without what a notebook in a terminal would do; what starts a line anew stays."""
    return "\r".join(map(clean, str(text).split("\r"))).splitlines(keepends=True)


def _closing(facts: RunFacts) -> Cell:
    holdout = facts.holdout
    if holdout:
        looks = "once" if holdout.looks == 1 else f"{holdout.looks} times"
        text = (
            f"On {holdout.n:,} rows that nobody had seen, `{holdout.candidate}` has {metric_title(holdout.metric)}"
            f" **{compact(holdout.score)}** ({holdout.level:.0%} interval {compact(holdout.low)} to {compact(holdout.high)})."
            f" The holdout was looked at {looks}. This score was computed outside the kernel, from the predictions that `evaluate` left"
            " and labels that the kernel did not have, so no cell here repeats it."
        )
    elif facts.selected:
        best = facts.selected
        text = f"No score on the holdout was taken. The best in cross-validation is `{best.name}` with {compact(best.score)}."
    else:
        text = "No candidate was scored."
    if facts.status not in ("done", "unfinished"):
        text += f" The run ended as {facts.status.replace('_', ' ')}: {escape(facts.reason)}"
    return markdown_cell("closing", f"## Score\n\n{text}")


def markdown_cell(name: str, text: str) -> Cell:
    """A cell of prose."""
    return {"cell_type": "markdown", "id": name, "metadata": {}, "source": text.splitlines(keepends=True)}


def _python(facts: RunFacts) -> dict[str, str]:
    return {"version": facts.versions["python"]} if "python" in facts.versions else {}
