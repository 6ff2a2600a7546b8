"""Kernel tool: tune one family with Optuna over the contract's folds."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Le
from pydantic import BaseModel

from tools.attempt import Attempts
from tools.candidates import (
    Candidate,
    CandidateFacts,
    CandidateSpec,
    facts,
    free_name,
    leaderboard,
    load_candidate,
    paired_error,
    write_candidate,
)
from tools.casualties import load_casualties, of_the_rows
from tools.degradation import Degradation
from tools.show import progress
from tools.spec import ToolRefused, tool
from tools.workspace import Workspace, workspace

if TYPE_CHECKING:
    import optuna

    from tools.crossval import Evaluated
    from tools.deadline import Deadline
    from tools.families.base import Family
    from tools.preparation import Preparation
    from tools.problem import Problem
    from tools.sizing import Size


PARENT_STUDIES, FORKED = "studies-of-parent.db", "forked.json"
"""In the work folder of a fork: the parent's studies, and when it was forked."""


_CALL, _ORPHANS = "mlteam call", "mlteam orphans"
"""Attributes of a study: the call that adds trials to it, and the numbers of trials that nobody finished."""


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
    degraded: list[Degradation] = []
    """That the trials were fitted on fewer rows, where memory did not reach for all."""


@tool(where="kernel", timeout_s=3600, searches=True)
def tune(
    family: Annotated[
        str,
        "Family to tune: lightgbm, catboost, xgboost, mlp, linear, extra_trees, random_forest, tree; of a forecast lags_linear,"
        " lags_lightgbm, lags_catboost.",
    ],
    preparation: Annotated[str, "Preparation to use."] = "default",
    time_s: Annotated[float, "Wall-clock seconds for the call.", Ge(1), Le(86400)] = 60.0,
    trials: Annotated[int | None, "Trials of this call; leave out to be bounded by time alone.", Ge(1), Le(10000)] = None,
) -> TuningResult:
    """Search a family's parameters, starting from its best candidate, and keep the best as a candidate. Can be called again to go on."""
    from tools.deadline import Deadline, DeadlineReached
    from tools.families import LEARNS, UNTUNABLE, FamilyUnavailable, load_libraries
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
    if family not in (known := LEARNS[task]):
        raise ToolRefused(f"{family} is not for a {task} task; name {', '.join(name for name in known if name not in UNTUNABLE)}.")
    if reason := constraints.refuses(family):
        raise ToolRefused(f"{family} is not tuned: {reason}.")
    if family in UNTUNABLE:
        raise ToolRefused(f"{family} has nothing to tune; name another family.")
    chosen = load_preparation(space, preparation, problem)
    arguments = {"family": family, "preparation": preparation, "time_s": time_s, "trials": trials}
    attempts = Attempts(space, "tune", arguments)
    search = _Tuning(space, problem, chosen, model_family, deadline, attempts)
    load_libraries([family])
    try:
        with attempts, deadline.alarm(), _quiet():
            search.run(trials)
    except (DeadlineReached, KeyboardInterrupt):
        search.close()
    return search.result()


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna speaks through show(progress) alone."""

    with warnings.catch_warnings():
        # tqdm, which Optuna loads, misses a widget library that nothing here shows.
        warnings.filterwarnings("ignore", message="IProgress not found")
        import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        # The multivariate sampler is marked experimental.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        try:
            yield
        finally:
            optuna.logging.set_verbosity(before)


def _adopt_studies(space: Workspace) -> None:
    """In a fork, go on with the parent's studies as they stood when it was forked: with trials that had ended by then."""
    import json

    import optuna

    parent, forked = space.work / PARENT_STUDIES, space.work / FORKED
    if not (parent.exists() and forked.exists()):
        return
    at = float(json.loads(forked.read_text(encoding="utf-8"))["at"])
    theirs = f"sqlite:///{parent}"
    space.studies.unlink(missing_ok=True)
    for name in optuna.get_all_study_names(theirs):
        study = optuna.load_study(study_name=name, storage=theirs)
        mine = optuna.create_study(study_name=name, storage=f"sqlite:///{space.studies}", direction=study.direction)
        mine.add_trials([t for t in study.trials if t.datetime_complete is not None and t.datetime_complete.timestamp() <= at])
    parent.unlink()
    forked.unlink()


def _counted(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """Trials that came to an end of their own, in their order: not those that a killed process left."""
    orphans = study.user_attrs.get(_ORPHANS, [])
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished() and trial.number not in orphans]


