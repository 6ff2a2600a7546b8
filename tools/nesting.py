"""Kernel tool: nested cross-validation, which makes a search again inside every outer fold and scores what it picks there.

A cross-validated score flatters the candidate that was picked for it, and iterative fits that stopped where their fold liked it best.
The rows of an outer fold have no part in either (Varma and Simon 2006, BMC Bioinformatics 7; Cawley and Talbot 2010, JMLR 11).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Le
from pydantic import BaseModel

from tools.attempt import Attempts
from tools.candidates import CandidateSpec, standard_error
from tools.show import progress
from tools.spec import ToolRefused, tool
from tools.workspace import workspace

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import pandas as pd

    from tools.crossval import Evaluated
    from tools.deadline import Deadline
    from tools.preparation import Preparation
    from tools.problem import Problem

    Array = np.ndarray[Any, np.dtype[Any]]

REFIT_SHARE = 0.15
"""Of an outer fold's time, for the fit of what was picked."""
FEWEST_FOLDS = 2


class Pick(BaseModel):
    """What the search picked inside one outer fold."""

    fold: int
    family: str
    inner: float
    """The score for which it was picked, on inner folds."""
    outer: float | None
    """Its score on the outer fold's rows; None where the metric is undefined there."""


class NestedResult(BaseModel):
    """What a search is worth on rows that had no part in it, beside what its own cross-validation says."""

    metric: str
    direction: str
    families: list[str]
    per_family: int
    trials: int
    folds: int
    """Outer folds that were done."""
    folds_in_all: int
    nested: float
    """Score of what the searches picked, on the rows of the outer folds that were done."""
    std_error: float
    """Over these folds."""
    flat: float
    """Score, on the same rows, of the best candidate of the same search in plain cross-validation."""
    optimism: float
    """How much better the flat score is; above 0 it flatters."""
    estimated: float | None
    """The same as the resampling of out-of-fold predictions has it, without any further fit; None where it cannot be told."""
    picks: list[Pick]
    seconds: float


@tool(where="kernel", timeout_s=7200)
def nested_score(
    families: Annotated[list[str], "Families that the search tries."],
    preparation: Annotated[str, "Preparation to use."] = "default",
    time_s: Annotated[float, "Wall-clock seconds for the call, shared out to the outer folds.", Ge(1), Le(86400)] = 120.0,
    per_family: Annotated[int, "Configurations of each family.", Ge(1), Le(5)] = 1,
    trials: Annotated[int, "Trials of tuning for the family that leads.", Ge(0), Le(200)] = 0,
) -> NestedResult:
    """Make a search again inside each fold and score its pick on the fold's rows: the gap shows what its own score owes to picking."""
    import numpy as np

    from tools.deadline import Deadline, DeadlineReached
    from tools.families import all_names, load_libraries
    from tools.preparation import load_preparation
    from tools.problem import load_problem

    known = all_names()
    strange = [name for name in families if name not in known]
    if strange or not families:
        raise ToolRefused(f"no family {', '.join(map(repr, strange)) or 'named'}; families: {', '.join(known)}.")
    constraints = workspace().contract.constraints
    if barred := [(name, reason) for name in families if (reason := constraints.refuses(name))]:
        raise ToolRefused(f"{', '.join(name for name, _ in barred)}: {barred[0][1]}. Families: {', '.join(constraints.allowed(known))}.")
    deadline, space = Deadline(time_s), workspace()
    problem, table = load_problem(space), space.table("train")
    chosen = load_preparation(space, preparation, problem)
    arguments = {"families": families, "preparation": preparation, "time_s": time_s, "per_family": per_family, "trials": trials}
    attempts = Attempts(space, "nested_score", arguments)
    recipe = Recipe(list(dict.fromkeys(families)), per_family, trials, chosen, attempts)
    load_libraries(recipe.families)
    found = problem.empty_predictions(problem.n_rows)
    picks: list[Pick] = []
    flat: list[Evaluated] = []
    try:
        with attempts, deadline.alarm():
            # The flat search comes first, with the same share of the time: it is what the others are compared with.
            flat = recipe.search(once(problem), deadline.share(deadline.remaining() / (len(problem.fold_ids) + 1)))
            for done, fold in enumerate(problem.fold_ids):
                share = deadline.share(deadline.remaining() / (len(problem.fold_ids) - done))
                check = np.flatnonzero(problem.folds == fold)
                picked, found[check] = recipe.carried_out(inner_problem(problem, table, fold), problem.X.iloc[check], share, deadline)
                picks.append(
                    Pick(fold=fold, family=picked.candidate.family, inner=picked.candidate.score, outer=_score(problem, found, check))
                )
                progress(fold=fold, picked=picked.candidate.family, inner=picked.candidate.score, outer=picks[-1].outer)
    except (DeadlineReached, KeyboardInterrupt):
        pass
    if len(picks) < min(FEWEST_FOLDS, len(problem.fold_ids)) or not flat:
        needed = time_s * (len(problem.fold_ids) + 1) / (len(picks) + 1)
        raise ToolRefused(f"{len(picks)} outer folds were done in {time_s:g} s; give nested_score about {needed:.0f} s, or fewer families.")
    rows = np.flatnonzero(np.isin(problem.folds, [pick.fold for pick in picks]))
    sign = 1.0 if problem.contract.direction == "maximize" else -1.0
    best = max(flat, key=lambda one: sign * one.candidate.score)
    nested, plain = problem.score(found, rows), problem.score(problem.decide(best.oof)[1], rows)
    return NestedResult(
        metric=problem.contract.metric,
        direction=problem.contract.direction,
        families=recipe.families,
        per_family=per_family,
        trials=trials,
        folds=len(picks),
        folds_in_all=len(problem.fold_ids),
        nested=nested,
        std_error=standard_error([pick.outer for pick in picks if pick.outer is not None]),
        flat=plain,
        optimism=sign * (plain - nested),
        estimated=_estimated(problem, flat, sign),
        picks=picks,
        seconds=round(deadline.elapsed(), 2),
    )


