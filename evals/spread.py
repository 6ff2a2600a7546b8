"""One family's search with its fits spread over an engine: what `mlteam eval tune` does.

The study stays with this process, in PostgreSQL or in Optuna's journal in a shared folder, so sandboxes need no network: it asks for
trials, an engine has one fold of one trial after another fitted in sandboxes like a run's, and their predictions are scored here. A
search that was killed goes on from its study; trials that it had begun come again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from evals.engines import Engine
from evals.spread_fit import Fit, fit
from team.errors import PrerequisiteMissing, UsageError
from team.predict import workplace
from tools.candidates import Candidate, CandidateSpec
from tools.crossing import with_crosses
from tools.crossval import Evaluated, Pooled, setting_for
from tools.families import UNTUNABLE, FamilyUnavailable, learners
from tools.families import family as family_for
from tools.families.base import AT_REST
from tools.files import read_regular
from tools.fold_fits import FoldFit, outcome_of
from tools.preparation import Preparation, load_preparation
from tools.problem import Problem, load_problem
from tools.samplers import Pruner, Sampler, pruner_for, sampler_for
from tools.spaces import SearchSpace
from tools.spec import ToolRefused
from tools.studies import counted, open_in, quiet, shared_storage
from tools.tuner import MOST_FAILURES
from tools.workspace import Workspace, write_text

MOST_BYTES = 1 << 24
"""Of the description of a preparation."""
FOLDS = "fold scores"
"""Attribute of a trial that came to its end."""


@dataclass
class _Running:
    trial: Any
    pooled: Pooled
    scores: list[float] = field(default_factory=list)
    """Of its folds so far, those that have one."""


def _read(run: Path, preparation: str) -> tuple[Problem, Preparation]:
    """A run's problem, and a preparation that was made in it; what its sandbox wrote is read as plain text alone."""
    with workplace() as scratch:
        space = Workspace(run / "data", scratch)
        made = Workspace(run / "data", run / "work").preparations
        for path in made.glob("*.json"):
            write_text(space.preparations / path.name, read_regular(path, MOST_BYTES, inside=run / "work").decode())
        problem = load_problem(space)
        return problem, load_preparation(space, preparation, problem)


