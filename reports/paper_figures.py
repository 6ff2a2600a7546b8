"""Vector figures of the paper, drawn from the facts."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

from reports.facts import RunFacts
from reports.figures import importance_said, metric_title
from reports.glyphs import bundled, font_with
from reports.visible import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH = 5.9
"""Inches: the width of the text."""
MOST_ROWS = 16
INK, SOFT, MARK = "#1b2733", "#8a98a8", "#0b6e99"


def draw(facts: RunFacts) -> dict[str, bytes]:
    """PDF bytes by file name, of the figures that this run has."""
    import matplotlib as mpl

    families, outlines = _lettering(facts)
    with mpl.rc_context({"font.family": families, "pdf.fonttype": 3 if outlines else 42}):
        found = {"candidates.pdf": _candidates(facts), "importance.pdf": _importance(facts), "curve.pdf": _curve(facts)}
    return {name: content for name, content in found.items() if content is not None}


def _lettering(facts: RunFacts) -> tuple[list[str], bool]:
    """Font families that have the characters of the labels, the usual one first, and whether there are others, whose outlines are taken."""
    from matplotlib.font_manager import FontProperties, fontManager

    labels = {one.column for one in facts.evaluation.importance} if facts.evaluation else set()
    needed = {font_with(character) for label in labels for character in visible(label)} - {None, bundled()}
    others = sorted(path for path in needed if path is not None)
    for path in others:
        fontManager.addfont(path)
    return ["DejaVu Sans", *(FontProperties(fname=path).get_name() for path in others)], bool(others)


def _candidates(facts: RunFacts) -> bytes | None:
    rows = list(facts.leaderboard[:MOST_ROWS])
    if not rows:
        return None
    figure, axes = _canvas(0.9 + 0.24 * (len(rows) + 1))
    for place, row in enumerate(reversed(rows)):
        axes.plot(row.fold_scores, [place] * len(row.fold_scores), "o", ms=2.5, color=SOFT, alpha=0.8, mew=0)
        axes.errorbar(row.score, place, xerr=row.std_error, fmt="s", ms=3.5, color=INK, lw=1.1, capsize=2)
    if h := facts.holdout:
        axes.axvspan(h.low, h.high, color=MARK, alpha=0.12, lw=0)
        axes.axvline(h.score, color=MARK, lw=1.2)
    axes.set_yticks(range(len(rows)), [_label(row.name) for row in reversed(rows)])
    axes.set_xlabel(metric_title(facts.contract.metric) if facts.contract else "score")
    return _pdf(figure)


def _importance(facts: RunFacts) -> bytes | None:
    ranked = [one for one in facts.evaluation.importance if one.importance > 0][:MOST_ROWS] if facts.evaluation else []
    if not ranked:
        return None
    figure, axes = _canvas(0.8 + 0.22 * len(ranked))
    axes.barh(range(len(ranked)), [one.importance for one in reversed(ranked)], color=MARK, height=0.65)
    axes.set_yticks(range(len(ranked)), [_label(one.column) for one in reversed(ranked)])
    if facts.evaluation:
        axes.set_xlabel(visible(importance_said(facts.evaluation.importance_kind, facts.contract.metric if facts.contract else None)))
    return _pdf(figure)


def _curve(facts: RunFacts) -> bytes | None:
    if facts.curve is None:
        return None
    figure, axes = _canvas(2.4)
    points = facts.curve.points
    axes.errorbar(
        [p.rows for p in points], [p.score for p in points], yerr=[p.std_error for p in points], fmt="o-", ms=3.5, color=MARK, lw=1.2
    )
    axes.set_xlabel("rows of a fit")
    axes.set_ylabel(metric_title(facts.contract.metric) if facts.contract else "score")
    return _pdf(figure)


def _canvas(height: float) -> tuple[object, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, min(height, 6.5)), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=7.5, colors=INK, length=2)
    axes.xaxis.label.set_fontsize(8)
    axes.yaxis.label.set_fontsize(8)
    axes.grid(axis="x", color="#e3e8ee", lw=0.6)
    axes.set_axisbelow(True)
    return figure, axes


def _label(name: str) -> str:
    """A name as matplotlib shows it: dollars begin no formula there."""
    shown = visible(name)
    return (shown if len(shown) <= 28 else shown[:27] + "…").replace("$", r"\$")


def _pdf(figure: object) -> bytes:
    content = io.BytesIO()
    with warnings.catch_warnings():
        # A box stands for a glyph that the font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(content, format="pdf", metadata={"CreationDate": None})  # type: ignore[attr-defined]
    return content.getvalue()
