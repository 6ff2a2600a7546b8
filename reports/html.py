"""The report: one self-contained HTML file that needs no network. It carries Plotly, which draws its charts.

Images that decode are embedded.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Sequence, Set
from pathlib import Path
from typing import Any

from reports import charts, pages
from reports.commands import predict_command, repeat_command, replay_commands, run_command
from reports.diagnosis import diagnose
from reports.error_facts import Diagnosis
from reports.facts import RunFacts, read_facts
from reports.figures import score_format
from reports.interactive import charts_of, stands_for
from reports.ledger import Ledger, check, read_ledger
from reports.lineage_graph import lineage_svg
from reports.plotly_page import claims as claimed
from reports.plotly_page import without
from reports.plots import png_size, read_images
from reports.record import CandidateRow
from team.rundir import RunDir, write_atomic
from tools.constraints import FLOORS
from tools.deciding import ONE_SIDED

MOST_CANDIDATES = 50
"""Rows of the leaderboard that are shown; the selected candidate and the baselines always are."""
MOST_SKIPPED = 40
WIDE = 1.8
"""A plot of this many times its height gets a row of its own."""
BASELINE_LABELS = {
    "dummy": "Dummy baseline",
    "linear": "Linear baseline",
    "coxnet": "Linear baseline",
    "seasonal_naive": "Seasonal naive",
}
FAR = 8
"""A baseline that lies further off than this many widths of the interval is drawn as an arrow."""


def write_report(run: Path) -> Path:
    """Write `reports/report.html` of the run directory `run` and return its path. The same run gives the same bytes.

    A figure of the page's own that is not on record is withheld, and the page says so: a run is not left without its report.

    Raises:
        MlteamError: when the event log is damaged, naming the line.
        UnbackedFigure: when its prose states a number that is not on record.
    """
    place = RunDir(run)
    facts = read_facts(place.path)
    images, diagnosis = read_images(place, facts.plots), diagnose(place, facts)
    page = compose(facts, images, diagnosis, read_ledger(place.path, facts.events), withhold=True)
    place.reports.mkdir(exist_ok=True)
    write_atomic(place.report, page)
    return place.report


def compose(facts: RunFacts, images: dict[str, bytes], diagnosis: Diagnosis | None, ledger: Ledger, *, withhold: bool = False) -> str:
    """The page as text, all of whose figures are on record; words of roles, values of the data and places in the log are quoted.

    Args:
        images: PNG bytes by plot name.
        withhold: whether figures of cells that are not on record are left out, each in its place.

    Raises:
        UnbackedFigure: naming the first figure that is not on record, of the prose alone where others are withheld.
    """
    check(ledger, "the report", facts.sections.values())
    if diagnosis is not None:
        ledger = ledger.with_file(f"{diagnosis.source} (SHA-256 {diagnosis.sha256})", diagnosis.on_record())
    if facts.bought is not None:
        ledger = ledger.with_file("worked out from candidate_scored events, paired over folds", facts.bought.model_dump(mode="json"))
    claims: list[str] = []
    page = _render(facts, images, diagnosis, ledger, claims)
    if withhold and (lost := ledger.withheld(claims)):
        return _render(facts, images, diagnosis, ledger, [], lost)
    check(ledger, "the report", [] if withhold else claims, cells=True)
    return page


def _render(
    facts: RunFacts,
    images: dict[str, bytes],
    diagnosis: Diagnosis | None,
    ledger: Ledger,
    claims: list[str],
    withheld: Set[str] = frozenset(),
) -> str:
    """The page; `claims` gets what it says, see `pages.environment`."""
    scale = facts.holdout.score if facts.holdout else facts.leaderboard[0].score if facts.leaderboard else 1.0
    figure = score_format(scale)
    axis = _folds_axis(facts.leaderboard)
    template = pages.environment(figure, claims, withheld).get_template("report.html")
    drawn = charts_of(facts, diagnosis, figure)
    claims += [said for part in drawn.values() for chart in part for said in claimed(chart)]
    drawn = {part: [without(chart, withheld) for chart in found] for part, found in drawn.items()}
    return template.render(
        facts=facts,
        diagnosis=diagnosis,
        withheld=len(withheld),
        unbacked=ledger.unbacked,
        charts=drawn,
        css=pages.stylesheet("report.css", "plots.css"),
        **pages.script([chart for part in drawn.values() for chart in part]),
        glance=_glance(facts, figure),
        folds_axis=axis,
        folds_ticks=charts.ticks(axis, axis.tick_texts()) if facts.leaderboard else "",
        board=_board(facts),
        images={name: _embedded(image) for name, image in images.items() if not stands_for(name, diagnosis, drawn)},
        commands={
            "predict": predict_command(facts),
            "run": run_command(facts),
            "repeat": repeat_command(facts),
            "replay": replay_commands(facts),
        },
        anchors=_anchors(facts),
        tradeoffs=_tradeoffs(facts),
        lineage=lineage_svg(facts.lineage) if facts.lineage else "",
        most_skipped=MOST_SKIPPED,
        one_sided=ONE_SIDED,
    )


def _board(facts: RunFacts) -> list[tuple[int, CandidateRow]]:
    """The rows of the leaderboard that are shown, with their ranks."""
    always = {c.name for c in facts.baselines} | ({facts.selected.name} if facts.selected else set())
    return [(rank, c) for rank, c in enumerate(facts.leaderboard, 1) if rank <= MOST_CANDIDATES or c.name in always]


def _embedded(image: bytes) -> dict[str, Any]:
    width, height = png_size(image)
    return {"data": base64.b64encode(image).decode("ascii"), "width": width, "height": height, "wide": width > WIDE * height}


def _glance(facts: RunFacts, figure: Callable[[float], str]) -> dict[str, Any]:
    """Rows of the chart beside the score: the holdout, the same candidate in cross-validation, and the baselines."""
    rows: list[dict[str, Any]] = []
    holdout, selected = facts.holdout, facts.selected
    if holdout:
        rows.append({"label": "Holdout", "kind": "holdout", "score": holdout.score, "low": holdout.low, "high": holdout.high})
        rows[-1] |= {"text": figure(holdout.score), "extra": f"{figure(holdout.low)} – {figure(holdout.high)}", "event": holdout.event}
    if selected:
        rows.append(_cv_row(selected, "Cross-validation", "cv", figure))
    rows += [
        _cv_row(candidate, BASELINE_LABELS[candidate.family], "baseline", figure) for candidate in facts.baselines if candidate != selected
    ]
    if not rows:
        return {"rows": [], "ticks": ""}
    core = [value for row in rows if row["kind"] != "baseline" for value in (row["low"], row["high"])] or [rows[0]["low"], rows[0]["high"]]
    width = max(core) - min(core)
    near = [row for row in rows if row["kind"] == "baseline" and _distance(row["score"], core) <= FAR * width]
    axis = charts.axis_over([*core, *(value for row in near for value in (row["low"], row["high"]))])
    for row in rows:
        row["chart"] = charts.interval(axis, row["score"], row["low"], row["high"], row["kind"])
    return {"rows": rows, "ticks": charts.ticks(axis, axis.tick_texts())}


def _cv_row(candidate: CandidateRow, label: str, kind: str, figure: Callable[[float], str]) -> dict[str, Any]:
    return {
        "label": label,
        "kind": kind,
        "score": candidate.score,
        "low": candidate.score - candidate.std_error,
        "high": candidate.score + candidate.std_error,
        "text": figure(candidate.score),
        "extra": f"± {figure(candidate.std_error)}",
        "event": candidate.event,
    }


def _distance(value: float, core: Sequence[float]) -> float:
    return max(min(core) - value, value - max(core), 0.0) if math.isfinite(value) else math.inf


def _folds_axis(leaderboard: Sequence[CandidateRow]) -> charts.Axis:
    """Over the folds of the better half whole, and the bulk of the rest; the dummy may lie beyond."""
    serious = [c for c in leaderboard if c.family not in FLOORS] or list(leaderboard)
    better = serious[: max(1, len(serious) // 2)]
    return charts.focused_axis(
        [value for c in serious for value in c.fold_scores],
        whole=[value for c in better for value in (*c.fold_scores, c.score - c.std_error, c.score + c.std_error)],
    )


def _tradeoffs(facts: RunFacts) -> dict[str, Any] | None:
    """The front over score and costs; None for fewer than two candidates."""
    found = facts.tradeoffs
    if found is None or len(found.front) + len(found.beaten) < 2:
        return None
    return {"found": found, "sensitive": facts.contract.constraints.sensitive if facts.contract else None}


def _anchors(facts: RunFacts) -> set[int]:
    """Events that have a place on the page to link to."""
    events: set[int] = set()
    for turn in facts.turns:
        events.add(turn.event)
        events.update(record.event for record in turn.records)
        for call in turn.calls:
            events.add(call.event)
            events.update(record.event for record in call.records)
    return events
