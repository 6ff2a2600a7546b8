"""What got better or worse from one eval to another, beyond noise: a gate for changes of prompts, playbook and engine.

Attempts are paired by suite, task, system, seed, fold and budget. On each task the mean difference of pairs is tested with the error of
test rows and the spread over seeds and folds, and p-values are corrected for the number of tasks by Holm's method; that both evals were
scored on the same rows makes the error of rows smaller than it is taken for, so that the test is careful. Over tasks, the ratio of errors
is tested by Wilcoxon's signed ranks (Demšar 2006), with an interval by drawing tasks and, within them, seeds and folds anew.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np

from evals.attempts import Attempt, Key, differ
from evals.blocks import counted, well
from evals.errors import LEAST_ERROR, error_of
from evals.figures import RIGHT, Figure, Spread
from evals.intervals import mean_of, standard_error
from evals.ranking import ALPHA, same
from evals.resampling import Resampling
from tools.comparing import wilcoxon
from tools.multiplicity import holm

SCHEMA_VERSION = 1
Verdict = Literal["worse", "better", "same", "untested"]
FEWEST_TASKS = 6
"""With fewer, no signed-rank test over tasks can come below 5 %."""


class TaskChange(Figure):
    """One system on one task, in both evals."""

    suite: str
    budget_s: float
    task: str
    system: str
    metric: str
    direction: str
    pairs: int
    """Attempts that are in both."""
    scored: int
    """Of them, those with a score that counts in both."""
    old: float | None
    new: float | None
    """Mean scores of those."""
    change: Spread | None
    """New minus old, in the metric's own direction."""
    p: float | None
    p_holm: float | None
    failed_old: int
    failed_new: int
    """Of the pairs, attempts without what the task asks for."""
    verdict: Verdict
    why: str


class SystemChange(Figure):
    """One system over all tasks of a suite under one budget."""

    suite: str
    budget_s: float
    system: str
    tasks: int
    """Tasks with scores in both."""
    change: Spread | None
    """Mean relative change of the error, above 0 where it grew; each task counts alike."""
    p: float | None
    """None with fewer than `FEWEST_TASKS` tasks."""
    p_holm: float | None
    """Corrected for the number of systems."""
    failed_old: int
    failed_new: int
    wall_s: tuple[float, float]
    """Mean seconds of the paired attempts, old and new."""
    dollars: tuple[float, float] | None
    """Mean dollars of them; None where any is not known."""
    verdict: Verdict
    why: str


class Regression(Figure):
    """All of a comparison of two evals. Keys are stable under one `schema_version`."""

    schema_version: int = SCHEMA_VERSION
    old: str
    new: str
    pairs: int
    only_old: int
    only_new: int
    level: float = ALPHA
    worse: int
    better: int
    """Tasks and systems with that verdict."""
    systems: tuple[SystemChange, ...]
    tasks: tuple[TaskChange, ...]
    versions: dict[str, tuple[str | None, str | None]]
    """Packages whose version differs, old and new."""
    notes: tuple[str, ...]

    @property
    def losses(self) -> list[str]:
        """What got worse, by name."""
        whole = [f"{change.system} as a whole" for change in self.systems if change.verdict == "worse"]
        return whole + [f"{change.system} on {change.task}" for change in self.tasks if change.verdict == "worse"]


class Pair(NamedTuple):
    """One attempt in both evals."""

    old: Attempt
    new: Attempt

    @property
    def scores(self) -> tuple[float, float] | None:
        """Both scores, where both count."""
        old, new = counted(self.old), counted(self.new)
        return None if old is None or new is None else (old, new)

    @property
    def comparable(self) -> bool:
        """Whether both were judged alike, on the same rows; where those are not known, on as many."""
        if differ(self):
            return False
        if self.scores is None:
            return True
        return all(getattr(self.old, name) == getattr(self.new, name) for name in ("metric", "direction", "rows_test"))


class NothingInCommon(ValueError):
    """The two evals have no attempt in common; the message says what each has."""