@dataclass(frozen=True)
class Recipe:
    """A search that can be made on any rows: configurations of some families, and trials for the one that leads."""

    families: list[str]
    per_family: int
    trials: int
    preparation: Preparation
    attempts: Attempts

    def carried_out(self, inner: Problem, unseen: pd.DataFrame, turn: Deadline, deadline: Deadline) -> tuple[Evaluated, Array]:
        """The search on the rows of `inner`; what it picks is fitted on all of them and predicts `unseen`, calibrated and with its classes
        called as the inner folds taught.

        Args:
            turn: when all that should be done; a pick that takes longer to fit gets until `deadline`.

        Raises:
            DeadlineReached: when nothing could be picked, or the pick not be fitted, in time.
        """
        from tools.deadline import DeadlineReached
        from tools.deciding import tilted
        from tools.refitting import average, refit

        tried = self.search(inner, turn.share((1 - REFIT_SHARE) * turn.remaining()))
        if not tried:
            raise DeadlineReached("no candidate of the inner search was done in time")
        sign = 1.0 if inner.contract.direction == "maximize" else -1.0
        picked = max(tried, key=lambda one: sign * one.candidate.score)
        with self.attempts.fitting(picked.candidate.spec):
            fits = refit(picked.candidate, inner, self.preparation, deadline)
        predicted = average(fits, unseen[[column.name for column in self.preparation.columns]])
        if picked.candidate.calibration is not None:
            predicted = picked.candidate.calibration.apply(predicted)
        return picked, tilted(predicted, picked.candidate.decision, labels=inner.contract.predicts == "labels")

    def search(self, problem: Problem, deadline: Deadline) -> list[Evaluated]:
        """Candidates of one search, as far as the time reaches; configurations that fail are left out."""
        configurations = list(self._configurations(problem))
        found: list[Evaluated] = []
        for left, (family, params) in zip(range(len(configurations) + self.trials, 0, -1), configurations, strict=False):
            self._try(found, problem, family, params, deadline, left)
        if self.trials and found:
            self._tune(found, problem, deadline)
        return found

    def _configurations(self, problem: Problem) -> Iterator[tuple[str, dict[str, Any]]]:
        """First configurations of all families, then second ones."""
        from tools.crossing import with_crosses
        from tools.crossval import setting_for
        from tools.families import FamilyUnavailable, family

        setting = with_crosses(setting_for(problem, self.preparation), problem)
        portfolios: list[tuple[str, list[dict[str, Any]]]] = []
        for name in self.families:
            try:
                if not family(name).unsuited(setting):
                    portfolios.append((name, family(name).portfolio(setting)[: self.per_family]))
            except (FamilyUnavailable, ImportError, OSError):
                continue
        for i in range(self.per_family):
            yield from ((name, portfolio[i]) for name, portfolio in portfolios if i < len(portfolio))

    def _tune(self, found: list[Evaluated], problem: Problem, deadline: Deadline) -> None:
        """Trials of the leading family, begun from its best candidate; nothing of it is kept in a study on disk."""
        import optuna

        from tools.crossing import with_crosses
        from tools.crossval import setting_for
        from tools.families import family
        from tools.spaces import SearchSpace

        sign = 1.0 if problem.contract.direction == "maximize" else -1.0
        best = max(found, key=lambda one: sign * one.candidate.score).candidate
        before = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        try:
            study = optuna.create_study(
                direction=problem.contract.direction, sampler=optuna.samplers.TPESampler(seed=problem.contract.seed, n_startup_trials=8)
            )
            searched = SearchSpace(family(best.family), with_crosses(setting_for(problem, self.preparation), problem))
            for left in range(self.trials, 0, -1):
                if deadline.expired():
                    return
                trial = study.ask()
                params = searched.draw(trial)
                score = self._try(found, problem, best.family, params, deadline, left)
                study.tell(trial, score, state=None if score is not None else optuna.trial.TrialState.FAIL)
        finally:
            optuna.logging.set_verbosity(before)

    def _try(
        self, found: list[Evaluated], problem: Problem, family: str, params: dict[str, Any], deadline: Deadline, left: int
    ) -> float | None:
        """Evaluate one configuration in its share of the time, and keep it; None where it did not work out."""
        from tools.crossval import evaluate_candidate
        from tools.deadline import DeadlineReached

        if deadline.expired():
            return None
        spec = CandidateSpec(name="trial", family=family, params=params, preparation=self.preparation.name)
        try:
            with self.attempts.fitting(spec):
                target = deadline.share(deadline.remaining() / left)
                found.append(evaluate_candidate(spec, problem, self.preparation, deadline, target=target))
        except DeadlineReached:
            return None
        except Exception as error:  # one configuration that a library refuses must not cost the others
            progress(failed=family, reason=f"{type(error).__name__}: {str(error)[:200]}")
            return None
        return found[-1].candidate.score