class _Tuning:
    """One call's trials."""

    def __init__(
        self, space: Workspace, problem: Problem, preparation: Preparation, family: Family, deadline: Deadline, attempts: Attempts
    ) -> None:
        self.space, self.problem, self.preparation, self.family, self.deadline = space, problem, preparation, family, deadline
        self.attempts = attempts
        self.size = self._size()
        self.sign = 1.0 if problem.contract.direction == "maximize" else -1.0
        same = [c for c in leaderboard(space) if c.family == family.name and c.preparation == preparation.name]
        self.before = same[0] if same else None
        self.best: Evaluated | None = None
        self.done = self.pruned = 0
        self.longest = 0.0
        self.study: optuna.Study | None = None
        self.trial: optuna.Trial | None = None
        self.stem = f"{family.name if preparation.name == 'default' else f'{family.name}-{preparation.name}'}-tuned"

    def _size(self) -> Size:
        """How many rows a trial is fitted on.

        Raises:
            ToolRefused: when the family cannot be fitted here any more.
        """
        from tools.crossval import setting_for
        from tools.sizing import CannotBeFitted, size_for

        setting = setting_for(self.problem, self.preparation)
        try:
            return size_for(self.family, self.problem.fold_rows, setting, load_casualties(self.space))
        except CannotBeFitted as error:
            raise ToolRefused(f"{self.family.name} is not tuned: {error}. Tune another family.") from None

    def run(self, trials: int | None) -> None:
        import numpy as np
        import optuna

        self.study = self._open()
        self.attempts.studies({self.study.study_name: len(self.study.trials)})
        self._take_up(self.study, trials)
        while (trials is None or self.done + self.pruned < trials) and not self.deadline.expired():
            if self.longest > 2 * self.deadline.remaining():
                break
            # A seed for each trial: a call that was cut off and goes on asks for the same ones.
            seed = int(np.random.SeedSequence([self.problem.contract.seed, len(_counted(self.study))]).generate_state(1)[0])
            self.study.sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, n_startup_trials=8)
            self._one(self.study)

    def _take_up(self, study: optuna.Study, trials: int | None) -> None:
        """Go on with a call that a killed process cut off, if it asked for the same; else begin one, on record in the study."""
        import optuna

        made = [c.name for c in leaderboard(self.space) if c.name.startswith(self.stem)]
        call = study.user_attrs.get(_CALL)
        if not isinstance(call, dict) or call.get("trials") != trials or not call.get("open"):
            before = self.before.name if self.before else None
            study.set_user_attr(_CALL, {"trials": trials, "open": True, "counted": len(_counted(study)), "before": before, "made": made})
            return
        for name in made:
            if name not in call["made"]:  # the call had got as far as this, and does it again
                shutil.rmtree(self.space.candidates / name)
        self.before = load_candidate(self.space, call["before"]) if call["before"] else None
        mine = _counted(study)[call["counted"] :]
        complete = [trial for trial in mine if trial.state == optuna.trial.TrialState.COMPLETE]
        self.done, self.pruned = len(complete), len(mine) - len(complete)
        if complete:
            best = max(complete, key=lambda trial: self.sign * (trial.value or 0.0))
            self._fit_again(best.params, best.value or 0.0)

    def _fit_again(self, params: dict[str, Any], score: float) -> None:
        """The best trial of a cut-off call once more: its out-of-fold predictions went with the process."""
        import optuna

        from tools.crossval import evaluate_candidate, setting_for

        if self.before is not None and not self.sign * (score - self.before.score) > 0:
            return
        # The study keeps what was searched; what the family holds fixed comes from its space.
        spec = self._spec(self.family.search(optuna.trial.FixedTrial(params), setting_for(self.problem, self.preparation)))
        with self.attempts.fitting(spec):
            self.best = evaluate_candidate(spec, self.problem, self.preparation, self.deadline, pace=False)

    def _open(self) -> optuna.Study:
        import optuna

        self.space.work.mkdir(parents=True, exist_ok=True)
        _adopt_studies(self.space)
        study = optuna.create_study(
            study_name=f"{self.family.name} + {self.preparation.name}" + f" on {of_the_rows(self.size.share)}" * (self.size.share < 1),
            storage=f"sqlite:///{self.space.studies}",
            direction=self.problem.contract.direction,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=0),
            load_if_exists=True,
        )
        # A process that was killed leaves trials that nobody will finish.
        for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
            study.set_user_attr(_ORPHANS, [*study.user_attrs.get(_ORPHANS, []), trial.number])
            if fixed := trial.system_attrs.get("fixed_params"):
                study.enqueue_trial(fixed)
        if not study.trials:
            from tools.crossval import setting_for
            from tools.families.base import CLASS_WEIGHT

            start = self.before.params if self.before else self.family.default(setting_for(self.problem, self.preparation))[0]
            study.enqueue_trial({CLASS_WEIGHT: "none", **start})
        return study

    def _one(self, study: optuna.Study) -> None:
        import time

        import optuna

        from tools.crossval import PrunedTrial, evaluate_candidate, setting_for
        from tools.deadline import DeadlineReached

        trial = self.trial = study.ask()
        params = self.family.search(trial, setting_for(self.problem, self.preparation))
        same = self.before is not None and (self.before.params, self.before.share) == (params, self.size.share)
        if self.before is not None and same and not self.before.cut_short:
            # The starting point was trained already: its folds are on record.
            for step, value in enumerate(self.before.fold_scores):
                trial.report(value, step)
            study.tell(trial, self.before.score)
            self.trial = None
            self.done += 1
            return
        scores: list[float] = []

        def after_fold(fold: int, score: float | None) -> None:
            if score is None:
                return
            scores.append(score)
            trial.report(sum(scores) / len(scores), len(scores) - 1)
            if len(scores) < len(self.problem.fold_ids) and trial.should_prune():
                raise PrunedTrial

        spec = self._spec(params)
        started = time.monotonic()
        try:
            with self.attempts.fitting(spec):
                evaluated = evaluate_candidate(spec, self.problem, self.preparation, self.deadline, pace=False, after_fold=after_fold)
        except PrunedTrial:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            self.pruned += 1
        except DeadlineReached:
            raise
        except Exception as error:  # a configuration that a library refuses is one failed trial
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            self.pruned += 1
            progress(trial=trial.number, failed=f"{type(error).__name__}: {str(error)[:200]}")
        else:
            study.tell(trial, evaluated.candidate.score)
            self.done += 1
            self.longest = max(self.longest, time.monotonic() - started)
            if self.best is None or self._better(evaluated.candidate, self.best.candidate):
                self.best = evaluated
            progress(trial=trial.number, score=evaluated.candidate.score, best=self.best.candidate.score)
        self.trial = None

    def _spec(self, params: dict[str, Any]) -> CandidateSpec:
        return CandidateSpec(name="trial", family=self.family.name, params=params, preparation=self.preparation.name, share=self.size.share)

    def _better(self, a: Candidate, b: Candidate) -> bool:
        return self.sign * (a.score - b.score) > 0

    def close(self) -> None:
        """Give up the trial that was running."""
        import optuna

        if self.trial is not None and self.study is not None:
            # Told already where the deadline struck between the telling and what comes after it.
            self.study.tell(self.trial, state=optuna.trial.TrialState.FAIL, skip_if_finished=True)
            self.trial = None

    def result(self) -> TuningResult:
        """Keep the best as a candidate, close the call, and say what it did."""
        result = self._result()
        if self.study is not None:
            self.study.set_user_attr(_CALL, {**self.study.user_attrs.get(_CALL, {}), "open": False})
        return result

    def _result(self) -> TuningResult:
        improved = self.best is not None and (self.before is None or self._better(self.best.candidate, self.before))
        if improved and self.best is not None:
            made = self.best.candidate.model_copy(update={"name": free_name(self.space, self.stem)})
            write_candidate(self.space, made, self.problem, self.best.oof, self.best.before)
            now = load_candidate(self.space, made.name)
        elif self.before is not None:
            now = self.before
        else:
            raise ToolRefused(
                f"no trial of {self.family.name!r} was finished in {self.deadline.elapsed():.0f} s; give it more time or call train first."
            )
        compared = improved and self.before is not None
        return TuningResult(
            candidate=facts(now),
            improved=improved,
            trials_done=self.done,
            trials_pruned=self.pruned,
            trials_in_study=len(_counted(self.study)) if self.study is not None else 0,
            gain=self.sign * (now.score - self.before.score) if compared and self.before else 0.0,
            gain_std_error=paired_error(now.fold_scores, self.before.fold_scores) if compared and self.before else 0.0,
            params=now.params,
            importance=self._importance(),
            seconds=round(self.deadline.elapsed(), 2),
            degraded=[Degradation(what=self.family.name, reason=self._smaller())] if self.size.why else [],
        )

    def _smaller(self) -> str:
        return f"{self.family.name} was tuned on {of_the_rows(self.size.share)}: {self.size.why}"

    def _importance(self) -> dict[str, float]:
        import optuna

        complete = optuna.trial.TrialState.COMPLETE
        if self.study is None or self.deadline.expired() or len(self.study.get_trials(deepcopy=False, states=(complete,))) < 10:
            return {}
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0, n_trees=16)
        try:
            found = optuna.importance.get_param_importances(self.study, evaluator=evaluator)
        except (ValueError, RuntimeError):  # all trials alike
            return {}
        return {name: round(float(value), 4) for name, value in found.items()}
