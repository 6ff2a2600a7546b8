"""What follows from a constraint that is added while a run goes on: what does not count any more, and where the work goes back to.

First everything is found out, then it is put on record in one event, and then done from that event. So a run that is cut off within is
taken up by doing once more what the event says.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from team.budget import Meter
from team.constraint import CONSTRAINT, Conflict, Constraint, ForbidColumn, bound, cpu_only
from team.events import ConstraintAdded
from team.rundir import RunDir
from team.stages import ORDER, CandidateFact, Stage, State, go_back
from team.vault import Vault
from tools.candidates import ENSEMBLE
from tools.constraints import FLOORS, Constraints
from tools.contract import Contract, TableSchema
from tools.spec import InputRefused
from tools.views import narrowed
from tools.wishes import check_directions

ENOUGH_SHARE = 0.1
"""Of the time of the search, what must be left where all that was trained goes."""
KNOWN_OF_THE_TABLE = ("record_plan", "fetch_data", "seal_holdout")
"""Results that stay true when columns go."""
OF_CANDIDATES = (
    "evaluate",
    "ensemble",
    "tune",
    "find_slices",
    "compare_models",
    "learning_curve",
    "explain",
    "examine_structure",
    "nested_score",
)
"""Results that speak of candidates."""


def plan(
    state: State, vault: Vault, meter: Meter, wished: Constraints, added: Sequence[Constraint], preparers: Sequence[str] = ()
) -> ConstraintAdded:
    """What constraints will do to a run, or why they cannot be kept. Nothing is changed yet.

    Args:
        wished: what the run was held to so far.
        preparers: what the user asked for to make columns of.
    """
    said = {"constraints": [one.model_dump(mode="json") for one in added], "told": [one.told for one in added]}
    try:
        new = bound(wished, added)
        if state.holdout is not None:
            raise InputRefused("the final score is taken, and the model that has it is the one to package")
        if new.monotone and preparers:
            raise InputRefused(f"the columns that {', '.join(preparers)} make would hide how the prediction follows another")
        if not vault.sealed:
            return ConstraintAdded(**said)
        _check_learners(new, vault)
        contract = vault.contract.model_copy(update={"constraints": new})
        schema = TableSchema.model_validate_json((vault.run.data / "schema.json").read_text(encoding="utf-8"))
        _check_there(added, wished, contract)
        check_directions(contract.task, schema, new)
        _, _, gone = narrowed(contract, schema)
    except (Conflict, InputRefused) as error:
        return ConstraintAdded(**said, refused=f"{error}.".replace("..", "."))
    excluded = [c.name for c in state.candidates if gone or new.monotone != wished.monotone or _breaks(c, new, wished, added)]
    left = [c for c in state.candidates if c.name not in excluded]
    back = _back_to(state, left, bool(gone), anew=_hidden_behind(state, new))
    learnt = [c for c in left if c.family not in FLOORS]
    if state.candidates and not learnt and meter.search_left_s < ENOUGH_SHARE * meter.limits.search_s:
        why = f"{meter.search_left_s:.0f} s of search are left, in which nothing may be trained that keeps to it: give it more time first"
        return ConstraintAdded(**said, refused=why)
    return ConstraintAdded(**said, excluded=excluded, gone=gone, back_to=back)


def carry_out(event: ConstraintAdded, state: State, run: RunDir, vault: Vault, constraints: Constraints) -> State:
    """Do what an event says, while no kernel runs; doing it again changes nothing.

    Args:
        constraints: everything that the run is held to from here on.
    """
    if event.refused or not vault.sealed:
        return state
    vault.narrow(constraints)
    if event.gone:
        _set_aside(run, [])
    elif event.excluded:
        _set_aside(run, event.excluded)
    kept = [c for c in state.candidates if c.name not in event.excluded]
    update = {
        "candidates": kept,
        "evaluated": [name for name in state.evaluated if name not in event.excluded],
        "unfit": {name: reason for name, reason in state.unfit.items() if name not in event.excluded},
    }
    if event.gone:
        results = {tool: result for tool, result in state.results.items() if tool in KNOWN_OF_THE_TABLE}
        if "seal_holdout" in results:
            results["seal_holdout"] = {**results["seal_holdout"], "features": len(vault.contract.features)}
        update |= {"results": results, "profiled": False, "prepared": False}
    elif event.excluded:
        update["results"] = {tool: result for tool, result in state.results.items() if tool not in OF_CANDIDATES}
    if _hidden_behind(state, constraints):
        gone = (*OF_CANDIDATES, "prepare")
        update |= {"results": {tool: result for tool, result in state.results.items() if tool not in gone}, "prepared": False}
    state = state.model_copy(update=update)
    return go_back(state, Stage(event.back_to)) if event.back_to and state.stage != event.back_to else state


def constraints_of(event: ConstraintAdded) -> list[Constraint]:
    return [CONSTRAINT.validate_python(one) for one in event.constraints]


def _check_learners(constraints: Constraints, vault: Vault) -> None:
    from tools.families import learners

    task = vault.contract.task
    if not [name for name in constraints.allowed(learners(task)) if name not in FLOORS]:
        reasons = "; ".join(dict.fromkeys(reason for name in learners(task) if (reason := constraints.refuses(name))))
        raise InputRefused(f"no model family is left: {reasons}")


def _breaks(candidate: CandidateFact, new: Constraints, old: Constraints, added: Sequence[Constraint]) -> bool:
    """Whether a candidate does not keep to the constraints, or nobody can tell."""
    if candidate.family in FLOORS:
        return False
    if new.refuses(candidate.family) or new.exceeded(candidate.latency_ms, candidate.size_mb):
        return True
    if cpu_only(added) and candidate.device != "cpu":
        return True
    # Of what a blend is made of only the sandbox knows.
    return candidate.family == ENSEMBLE and (new.families, new.without) != (old.families, old.without)


def _check_there(added: Sequence[Constraint], wished: Constraints, contract: Contract) -> None:
    """Refuse to take away what is no column, or no feature: that would be kept by saying nothing."""
    for one in added:
        if not isinstance(one, ForbidColumn) or one.column in contract.features or one.column in wished.forbid:
            continue
        if one.column in (contract.target, contract.event) or (contract.predicts == "labels" and one.column in contract.classes):
            raise InputRefused(f"{one.column!r} is what is predicted, and no model is shown it")
        near = difflib.get_close_matches(one.column, contract.features, n=3, cutoff=0.5)
        hint = f"nearest: {', '.join(near)}" if near else f"columns: {', '.join(contract.features[:30])}"
        raise InputRefused(f"no column {one.column!r} is learnt from; {hint}")


def _hidden_behind(state: State, constraints: Constraints) -> bool:
    """Whether models get columns that steps or preparers make, behind which no prediction can be held to follow a column."""
    made = state.results.get("prepare", {})
    return bool(constraints.monotone and (made.get("steps") or made.get("preparers")))


def _back_to(state: State, left: Sequence[CandidateFact], columns_went: bool, *, anew: bool) -> str | None:
    """The stage to go back to, where what is left does not carry the one that the run is in.

    Args:
        anew: whether the columns that models get are to be chosen once more.
    """
    assert state.stage is not None
    at = ORDER.index(state.stage)
    if columns_went:
        return Stage.ANALYSE if at > ORDER.index(Stage.ANALYSE) else None
    if anew:
        return Stage.PREPARE if at > ORDER.index(Stage.PREPARE) else None
    if at > ORDER.index(Stage.BASELINE) and not any(c.stage == Stage.BASELINE for c in left):
        return Stage.BASELINE
    trained = any(c.stage not in (Stage.BASELINE,) and c.family not in FLOORS for c in left)
    return Stage.TRAIN if at > ORDER.index(Stage.TRAIN) and not trained else None


def _set_aside(run: RunDir, candidates: Sequence[str]) -> None:
    """Move the folders of candidates, or without any the whole work folder, to where no sandbox sees them."""
    run.set_aside.mkdir(exist_ok=True)
    place = run.set_aside / str(sum(1 for _ in run.set_aside.iterdir()) + 1)
    if not candidates:
        if run.work.exists():  # else the run was cut off at this very place
            run.work.rename(place)
        run.work.mkdir()
        return
    place.mkdir()
    folder = run.work / "candidates"
    if folder.is_symlink():  # code put it there; what it points to is none of ours
        return
    for name in candidates:
        if (folder / name).is_dir() and not (folder / name).is_symlink():
            (folder / name).rename(place / name)
