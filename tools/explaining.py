"""Kernel tool: what a candidate relies on, how its predictions move with a column, and why single rows are predicted as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Ge, Le, Len
from pydantic import BaseModel

from tools.candidates import load_candidate
from tools.degradation import Degradation
from tools.extras import Extras
from tools.spec import ToolRefused, tool
from tools.workspace import Workspace, workspace

if TYPE_CHECKING:
    from tools.candidates import Candidate
    from tools.deadline import Deadline
    from tools.problem import Problem

MOST_TOLD = 25
"""Columns of the result."""
ABLATION_SHARE = 0.4
"""Of the call's time, that fits without columns may take of what the other parts leave."""
LATE_S = 5.0
"""How much longer than its time a call may take for the least of each part, and for the plots."""


class ColumnReliance(BaseModel):
    """How much the model relies on a column."""

    column: str
    importance: float | None
    """Mean worsening of the metric when the column is shuffled, in the metric's units; None where there was no time."""
    std_error: float | None
    """Of the mean over shuffles; None for a single one."""
    contribution: float | None
    """Mean size of the column's Shapley value over rows; None where there was no time, or it was told with others."""


class Effect(BaseModel):
    """How the prediction moves with one column."""

    column: str
    output: str
    """Class whose probability it is; empty for values."""
    at: list[str]
    """Values of the column: ascending, or levels, the commonest first."""
    partial: list[float]
    """Partial dependence: mean prediction with the column set there."""
    accumulated: list[float]
    """Accumulated local effects, with mean 0 over the rows; empty for categories, which have no order."""


class Part(BaseModel):
    """A column's part in one prediction."""

    column: str
    value: str
    """The cell."""
    contribution: float


class Example(BaseModel):
    """One prediction taken apart: base, parts and rest add up to the score."""

    row: int
    """Position in the training table, from 0."""
    why: Literal["most wrong", "most confident", "highest", "lowest", "asked"]
    unseen: bool
    """Whether the explained model was fitted without it."""
    actual: str
    predicted: str
    output: str
    """Class whose score is taken apart; empty for values."""
    score: float
    base: float
    parts: list[Part]
    """The largest first."""
    rest: float
    """Sum of the columns that are not shown."""


class Without(BaseModel):
    """Columns that were taken away together, and what the candidate lost by it."""

    columns: list[str]
    loss: float
    """In the metric's units, in the mean over folds; above 0 is worse without them."""
    low: float
    high: float
    """Ends of the 95 % interval of the loss."""
    half: float
    """Half of its length."""
    folds: int


class Rule(BaseModel):
    """Rows that a shallow tree takes for one group."""

    conditions: list[str]
    """All of them hold."""
    group: int
    share: float
    """Of the rows that the tree had not seen, 0 to 1."""
    right: float | None
    """Share of those that the model puts into that group; None where there is none."""


class Explanation(BaseModel):
    """A candidate explained on rows."""

    candidate: str
    unseen: bool
    """Whether the explained model was fitted without the rows below: it is that of one fold, else the one that `evaluate` left."""
    rows: int
    """Rows that were there to explain it on."""
    metric: str
    reliance: list[ColumnReliance]
    """The most important first."""
    not_shown: int
    """Number of columns beyond those: less important, or not measured for want of time."""
    method: Literal["exact", "sampled"]
    """Whether Shapley values are the trees' own or sampled."""
    scale: str
    """What Shapley values and the scores of examples are measured in."""
    effects: list[Effect]
    examples: list[Example]
    plots: list[str]
    without: list[Without] = []
    """What fits without columns lost, as far as there was time."""
    ablated: str = ""
    """The candidate that was fitted so: of an ensemble, the member of the largest weight."""
    rules: list[Rule] = []
    """Of groups: the leaves of a shallow tree that says which group the model puts a row into."""
    fidelity: float | None = None
    """Share of rows that the tree had not seen on which it agrees with the model."""
    fidelity_floor: float | None = None
    """The same for always naming the largest group."""
    seconds: float
    degraded: list[Degradation] = []
    """What is missing above because it could not be made."""