def compare(old: Iterable[Attempt], new: Iterable[Attempt], names: tuple[str, str], systems: Sequence[str] = ()) -> Regression:
    """Pair the attempts of two evals and test what differs.

    Args:
        names: of both, for people.
        systems: those to look at; empty takes all.

    Raises:
        NothingInCommon: when no attempt is in both.
    """
    before, after = ({row.key: row for row in rows if not systems or row.system in systems} for rows in (old, new))
    all_pairs = {key: Pair(row, after[key]) for key, row in before.items() if key in after}
    if not all_pairs:
        raise NothingInCommon(f"they have no attempt in common: {_told(before)}; {_told(after)}")
    pairs = {key: pair for key, pair in all_pairs.items() if pair.comparable}
    if not pairs:
        raise NothingInCommon("no attempt of both was made on the same rows and by the same metric, as where the suite or the data changed")
    unlike = sorted({key.task for key in all_pairs.keys() - pairs.keys()})
    by_task: dict[tuple[str, float, str, str], list[Pair]] = {}
    for key in sorted(pairs):
        by_task.setdefault((key.suite, key.budget_s, key.system, key.task), []).append(pairs[key])
    tasks = _judged([_task(*key, mine) for key, mine in by_task.items()])
    by_system: dict[tuple[str, float, str], list[list[Pair]]] = {}
    for (suite, budget_s, system, _), mine in by_task.items():
        by_system.setdefault((suite, budget_s, system), []).append(mine)
    whole = _judged_whole([_system(*key, groups) for key, groups in by_system.items()])
    notes = []
    if unlike:
        notes.append(
            f"Left out, as the metric or the rows of the two evals differ: {', '.join(unlike[:6])}{' and more' * (len(unlike) > 6)}."
        )
    if any(change.tasks < FEWEST_TASKS for change in whole):
        notes.append(f"Over fewer than {FEWEST_TASKS} tasks no change as a whole is tested, as no test could tell it from chance.")
    verdicts = [*(change.verdict for change in tasks), *(change.verdict for change in whole)]
    return Regression(
        old=names[0],
        new=names[1],
        pairs=len(pairs),
        only_old=len(before.keys() - after.keys()),
        only_new=len(after.keys() - before.keys()),
        worse=verdicts.count("worse"),
        better=verdicts.count("better"),
        systems=tuple(whole),
        tasks=tuple(tasks),
        versions=_versions(pairs.values()),
        notes=tuple(notes),
    )


def _task(suite: str, budget_s: float, system: str, task: str, pairs: Sequence[Pair]) -> TaskChange:
    by_outcome = any(row.right is not None for pair in pairs for row in pair)
    scored = [] if by_outcome else [(pair, scores) for pair in pairs if (scores := pair.scores) is not None]
    change, p, old, new = None, None, None, None
    if scored:
        old, new = (float(np.mean([scores[side] for _, scores in scored])) for side in (0, 1))
        differences = [0.0 if same(*scores) else scores[1] - scores[0] for _, scores in scored]
        folds = {pair.old.fold for pair, _ in scored}
        found = mean_of(differences, [_row_error(pair) for pair, _ in scored], rows_differ=len(folds) > 1)
        low, high = found.bounds() or (None, None)
        change = Spread(value=found.value, low=low, high=high)
        # Differences that are all one and the same are those of one attempt told several times.
        p = 1.0 if not any(differences) else found.p if (found.error or 0.0) > 1e-9 * abs(found.value) else None
    return TaskChange(
        suite=suite,
        budget_s=budget_s,
        task=task,
        system=system,
        metric=RIGHT if by_outcome else pairs[0].new.metric,
        direction="max" if by_outcome else pairs[0].new.direction,
        pairs=len(pairs),
        scored=len(scored),
        old=old,
        new=new,
        change=change,
        p=p,
        p_holm=None,
        failed_old=sum(not well(pair.old) for pair in pairs),
        failed_new=sum(not well(pair.new) for pair in pairs),
        verdict="untested",
        why="",
    )


def _row_error(pair: Pair) -> float | None:
    errors = [standard_error(row.low, row.high) for row in pair]
    return None if None in errors else math.hypot(*(error or 0.0 for error in errors))


def _judged(changes: Sequence[TaskChange]) -> list[TaskChange]:
    """With p-values corrected for the number of tests, and verdicts; what got worse comes first."""
    corrected = holm([change.p for change in changes])
    found = [change.model_copy(update={"p_holm": p, **_verdict(change, p)}) for change, p in zip(changes, corrected, strict=True)]
    order: dict[Verdict, int] = {"worse": 0, "better": 1, "untested": 2, "same": 3}
    return sorted(found, key=lambda one: (order[one.verdict], one.suite, one.budget_s, one.system, one.task))


