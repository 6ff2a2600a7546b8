"""Kernel tool: tune one family with Optuna over the contract's folds."""

from __future__ import annotations

from typing import Annotated, Any

from annotated_types import Ge, Le
from pydantic import BaseModel

from tools.attempt import Attempts
from tools.candidates import CandidateFacts, facts, free_name, load_candidate, paired_error, write_candidate
from tools.casualties import of_the_rows
from tools.degradation import Degradation
from tools.front import Kept
from tools.objectives import BESIDE_SCORE, Objective, unweighable
from tools.samplers import Pruner, Sampler
from tools.spec import ToolRefused, tool
from tools.studies import close_call, counted, quiet
from tools.tuner import SearchPlan, Tuner, Value
from tools.workspace import workspace

MOST_OF_FRONT = 8
"""Candidates that one call leaves of its Pareto front."""


class FrontPoint(BaseModel):
    """A candidate on the Pareto front of a call."""

    candidate: str
    values: dict[str, float]
    """By objective: the score, milliseconds for a single row (latency), MB (size), both as the candidate's record has them, and a
    difference between groups (fairness)."""
    knee: bool
    """Whether giving up more of one objective stops to pay in the others here."""


class TuningResult(BaseModel):
    """What one call of the tuner did."""

    candidate: CandidateFacts
    """The family's best candidate after the call; a new one when the call found better."""
    improved: bool
    trials_done: int
    """Complete trials of this call."""
    trials_pruned: int
    trials_in_study: int
    gain: float
    """How much better than the family's best before, in the metric's units, above 0 is better; 0 when there was none."""
    gain_std_error: float
    """Standard error of the gain, paired over folds."""
    params: dict[str, Any]
    importance: dict[str, float]
    """Share of each parameter in the spread of trial scores (fANOVA); empty with few trials."""
    seconds: float
    sampler: Sampler = "tpe"
    pruner: Pruner = "median"
    objectives: list[Objective] = ["score"]
    front: list[FrontPoint] = []
    """With several objectives: candidates of the call of which none is as good as another in everything, the best score first."""
    degraded: list[Degradation] = []
    """That the trials were fitted on fewer rows, where memory did not reach for all."""


@tool(where="kernel", timeout_s=3600, searches=True)
def tune(
    family: Annotated[
        str,
        "Family to tune, of those on the leaderboard that have parameters to search.",
    ],
    preparation: Annotated[str, "Preparation to use."] = "default",
    time_s: Annotated[float, "Wall-clock seconds for the call.", Ge(1), Le(86400)] = 60.0,
    trials: Annotated[int | None, "Trials of this call; leave out to be bounded by time alone.", Ge(1), Le(10000)] = None,
    sampler: Annotated[
        Sampler, "What chooses configurations: tpe learns from trials, nsga2 breeds them, random does neither, grid covers the space."
    ] = "tpe",
    pruner: Annotated[Pruner, "What ends trials after some folds: median, hyperband, successive_halving; none ends none."] = "median",
    grid: Annotated[dict[str, list[Value]] | None, "Values to try by parameter, every combination, instead of a derived grid."] = None,
    objectives: Annotated[
        list[Objective],
        "What is weighed: score first, then latency (ms for a single row), size (MB), fairness (of groups). With several, none is pruned.",
    ] = ["score"],
) -> TuningResult:
    """Search a family's parameters, starting from its best candidate, and keep the best as candidates. Can be called again to go on."""
    from tools.deadline import Deadline, DeadlineReached
    from tools.families import UNTUNABLE, FamilyUnavailable, learners, load_libraries
    from tools.families import family as family_for
    from tools.preparation import load_preparation
    from tools.problem import load_problem

    deadline = Deadline(time_s)
    space = workspace()
    problem = load_problem(space)
    try:
        model_family = family_for(family)
    except (ValueError, FamilyUnavailable) as error:
        raise ToolRefused(str(error)) from None
    task, constraints = problem.contract.task, problem.contract.constraints
    if family not in (known := learners(task)):
        raise ToolRefused(f"{family} is not for a {task} task; name {', '.join(name for name in known if name not in UNTUNABLE)}.")
    if "tuning" in constraints.without:
        raise ToolRefused("nothing is tuned in this run: its contract leaves tuning out.")
    if reason := constraints.refuses(family):
        raise ToolRefused(f"{family} is not tuned: {reason}.")
    if family in UNTUNABLE:
        raise ToolRefused(f"{family} has nothing to tune; name another family.")
    chosen = load_preparation(space, preparation, problem)
    if objectives[:1] != ["score"] or len(set(objectives)) < len(objectives):
        raise ToolRefused(f"objectives {objectives}: expected score first, then {BESIDE_SCORE}, each once.")
    if reason := unweighable(objectives, problem.contract):
        raise ToolRefused(f"{reason}.")
    pruner = pruner if len(objectives) == 1 else "none"
    plan = SearchPlan(sampler="grid" if grid else sampler, pruner=pruner, grid=grid, trials=trials, objectives=objectives)
    arguments = {"family": family, "preparation": preparation, "time_s": time_s, **plan.asked}
    attempts = Attempts(space, "tune", arguments)
    load_libraries([family])
    with quiet():
        search = Tuner(space, problem, chosen, model_family, deadline, attempts, plan)
        try:
            with attempts, deadline.alarm():
                search.run()
        except (DeadlineReached, KeyboardInterrupt):
            search.close()
        return _result(search)


