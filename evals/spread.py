"""`python -m evals.spread RUN --family lightgbm --engine dask://HOST:PORT`: one family's search with its fits spread over an engine.

The study stays with this process, in PostgreSQL or in Optuna's journal in a shared folder, so sandboxes need no network: it asks for
trials, an engine has one fold of one trial after another fitted in sandboxes like a run's, and their predictions are scored here. A
search that was killed goes on from its study; trials that it had begun come again.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from evals.engines import SPECS, Engine, make_engine
from evals.job_trace import search_of
from evals.spread_fit import Fit, fit
from team.errors import MlteamError, UsageError
from team.predict import workplace
from team.rundir import RunDir
from tools.candidates import CandidateSpec
from tools.crossval import Evaluated, Pooled, setting_for, threads
from tools.families import UNTUNABLE, FamilyUnavailable, learners
from tools.families import family as family_for
from tools.families.base import AT_REST
from tools.files import read_regular
from tools.fold_fits import FoldFit, outcome_of
from tools.preparation import Preparation, load_preparation
from tools.problem import Problem, load_problem
from tools.samplers import Pruner, Sampler, pruner_for, sampler_for
from tools.spec import ToolRefused
from tools.studies import counted, open_in, quiet, shared_storage
from tools.tuner import MOST_FAILURES
from tools.workspace import Workspace, write_text

MOST_BYTES = 1 << 24
"""Of the description of a preparation."""


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
    ) -> None:
        if not (run / "data" / "contract.json").is_file():
            raise UsageError(f"{str(run)!r} is no directory of a run whose data was sealed. Type: mlteam runs")
        try:
            storage = shared_storage(studies)
            self.family = family_for(family)
            self.problem, self.preparation = _read(run, preparation)
        except (ValueError, OSError, ToolRefused, FamilyUnavailable) as error:
            raise UsageError(str(error)) from None
        if family in UNTUNABLE or family not in learners(self.problem.contract.task):
            raise UsageError(f"--family {family!r}: it has nothing to search for a {self.problem.contract.task} task")
        if self.problem.contract.predicts == "groups":
            raise UsageError(f"{run.name!r} looks for groups, whose folds are numbered by the first one: its search cannot be spread")
        self._setting = setting_for(self.problem, self.preparation)
        self._sampler, self._most, self._run, self._sandbox, self._fit_s = sampler, trials, run, sandbox, fit_s
        self.study = open_in(storage, f"{run.name}: {family} + {preparation}", [self.problem.contract.direction])
        self.study.pruner = pruner_for(pruner, len(self.problem.parts), self.study)
        if not self.study.trials:
            self.study.enqueue_trial(AT_REST | self.family.default(self._setting)[0])
        self._before = len(counted(self.study))
        self._begun = self._failures = 0
        self._next_folds: deque[Fit] = deque()
        self._running: dict[int, _Running] = {}
        self._sign = 1.0 if self.problem.contract.direction == "maximize" else -1.0
        self.best: Evaluated | None = None
        """Of this call's trials."""

    def __iter__(self) -> Search:
        return self

    def __next__(self) -> Fit:
        if self._next_folds:
            return self._next_folds.popleft()
        if self._before + self._begun >= self._most or self._failures >= MOST_FAILURES:
            raise StopIteration
        return self._ask()

    def _ask(self) -> Fit:
        seed = int(np.random.SeedSequence([self.problem.contract.seed, self._before + self._begun]).generate_state(1)[0])
        self.study.sampler = sampler_for(self._sampler, seed, abreast=True)
        trial = self.study.ask()
        self._begun += 1
        params = self.family.search(trial, self._setting)
        spec = CandidateSpec(
            name=f"{self.family.name}-spread-{trial.number}", family=self.family.name, params=params, preparation=self.preparation.name
        )
        self._running[trial.number] = _Running(trial, Pooled(spec, params, self.problem))
        return Fit(trial.number, 0, str(self._run / "data"), self._sandbox, self.family.name, params, self.preparation, self._fit_s)

    def take(self, asked: Fit, found: tuple[FoldFit, Any] | Exception) -> str:
        """Take in what a fit came to; what became of its trial in a word, empty while it goes on."""
        import optuna

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
            self.study.tell(self._running.pop(asked.trial).trial, evaluated.candidate.score)
            return f"{evaluated.candidate.score:.5g}"
        if (score := running.pooled.last_score()) is not None:
            running.scores.append(score)
            running.trial.report(sum(running.scores) / len(running.scores), len(running.scores))
            if running.trial.should_prune():
                return self._told(asked, optuna.trial.TrialState.PRUNED, f"pruned after fold {asked.part + 1}")
        self._next_folds.append(replace(asked, part=asked.part + 1))
        return ""

    def _told(self, asked: Fit, state: Any, words: str) -> str:
        self.study.tell(self._running.pop(asked.trial).trial, state=state)
        return words


def search(engine: Engine, asked: Search, say: Callable[[str], None] = lambda line: None) -> None:
    """Have every fit of a search done, wherever the engine does it."""
    with quiet():
        for fit_asked, found in engine.run(fit, asked):
            if told := asked.take(fit_asked, found):
                say(f"trial {fit_asked.trial:3}  {told}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m evals.spread", description=str(__doc__).split("\n\n")[0])
    parser.add_argument("run", type=Path, help="a run's directory, in a folder that all workers share")
    parser.add_argument("--family", default="lightgbm")
    parser.add_argument("--preparation", default="default")
    parser.add_argument("--engine", default="local", help=SPECS)
    parser.add_argument("--jobs", type=int, default=None, help="fits at a time; one here, and one for each thread of Dask's workers")
    parser.add_argument("--studies", help="postgresql://USER:PASSWORD@HOST/DATABASE or journal:FILE (journal:RUN/../studies.journal)")
    parser.add_argument("--trials", type=int, default=40, help="of the study altogether, those of earlier calls counted")
    parser.add_argument("--sampler", choices=("tpe", "random", "nsga2"), default="tpe")
    parser.add_argument("--pruner", choices=("median", "hyperband", "successive_halving", "none"), default="median")
    parser.add_argument("--sandbox", default="auto")
    given = parser.parse_args(words)
    studies = given.studies or f"journal:{given.run.resolve().parent / 'studies.journal'}"
    try:
        if given.engine == "local" and (given.jobs or 1) > 1:
            os.environ.setdefault("OMP_NUM_THREADS", str(max(1, threads() // given.jobs)))
        how = {"preparation": given.preparation, "sampler": given.sampler, "pruner": given.pruner, "sandbox": given.sandbox}
        with quiet():
            asked = Search(given.run.resolve(), given.family, studies, trials=given.trials, **how)
        with closing(make_engine(given.engine, given.jobs)) as engine, search_of(RunDir(given.run.resolve()), given.family, _say):
            search(engine, asked, _say)
    except MlteamError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    complete = [trial for trial in counted(asked.study) if trial.value is not None]
    best = asked.study.best_trial if complete else None
    told = {"trials": len(counted(asked.study)), "complete": len(complete), "score": best.value if best else None}
    print(json.dumps(told | {"params": best.params if best else {}}))
    return 0 if best else 1


if __name__ == "__main__":
    sys.exit(main())
