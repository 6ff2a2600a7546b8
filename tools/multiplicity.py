"""p-values corrected for the number of tests that were made, or that might have been."""

from __future__ import annotations

from collections.abc import Sequence


def holm(p_values: Sequence[float | None], of: int | None = None) -> list[float | None]:
    """p-values corrected by Holm's step-down method (Holm 1979, Scandinavian Journal of Statistics 6); None stays, and does not count.

    Args:
        of: how many tests there are in all, where some p-values are not given. The others are taken for larger than these, which
            can only make a corrected value larger.

    Raises:
        ValueError: when more are given than there are.
    """
    known = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    count = _count(len(known), of)
    corrected: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, i) in enumerate(known):
        highest = max(highest, min(1.0, (count - rank) * p))
        corrected[i] = highest
    return corrected


def bonferroni(p_values: Sequence[float | None], of: int | None = None) -> list[float | None]:
    """p-values times their number, at most 1; None stays, and does not count. `of` and errors as in `holm`."""
    count = _count(sum(p is not None for p in p_values), of)
    return [None if p is None else min(1.0, count * p) for p in p_values]


def _count(given: int, of: int | None) -> int:
    if of is not None and of < given:
        raise ValueError(f"{given} p-values of {of} tests; there cannot be fewer tests than p-values")
    return given if of is None else of
