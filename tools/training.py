"""Kernel tools: fit baselines, and fit model families over the contract's folds within a time limit."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Le
from pydantic import BaseModel

from tools.candidates import Candidate, CandidateFacts, CandidateSpec, Skipped, facts, free_name, leaderboard, write_candidate
from tools.show import progress
from tools.spec import ToolRefused, tool
from tools.workspace import Workspace, workspace

if TYPE_CHECKING:
    from tools.deadline import Deadline
    from tools.families.base import Params
    from tools.preparation import Preparation
    from tools.problem import Problem

BASELINES = ["dummy", "linear", "tree"]
PILOT_ROWS = 1500


class TrainingResult(BaseModel):
    """What a search trained and what it did not."""

    candidates: list[CandidateFacts]
    """Made by this call, the best first."""
    skipped: list[Skipped]
    best: str | None
    """The best candidate of the workspace, those of earlier calls included."""
    best_score: float | None
    metric: str
    direction: str
    seconds: float
    stopped: str | None = None
    """`deadline` or `interrupted` when work was left undone."""


@tool(where="kernel", timeout_s=3600, searches=True)
def train_baselines(
    preparation: Annotated[str, "Preparation to use."] = "default",
    time_s: Annotated[float, "Wall-clock seconds for the call.", Ge(1), Le(86400)] = 15.0,
) -> TrainingResult:
    """Fit the baselines: dummy, linear model and small tree, on the contract's folds."""
    return _search(BASELINES, preparation, time_s, most=1)


@tool(where="kernel", timeout_s=3600, searches=True)
def train(
    families: Annotated[
        list[str], "Families in order of interest: linear, tree, lightgbm, catboost, xgboost, extra_trees, random_forest, mlp."
    ],
    preparation: Annotated[str, "Preparation to use."] = "default",
    time_s: Annotated[float, "Wall-clock seconds for the call.", Ge(1), Le(86400)] = 60.0,
    per_family: Annotated[int | None, "Most configurations of one family; leave out to go on while time is left.", Ge(1)] = None,
) -> TrainingResult:
    """Fit each family's best-known configuration on the contract's folds, then further ones while time is left."""
    from tools.families import NAMES

    strange = [name for name in families if name not in NAMES]
    if strange or not families:
        raise ToolRefused(f"no family {', '.join(map(repr, strange)) or 'named'}; families: {', '.join(NAMES)}.")
    ordered = [name for name in NAMES if name in families]
    return _search(ordered, preparation, time_s, most=per_family)


def _search(names: list[str], preparation: str, time_s: float, *, most: int | None) -> TrainingResult:
    from tools.deadline import Deadline, DeadlineReached
    from tools.families import load_libraries
    from tools.preparation import load_preparation
    from tools.problem import load_problem

    deadline = Deadline(time_s)
    space = workspace()
    problem = load_problem(space)
    search = _Search(space, problem, load_preparation(space, preparation, problem), deadline)
    stopped = None
    load_libraries(names)
    try:
        with deadline.alarm():
            search.run(names, most)
    except DeadlineReached:
        stopped = "deadline"
    except KeyboardInterrupt:
        stopped = "interrupted"
    board = leaderboard(space)
    made = {candidate.name for candidate in search.made}
    return TrainingResult(
        candidates=[facts(candidate) for candidate in board if candidate.name in made],
        skipped=search.skipped + search.left_over(),
        best=board[0].name if board else None,
        best_score=board[0].score if board else None,
        metric=problem.contract.metric,
        direction=problem.contract.direction,
        seconds=round(deadline.elapsed(), 2),
        stopped=stopped or ("deadline" if search.left_over() else None),
    )


