"""What limits a comparison of systems, in words for whoever reads its figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from evals.blocks import DUMMY, TaskBlocks
from evals.figures import RankTest

FEW = 5
"""Below so many tasks a test over tasks can hardly tell anything."""


def caveats(
    everyone: Sequence[str], systems: Sequence[str], tasks: Sequence[TaskBlocks], shared: Sequence[TaskBlocks], test: RankTest | None
) -> Iterable[str]:
    few = [system for system in everyone if system not in systems]
    if few:
        yield f"Not ranked, with fewer than half the attempts of the system that has most: {_listed(few)}."
    if len(everyone) == 1:
        yield f"There is one system only, {systems[0]}: nothing to rank it against."
    mixed = [task.name for task in tasks if not task.outcomes and len(task.metrics) > 1]
    if mixed:
        yield f"Left out of ranks, as attempts were scored by different metrics: {_listed(mixed)}."
    unlike = [task.name for task in tasks if task.unlike]
    if unlike:
        yield f"Left out of ranks, where systems had different rows, as of another version of the suite: {_listed(unlike)}."
    lacking = [task for task in tasks if not task.shared and not task.unlike and task.name not in mixed]
    if lacking:
        missing = Counter(s for task in lacking for s in systems if all(s not in block.by_system for block in task.blocks))
        whose = f" (most are missing of {missing.most_common(1)[0][0]})" if missing else ""
        yield f"Left out of ranks, as not every system has an attempt with the same seed: {_listed([t.name for t in lacking])}{whose}."
    fewer = [task.name for task in shared if len(task.shared) + len(task.unlike) < len(task.blocks)]
    if fewer:
        yield f"Ranks are taken over the seeds and folds that all systems have, which are not all there are: {_listed(fewer)}."
    flat = [task.name for task in shared if task.normalised() is None]
    if flat and len(systems) > 1:
        yield f"No normalised score, as no system is better than the {DUMMY if DUMMY in systems else 'worst'}: {_listed(flat)}."
    if shared and DUMMY not in systems and len(systems) > 1:
        yield f"There is no system {DUMMY!r}: the 0 of normalised scores is the worst system of each task."
    if len(systems) > 1 and len(shared) == 1:
        yield "There is one task only: ranks are not tested, and intervals are over its seeds and folds alone."
    elif test is not None and test.critical_difference >= len(systems) - 1:
        yield f"With {test.tasks} tasks Nemenyi's test can tell no two of {len(systems)} systems apart, whatever their ranks."
    elif test is not None and test.tasks < FEW:
        yield f"With {test.tasks} tasks the tests of ranks are rough; {FEW} at least are usual."


def _listed(names: Sequence[str], most: int = 6) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
