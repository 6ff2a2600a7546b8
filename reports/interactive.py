"""The charts of the HTML report, chosen by what the run predicted and found."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from markupsafe import Markup

from reports.charts import Axis, axis_over, focused_axis
from reports.diagnosis import Curve, Diagnosis
from reports.facts import RunFacts
from reports.figures import compact, metric_title
from reports.plane import Mark, Series, parallel, plane
from reports.trials import Setting
from reports.visible import visible
from tools.constraints import FLOORS

MOST_TRIALS = 200
"""Lines of parallel coordinates: the best ones."""
MOST_AXES = 6
FEWEST_TRIALS = 4
REPLACED = {
    "diagnosis": ("-roc", "-precision-recall", "-calibration", "-confusion", "-predicted-actual", "-residuals", "-predicted-median"),
    "importance": ("-importance",),
    "curve": ("-learning-curve",),
}
"""Endings of the names of images that a chart here stands for."""


class Chart(NamedTuple):
    """A figure of the page."""

    title: str
    note: str
    drawn: Markup
    across: str
    up: str
    legend: tuple[str, ...] = ()
    """Labels of the series, where there is more than one."""
    event: int | None = None


def charts_of(facts: RunFacts, diagnosis: Diagnosis | None) -> dict[str, list[Chart]]:
    """Charts by the part of the report they stand in: `errors`, `search`, `reliance` and `curve`."""
    found: dict[str, list[Chart]] = {"errors": [], "search": [], "reliance": [], "curve": []}
    if diagnosis is not None:
        found["errors"] += _errors_of_classes(diagnosis) if diagnosis.classes else _errors_of_values(diagnosis, facts)
    found["errors"] += _coverage(facts)
    found["search"] += [*_history(facts), *_ways(facts)]
    found["reliance"] += _reliance(facts)
    found["curve"] += _learning(facts)
    return found


def stands_for(name: str, diagnosis: Diagnosis | None, charts: dict[str, list[Chart]]) -> bool:
    """Whether a chart here shows what the image of this name does."""
    endings = REPLACED["diagnosis"] if diagnosis is not None else ()
    endings += REPLACED["curve"] if charts["curve"] else ()
    return name.endswith((*endings, *REPLACED["importance"]))


def _errors_of_classes(d: Diagnosis) -> Iterator[Chart]:
    band = " The band goes from the lowest to the highest of single folds." if any(c.low for c in d.roc) else ""
    whole = Axis(0.0, 1.0)
    if d.roc:
        yield Chart(
            "ROC curve",
            f"Share that is found, by the share of false alarms that are taken along.{band}",
            plane(_curves(d.roc, "false alarms {}, found {}"), _areas("ROC AUC", d.roc), across=whole, up=whole, guide=[(0, 0), (1, 1)]),
            "False positive rate",
            "True positive rate",
            _legend(d.roc, "AUC"),
        )
    if d.precision_recall:
        yield Chart(
            "Precision and recall",
            f"How many of those that are called are right, by how many are found.{band}",
            plane(
                _curves(d.precision_recall, "found {}, right {}"), _areas("Average precision", d.precision_recall), across=whole, up=whole
            ),
            "Recall",
            "Precision",
            _legend(d.precision_recall, "AP"),
        )
    if d.calibration:
        by_class = [(label, list(bins)) for label, bins in itertools.groupby(d.calibration, key=lambda one: one.label)]
        series = [
            Series(
                label,
                [Mark(b.said, b.happened, f"said {b.said:.3f}, happened {b.happened:.3f} of {b.n:,} rows", b.low, b.high) for b in bins],
            )
            for label, bins in by_class
        ]
        yield Chart(
            "Calibration",
            "What was said beside what happened, in bins of equal size, with 95 % intervals. On the dotted line both are the same.",
            plane(series, "Calibration: what was said and what happened", across=whole, up=whole, guide=[(0, 0), (1, 1)]),
            "Mean predicted probability",
            "Observed share",
            tuple(label for label, _ in by_class) if len(by_class) > 1 else (),
        )


def _curves(curves: Sequence[Curve], told: str) -> list[Series]:
    found = []
    for c in curves:
        lows, highs = (c.low or [None] * len(c.x)), (c.high or [None] * len(c.x))
        marks = [
            Mark(x, y, f"{c.label}: {told.format(f'{x:.3f}', f'{y:.3f}')}", low, high)
            for x, y, low, high in zip(c.x, c.y, lows, highs, strict=True)
        ]
        found.append(Series(c.label, marks, dots=False, band=True))
    return found


def _areas(name: str, curves: Sequence[Curve]) -> str:
    return f"{name}: " + ", ".join(f"{visible(c.label)} {c.area:.3f}" for c in curves)


def _legend(curves: Sequence[Curve], name: str) -> tuple[str, ...]:
    return tuple(f"{c.label} ({name} {c.area:.3f})" for c in curves)


def _errors_of_values(d: Diagnosis, facts: RunFacts) -> Iterator[Chart]:
    target = facts.contract.target if facts.contract and facts.contract.target else "the target"
    if not d.points:
        return
    banded = any(p.low is not None for p in d.points)
    both = axis_over([value for p in d.points for value in (p.actual, p.predicted)])
    seen = f"{len(d.points):,} of {d.rows:,} rows are drawn, evenly over the table." if len(d.points) < d.rows else "All rows are drawn."
    marks = [
        Mark(p.actual, p.predicted, f"row {p.row}: actual {compact(p.actual)}, predicted {compact(p.predicted)}", p.low, p.high)
        for p in d.points
    ]
    yield Chart(
        "Predicted and actual" if not banded else "Predicted intervals and actual",
        ("Bars go from the lowest to the highest predicted quantile. " if banded else "") + seen,
        plane(
            [Series("rows", marks, line=False)],
            f"Predicted against actual values of {len(d.points)} rows",
            across=both,
            up=both if not banded else None,
            guide=[(both.low, both.low), (both.high, both.high)],
        ),
        f"Actual {target}",
        f"Predicted {target}",
    )
    errors = [Mark(p.predicted, p.error, f"row {p.row}: predicted {compact(p.predicted)}, error {compact(p.error)}") for p in d.points]
    yield Chart(
        "Residuals",
        f"Their mean is {compact(d.residual_mean or 0.0)}, their standard deviation {compact(d.residual_std or 0.0)}.",
        plane(
            [Series("rows", errors, line=False)],
            f"Residuals against predictions of {len(d.points)} rows",
            guide=[(min(m.x for m in errors), 0.0), (max(m.x for m in errors), 0.0)],
        ),
        f"Predicted {target}",
        "Actual minus predicted",
    )
    if d.quantiles:
        ends = [d.quantiles[0].normal, d.quantiles[-1].normal]
        told = [Mark(q.normal, q.residual, f"normal {q.normal:.2f}, here {q.residual:.2f}") for q in d.quantiles]
        yield Chart(
            "Q-Q plot of the residuals",
            "In standard deviations. On the dotted line they are as a normal distribution has them; ends that leave it are heavy tails.",
            plane(
                [Series("residuals", told, line=False)],
                f"Quantiles of residuals against those of a normal distribution, at {len(d.quantiles)} places",
                guide=[(ends[0], ends[0]), (ends[1], ends[1])],
            ),
            "Normal distribution",
            "Residuals",
        )


def _coverage(facts: RunFacts) -> Iterator[Chart]:
    if not (h := facts.holdout) or not h.intervals:
        return
    marks = [
        Mark(
            i.level,
            i.share,
            f"meant {100 * i.level:g} %, held {100 * i.share:.1f} %, mean width {compact(i.width)}",
            i.low,
            i.high,
        )
        for i in h.intervals
    ]
    yield Chart(
        "What prediction intervals hold",
        "Share of the sealed rows inside intervals of each level, with its 95 % interval. On the dotted line they hold what they should.",
        plane(
            [Series("intervals", marks, line=len(marks) > 1)],
            f"Prediction intervals of {len(marks)} levels on sealed rows",
            across=Axis(0.0, 1.0),
            up=Axis(0.0, 1.0),
            guide=[(0, 0), (1, 1)],
        ),
        "Meant to hold",
        "Did hold",
        event=h.event,
    )


def _history(facts: RunFacts) -> Iterator[Chart]:
    """Every score in the order it was made, of trials where there are some, and the best so far."""
    maximize = facts.contract is None or facts.contract.direction == "maximize"
    scored = [(c.event, c.score, c.family, c.name) for c in facts.leaderboard if c.family not in FLOORS]
    tried = [(t.event, t.score, t.family, f"trial {t.number} of {t.family}") for t in facts.search.trials]
    every = sorted([*scored, *tried])
    if len(every) < 2:
        return
    kept = list(itertools.accumulate((score for _, score, _, _ in every), max if maximize else min))
    families = list(dict.fromkeys(family for _, _, family, _ in every))
    series = [Series("best so far", [Mark(k + 1, value) for k, value in enumerate(kept)], dots=False, steps=True)]
    series += [
        Series(
            family,
            [Mark(k + 1, score, f"{name}, {compact(score)}") for k, (_, score, of, name) in enumerate(every) if of == family],
            line=False,
        )
        for family in families
    ]
    across = Axis(0.0, len(every) + 1.0)
    yield Chart(
        "Optimisation history",
        f"{len(scored)} candidates{f' and {len(tried)} trials of tuning' if tried else ''} in the order they were scored, by"
        f" {metric_title(facts.contract.metric) if facts.contract else 'score'} over the folds.",
        plane(
            series,
            f"Scores of {len(every)} fits in their order, the best so far {compact(kept[-1])}",
            across=across,
            up=focused_axis([score for _, score, _, _ in every], whole=kept),
            across_texts=[f"{value:g}" for value in across.ticks()],
        ),
        "Place in the order",
        metric_title(facts.contract.metric) if facts.contract else "Score",
        tuple(one.label for one in series),
    )


def _ways(facts: RunFacts) -> Iterator[Chart]:
    """Parallel coordinates of the family with the most trials whose parameters were told."""
    families = list(dict.fromkeys(trial.family for trial in facts.search.trials if trial.params))
    maximize = facts.contract is None or facts.contract.direction == "maximize"
    for family in families:
        trials = [trial for trial in facts.search.of(family) if trial.params and math.isfinite(trial.score)]
        if len(trials) < FEWEST_TRIALS:
            continue
        trials = sorted(trials, key=lambda t: (-t.score if maximize else t.score, t.number))[:MOST_TRIALS]
        weights = next((one.shares for one in facts.search.weights if one.family == family), {})
        names = sorted({name for trial in trials for name in trial.params}, key=lambda name: (-weights.get(name, 0.0), name))[:MOST_AXES]
        columns = [(_cut(name), *_places([trial.params.get(name) for trial in trials])) for name in names]
        places, ends = _places([trial.score for trial in trials])
        if not maximize:
            places, ends = [1 - place for place in places], (ends[1], ends[0])
        title = metric_title(facts.contract.metric) if facts.contract else "score"
        told = [f"trial {t.number}, {compact(t.score)}: {', '.join(f'{n} {_setting(t.params.get(n))}' for n in names)}" for t in trials]
        yield Chart(
            f"Trials of {family}",
            f"Each line is one of {f'{len(trials)} trials' if len(trials) < MOST_TRIALS else 'the best trials'}; the better it scored, the"
            " stronger it is. The parameters that matter most come first.",
            parallel([*columns, (title, places, ends)], told, f"Trials of {family} by {', '.join(map(visible, names))}"),
            "",
            "",
        )


def _places(values: Sequence[Setting | None]) -> tuple[list[float], tuple[str, str]]:
    """Where values stand between the lowest and the highest, and these as texts: logarithms where they span decades, words in order."""
    numbers = [value for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)]
    if len(numbers) < len(values):
        words = sorted({_setting(value) for value in values})
        return [words.index(_setting(value)) / max(1, len(words) - 1) for value in values], (words[0], words[-1])
    low, high = min(numbers), max(numbers)
    scale: Callable[[float], float] = math.log10 if low > 0 and high / low >= 30 else float
    width = scale(high) - scale(low)
    return [(scale(n) - scale(low)) / width if width > 0 else 0.5 for n in numbers], (compact(low), compact(high))


def _setting(value: Setting | None) -> str:
    return "–" if value is None else compact(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)


def _reliance(facts: RunFacts) -> Iterator[Chart]:
    ex = facts.explanation
    rows = [r for r in ex.reliance if r.importance is not None and r.contribution is not None] if ex else []
    if ex is None or len(rows) < 2:
        return
    marks = [
        Mark(
            r.importance or 0.0,
            r.contribution or 0.0,
            f"{r.column}: importance {compact(r.importance or 0.0)}, contribution {compact(r.contribution or 0.0)}",
        )
        for r in rows
    ]
    yield Chart(
        "Permutation importance and SHAP",
        "A column to the right costs score when it is shuffled; one further up moves predictions more. Those that do one without the other"
        " deserve a look.",
        plane([Series("columns", marks, line=False)], "Importance and contribution of columns"),
        "Importance",
        "Mean size of Shapley values",
        event=ex.event,
    )


def _learning(facts: RunFacts) -> Iterator[Chart]:
    lc = facts.curve
    if lc is None or len(lc.points) < 2:
        return
    marks = [
        Mark(
            p.rows,
            p.score,
            f"{p.rows:,} rows: {compact(p.score)} ± {compact(p.std_error)}",
            p.score - p.std_error,
            p.score + p.std_error,
        )
        for p in lc.points
    ]
    yield Chart(
        "Learning curve",
        f"Score of {lc.fitted} by the rows of a fit, with one standard error over {lc.folds} folds.",
        plane([Series(lc.fitted, marks)], f"Learning curve of {visible(lc.fitted)} at {len(marks)} sizes"),
        "Rows of a fit",
        metric_title(facts.contract.metric) if facts.contract else "Score",
        event=lc.event,
    )


def _cut(name: str) -> str:
    return name if len(name) <= 16 else name[:15] + "…"
