"""The tree of solutions as inline SVG: what was drafted, what was improved or mended from what, what it scored, and how sure that is.

Models that roles wrote carry their place in the tree on record (`AttemptMade`). Of the engine's own candidates the record has family and
stage: the configurations of the first search are drafts, what tuning found is an improvement of the best of its family before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

from markupsafe import Markup

from reports.facts import RunFacts
from reports.figures import metric_title
from reports.interactive import Chart
from reports.record import Attempt, CandidateRow
from reports.visible import visible
from tools.candidates import CODE, ENSEMBLE
from tools.constraints import FLOORS

ROW, STEP, LEFT = 26, 22, 12
"""Pixels: of a node's line, of a level, and of the first level's dot from the edge."""
MOST_NODES = 60
MOST_LETTERS = 30

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
    metric = metric_title(facts.contract.metric) if facts.contract else "score"
    if drawn := tree_svg(nodes, figure, metric):
        lost = sum(node.score is None for node in nodes)
        note = (
            f"{len(nodes)} models and attempts{f', {lost} of them without a score' if lost else ''}, in the order in which they were made."
            " A line leads to what was changed or mended; on the right stands the score with one standard error over folds."
        )
        yield Chart("From drafts to what was taken", note, drawn, "", "")


def tree_svg(nodes: Sequence[Node], figure: Callable[[float], str], metric: str) -> Markup:
    """The tree, one node a line, each with what is told of it in `data-t`; empty for fewer than two nodes.

    Args:
        figure: prints scores.
    """
    if len(nodes) < 2:
        return Markup("")
    shown = list(_in_depth(nodes))
    kept = shown[:MOST_NODES]
    at = {node.event: (LEFT + STEP * depth, ROW * place + ROW // 2) for place, (node, depth) in enumerate(kept)}
    edges, front = Markup(""), Markup("")
    for node, _ in kept:
        x, y = at[node.event]
        if node.parent in at:
            above, over = at[node.parent]
            edges += Markup('<path class="edge" d="M{} {}V{}H{}"/>').format(above, over, y, x)
        front += _line(node, x, y, figure, metric)
    height = ROW * len(kept)
    if len(kept) < len(shown):
        front += Markup('<text class="soft" x="{}" y="{}">and {} more</text>').format(LEFT, height + 14, len(shown) - len(kept))
        height += ROW
    best = next((node for node in nodes if node.chosen), None)
    label = f"{len(nodes)} models and attempts" + (f", taken {visible(best.name)} with {figure(best.score or 0.0)}" if best else "")
    head = Markup('<svg class="chart plane tree" width="100%" height="{}" role="img" tabindex="0" aria-label="{}">').format(height, label)
    return Markup('<div class="graph">{}{}{}</svg></div>').format(head, edges, front)


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


def _line(node: Node, x: int, y: int, figure: Callable[[float], str], metric: str) -> Markup:
    scored = "not scored" if node.score is None else figure(node.score)
    noise = f" ± {figure(node.std_error)}" if node.score is not None and node.std_error is not None else ""
    told = f"{node.move} {visible(node.name)}: {metric + ' ' if node.score is not None else ''}{scored}{noise}"
    told += f"; {node.gain}" if node.gain else ""
    kind = f"{node.move}{' chosen' if node.chosen else ''}{' lost' if node.score is None else ''}"
    dot = Markup('<circle class="dot" data-t="{}" cx="{}" cy="{}" r="5"/>').format(told, x, y)
    name = Markup('<text x="{}" y="{}"><tspan class="name">{}</tspan> <tspan class="soft">{}</tspan></text>').format(
        x + 12, y + 4, _cut(visible(node.name)), node.move
    )
    right = Markup('<tspan class="name">{}</tspan><tspan class="soft">{}</tspan>').format(scored, noise)
    score = Markup('<text class="score" x="100%" y="{}" text-anchor="end">{}</text>').format(y + 4, right)
    return Markup('<g class="{}">{}{}{}</g>').format(kind, dot, name, score)


def _cut(name: str) -> str:
    return name if len(name) <= MOST_LETTERS else name[: MOST_LETTERS - 1] + "…"