def _result(search: Tuner) -> TuningResult:
    """Keep the best as a candidate, close the call, and say what it did.

    Raises:
        ToolRefused: when there is none.
    """
    family, before = search.family, search.before
    several = len(search.plan.objectives) > 1
    kept = search.front.chosen(MOST_OF_FRONT) if several else search.podium.chosen(before)
    best = kept[0] if kept else None
    improved = best is not None and best.oof is not None and (before is None or search.better(best.candidate, before))
    names = [_write(search, one) for one in kept]
    if improved:
        now = load_candidate(search.space, names[0])
    elif before is not None:
        now = before
    else:
        if search.failure is not None:
            raise ToolRefused(f"no trial of {family.name!r} was finished; the last one failed with {search.failure.rstrip('.')}.")
        raise ToolRefused(
            f"no trial of {family.name!r} was finished in {search.deadline.elapsed():.0f} s; give it more time or call train first."
        )
    compared = before if improved else None
    result = TuningResult(
        candidate=facts(now),
        improved=improved,
        trials_done=search.done,
        trials_pruned=search.pruned,
        trials_in_study=len(counted(search.study)) if search.study is not None else 0,
        gain=search.sign * (now.score - compared.score) if compared else 0.0,
        gain_std_error=paired_error(now.fold_scores, compared.fold_scores, now.repeats) if compared else 0.0,
        params=now.params,
        importance=_importance(search),
        seconds=round(search.deadline.elapsed(), 2),
        sampler=search.plan.sampler,
        pruner=search.plan.pruner,
        objectives=search.plan.objectives,
        front=[
            FrontPoint(candidate=name, values=dict(zip(search.plan.objectives, one.values, strict=True)), knee=one is search.front.knee())
            for name, one in zip(names, kept, strict=True)
            if several
        ],
        degraded=_degradations(search),
    )
    if search.study is not None:
        close_call(search.study)
    return result


def _write(search: Tuner, one: Kept) -> str:
    """The name of a candidate of the front, which is written when it is new."""
    if one.oof is None:
        return one.candidate.name
    made = one.candidate.model_copy(update={"name": free_name(search.space, search.stem)})
    write_candidate(search.space, made, search.problem, one.oof, one.before)
    return made.name


def _degradations(search: Tuner) -> list[Degradation]:
    name, told = search.family.name, []
    if search.size.why:
        told.append(f"{name} was tuned on {of_the_rows(search.size.share)}: {search.size.why}")
    if search.searched.broken:
        told.append(f"{name} was tuned in its own space: {search.searched.broken}")
    return [Degradation(what=name, reason=reason) for reason in told]


def _importance(search: Tuner) -> dict[str, float]:
    import optuna

    complete = optuna.trial.TrialState.COMPLETE
    if search.study is None or search.deadline.expired() or len(search.study.get_trials(deepcopy=False, states=(complete,))) < 10:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0, n_trees=16)
    try:
        found = optuna.importance.get_param_importances(search.study, evaluator=evaluator, target=lambda trial: trial.values[0])
    except (ValueError, RuntimeError):  # all trials alike
        return {}
    return {name: round(float(value), 4) for name, value in found.items()}
