"""What a search can weigh beside the score: what a candidate costs whoever uses it, and whom it treats worse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np

    from tools.candidates import Candidate
    from tools.contract import Contract, Direction
    from tools.problem import Problem

    Array = np.ndarray[Any, np.dtype[Any]]

Objective = Literal["score", "latency", "size", "fairness"]
"""`score`: the contract's metric. `latency`: the candidate's `latency_ms`; it is measured, so that equal seeds may find different things.
`size`: its `size_mb`. `fairness`: how differently it treats the groups of the sensitive column, 0 being alike."""
BESIDE_SCORE = "latency, size or fairness"


def directions(objectives: Sequence[str], direction: Direction) -> list[str]:
    """`maximize` or `minimize` for each objective."""
    return [direction if name == "score" else "minimize" for name in objectives]


def values_of(candidate: Candidate, objectives: Sequence[str], problem: Problem, oof: Array) -> tuple[float, ...]:
    """The values of a candidate, one for each objective.

    Args:
        oof: its out-of-fold predictions, before classes are called by its decision, of all repeats one below the other.
    """
    known = {"score": candidate.score, "latency": candidate.latency_ms or 0.0, "size": candidate.size_mb or 0.0}
    if "fairness" in objectives:
        known["fairness"] = _disparity(candidate, problem, oof)
    return tuple(known[name] for name in objectives)


def unweighable(objectives: Sequence[str], contract: Contract) -> str | None:
    """Why fairness cannot be weighed here, for whoever asked for it; None where it can or was not asked for."""
    if "fairness" not in objectives:
        return None
    name = contract.constraints.sensitive
    if name is None:
        return "fairness needs a sensitive column, and none is named (`--sensitive COLUMN`)"
    if name not in contract.features:
        return f"fairness is weighed by the sensitive column {name!r}, which is kept from the search; the report compares the groups"
    return None


def _disparity(candidate: Candidate, problem: Problem, oof: Array) -> float:
    """Of the shares of positives that are found, where there are two classes and enough of each group, else of errors, as the trade-offs of
    a report count it; 0 where no two groups are large enough to compare."""
    import numpy as np

    from tools.deciding import tilted
    from tools.fairness import disparities, groups_of
    from tools.metrics.decision import decision_of

    scored, contract = problem.validated, problem.contract
    weighed = tilted(oof, candidate.decision, labels=contract.predicts == "labels")
    repeats = [each[scored] for each in np.split(weighed, candidate.repeats)]
    groups = groups_of(problem.X[str(contract.constraints.sensitive)])
    # Each value of a column that splits the groups is all that belongs together.
    together = None if problem.groups is None or contract.constraints.sensitive == contract.split.column else problem.groups[scored]
    found = disparities(contract.task, problem.y[scored], repeats, groups[scored], together, decision_of(contract))
    return found.get("tpr", found.get("error", 0.0))
