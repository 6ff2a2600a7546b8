"""One call's search of a family's parameters: trials, one after another, and what is kept of them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tools.candidates import Candidate, CandidateSpec, leaderboard, load_candidate
from tools.casualties import load_casualties, of_the_rows
from tools.front import MOST_KEPT, Front, Kept, Podium
from tools.objectives import Objective, directions, values_of
from tools.samplers import Pruner, Sampler, pruner_for, sampler_for
from tools.show import progress
from tools.spans import Timing, timed
from tools.spec import ToolRefused
from tools.studies import counted, open_call, open_study, put_in_line

if TYPE_CHECKING:
    import optuna

    from tools.attempt import Attempts
    from tools.deadline import Deadline
    from tools.families.base import Family
    from tools.families.setting import Params
    from tools.preparation import Preparation
    from tools.problem import Problem
    from tools.sizing import Size
    from tools.workspace import Workspace

Value = bool | int | float | str
MOST_FAILURES = 20
"""Trials that fail one after another, after which there is no use in going on."""


@dataclass(frozen=True)
class SearchPlan:
    """How a call searches."""

    sampler: Sampler = "tpe"
    pruner: Pruner = "median"
    grid: dict[str, list[Value]] | None = None
    trials: int | None = None
    objectives: list[Objective] = field(default_factory=lambda: ["score"])

    @property
    def asked(self) -> dict[str, Any]:
        """What two calls share when one goes on with the other, as a study keeps it."""
        return dict(vars(self))


class Tuner:
    """One call's trials."""

    def __init__(
        self,
        space: Workspace,
        problem: Problem,
        preparation: Preparation,
        family: Family,
        deadline: Deadline,
        attempts: Attempts,
        plan: SearchPlan,
    ) -> None:
        from tools.crossing import with_crosses
        from tools.crossval import setting_for
        from tools.spaces import SearchSpace

        self.space, self.problem, self.preparation, self.family, self.deadline = space, problem, preparation, family, deadline
        self.attempts, self.plan = attempts, plan
        self.setting = setting_for(problem, preparation)
        if family.crossable:
            self.setting = with_crosses(self.setting, problem, deadline.remaining())
        self.size = self._size()
        self.searched = SearchSpace(family, self.setting)
        self.sign = 1.0 if problem.contract.direction == "maximize" else -1.0
        self.directions = directions(plan.objectives, problem.contract.direction)
        self.signs = [1.0 if direction == "maximize" else -1.0 for direction in self.directions]
        self.front = Front(self.signs)
        self.podium = Podium(self.sign)
        same = [c for c in leaderboard(space) if c.family == family.name and c.preparation == preparation.name]
        self.before = same[0] if same else None
        self._same = same
        self.done = self.pruned = 0
        self.failures = 0
        self.failure: str | None = None
        """Why the last trial that failed did."""
        self.longest = 0.0
        self.study: optuna.Study | None = None
        self.trial: optuna.Trial | None = None
        self.stem = f"{family.name if preparation.name == 'default' else f'{family.name}-{preparation.name}'}-tuned"

    def _size(self) -> Size:
        """How many rows a trial is fitted on.

        Raises:
            ToolRefused: when the family cannot be fitted here any more.
        """
        from tools.sizing import CannotBeFitted, size_for

        try:
            return size_for(self.family, self.problem.fold_rows, self.setting, load_casualties(self.space))
        except CannotBeFitted as error:
            raise ToolRefused(f"{self.family.name} is not tuned: {error}. Tune another family.") from None

    def run(self) -> None:
        import numpy as np

        trials = self.plan.trials
        self.study = self._open()
        self.attempts.studies({self.study.study_name: len(self.study.trials)})
        self._take_up(self.study)
        points = self._points()
        while (trials is None or self.done + self.pruned < trials) and not self.deadline.expired():
            if self.longest > 2 * self.deadline.remaining() or self.failures >= MOST_FAILURES:
                break
            # A seed for each trial: a call that was cut off and goes on asks for the same ones.
            seed = int(np.random.SeedSequence([self.problem.contract.seed, len(counted(self.study))]).generate_state(1)[0])
            self.study.sampler = sampler_for(self.plan.sampler, seed)
            if points is not None and not put_in_line(self.study, points):
                break
            self._one(self.study)

    def _points(self) -> list[dict[str, Any]] | None:
        """The grid that the call searches; None when it searches none.

        Raises:
            ToolRefused: when a given grid is not one of the family's space.
        """
        from tools.families.base import AT_REST
        from tools.grid import derived, given

        if self.plan.sampler != "grid":
            return None
        if self.plan.grid is None:
            return derived(self.searched.draw, self.problem.contract.seed)
        try:
            return given(self.searched.draw, self.plan.grid, AT_REST | self._start())
        except ValueError as error:
            raise ToolRefused(f"grid of {self.family.name!r}: {error}.") from None

    def _start(self) -> dict[str, Any]:
        """The configuration that the search starts from."""
        return self.before.params if self.before else self.family.default(self.setting)[0]

    def _take_up(self, study: optuna.Study) -> None:
        """Go on with a call that a killed process cut off, if it asked for the same; else begin one, on record in the study."""
        import optuna

        made = [c.name for c in leaderboard(self.space) if c.name.startswith(self.stem)]
        call = open_call(study, self.plan.asked, {"before": self.before.name if self.before else None, "made": made})
        if call is None:
            return
        for name in made:
            if name not in call["made"]:  # the call had got as far as this, and does it again
                shutil.rmtree(self.space.candidates / name)
                self._same = [c for c in self._same if c.name != name]
        self.before = load_candidate(self.space, call["before"]) if call["before"] else None
        mine = counted(study)[call["counted"] :]
        complete = [trial for trial in mine if trial.state == optuna.trial.TrialState.COMPLETE]
        self.done, self.pruned = len(complete), len(mine) - len(complete)
        for trial in self._best_of(complete):
            self._fit_again(trial)

    def _best_of(self, trials: list[optuna.trial.FrozenTrial]) -> list[optuna.trial.FrozenTrial]:
        """The trials that are kept: with one objective the best few, else those that no other beats in everything."""
        rows = [[sign * value for sign, value in zip(self.signs, trial.values, strict=True)] for trial in trials]
        if len(self.signs) == 1:
            drawn: dict[str, optuna.trial.FrozenTrial] = {}
            for i in sorted(range(len(trials)), key=lambda i: -rows[i][0]):
                params = self._drawn(trials[i])
                if not self._made_before(params):
                    drawn.setdefault(str(params), trials[i])
            return list(drawn.values())[:MOST_KEPT]

        def beaten(i: int) -> bool:
            as_good = [j for j, row in enumerate(rows) if j != i and all(a >= b for a, b in zip(row, rows[i], strict=True))]
            return any(rows[j] != rows[i] or j < i for j in as_good)

        return [trial for i, trial in enumerate(trials) if not beaten(i)]

    def _drawn(self, trial: optuna.trial.FrozenTrial) -> Params:
        """The configuration of a trial: the study keeps what was searched, what the family holds fixed comes from its space."""
        import optuna

        return self.searched.draw(optuna.trial.FixedTrial(trial.params))

    def _fit_again(self, trial: optuna.trial.FrozenTrial) -> None:
        """One of the best trials of a cut-off call once more: its out-of-fold predictions went with the process."""
        from tools.crossval import evaluate_candidate

        params, values = self._drawn(trial), tuple(trial.values)
        if self.before is not None and self._on_record(params):
            self._take(Kept(values, self.before, None))
            return
        spec = self._spec(params)
        with self.attempts.fitting(spec):
            evaluated = evaluate_candidate(spec, self.problem, self.preparation, self.deadline, pace=False)
        self._take(Kept(values, evaluated.candidate, evaluated.oof, evaluated.before))

    def _on_record(self, params: dict[str, Any]) -> bool:
        """Whether a configuration is that of the family's best before, which was trained already."""
        before = self.before
        return before is not None and (before.params, before.share) == (params, self.size.share) and not before.cut_short

    def _open(self) -> optuna.Study:
        where = f" in the space of {self.searched.package}" if self.searched.package else ""
        where += f" on {of_the_rows(self.size.share)}" * (self.size.share < 1)
        where += f" for {' and '.join(self.plan.objectives)}" * (len(self.plan.objectives) > 1)
        study = open_study(self.space, f"{self.family.name} + {self.preparation.name}{where}", self.directions)
        from tools.families.base import AT_REST

        study.pruner = pruner_for(self.plan.pruner, len(self.problem.fold_ids), study)
        if not study.trials:
            start = self._start()
            if self.searched.package is None or self.searched.holds(start):
                study.enqueue_trial(AT_REST | start)
        return study

    def _one(self, study: optuna.Study) -> None:
        trial = self.trial = study.ask()
        with timed("trial", family=self.family.name, trial=trial.number, study=study.study_name) as timing:
            self._try(study, trial, timing)

    def _try(self, study: optuna.Study, trial: optuna.Trial, timing: Timing) -> None:
        import time

        import optuna

        from tools.crossval import PrunedTrial, evaluate_candidate
        from tools.deadline import DeadlineReached

        try:
            params = self.searched.draw(trial)
        except DeadlineReached:
            raise
        except (Exception, SystemExit) as error:  # a package's space may fail in any way
            self._failed(study, trial, error)
            timing.error = type(error).__name__
            return
        alone = len(self.plan.objectives) == 1
        if alone and self.before is not None and self._on_record(params):
            # The starting point was trained already: its folds are on record.
            for done in range(1, len(self.before.fold_scores) + 1):
                trial.report(sum(self.before.fold_scores[:done]) / done, done)
                trial.should_prune()  # which also puts it on record at the rungs that others are judged at
            study.tell(trial, self.before.score)
            timing.tell(state="known", score=self.before.score)
            self.trial = None
            self.done += 1
            return
        scores: list[float] = []

        def after_fold(fold: int, score: float | None) -> None:
            if score is None or not alone:  # what is worse in one objective may be better in another
                return
            scores.append(score)
            trial.report(sum(scores) / len(scores), len(scores))
            if len(scores) < len(self.problem.fold_ids) and trial.should_prune():
                raise PrunedTrial

        spec = self._spec(params)
        started = time.monotonic()
        try:
            with self.attempts.fitting(spec):
                evaluated = evaluate_candidate(
                    spec,
                    self.problem,
                    self.preparation,
                    self.deadline,
                    pace=False,
                    after_fold=after_fold,
                )
        except PrunedTrial:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            timing.tell(state="pruned", folds=len(scores))
            self.pruned += 1
        except DeadlineReached:
            raise
        except Exception as error:  # a configuration that a library refuses is one failed trial
            self._failed(study, trial, error)
            timing.error = type(error).__name__
            return
        else:
            self.failures = 0
            timing.tell(state="complete", score=evaluated.candidate.score)
            known = self.before if self._on_record(params) else None
            # What is measured is never the same twice: of a candidate that is on record, the record counts.
            values = values_of(known or evaluated.candidate, self.plan.objectives, self.problem, evaluated.oof)
            study.tell(trial, values)
            self.done += 1
            self.longest = max(self.longest, time.monotonic() - started)
            new = Kept(values, evaluated.candidate, evaluated.oof, evaluated.before)
            self._take(Kept(values, known, None) if known else new)
            best = self.front.best
            tried = {f"param.{name}": value for name, value in trial.params.items()}
            progress(trial=trial.number, score=evaluated.candidate.score, best=best.candidate.score if best else None, **tried)
        self.trial = None

    def _failed(self, study: optuna.Study, trial: optuna.Trial, error: BaseException) -> None:
        import optuna

        study.tell(trial, state=optuna.trial.TrialState.FAIL)
        self.trial = None
        self.pruned += 1
        self.failures += 1
        self.failure = f"{type(error).__name__}: {str(error)[:200]}"
        progress(trial=trial.number, failed=self.failure)

    def _spec(self, params: dict[str, Any]) -> CandidateSpec:
        return CandidateSpec(name="trial", family=self.family.name, params=params, preparation=self.preparation.name, share=self.size.share)

    def _take(self, one: Kept) -> None:
        """Keep a finished trial as far as it is worth it."""
        self.front.add(one)
        if len(self.signs) == 1 and not self._made_before(one.candidate.params):
            self.podium.add(one)

    def _made_before(self, params: Params) -> bool:
        """Whether a configuration is that of a candidate which the call found on the leaderboard."""
        return any((c.params, c.share) == (params, self.size.share) and not c.cut_short for c in self._same)

    def better(self, a: Candidate, b: Candidate) -> bool:
        return self.sign * (a.score - b.score) > 0

    def close(self) -> None:
        """Give up the trial that was running."""
        import optuna

        if self.trial is not None and self.study is not None:
            # Told already where the deadline struck between the telling and what comes after it.
            self.study.tell(self.trial, state=optuna.trial.TrialState.FAIL, skip_if_finished=True)
            self.trial = None
