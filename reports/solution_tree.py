"""The tree of solutions: what was drafted, what was improved or mended from what, what it scored, and how sure that is.

Models that roles wrote carry their place in the tree on record (`AttemptMade`). Of the engine's own candidates the record has family and
stage: the configurations of the first search are drafts, what tuning found is an improvement of the best of its family before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

import plotly.graph_objects as go

from reports.facts import RunFacts
from reports.figures import metric_title
from reports.plotly_figures import PLACED, Document, document, label
from reports.plotly_page import Chart
from reports.record import Attempt, CandidateRow
from reports.visible import visible
from tools.candidates import CODE, ENSEMBLE
from tools.constraints import FLOORS

ROW = 26
"""Pixels of a node's line."""
MOST_NODES = 60
DEEPER = 6
"""Levels beyond the deepest, over which names and scores stand."""
KINDS = {
    "baseline": "var(--faint)",
    "draft": "var(--s0)",
    "improve": "var(--s2)",
    "debug": "var(--s1)",
    "blend": "var(--s3)",
    "without a score": "var(--bad)",
}
"""Of nodes, with their colours."""

Move = Literal["baseline", "draft", "improve", "debug", "blend"]


class Node(NamedTuple):
    """A model, or an attempt at one; `score` is None where it could not be scored."""

    event: int
    name: str
    move: Move
    parent: int | None
    """Event of the node that it changes or mends."""
    score: float | None
    std_error: float | None
    gain: str
    """How much better than what it is compared with, and whether that is more than chance; empty where nobody judged it."""
    chosen: bool


def grow(facts: RunFacts) -> list[Node]:
    """All nodes of a run in the order in which they were made."""
    made: list[Attempt | CandidateRow] = [*facts.attempts, *_of_the_engine(facts)]
    maximize = facts.contract is None or facts.contract.direction == "maximize"
    selected = facts.selected.name if facts.selected else None
    last: dict[str, int] = {}
    best: dict[str, CandidateRow] = {}
    found = []
    for one in sorted(made, key=lambda node: node.event):
        if isinstance(one, Attempt):
            parent: int | None = last.get(one.parent or "")
            move: Move = one.move
            gain = f"{one.gain:+.2g} ± {one.gain_std_error:.2g} against {one.against}" if one.gain is not None and one.against else ""
            gain += (": more than chance" if one.real else ": inside the noise") if gain else ""
        else:
            before = best.get(one.family)
            move, gain = _move_of(one), ""
            parent = before.event if before and move == "improve" else None
            if before is None or (one.score > before.score) == maximize:
                best[one.family] = one
        last[one.name] = one.event
        chosen = one.name == selected and one.score is not None
        found.append(Node(one.event, one.name, move, parent, one.score, one.std_error, gain, chosen))
    return found


def _of_the_engine(facts: RunFacts) -> Iterator[CandidateRow]:
    written = {attempt.name for attempt in facts.attempts}
    return (row for row in facts.leaderboard if row.family != CODE or row.name not in written)


def _move_of(row: CandidateRow) -> Move:
    if row.family in FLOORS or row.stage == "baseline":
        return "baseline"
    if row.family == ENSEMBLE:
        return "blend"
    return "improve" if row.stage == "optimise" else "draft"


def tree_chart(facts: RunFacts, figure: Callable[[float], str]) -> Iterator[Chart]:
    """The tree as a chart of the page; none for fewer than two nodes."""
    nodes = grow(facts)
    if len(nodes) < 2:
        return
    metric = metric_title(facts.contract.metric) if facts.contract else "score"
    lost = sum(node.score is None for node in nodes)
    more = f" The first {MOST_NODES} are drawn, and {len(nodes) - MOST_NODES} more are not." if len(nodes) > MOST_NODES else ""
    note = (
        f"{len(nodes)} models and attempts{f', {lost} of them without a score' if lost else ''}, in the order in which they were made."
        f" A line leads to what was changed or mended; on the right stands the score with one standard error over folds.{more}"
    )
    best = next((node for node in nodes if node.chosen), None)
    said = f"{len(nodes)} models and attempts" + (f", taken {visible(best.name)} with {figure(best.score or 0.0)}" if best else "")
    yield Chart("From drafts to what was taken", note, tree_figure(nodes, figure, metric), said)