class Search:
    """Trials of one family, as an engine asks for their folds: an iterator of fits, which has nothing to give while all wait for others."""

    def __init__(
        self,
        run: Path,
        family: str,
        studies: str,
        *,
        trials: int,
        preparation: str = "default",
        sampler: Sampler = "tpe",
        pruner: Pruner = "median",
        sandbox: str = "auto",
        fit_s: float = 600.0,
        known: Candidate | None = None,
    ) -> None:
        """Read what is to be searched; the study is opened when the first trial is asked for.

        Args:
            run: its directory, in a folder that all workers share.
            studies: where they lie, as `tools.studies.shared_storage` takes it.
            trials: of the study altogether, those of earlier calls counted.
            fit_s: seconds after which a fold's fit stops adding iterations.
            known: the run's best candidate of this family and preparation, which a new study begins with.

        Raises:
            UsageError: the run has no sealed data, or the family nothing to search there.
        """
        if not (run / "data" / "contract.json").is_file():
            raise UsageError(f"{run.name!r} has no sealed data yet, so there is nothing to fit. Go on with it: mlteam resume {run}")
        try:
            self.family = family_for(family)
            self.problem, self.preparation = _read(run, preparation)
        except (ValueError, OSError, ToolRefused) as error:
            raise UsageError(str(error)) from None
        except FamilyUnavailable as error:
            raise PrerequisiteMissing(str(error)) from None
        contract = self.problem.contract
        tunable = [name for name in learners(contract.task) if name not in UNTUNABLE and not contract.constraints.refuses(name)]
        if contract.predicts == "groups":
            raise UsageError(f"{run.name!r} looks for groups, whose folds are numbered by the first one: its search cannot be spread")
        if family not in tunable:
            why = contract.constraints.refuses(family) if family in learners(contract.task) and family not in UNTUNABLE else None
            told = why or f"it has nothing to search for a {contract.task} task"
            raise UsageError(f"--family {family}: {told}. Expected one of: {', '.join(tunable)}.")
        self._setting = with_crosses(setting_for(self.problem, self.preparation), self.problem)
        self._space = SearchSpace(self.family, self._setting)
        self._sampler, self._pruner, self._most = sampler, pruner, trials
        self._run, self._studies, self._sandbox, self._fit_s, self._known = run, studies, sandbox, fit_s, known
        self._begun = self._failures = 0
        self._next_folds: deque[Fit] = deque()
        self._running: dict[int, _Running] = {}
        self._sign = 1.0 if contract.direction == "maximize" else -1.0
        self.best: Evaluated | None = None
        """Of this call's trials."""

    @cached_property
    def study(self) -> Any:
        """The Optuna study, made when there is none.

        Raises:
            UsageError: `studies` names no place for it.
            PrerequisiteMissing: the database is not there, or what speaks to it is not installed.
        """
        from sqlalchemy.exc import SQLAlchemyError

        contract = self.problem.contract
        try:
            storage = shared_storage(self._studies)
            study = open_in(storage, f"{self._run.name}: {self.family.name} + {self.preparation.name}", [contract.direction])
        except (ValueError, OSError) as error:
            raise UsageError(f"--studies {error}") from None
        except ImportError as error:
            raise PrerequisiteMissing(f"--studies: {error}. Type: pip install 'mlteam[databases]'") from None
        except SQLAlchemyError as error:  # its message names the address, password included
            raise PrerequisiteMissing(
                f"--studies: the database did not take the study ({type(error).__name__}). Start it, or leave --studies out for a file"
            ) from None
        study.pruner = pruner_for(self._pruner, len(self.problem.parts), study)
        if not study.trials:
            study.enqueue_trial(AT_REST | self._start())
        return study

    def _start(self) -> dict[str, Any]:
        """The configuration that a new study begins with."""
        if self._known is not None and self._space.holds(self._known.params):
            return self._known.params
        return self.family.default(self._setting)[0]

    @cached_property
    def before(self) -> int:
        """Trials that the study had when this call took it up."""
        return len(counted(self.study))

    def __iter__(self) -> Search:
        return self

    def __next__(self) -> Fit:
        if self._next_folds:
            return self._next_folds.popleft()
        if self.before + self._begun >= self._most or self._failures >= MOST_FAILURES:
            raise StopIteration
        return self._ask()

    def _ask(self) -> Fit:
        seed = int(np.random.SeedSequence([self.problem.contract.seed, self.before + self._begun]).generate_state(1)[0])
        self.study.sampler = sampler_for(self._sampler, seed, abreast=True)
        trial = self.study.ask()
        self._begun += 1
        params = self._space.draw(trial)
        self._running[trial.number] = _Running(trial, self._pooled(params))
        return self._fit(trial.number, 0, params)

    def _pooled(self, params: dict[str, Any]) -> Pooled:
        name, preparation = f"{self.family.name}-spread", self.preparation.name
        return Pooled(CandidateSpec(name=name, family=self.family.name, params=params, preparation=preparation), params, self.problem)

    def _fit(self, trial: int, part: int, params: dict[str, Any]) -> Fit:
        data = str(self._run / "data")
        return Fit(trial, part, data, self._sandbox, self.family.name, params, self.preparation, self._fit_s)

    def take(self, asked: Fit, found: tuple[FoldFit, Any] | Exception) -> str:
        """Take in what a fit came to; what became of its trial in a word, empty while it goes on.

        Raises:
            PrerequisiteMissing: no fit can be made there, such as for want of a sandbox.
        """
        import optuna

        if isinstance(found, PrerequisiteMissing):
            raise found
        running = self._running[asked.trial]
        try:
            if isinstance(found, Exception):
                raise found
            running.pooled.add(self.problem.parts[asked.part], outcome_of(*found, self.problem, asked.part))
        except Exception as error:  # a configuration that a library refuses is one failed trial
            self._failures += 1
            return self._told(asked, optuna.trial.TrialState.FAIL, f"failed: {error}")
        self._failures = 0
        if asked.part + 1 == len(self.problem.parts):
            evaluated = running.pooled.evaluated()
            if self.best is None or self._sign * (evaluated.candidate.score - self.best.candidate.score) > 0:
                self.best = evaluated
            running.trial.set_user_attr(FOLDS, evaluated.candidate.fold_scores)
            self.study.tell(self._running.pop(asked.trial).trial, evaluated.candidate.score)
            return f"{evaluated.candidate.score:.5g}"
        if (score := running.pooled.last_score()) is not None:
            running.scores.append(score)
            running.trial.report(sum(running.scores) / len(running.scores), len(running.scores))
            if running.trial.should_prune():
                return self._told(asked, optuna.trial.TrialState.PRUNED, f"pruned after fold {asked.part + 1}")
        self._next_folds.append(replace(asked, part=asked.part + 1))
        return ""

    def again(self, engine: Engine, trial: Any) -> Evaluated:
        """The candidate of a trial whose predictions went with the process that had them: its folds once more, all at a time.

        Args:
            trial: a finished one of the study.

        Raises:
            Exception: what a fold failed with this time.
        """
        from optuna.trial import FixedTrial

        params, parts = self._space.draw(FixedTrial(trial.params)), self.problem.parts
        found: dict[int, tuple[FoldFit, Any]] = {}
        with closing(engine.run(fit, [self._fit(trial.number, part, params) for part in range(len(parts))])) as results:
            for asked, result in results:
                if isinstance(result, Exception):
                    raise result
                found[asked.part] = result
        pooled = self._pooled(params)
        for number, part in enumerate(parts):
            pooled.add(part, outcome_of(*found[number], self.problem, number))
        return pooled.evaluated()

    def _told(self, asked: Fit, state: Any, words: str) -> str:
        self.study.tell(self._running.pop(asked.trial).trial, state=state)
        return words


def search(engine: Engine, asked: Search, say: Callable[[str], None] = lambda line: None) -> None:
    """Have every fit of a search done, wherever the engine does it."""
    with quiet(), closing(engine.run(fit, asked)) as results:
        for fit_asked, found in results:
            if told := asked.take(fit_asked, found):
                say(f"trial {fit_asked.trial:3}  {told}")
