"""Groups of two clusterings by the same numbers: the number of a group means nothing, and each fit deals its own."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


MOST_GROUPS = 256
"""Numbers that a renaming covers: a fit may give a new row to a group that none of its own rows is in."""


def by_size(groups: Array) -> Array:
    """New number of each group, the largest first, shape (MOST_GROUPS,), int64."""
    sizes = np.bincount(groups, minlength=MOST_GROUPS)
    renamed = np.empty(len(sizes), dtype=np.int64)
    renamed[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes))
    return renamed


def as_in(reference: Array, groups: Array) -> Array:
    """New number of each group of `groups`, shape (MOST_GROUPS,), int64: that of the group of `reference` with which it shares rows.

    Each takes one, so that all together share the most rows (Kuhn 1955). What finds none is numbered on.

    Args:
        reference: numbers of the same rows, shape (n,).
        groups: numbers, shape (n,).
    """
    from scipy.optimize import linear_sum_assignment

    shared = np.zeros((groups.max() + 1, reference.max() + 1))
    np.add.at(shared, (groups, reference), 1)
    mine, theirs = linear_sum_assignment(-shared)
    renamed = np.full(MOST_GROUPS, -1, dtype=np.int64)
    renamed[mine] = theirs
    free = renamed < 0
    renamed[free] = np.setdiff1d(np.arange(MOST_GROUPS + len(theirs)), theirs)[: free.sum()]
    return renamed