def tree_figure(nodes: Sequence[Node], figure: Callable[[float], str], metric: str) -> Document:
    """One node a line, further to the right the deeper it stands; a trace for each kind of node, which its legend names.

    Args:
        figure: prints scores.
    """
    kept = list(_in_depth(nodes))[:MOST_NODES]
    at = {node.event: (depth, row) for row, (node, depth) in enumerate(kept)}
    edges: dict[str, list[float | None]] = {"x": [], "y": []}
    for node, _ in kept:
        if node.parent in at:
            (above, over), (x, y) = at[node.parent], at[node.event]
            edges["x"] += [above, above, x, None]
            edges["y"] += [over, y, y, None]
    line = {"color": "var(--line)", "width": 2}
    traces = [go.Scatter(**edges, mode="lines", line=line, hoverinfo="skip", showlegend=False, meta=PLACED)]
    for kind, colour in KINDS.items():
        mine = [node for node, _ in kept if kind == ("without a score" if node.score is None else node.move)]
        if mine:
            traces.append(_nodes(kind, colour, mine, at, figure, metric))
    deepest = max(depth for _, depth in kept)
    notes = [
        {
            "text": _score(node, figure),
            "x": 1,
            "xref": "paper",
            "xanchor": "right",
            "y": row,
            "showarrow": False,
            "font": {"color": "var(--bad)" if node.score is None else "var(--ink)", "weight": 700 if node.chosen else 400},
        }
        for row, (node, _) in enumerate(kept)
    ]
    hidden = {"visible": False, "fixedrange": True}
    layout = {
        "xaxis": {**hidden, "range": [-0.25, deepest + DEEPER]},
        "yaxis": {**hidden, "range": [len(kept) - 0.4, -0.6]},
        "annotations": notes,
        "height": 76 + ROW * len(kept),
        "showlegend": True,
    }
    return document(go.Figure(traces, layout))


def _nodes(
    kind: str, colour: str, nodes: Sequence[Node], at: dict[int, tuple[int, int]], figure: Callable[[float], str], metric: str
) -> go.Scatter:
    lost = kind == "without a score"
    return go.Scatter(
        x=[at[node.event][0] for node in nodes],
        y=[at[node.event][1] for node in nodes],
        name=kind,
        mode="markers+text",
        text=[f"  {label(node.name)}" for node in nodes],
        textposition="middle right",
        textfont={"color": "var(--ink)", "size": 13},
        hovertext=[_told(node, figure, metric) for node in nodes],
        hoverinfo="text",
        marker={
            "color": "var(--card)" if lost else colour,
            "size": 11,
            "line": {"color": "var(--bad)" if lost else "var(--ink)", "width": [2 if lost or node.chosen else 0 for node in nodes]},
        },
        cliponaxis=False,
        meta=PLACED,
    )


def _in_depth(nodes: Sequence[Node]) -> Iterator[tuple[Node, int]]:
    """Each node before what came of it, with its depth."""
    there = {node.event for node in nodes}
    under: dict[int | None, list[Node]] = {}
    for node in nodes:
        under.setdefault(node.parent if node.parent in there else None, []).append(node)
    waiting = [(node, 0) for node in reversed(under.get(None, []))]
    while waiting:
        node, depth = waiting.pop()
        yield node, depth
        waiting += [(child, depth + 1) for child in reversed(under.get(node.event, []))]


def _score(node: Node, figure: Callable[[float], str]) -> str:
    noise = f" ± {figure(node.std_error)}" if node.score is not None and node.std_error is not None else ""
    return ("not scored" if node.score is None else figure(node.score)) + noise


def _told(node: Node, figure: Callable[[float], str], metric: str) -> str:
    told = f"{node.move} {visible(node.name)}: {metric + ' ' if node.score is not None else ''}{_score(node, figure)}"
    return told + (f"; {node.gain}" if node.gain else "")
