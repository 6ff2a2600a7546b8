"""The metrics that are told of predictions beside the one that decides, with their intervals: out of fold and on the holdout alike."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from tools.contract import Contract
    from tools.metrics import Interval

    Array = np.ndarray[Any, np.dtype[Any]]


def told_names(contract: Contract, y: Array) -> list[str]:
    """The metric that decides, then all others of the task that are defined on these rows and are not another one's second name."""
    from tools.metrics import METRICS, undefined_reason

    twice = contract.predicts == "classes"
    others = [m.name for m in METRICS.values() if contract.task in m.tasks and m.name != contract.metric and not (m.same_as and twice)]
    return [name for name in [contract.metric, *others] if undefined_reason(name, contract.task, y) is None]


def told_intervals(
    contract: Contract,
    names: Sequence[str],
    y: Array,
    predicted: Array,
    called: Array,
    units: Array | None = None,
    groups: Array | None = None,
) -> dict[str, Interval]:
    """Each metric with its 95 % interval, the adjusted R² behind R²; without what has none on these rows.

    Args:
        y: codes or values, shape (n,), or labels, shape (n, k).
        predicted: as they were handed over, (n, k) or (n,).
        called: tilted by the decision, in the same shape: metrics of calls are scored by them, those of probabilities by the others.
        units: as in `tools.metrics.score`.
        groups: the group of each row, shape (n,), where rows belong together.
    """
    from tools.metrics import intervals_of

    found: dict[str, Interval] = {}
    for by_calls, shown in ((True, called), (False, predicted)):
        some = [name for name in names if _of_calls(name, contract) == by_calls]
        options: dict[str, Any] = {"units": units, "resamples": 300, "seed": contract.seed}
        try:
            found |= intervals_of(some, contract.task, y, shown, groups, **options)
        except ValueError:
            for name in some:
                with suppress(ValueError):  # one without a score on most resamples must not cost the others theirs
                    found |= intervals_of([name], contract.task, y, shown, groups, **options)
    told: dict[str, Interval] = {}
    for name in names:
        if name in found:
            told[name] = found[name]
        if name == "r2" and name in found:
            told |= _adjusted(found[name], len(y), len(contract.features))
    return told


def _of_calls(name: str, contract: Contract) -> bool:
    """Whether a metric scores classes or labels as this run's models call them; of ordered classes another calls them by the middle or
    expected one."""
    from tools.deciding import decides
    from tools.metrics import METRICS
    from tools.metrics.decision import decision_of

    if name not in METRICS:  # a package's, which decides
        return decides(name, contract.task)
    return METRICS[name].needs == "label" and METRICS[name].decision == decision_of(contract)


def _adjusted(r2: Interval, rows: int, columns: int) -> dict[str, Interval]:
    from tools.metrics.regression import ADJUSTED, adjusted

    score, low, high = (adjusted(end, rows, columns) for end in (r2.score, r2.low, r2.high))
    return (
        {} if score is None or low is None or high is None else {ADJUSTED: r2.model_copy(update={"score": score, "low": low, "high": high})}
    )
