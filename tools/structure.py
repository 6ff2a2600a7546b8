"""Kernel tool: what groups or anomalies are, whether other rows would have given the same, and whether chance would have, too."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Le
from pydantic import BaseModel

from tools.candidates import load_candidate
from tools.degradation import Degradation
from tools.extras import Extras
from tools.spec import ToolRefused, tool
from tools.workspace import workspace

TOP_SHARE = 0.05
"""Rows of the highest scores that are spoken of as anomalies."""


class Difference(BaseModel):
    """A column in which rows of a group differ from all others."""

    column: str
    here: str
    elsewhere: str
    """Mean of numbers, or the commonest category here with its shares."""
    size: float
    """Difference of means in standard deviations, or of shares."""


class Group(BaseModel):
    """Rows that belong together, by the model that was fitted on all training rows."""

    name: str
    rows: int
    share: float
    differs: list[Difference]
    """The columns that differ most, at most five."""


class StructureResult(BaseModel):
    """What was found where no column is predicted."""

    candidate: str
    predicts: Literal["groups", "scores"]
    groups: list[Group]
    """All groups, the largest first, or the rows of the highest scores alone."""
    stability: float
    """How alike fits on two halves of the rows judge all rows, mean over pairs of halves: adjusted Rand index of groups, shared part
    (Jaccard) of the rows of the highest scores. 1 is the same."""
    stability_std: float
    chance: float
    """What it would be by chance."""
    pairs: int
    score: float | None
    """Of groups, the silhouette of a fit on the rows as they are, on those very rows."""
    null_mean: float | None
    null_highest: float | None
    """The same of tables whose columns were shuffled each for itself, so that rows hold together by nothing."""
    nulls: int
    verdict: Literal["structure", "no structure", "stable", "unstable", "unknown"]
    plots: list[str]
    seconds: float
    degraded: list[Degradation] = []
    """What is missing above because it could not be made."""


@tool(where="kernel", timeout_s=600)
def examine_structure(
    candidate: Annotated[str, "Candidate whose groups or scores are examined."],
    time_s: Annotated[float, "Wall-clock seconds for the call.", Ge(1), Le(3600)] = 15.0,
) -> StructureResult:
    """Describe groups or anomalies, and say whether they are stable and more than a table without structure would show."""
    from tools.deadline import Deadline
    from tools.families import load_libraries
    from tools.model import fit_model, members_of
    from tools.probing import Probe, described, verdict
    from tools.problem import load_problem

    deadline = Deadline(time_s)
    space = workspace()
    problem = load_problem(space)
    predicts = problem.contract.predicts
    if predicts not in ("groups", "scores"):
        raise ToolRefused("this task has a target; find_slices, learning_curve and explain say what there is to know.")
    record = load_candidate(space, candidate)
    load_libraries([member.family for member, _ in members_of(space, record)])
    # With no time left after its first fit a model is not fitted with more seeds, which would tell nothing here.
    probe = Probe(problem, lambda part: fit_model(space, record, part, Deadline(0.0)))
    model = probe.fit(problem.X)
    found = model.predict_table(problem.X)
    halves = probe.halves(deadline.share((0.5 if predicts == "groups" else 0.9) * deadline.remaining()))
    real, shuffled = probe.against_shuffled(found, deadline.share(0.8 * deadline.remaining())) if predicts == "groups" else (None, [])
    extras = Extras()
    plot = extras.make("the plot of the rows", lambda: probe.draw(space, candidate, found))
    return StructureResult(
        candidate=candidate,
        predicts="groups" if predicts == "groups" else "scores",
        groups=described(problem, found),
        stability=round(halves.mean, 4),
        stability_std=round(halves.spread, 4),
        chance=round(halves.chance, 4),
        pairs=halves.pairs,
        score=None if real is None else round(real, 4),
        null_mean=round(sum(shuffled) / len(shuffled), 4) if shuffled else None,
        null_highest=round(max(shuffled), 4) if shuffled else None,
        nulls=len(shuffled),
        verdict=verdict(halves, real, shuffled),
        plots=[plot] if plot else [],
        seconds=round(deadline.elapsed(), 2),
        degraded=extras.left_out,
    )
