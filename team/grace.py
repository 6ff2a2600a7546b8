"""What a run does without when a stage cannot be ended on its facts, and what it says when it can do without nothing more."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from team.stages import Stage, State
from tools.constraints import FLOORS, TOO_MUCH, Constraints
from tools.contract import predicts
from tools.release_wish import Release

_OPTIONAL = {
    Stage.ANALYSE: ("the table was not profiled", "profile"),
    Stage.PREPARE: ("no preparation was validated, so the families choose among all columns", "preparation"),
    Stage.BASELINE: ("no baseline was scored", "baselines"),
}
"""Stages whose work makes the result better or easier to judge, but that no later one needs."""
_WITH_CANDIDATES = {
    Stage.TRAIN: ("nothing more could be trained; the best so far is used", "training"),
    Stage.OPTIMISE: ("nothing more could be tuned; the best so far is used", "tuning"),
}

_RELEASES = {"register_model": ("registry", "registered"), "publish_run": ("repository", "published")}
NOTHING, NO_TROUBLE, UNBOUND = Release(), MappingProxyType[str, str]({}), Constraints()


class Surrender(NamedTuple):
    """A stage that is left without its facts."""

    outcome: str
    what: str
    """What the run does without; empty where something can still be made up for."""
    reason: str


def surrender(state: State, why: str, run: Path) -> Surrender | None:
    """How the stage can be left, or None when the run cannot go on without it.

    Args:
        why: the last thing that did not work.
    """
    assert state.stage is not None
    found = _OPTIONAL.get(state.stage) or (_WITH_CANDIDATES.get(state.stage) if state.candidates else None)
    if found:
        return Surrender(found[0], found[1], f"{found[0]}: {_short(why)}")
    if state.stage is Stage.SELECT and state.holdout is not None:
        return Surrender("the candidate is scored", "review", f"the review of the selection is missing: {_short(why)}")
    if state.stage is Stage.DOCUMENT:
        return Surrender("no report was written", "", f"the report could not be written: {_short(why)}. Type: mlteam report {run}")
    return None


def left_out(
    stage: Stage,
    state: State,
    seconds_left: float,
    *,
    nested: bool = False,
    blends: bool = True,
    release: Release = NOTHING,
    troubles: Mapping[str, str] = NO_TROUBLE,
    run: Path = Path("RUN"),
) -> list[tuple[str, str]]:
    """What a stage that has just ended would have done with more time, or was asked for: what it is, and how it came to be left out.

    Args:
        nested: whether the user asked for the search to be made again inside the folds.
        blends: whether the contract allows any.
        release: where the user wants the run released to.
        troubles: why calls did not work, by tool.
    """
    over = f"{seconds_left:.0f} s of search were left"
    found = []
    if stage is Stage.RELEASE:
        undone = {tool: _RELEASES[tool] for tool in release.tools if tool not in state.results}
        whys = {tool: _short(troubles.get(tool, "nobody called it"), 600) for tool in undone}
        return [
            (what, f"the run was not {done}: {whys[tool]}. Type: {release.command(tool, str(run))}")
            for tool, (what, done) in undone.items()
        ]
    if stage is Stage.SELECT and nested and "nested_score" not in state.results:
        why = _short(troubles.get("nested_score", "no role has it on record"))
        told = (
            f"the nested validation that was asked for is missing: {why}. It takes as long again as the search: give both a larger --time"
        )
        found.append(("nested validation", told))
    if stage is Stage.OPTIMISE and not state.trials_spent and not any(done.families for done in state.rounds):
        return [("tuning", f"nothing was tuned: {over}")]
    learnt = {candidate.family for candidate in state.candidates} - set(FLOORS)
    if stage is Stage.SELECT and not learnt and state.candidates:
        floor = state.candidates[0].name
        told = f"nothing that learns was fitted, so the model is {floor}, which shows what a model has to beat"
        why, cure = over, "Run again with a larger --time, or allow quicker --families"
        if failed := _failed(state):  # more time would change nothing
            why, cure = "; ".join(f"{name} ({reason})" for name, reason in failed.items()), "Mend that, or allow other --families"
        found.append(("a model that learns", f"{told}: {why}. {cure}"))
    task = state.results.get("seal_holdout", {}).get("task", "regression")
    if blends and stage is Stage.SELECT and len(learnt) > 1 and "ensemble" not in state.results and predicts(task) != "groups":
        found.append(("ensemble", f"no blend of the candidates was made: {over}"))
    return found


NO_TIME = "no model could be trained: the time of the search was over before a first candidate was done. Give it more with --time."


def verdict(state: State, why: str, constraints: Constraints = UNBOUND) -> str:
    """Exactly why there is no model, for the one who started the run.

    Args:
        constraints: what the contract binds models to.
    """
    match state.stage:
        case Stage.TRAIN | Stage.OPTIMISE:
            lost = "; ".join(state.dropped.values())
            if not lost and _no_time(state):
                return NO_TIME
            return f"no model could be trained: {lost or _short(why)}.{_advice(lost or why)}"
        case Stage.SELECT if not state.candidates:
            failed = "; ".join(f"{name} ({reason})" for name, reason in _failed(state).items())
            return f"no model could be trained: {failed}.{_advice(failed)}" if failed else NO_TIME
        case Stage.SELECT if state.unfit:
            if _out_of_bounds(state):
                each = "; ".join(_too_much(*one) for one in state.unfit.items())
                return f"no candidate keeps to its bounds: {each}. {_looser(constraints)}"
            lost = "; ".join(f"{name} ({reason})" for name, reason in state.unfit.items())
            return f"no candidate could be fitted on all training rows: {lost}.{_advice(lost)}"
        case Stage.RELEASE if state.holdout is not None:
            name = state.holdout.candidate
            return f"{name} is scored and the report is written, but there is no package of it: {_short(why)}."
    return f"stage {state.stage} cannot be ended: {_short(why)}"


def dead_end(state: State) -> bool:
    """Whether going on would meet the same: every candidate is too slow or too large, or no time of the search is left for a first one."""
    match state.stage:
        case Stage.TRAIN | Stage.OPTIMISE:
            return not state.dropped and _no_time(state)
        case Stage.SELECT:
            return _out_of_bounds(state) if state.candidates else not _failed(state)
    return False


def _out_of_bounds(state: State) -> bool:
    return bool(state.unfit) and all(TOO_MUCH in reason for reason in state.unfit.values())


def _looser(constraints: Constraints) -> str:
    """What would do where no model keeps to its bounds: they are sealed with the contract, so it takes another run."""
    bounds = [
        name
        for name, bound in (("--max-latency-ms", constraints.max_latency_ms), ("--max-size-mb", constraints.max_size_mb))
        if bound is not None
    ]
    told = f"The bounds of a run are sealed, so going on does not help. Run again with a larger {' or '.join(bounds) or 'bound'}"
    if constraints.families:
        return f"{told}, or allow more --families than {','.join(constraints.families)}."
    return f"{told}, or with more --time to find a lighter model."


def _too_much(name: str, reason: str) -> str:
    """What of a model was too much, without the advice behind it: `linear-1 takes 5 ms for a row, where 1 ms are allowed`."""
    return f"{name} takes {reason.partition(' takes ')[2].partition('. ')[0].partition(', as the host')[0].rstrip('.')}"


def _no_time(state: State) -> bool:
    """Whether the search was over before even the baselines were done."""
    skipped = state.results.get("train_baselines", {}).get("skipped", [])
    return not state.candidates and (bool(skipped) or state.search_spent) and all("time" in left_out["reason"] for left_out in skipped)


def _failed(state: State) -> dict[str, str]:
    """Why families have no candidate, where that is not the time."""
    skipped = [one for tool in ("train_baselines", "train") for one in state.results.get(tool, {}).get("skipped", [])]
    return {one["name"]: str(one["reason"]).rstrip(".")[:200] for one in skipped if "time" not in one["reason"]}


def _short(why: str, most: int = 300) -> str:
    lines = [line.strip() for line in why.strip().splitlines() if line.strip()]
    return lines[-1][:most].rstrip(".") if lines else "nothing was done"


def _advice(why: str) -> str:
    out_of_memory = "memory" in why.lower() or "MiB" in why
    return " Allow the sandbox more memory: sandbox.memory_mb in a --config file, or MLTEAM_SANDBOX__MEMORY_MB." if out_of_memory else ""
