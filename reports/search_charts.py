"""Charts of a search: every score in its order, the trials by their parameters, and which parameters matter."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import plotly.graph_objects as go

from reports.charts import focused_axis
from reports.facts import RunFacts
from reports.figures import compact, metric_title, share
from reports.plotly_figures import HEIGHT, Bar, Mark, Scale, Series, bars, document, label, plane
from reports.plotly_page import Chart
from reports.trials import Setting, Trial
from reports.visible import visible
from tools.constraints import FLOORS

MOST_TRIALS = 200
"""Lines of parallel coordinates: the best ones."""
MOST_AXES = 6
FEWEST_TRIALS = 4
MOST_PARAMETERS = 12
DECADES = 30
"""An axis whose ends are this many times apart is one of logarithms."""


def search_charts(facts: RunFacts) -> Iterator[Chart]:
    yield from _history(facts)
    yield from _ways(facts)
    for one in facts.search.weights:
        shares = sorted(one.shares.items(), key=lambda each: (-each[1], each[0]))[:MOST_PARAMETERS]
        rows = [Bar(name, value, share(value), f"{visible(name)}: {share(value)} of the spread of scores") for name, value in shares]
        yield Chart(
            f"Which parameters of {one.family} matter",
            "Share of each in the spread of the scores of its trials (fANOVA).",
            bars({"share": rows}, Scale("Share of the spread")),
            f"Importance of parameters of {visible(one.family)}",
            event=one.event,
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
    up = focused_axis([score for _, score, _, _ in every], whole=kept)
    metric = metric_title(facts.contract.metric) if facts.contract else "Score"
    yield Chart(
        "Optimisation history",
        f"{len(scored)} candidates{f' and {len(tried)} trials of tuning' if tried else ''} in the order they were scored, by"
        f" {metric if facts.contract else 'score'} over the folds.",
        plane(series, Scale("Place in the order", (0.0, len(every) + 1.0), placed=True), Scale(metric, (up.low, up.high))),
        f"Scores of {len(every)} fits in their order, the best so far {compact(kept[-1])}",
    )


def _ways(facts: RunFacts) -> Iterator[Chart]:
    """Parallel coordinates of the families whose trials told their parameters."""
    maximize = facts.contract is None or facts.contract.direction == "maximize"
    metric = metric_title(facts.contract.metric) if facts.contract else "score"
    for family in dict.fromkeys(trial.family for trial in facts.search.trials if trial.params):
        trials = [trial for trial in facts.search.of(family) if trial.params and math.isfinite(trial.score)]
        if len(trials) < FEWEST_TRIALS:
            continue
        trials = sorted(trials, key=lambda t: (-t.score if maximize else t.score, t.number))[:MOST_TRIALS]
        weights = next((one.shares for one in facts.search.weights if one.family == family), {})
        names = sorted({name for trial in trials for name in trial.params}, key=lambda name: (-weights.get(name, 0.0), name))[:MOST_AXES]
        figure = _parallel(trials[::-1], names, metric, maximize)  # the best are drawn last, over the others
        yield Chart(
            f"Trials of {family}",
            f"Each line is one of {f'{len(trials)} trials' if len(trials) < MOST_TRIALS else 'the best trials'}; the better it scored, the"
            " stronger it is. The parameters that matter most come first. Drag along an axis to choose lines.",
            document(figure),
            f"Trials of {visible(family)} by {', '.join(map(visible, names))}",
        )


def _parallel(trials: Sequence[Trial], names: Sequence[str], metric: str, maximize: bool) -> go.Figure:
    dimensions = [{"label": label(name), **_dimension([trial.params.get(name) for trial in trials])} for name in names]
    scores = [trial.score for trial in trials]
    told = [
        f"trial {t.number}, {compact(t.score)}: {', '.join(f'{visible(n)} {_setting(t.params.get(n))}' for n in names)}" for t in trials
    ]
    worth = [score if maximize else -score for score in scores]
    line = {"color": worth, "colorscale": [[0, "var(--weak)"], [1, "var(--accent)"]], "showscale": False}
    trace = go.Parcoords(
        dimensions=[*dimensions, {"label": label(metric), "values": scores}],
        line=line,
        customdata=told,
        labelfont={"color": "var(--ink)", "size": 12},
        tickfont={"color": "var(--ink)", "size": 11},
        rangefont={"color": "var(--soft)", "size": 1},
        labelangle=0,
    )
    return go.Figure(trace, {"height": HEIGHT + 20, "margin": {"l": 60, "r": 60, "t": 56, "b": 24}})


def _dimension(values: Sequence[Setting | None]) -> dict[str, Any]:
    """Numbers as they are, by their logarithms where they span decades; words in order."""
    numbers = [value for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)]
    if len(numbers) < len(values):
        words = sorted({_setting(value) for value in values})
        return {"values": [words.index(_setting(value)) for value in values], "tickvals": list(range(len(words))), "ticktext": words}
    low, high = min(numbers), max(numbers)
    if low > 0 and high / low >= DECADES:
        scale: Callable[[float], float] = math.log10
        ends = [low, high]
        return {"values": [scale(n) for n in numbers], "tickvals": [scale(n) for n in ends], "ticktext": [compact(n) for n in ends]}
    return {"values": numbers}


def _setting(value: Setting | None) -> str:
    return (
        "–" if value is None else compact(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else visible(str(value))
    )
