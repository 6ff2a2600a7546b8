"""From attempts to what they say: scores, ranks, who beats whom, and what a score costs, each with its uncertainty.

A standing is that of one suite under one budget. Systems are compared on what all of them attempted: on tasks, and within those on seeds
and folds, that every system has an attempt on. An attempt that did not end well has no score and shares the last rank of its seed and fold;
on tasks that are about the outcome, such as a clear refusal, an attempt is worth 1 where that is right and 0 elsewhere.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from evals.attempts import Attempt
from evals.blocks import Array, TaskBlocks, counted, well
from evals.caveats import caveats
from evals.figures import RIGHT, Cell, Cost, Duel, Place, RankTest, Spread, Standing, TaskLine
from evals.intervals import mean_of, standard_error
from evals.ranking import ALPHA, cliques, critical_difference, friedman, pairs, same
from evals.resampling import Resampling

LEAST_SHARE = 0.5
"""A system with fewer attempts than this share of the most that any has is not ranked."""


def standings(attempts: Iterable[Attempt]) -> list[Standing]:
    """One standing for each suite and budget, in the order of their names and seconds; none where there are no attempts."""
    groups: dict[tuple[str, float], list[Attempt]] = {}
    for attempt in attempts:
        groups.setdefault((attempt.suite, attempt.budget_s), []).append(attempt)
    return [_standing(*key, groups[key]) for key in sorted(groups)]


def _standing(suite: str, budget_s: float, attempts: Sequence[Attempt]) -> Standing:
    everyone = sorted({attempt.system for attempt in attempts})
    tried = Counter(attempt.system for attempt in attempts)
    # One that has hardly begun must not leave the others with the little that it shares with them.
    systems = [system for system in everyone if LEAST_SHARE * max(tried.values()) <= tried[system]]
    names = sorted({attempt.task for attempt in attempts})
    tasks = [TaskBlocks(name, [a for a in attempts if a.task == name], systems) for name in names]
    shared = [task for task in tasks if task.shared]
    by_block = [task.ranks() for task in shared]
    average = np.array([found.mean(axis=0) for found in by_block]).reshape(len(shared), len(systems))
    normalised = {task.name: task.normalised() for task in shared}
    resampling = Resampling([len(task.shared) for task in shared])
    test = _test(systems, average)
    places = [_place(k, system, attempts, by_block, average, normalised, resampling) for k, system in enumerate(systems)]
    places += [_unranked(system, attempts) for system in everyone if system not in systems]
    places.sort(key=lambda place: (place.rank is None, place.rank.value if place.rank else 0.0, place.failed, place.system))
    return Standing(
        suite=suite,
        budget_s=budget_s,
        attempts=len(attempts),
        failed=sum(not well(attempt) for attempt in attempts),
        seeds=len({attempt.seed for attempt in attempts}),
        finished=max(attempt.finished for attempt in attempts),
        tasks=tuple(_line(task, everyone, normalised.get(task.name)) for task in tasks),
        places=tuple(places),
        duels=tuple(_duels([place.system for place in places if place.system in systems], shared, resampling, test)),
        test=test,
        notes=tuple(caveats(everyone, systems, tasks, shared, test)),
    )


def _place(
    k: int,
    system: str,
    attempts: Sequence[Attempt],
    by_block: Sequence[Array],
    average: Array,
    normalised: dict[str, dict[str, list[float]] | None],
    resampling: Resampling,
) -> Place:
    scaled = [by_system[system] for by_system in normalised.values() if by_system]
    return _unranked(system, attempts).model_copy(
        update={
            "rank": _spread([list(found[:, k]) for found in by_block], resampling) if len(average) else None,
            "normalised": _spread(scaled, resampling if len(scaled) == len(by_block) else Resampling([len(one) for one in scaled])),
            "best": int((average[:, k] <= average.min(axis=1) + 1e-9).sum()) if len(average) else 0,
        }
    )


def _unranked(system: str, attempts: Sequence[Attempt]) -> Place:
    mine = [attempt for attempt in attempts if attempt.system == system]
    expected = [attempt.right for attempt in mine if attempt.right is not None]
    return Place(
        system=system,
        rank=None,
        normalised=None,
        best=0,
        attempts=len(mine),
        failed=sum(not well(attempt) for attempt in mine),
        right=sum(expected) if expected else None,
        cost=_cost(mine),
    )


def _line(task: TaskBlocks, everyone: Sequence[str], normalised: dict[str, list[float]] | None) -> TaskLine:
    average = dict(zip(task.systems, task.ranks().mean(axis=0), strict=True)) if task.shared else {}
    cells = []
    for system in everyone:
        mine = [attempt for attempt in task.attempts if attempt.system == system]
        if not mine:
            continue
        scaled = normalised.get(system) if normalised else None
        cells.append(
            Cell(
                task=task.name,
                system=system,
                attempts=len(mine),
                failed=sum(not well(attempt) for attempt in mine),
                score=_score(task, mine),
                rank=float(average[system]) if system in average else None,
                normalised=None if scaled is None else _spread([scaled], Resampling([len(scaled)])),
                cost=_cost(mine),
            )
        )
    metric, direction = (RIGHT, "max") if task.outcomes else task.metrics[0]
    cells.sort(key=lambda cell: (cell.rank is None, cell.rank or 0.0, _worst_last(cell, direction), cell.system))
    return TaskLine(
        name=task.name,
        metric=metric if task.outcomes or len(task.metrics) == 1 else ", ".join(name for name, _ in task.metrics),
        direction=direction,
        rows_train=max(attempt.rows_train for attempt in task.attempts),
        rows_test=max(attempt.rows_test for attempt in task.attempts),
        cells=tuple(cells),
        shared=bool(task.shared),
    )


def _worst_last(cell: Cell, direction: str) -> float:
    if cell.score is None:
        return math.inf
    return cell.score.value if direction == "min" else -cell.score.value


def _score(task: TaskBlocks, mine: Sequence[Attempt]) -> Spread | None:
    if task.outcomes:
        return Spread(value=float(np.mean([attempt.right is True for attempt in mine])))
    there = [(attempt, score) for attempt in mine if (score := counted(attempt)) is not None]
    if not there or len(task.metrics) > 1:
        return None
    errors = [standard_error(attempt.low, attempt.high) for attempt, _ in there]
    folds = {attempt.fold for attempt, _ in there}
    found = mean_of([score for _, score in there], errors, rows_differ=len(folds) > 1)
    if len(there) == 1:  # its own interval, which need not lie even around it
        return Spread(value=found.value, low=there[0][0].low, high=there[0][0].high)
    low, high = found.bounds() or (None, None)
    return Spread(value=found.value, low=low, high=high)


def _spread(values: Sequence[Sequence[float]], resampling: Resampling) -> Spread | None:
    if not values:
        return None
    low, high = resampling.interval(values) or (None, None)
    return Spread(value=float(np.mean([np.mean(mine) for mine in values])), low=low, high=high)


def _cost(attempts: Sequence[Attempt]) -> Cost:
    tokens = [None if a.tokens_in is None or a.tokens_out is None else float(a.tokens_in + a.tokens_out) for a in attempts]
    return Cost(
        wall_s=float(np.mean([attempt.wall_s for attempt in attempts])),
        cpu_s=float(np.mean([attempt.cpu_s for attempt in attempts])),
        peak_mb=max(attempt.peak_mb for attempt in attempts),
        tokens=_all_known(tokens),
        dollars=_all_known([attempt.dollars for attempt in attempts]),
    )


def _all_known(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None


def _test(systems: Sequence[str], average: Array) -> RankTest | None:
    """Over tasks and systems, two of each at least."""
    if min(average.shape) < 2:
        return None
    found = friedman(average)
    order = sorted(range(len(systems)), key=lambda k: (average[:, k].mean(), systems[k]))
    difference = critical_difference(len(systems), len(average))
    # Pairs are looked at where the test of all together says that any differ.
    groups = cliques([float(average[:, k].mean()) for k in order], difference) if found.p <= ALPHA else [(0, len(systems) - 1)]
    return RankTest(
        tasks=len(average),
        chi2=found.chi2,
        f=found.f if math.isfinite(found.f) else None,
        p=found.p,
        critical_difference=difference,
        groups=tuple(tuple(systems[order[at]] for at in range(first, last + 1)) for first, last in groups),
    )


def _duels(systems: Sequence[str], shared: Sequence[TaskBlocks], resampling: Resampling, test: RankTest | None) -> Iterable[Duel]:
    if not shared:
        return
    for i, j in pairs(len(systems)):
        results = [[_duel(*both) for both in zip(t.worths(systems[i]), t.worths(systems[j]), strict=True)] for t in shared]
        counts = Counter(result for task in results for result in task)
        share = _spread(results, resampling)
        assert share is not None
        together = test is not None and any({systems[i], systems[j]} <= {*group} for group in test.groups)
        yield Duel(
            first=systems[i],
            second=systems[j],
            wins=counts[1.0],
            ties=counts[0.5],
            losses=counts[0.0],
            share=share,
            apart=None if test is None else not together,
        )


def _duel(first: float | None, second: float | None) -> float:
    """1 where the first wins, 0 where the second does, else a half."""
    if first is None or second is None:
        return 0.5 if first is second else float(second is None)
    return 0.5 if same(first, second) else float(first > second)