def once(problem: Problem) -> Problem:
    """The problem with its folds of the first repeat alone, each fitted as a whole: what the outer folds are."""
    from dataclasses import replace

    from tools.folds import Validation

    return replace(problem, validation=Validation(problem.contract, (problem.folds,), problem.scheme.moments))


def inner_problem(problem: Problem, table: pd.DataFrame, fold: int) -> Problem:
    """The rows that a model validated on `fold` may learn from, dealt to folds of their own by the same scheme.

    Args:
        table: the training rows as they lie in `train.parquet`.
    """
    from dataclasses import replace

    from tools.folds import make_validation

    learn = problem.learn(fold)
    given = problem.contract.given_folds
    plain = {
        "rows_train": len(learn),
        "repeats": 1,
        "leave_one_out": False,
        "given_folds": "".join(given[i] for i in learn) if given else "",
    }
    contract = problem.contract.model_copy(update=plain)
    validation = make_validation(table.iloc[learn].reset_index(drop=True), contract)
    X = problem.X.iloc[learn].reset_index(drop=True)
    return replace(problem, contract=contract, X=X, y=problem.y[learn], folds=validation.folds[0], validation=validation)


def _score(problem: Problem, predictions: Array, rows: Array) -> float | None:
    try:
        return problem.score(predictions, rows)
    except ValueError:
        return None


def _estimated(problem: Problem, flat: list[Evaluated], sign: float) -> float | None:
    """The optimism of the flat pick by resampling, see `tools.optimism`."""
    from functools import partial

    from tools.optimism import selection_optimism

    rows = problem.validated
    ranked = sorted(flat, key=lambda one: -sign * one.candidate.score)
    given = [partial(lambda oof: problem.decide(oof)[1][rows], one.oof) for one in ranked]
    contract = problem.contract
    try:
        units = None if problem.units is None else problem.units[rows]
        groups = None if problem.groups is None else problem.groups[rows]
        found = selection_optimism(contract.metric, contract.task, problem.y[rows], given, groups=groups, units=units, seed=contract.seed)
    except ValueError:
        return None
    return None if found is None else found.optimism