def _verdict(change: TaskChange, p: float | None) -> dict[str, str]:
    if change.failed_new == change.pairs and not change.failed_old:
        return {"verdict": "worse", "why": "every attempt fails now, and none did before"}
    if change.failed_old == change.pairs and not change.failed_new:
        return {"verdict": "better", "why": "every attempt failed before, and none does now"}
    failing = (
        f"{change.failed_new} of {change.pairs} attempts fail, {change.failed_old} did before"
        if change.failed_new or change.failed_old
        else ""
    )
    if change.change is None:
        return {"verdict": "same" if change.failed_old == change.failed_new else "untested", "why": failing}
    if p is None:
        return {"verdict": "untested", "why": failing or "nothing is known of its noise; more seeds would tell"}
    if p > ALPHA or change.change.value == 0:
        return {"verdict": "same", "why": failing}
    gained = (change.change.value > 0) == (change.direction == "max")
    return {"verdict": "better" if gained else "worse", "why": failing or "beyond noise"}


def _system(suite: str, budget_s: float, system: str, groups: Sequence[Sequence[Pair]]) -> SystemChange:
    pairs = [pair for group in groups for pair in group]
    logs = [
        found
        for group in groups
        if (found := [_log_ratio(p) for p in group if p.scores is not None and p.old.right is None and p.new.right is None])
    ]
    resampling = Resampling([len(one) for one in logs])
    between = resampling.interval(logs) if logs else None
    means = [float(np.mean(one)) for one in logs]
    dollars = [(pair.old.dollars, pair.new.dollars) for pair in pairs]
    known = [(old, new) for old, new in dollars if old is not None and new is not None]
    return SystemChange(
        suite=suite,
        budget_s=budget_s,
        system=system,
        tasks=len(logs),
        change=Spread(
            value=math.expm1(float(np.mean(means))),
            low=math.expm1(between[0]) if between else None,
            high=math.expm1(between[1]) if between else None,
        )
        if means
        else None,
        p=wilcoxon(means, [0.0] * len(means)).p if len(means) >= FEWEST_TASKS else None,
        p_holm=None,
        failed_old=sum(not well(pair.old) for pair in pairs),
        failed_new=sum(not well(pair.new) for pair in pairs),
        wall_s=(float(np.mean([pair.old.wall_s for pair in pairs])), float(np.mean([pair.new.wall_s for pair in pairs]))),
        dollars=(float(np.mean([old for old, _ in known])), float(np.mean([new for _, new in known])))
        if len(known) == len(pairs)
        else None,
        verdict="untested",
        why="",
    )


def _log_ratio(pair: Pair) -> float:
    """Of the new error to the old one; that of a score that is maximised is half a row at least."""
    assert pair.scores is not None
    if same(*pair.scores):
        return 0.0
    lower = pair.old.direction == "min"
    least = LEAST_ERROR if lower or not pair.old.rows_test else 0.5 / pair.old.rows_test
    old, new = (error_of(score, lower_is_better=lower, least=least) for score in pair.scores)
    return math.log(new / old)


def _judged_whole(changes: Sequence[SystemChange]) -> list[SystemChange]:
    found = []
    for change, p in zip(changes, holm([change.p for change in changes]), strict=True):
        verdict: Verdict = "untested" if p is None else "same"
        if p is not None and p <= ALPHA and change.change and change.change.low is not None and change.change.high is not None:
            verdict = "worse" if change.change.low > 0 else "better" if change.change.high < 0 else "same"
        why = "over its tasks as a whole, beyond noise" if verdict in ("worse", "better") else ""
        found.append(change.model_copy(update={"p_holm": p, "verdict": verdict, "why": why}))
    return sorted(found, key=lambda one: (one.suite, one.budget_s, one.system))


def _versions(pairs: Iterable[Pair]) -> dict[str, tuple[str | None, str | None]]:
    before: dict[str, str] = {}
    after: dict[str, str] = {}
    for pair in pairs:
        before |= pair.old.versions
        after |= pair.new.versions
    names = sorted({*before, *after})
    return {name: (before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)}


def _told(rows: dict[Key, Attempt]) -> str:
    if not rows:
        return "one has none of these systems"
    systems, suites, budgets = ({getattr(key, name) for key in rows} for name in ("system", "suite", "budget_s"))
    within = ", ".join(f"{budget:g} s" for budget in sorted(budgets))
    return f"one has {', '.join(sorted(systems))} on {', '.join(sorted(suites))} within {within}"