class _Search:
    """One call's walk over families and configurations."""

    def __init__(self, space: Workspace, problem: Problem, preparation: Preparation, deadline: Deadline) -> None:
        self.time_s = deadline.remaining()
        self.space, self.problem, self.preparation, self.deadline = space, problem, preparation, deadline
        self.made: list[Candidate] = []
        self.skipped: list[Skipped] = []
        self._pending: list[str] = []
        self._known = {_key(c.family, c.params, c.preparation): c.name for c in leaderboard(space) if not c.cut_short}

    def run(self, names: list[str], most: int | None) -> None:
        rounds = list(self._rounds(names))
        for number, configurations in enumerate(rounds[:most]):
            self._pending = [name for name, _ in configurations]
            for name, params in configurations:
                weights = self._weights()
                share = self.deadline.remaining() * min(1.0, 1.25 * weights[name] / sum(weights.values()))
                self._pending.remove(name)
                if number and share < 1.0 and self._longest(name) > self.deadline.remaining():
                    self.skipped.append(
                        Skipped(name=name, reason=f"configuration {number + 1}: {self.deadline.remaining():.1f} s are too few")
                    )
                    continue
                self._one(name, params, self.deadline.share(share if name != "dummy" else math.inf))

    def left_over(self) -> list[Skipped]:
        """Families of the round that the deadline left without a try."""
        return [Skipped(name=name, reason="the time was over before its turn") for name in self._pending]

    def _rounds(self, names: list[str]) -> Iterator[list[tuple[str, Params]]]:
        """First configurations of all families, then second ones, and so on."""
        from tools.crossval import setting_for
        from tools.families import FamilyUnavailable, family

        setting = setting_for(self.problem, self.preparation)
        portfolios: list[tuple[str, list[Params]]] = []
        for name in names:
            try:
                portfolios.append((name, family(name).default(setting)))
            except (FamilyUnavailable, ImportError, OSError) as error:
                self.skipped.append(Skipped(name=name, reason=_first_line(error)))
        for i in range(max((len(portfolio) for _, portfolio in portfolios), default=0)):
            yield [(name, portfolio[i]) for name, portfolio in portfolios if i < len(portfolio)]

    def _weights(self) -> dict[str, float]:
        from tools.families import family

        return {name: family(name).weight for name in self._pending}

    def _longest(self, name: str) -> float:
        return max((c.fit_seconds for c in self.made if c.family == name), default=0.0)

    def _one(self, name: str, params: Params, share: Deadline) -> None:
        from tools.crossval import evaluate_candidate
        from tools.deadline import DeadlineReached
        from tools.families import family

        known = self._known.get(_key(name, params, self.preparation.name))
        if known:
            self.skipped.append(Skipped(name=name, reason=f"trained already as {known}"))
            return
        stem = name if self.preparation.name == "default" else f"{name}-{self.preparation.name}"
        spec = CandidateSpec(name=free_name(self.space, stem), family=name, params=params, preparation=self.preparation.name)

        def after_fold(fold: int, score: float | None) -> None:
            progress(candidate=spec.name, fold=fold, score=score)

        # What cannot be cut short may take what the others leave, but never everything.
        limit = share
        iterative = family(name).iterative
        try:
            needed = self._estimate(name, params)
            if needed > share.remaining() and needed > 0.6 * self.deadline.remaining():
                raise DeadlineReached(f"about {needed:.0f} s are needed, {share.remaining():.1f} s are there")
            if not iterative:
                limit = self.deadline.share(max(share.remaining(), 1.5 * needed, 0.3 * self.deadline.remaining()))
            # What is cut short may overrun its share a little: its last iterations, its predictions.
            limit, target = (
                (self.deadline, self.deadline.share(min(share.remaining(), 0.85 * self.deadline.remaining())))
                if iterative
                else (limit, limit)
            )
            evaluated = evaluate_candidate(spec, self.problem, self.preparation, limit, target=target, after_fold=after_fold)
        except DeadlineReached as error:
            self.skipped.append(Skipped(name=spec.name, reason=f"{_first_line(error)}"))
            progress(skipped=spec.name, reason=_first_line(error))
            return
        except Exception as error:  # one family's failure must not cost the others
            self.skipped.append(Skipped(name=spec.name, reason=f"{type(error).__name__}: {_first_line(error)}"))
            progress(skipped=spec.name, reason=_first_line(error))
            return
        write_candidate(self.space, evaluated.candidate, self.problem, evaluated.oof)
        self.made.append(evaluated.candidate)
        progress(candidate=spec.name, score=evaluated.candidate.score, seconds=round(evaluated.candidate.fit_seconds, 2))

    def _estimate(self, name: str, params: Params) -> float:
        """Seconds that all folds of a family that cannot be cut short will take, from a fit on few rows; 0 for others."""
        import time

        import numpy as np

        from tools.crossval import setting_for
        from tools.families import family
        from tools.families.base import FitContext

        model_family = family(name)
        if model_family.iterative or name == "dummy" or self.problem.n_rows <= 2 * PILOT_ROWS:
            return 0.0
        rows = np.random.default_rng(0).permutation(self.problem.n_rows)[:PILOT_ROWS]
        X = self.problem.X[[column.name for column in self.preparation.columns]].iloc[rows]
        started = time.monotonic()
        setting = setting_for(self.problem, self.preparation)
        model_family.fit(X, self.problem.y[rows], None, None, dict(params), setting, FitContext(deadline=self.deadline))
        folds = len(self.problem.fold_ids)
        growth = self.problem.n_rows * (folds - 1) / folds / PILOT_ROWS
        return (time.monotonic() - started) * growth**1.1 * folds


def _key(family_name: str, params: Params, preparation: str) -> str:
    import json

    return json.dumps([family_name, params, preparation], sort_keys=True, default=str)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:200]