@tool(where="kernel", timeout_s=1800)
def explain(
    candidate: Annotated[str, "Candidate to explain."],
    time_s: Annotated[float, "Wall-clock seconds for the call.", Ge(2), Le(86400)] = 30.0,
    rows: Annotated[list[int] | None, "Positions of training rows, from 0, to explain beside those that stand out.", Len(0, 10)] = None,
) -> Explanation:
    """Explain a candidate on rows that it was not fitted on: importance, effects of columns, and single predictions taken apart."""
    from tools.deadline import Deadline
    from tools.explainer import Explainer
    from tools.problem import load_problem
    from tools.subject import subject_of

    deadline = Deadline(time_s)
    space = workspace()
    record = load_candidate(space, candidate)
    problem = load_problem(space)
    # Groups have no scale that a column moves them on, and a moment of a series is no row that can be taken apart.
    whole = problem.contract.predicts != "groups" and problem.contract.forecast is None
    if rows and not whole:
        raise ToolRefused(f"single rows of a {problem.contract.task} task are not taken apart; leave `rows` out.")
    strange = [row for row in rows or [] if not 0 <= row < problem.n_rows]
    if strange:
        raise ToolRefused(f"no training row {strange[0]}; rows are 0 to {problem.n_rows - 1}.")
    subject = subject_of(space, record, problem, deadline)
    explainer = Explainer(problem, subject, deadline)
    extras = Extras(within_s=deadline.remaining() + max(LATE_S, 0.25 * time_s))
    # What each part may take of the time that is left when it begins.
    extras.make("the importance of columns", lambda: explainer.measure(0.35))
    examples = effects = plots = found = None
    if whole:
        examples = extras.make("explanations of single rows", lambda: explainer.examples(rows or [], 0.4))
        effects = extras.make("the effects of columns", lambda: explainer.effects(0.5))
        extras.make("the sizes of contributions", lambda: explainer.sizes(0.7))
        plots = extras.make("the plots of effects", lambda: explainer.plot(space, candidate))
    elif problem.contract.predicts == "groups":
        found = extras.make("the rules of groups", explainer.rules)
    reliance = explainer.reliance()
    ablated, without = extras.make(
        "fits without columns",
        lambda: _without(space, record, problem, explainer.columns, deadline.share(ABLATION_SHARE * time_s)),
        needs_mb=0,
    ) or (
        "",
        [],
    )
    return Explanation(
        candidate=candidate,
        unseen=subject.unseen,
        rows=len(subject.rows),
        metric=explainer.problem.contract.metric,
        reliance=reliance[:MOST_TOLD],
        not_shown=len(explainer.columns) - len(reliance[:MOST_TOLD]),
        method="exact" if explainer.exact else "sampled",
        scale=explainer.scale,
        effects=effects or [],
        examples=examples or [],
        plots=plots or [],
        without=without,
        ablated=ablated,
        rules=[
            Rule(
                conditions=list(leaf.conditions),
                group=leaf.group,
                share=round(leaf.share, 4),
                right=None if leaf.right is None else round(leaf.right, 4),
            )
            for leaf in (found.leaves if found else ())
        ],
        fidelity=round(found.fidelity, 4) if found else None,
        fidelity_floor=round(found.floor, 4) if found else None,
        seconds=round(deadline.elapsed(), 2),
        degraded=extras.left_out,
    )


def _without(space: Workspace, record: Candidate, problem: Problem, ranked: list[str], part: Deadline) -> tuple[str, list[Without]]:
    """Who was fitted without columns, and what that lost; nothing where there is no time left, or nothing to fit."""
    from tools.ablation import fits_without
    from tools.casualties import load_casualties
    from tools.learning_curve import member_to_fit
    from tools.preparation import load_preparation

    try:
        fitted = member_to_fit(space, record.name)
    except ToolRefused:  # written as code
        return "", []
    if load_casualties(space).dropped(fitted.family):
        return "", []
    found = fits_without(fitted, load_preparation(space, fitted.preparation, problem), problem, ranked, part)
    return (fitted.name, found) if found else ("", [])
