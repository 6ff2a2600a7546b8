"""Errors by group of the column that a run names as sensitive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reports.error_facts import GroupErrors
from team.rows import Rows
from tools.contract import Contract

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]


def errors_by_group(
    contract: Contract, rows: Rows, scored: Array, wrong: Array, binary: tuple[Array, Array] | None
) -> tuple[GroupErrors, ...]:
    """Errors by group of the sensitive column, the largest group first; groups that are too small for a rate are left out."""
    import numpy as np

    from tools.fairness import enough, groups_of

    if contract.constraints.sensitive is None:
        return ()
    groups = groups_of(rows.sensitive())[scored]
    # As the vault has it: each value of a column that splits the groups is all that belongs together.
    together = None if contract.constraints.sensitive == contract.split.column else rows.groups("train")
    together = None if together is None else together[scored]
    told = []
    for name in np.unique(groups):
        inside = (groups == name) & np.isfinite(wrong)
        if not enough(inside, together):
            continue
        selected = found = None
        if binary is not None:
            calls, positive = binary
            selected = float(calls[inside].mean())
            found = float(calls[inside & positive].mean()) if enough(inside & positive, together) else None
        told.append(GroupErrors(name=str(name), rows=int(inside.sum()), error=float(wrong[inside].mean()), selected=selected, found=found))
    return tuple(sorted(told, key=lambda one: (-one.rows, one.name)))
