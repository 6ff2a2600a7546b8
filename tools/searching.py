"""One call's walk over families and configurations: what is fitted in which order, for how long, and what is told of the rest.

It imports what fits and reads tables; `training.py`, whose tools the host knows too, imports it within a call.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tools import memory
from tools.attempt import Attempts
from tools.candidates import (
    CODE,
    ENSEMBLE,
    Candidate,
    CandidateSpec,
    Skipped,
    free_name,
    leaderboard,
    paired_error,
    write_candidate,
)
from tools.casualties import load_casualties, of_the_rows
from tools.constraints import FLOORS
from tools.crossval import Evaluated, evaluate_candidate, setting_for
from tools.deadline import Deadline, DeadlineReached, TooSlow
from tools.degradation import Degradation
from tools.estimating import Estimates
from tools.families import NAMES, FamilyUnavailable, family, library_mb
from tools.families.custom import FAMILIES_BROUGHT
from tools.families.setting import Params
from tools.preparation import Preparation
from tools.problem import Problem
from tools.show import progress
from tools.sizing import CannotBeFitted, Size, size_for, smaller
from tools.training import FIRST_S, FLOOR_S
from tools.workspace import Workspace

BEHIND = 3.0
"""Standard errors over folds. A family whose best candidate is further behind the best of all gets no more configurations."""
SLOW_KIN = {"realmlp": "mlp", "tabm": "mlp"}
"""Families that take long, and the quick one of their kind: where that is clearly behind the best of all, they are not begun."""
PATIENCE, PATIENCE_S = 3.0, 10.0
"""A fit that takes so many times its share of the time, and at least so many seconds more, will not come back: its kernel is
ended with it, and the families after it still get theirs."""
FIRST_ROWS = 2000
"""Training rows of a fold for a first model where the time was over before any had learnt."""


class Search:
    """One call's walk over families and configurations."""

    def __init__(self, space: Workspace, problem: Problem, preparation: Preparation, deadline: Deadline, attempts: Attempts) -> None:
        self.space, self.problem, self.preparation, self.deadline, self.attempts = space, problem, preparation, deadline, attempts
        self.setting = setting_for(problem, preparation)
        self._estimates = Estimates(problem, preparation, self.setting)
        self.lost = load_casualties(space)
        self.made: list[Candidate] = []
        self.skipped: list[Skipped] = []
        self._smaller: dict[str, str] = {}
        """Candidates that got fewer rows or iterations, or another device, than they should have, and why."""
        self._missed: dict[str, str] = {}
        """Families that were left out at a configuration of theirs, and why."""
        self._pending: list[str] = []
        self.late = False
        """Whether the time was too short for something."""
        board = leaderboard(space)
        self._known = {_key(c.family, c.params, c.preparation, c.share): c.name for c in board if not c.cut_short}
        self._learnt = {c.family for c in board}

    def affordable(self, names: list[str]) -> list[str]:
        """The families that are worth importing a library for: those that may still be fitted, and whose library has room."""
        if 2 * memory.used_mb() > memory.limit_mb():
            memory.give_back()  # what earlier calls have left
        kept = []
        for name in names:
            if reason := self.problem.contract.constraints.refuses(name) or self.lost.dropped(name):
                self.skipped.append(Skipped(name=name, reason=reason))
            elif (needed := library_mb(name)) > (room := memory.room_mb()):
                self._skip(
                    name, name, f"importing its library takes about {needed:.0f} MiB, and {room:.0f} of {memory.limit_mb():,.0f} are left"
                )
            else:
                kept.append(name)
        return kept

    def floors(self, names: list[str]) -> None:
        """Fit what knows nothing of the columns, however little time is left: a run must have something to hand over."""
        for name in names:
            self._one(name, family(name).portfolio(self.setting)[0], Deadline(FLOOR_S))

    def run(self, names: list[str], most: int | None) -> None:
        self._pending = list(names)  # what is asked for configurations may import a library and take long
        rounds = list(self._rounds(names))
        asked = self.problem.contract.constraints.families
        self._pending = []
        for number, configurations in enumerate(rounds[:most]):
            self._pending = [name for name, _ in configurations]
            for name, params in configurations:
                if number and (why := self._behind(name)):
                    self._pending.remove(name)
                    self.skipped.append(Skipped(name=name, reason=f"configuration {number + 1}: {why}"))
                    continue
                if not number and name not in asked and (why := self._behind(SLOW_KIN.get(name, ""))):
                    self._pending.remove(name)
                    self.skipped.append(Skipped(name=name, reason=f"it takes long, and is of a kind with {SLOW_KIN[name]}: {why}"))
                    continue
                weights = self._weights()
                share = self.deadline.remaining() * min(family(name).most, 1.25 * weights[name] / sum(weights.values()))
                if number and share < 1.0 and self._longest(name) > self.deadline.remaining():
                    self.skipped.append(
                        Skipped(name=name, reason=f"configuration {number + 1}: {self.deadline.remaining():.1f} s are too few")
                    )
                else:
                    self._one(name, params, self.deadline.share(share))
                self._pending.remove(name)

    def first_learner(self, names: Sequence[str], *, once_more: bool) -> None:
        """Fit the first family that can be on few rows, where the time was over before any candidate had learnt from the columns: a run
        has a usable model within seconds, and does not end with one that has learnt nothing.

        Args:
            names: the most promising first.
            once_more: whether they may have another try where few rows are all that there are.
        """
        share, turn = min(1.0, FIRST_ROWS / self.problem.fold_rows), Deadline(FIRST_S)
        if share == 1 and not once_more:
            return
        for name in names:
            if not self.late or any(c.family not in FLOORS for c in leaderboard(self.space)):
                return
            if turn.expired() or self.lost.dropped(name):
                continue
            with self._answering(name):
                if family(name).unsuited(self.setting) is None:
                    self._on_few_rows(name, share, turn)

    def _on_few_rows(self, name: str, share: float, turn: Deadline) -> None:
        params = family(name).portfolio(self.setting)[0]
        stem = name if self.preparation.name == "default" else f"{name}-{self.preparation.name}"
        spec = CandidateSpec(name=free_name(self.space, stem), family=name, params=params, preparation=self.preparation.name, share=share)
        try:
            with turn.alarm():
                # What can be cut short aims at half of it, so that it is done before the alarm strikes.
                evaluated = self._evaluated(spec, turn, turn.share(0.5 * turn.remaining()), FIRST_S + PATIENCE_S)
        except TooSlow as error:  # it was known beforehand: nothing was lost
            self.skipped.append(Skipped(name=spec.name, reason=_first_line(error)))
        except DeadlineReached as error:
            self._skip(spec.name, name, _first_line(error))
        except Exception as error:  # the families after it still get their turn
            self._skip(spec.name, name, f"{type(error).__name__}: {_first_line(error)}")
        else:
            self._keep(evaluated, Size(share, "the time was over before any family had learnt" if share < 1 else ""))

    def left_over(self) -> list[Skipped]:
        """Families of the round that the deadline left without a candidate."""
        return [Skipped(name=name, reason="the time was over before it was done") for name in self._pending]

    def degradations(self) -> list[Degradation]:
        """What is less than it should be: candidates that were fitted smaller, and families without any."""
        learnt = self._learnt | {candidate.family for candidate in self.made}
        missed = self._missed | {left.name: left.reason for left in self.left_over()}
        told = [Degradation(what=name, reason=f"{name} {why}") for name, why in self._smaller.items()]
        return told + [Degradation(what=f, reason=f"{f} was left out: {why}") for f, why in missed.items() if f not in learnt]

    def _rounds(self, names: list[str]) -> Iterator[list[tuple[str, Params]]]:
        """First configurations of all families, then second ones, and so on. What a table does not suit is left out, unless the user allows
        nothing else."""
        reasons: dict[str, str | None] = {}
        for name in names:
            with self._answering(name):
                reasons[name] = family(name).unsuited(self.setting)
        only = bool(self.problem.contract.constraints.families) and all(reasons.values())
        portfolios: list[tuple[str, list[Params]]] = []
        for name, reason in reasons.items():
            if reason and not only:
                self.skipped.append(Skipped(name=name, reason=reason))
                continue
            with self._answering(name):
                portfolios.append((name, family(name).portfolio(self.setting)))
        for i in range(max((len(portfolio) for _, portfolio in portfolios), default=0)):
            yield [(name, portfolio[i]) for name, portfolio in portfolios if i < len(portfolio)]

    @contextmanager
    def _answering(self, name: str) -> Iterator[None]:
        """Leave a family out that fails in the block, where it is asked about itself, and say why."""
        try:
            yield
        except DeadlineReached:
            raise
        except Exception as error:
            if name in NAMES and isinstance(error, (FamilyUnavailable, ImportError, OSError)):
                self.skipped.append(Skipped(name=name, reason=_first_line(error)))
            else:  # what a package brings may fail in any way
                told = isinstance(error, (FamilyUnavailable, ValueError))
                self._skip(name, name, _first_line(error) if told else f"{type(error).__name__}: {_first_line(error)}{_of_package(name)}")

    def _weights(self) -> dict[str, float]:
        return {name: family(name).weight for name in self._pending}

    def _behind(self, name: str) -> str | None:
        """Why a further configuration of a family is not worth its time: its best one is behind the best of all on nearly every fold."""
        board = [c for c in leaderboard(self.space) if c.family not in ("dummy", ENSEMBLE, CODE)]
        mine = next((c for c in board if c.family == name), None)
        if mine is None or mine.cut_short or mine is board[0] or len(mine.fold_scores) != len(board[0].fold_scores):
            return None
        if len(mine.fold_scores) < 2:  # a single fold does not tell how far folds differ
            return None
        sign = 1.0 if self.problem.contract.direction == "maximize" else -1.0
        lead = sign * (sum(board[0].fold_scores) - sum(mine.fold_scores)) / max(1, len(mine.fold_scores))
        if lead <= BEHIND * paired_error(board[0].fold_scores, mine.fold_scores, mine.repeats):
            return None
        return f"{mine.name} is clearly behind {board[0].name}, so the time goes to others"

    def _longest(self, name: str) -> float:
        return max((c.fit_seconds for c in self.made if c.family == name), default=0.0)

    def _one(self, name: str, params: Params, turn: Deadline) -> None:
        """Fit one configuration, and on fewer rows where memory asks for it, until `turn` is over."""
        size: Size | None = None
        try:
            size = size_for(family(name), self.problem.fold_rows, self.setting, self.lost)
        except CannotBeFitted as error:
            self._skip(name, name, str(error))
        except DeadlineReached:
            raise
        except Exception as error:  # a package's own estimate
            self._skip(name, name, f"its memory cannot be estimated: {type(error).__name__}: {_first_line(error)}")
        stem = name if self.preparation.name == "default" else f"{name}-{self.preparation.name}"
        while size is not None:
            if known := self._known.get(_key(name, params, self.preparation.name, size.share)):
                self.skipped.append(Skipped(name=name, reason=f"trained already as {known}", known_as=known))
                return
            spec = CandidateSpec(
                name=free_name(self.space, stem), family=name, params=params, preparation=self.preparation.name, share=size.share
            )
            try:
                evaluated = self._fit(spec, turn)
            except TooSlow as error:  # it was known beforehand: nothing was lost
                self.late = True
                self.skipped.append(Skipped(name=spec.name, reason=_first_line(error)))
                progress(skipped=spec.name, reason=_first_line(error))
                return
            except DeadlineReached as error:
                self.late = True
                self._skip(spec.name, name, _first_line(error))
                return
            except Exception as error:  # one family's failure must not cost the others
                size = smaller(size, error)
                if size is None:
                    self._skip(spec.name, name, f"{type(error).__name__}: {_first_line(error)}{_of_package(name)}")
            else:
                self._keep(evaluated, size)
                return

    def _fit(self, spec: CandidateSpec, turn: Deadline) -> Evaluated:
        if spec.family in FLOORS:
            return self._evaluated(spec, turn, turn, turn.remaining() + PATIENCE_S)
        # An alarm that struck within a fit is that fit's end and not the search's, and without time even a pilot outlasts a
        # kernel's patience.
        self.deadline.check()
        # What cannot be cut short may take what the others leave, but never everything.
        limit = turn
        iterative = family(spec.family).iterative
        needed = self._estimates.seconds(spec, self.deadline)
        if needed > turn.remaining() and needed > 0.6 * self.deadline.remaining():
            slow = TooSlow if family(spec.family).reads else DeadlineReached
            raise slow(f"about {needed:.0f} s are needed, and {turn.remaining():.1f} s of the time are left for it")
        if not iterative:
            limit = self.deadline.share(max(turn.remaining(), 1.5 * needed, 0.3 * self.deadline.remaining()))
        most_s = min(max(PATIENCE * limit.remaining(), limit.remaining() + PATIENCE_S), 1.04 * self.deadline.remaining() + 1.5)
        # What is cut short may overrun its share a little: its last iterations, its predictions.
        limit, target = (
            (self.deadline, self.deadline.share(min(turn.remaining(), 0.85 * self.deadline.remaining()))) if iterative else (limit, limit)
        )
        return self._evaluated(spec, limit, target, most_s)

    def _evaluated(self, spec: CandidateSpec, limit: Deadline, target: Deadline, most_s: float) -> Evaluated:
        def after_fold(fold: int, score: float | None) -> None:
            progress(candidate=spec.name, fold=fold, score=score)

        with self.attempts.fitting(spec, most_s):
            return evaluate_candidate(spec, self.problem, self.preparation, limit, target=target, after_fold=after_fold)

    def _keep(self, evaluated: Evaluated, size: Size) -> None:
        made = evaluated.candidate
        write_candidate(self.space, made, self.problem, evaluated.oof, evaluated.before)
        self.made.append(made)
        if size.why:
            self._smaller[made.name] = f"was fitted on {of_the_rows(size.share)}: {size.why}"
        elif evaluated.starved:
            self._smaller[made.name] = f"stopped at {min(made.iterations)} iterations: memory had no room for more"
        elif evaluated.off_cuda:
            self._smaller[made.name] = f"was fitted on the processor: {evaluated.off_cuda}"
        progress(candidate=made.name, score=made.score, seconds=round(made.fit_seconds, 2))

    def _skip(self, name: str, family_name: str, reason: str) -> None:
        self.skipped.append(Skipped(name=name, reason=reason))
        self._missed.setdefault(family_name, reason)
        progress(skipped=name, reason=reason)


def _key(family_name: str, params: Params, preparation: str, share: float) -> str:
    return json.dumps([family_name, params, preparation, share], sort_keys=True, default=str)


def _of_package(name: str) -> str:
    package = FAMILIES_BROUGHT.brought().get(name)
    return f" (package {package!r})" if package else ""


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:200]
