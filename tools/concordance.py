"""Concordance of risks with right-censored times, as a function of how often each row counts, in n log n steps a score.

Of two rows the shorter-lived one must be known: its event was seen, and the other row was seen later, or was censored at that moment
(Harrell et al. 1982). For each event the rows that come later in time are split into blocks of powers of two, each sorted by risk once;
after that a score is a handful of cumulative sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tools.survival import censoring_curve, events_of, step_values, times_of

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class _Level:
    """Blocks of one size: rows by block and risk, and for some events where a block begins, passes their risk, and ends."""

    order: Array
    queries: Array
    start: Array
    below: Array
    upto: Array
    end: Array


class Concordance:
    """Risks and times that are fixed, so that many resamples of their rows can be scored.

    Args:
        y: signed times, shape (n,).
        risk: shape (n,).
    """

    def __init__(self, y: Array, risk: Array) -> None:
        times, events = times_of(y), events_of(y)
        rows = np.lexsort((~events, times))  # by time; at one moment events come first
        self._rows, n = rows, len(y)
        times, events = times[rows], events[rows]
        ranks = np.unique(risk[rows], return_inverse=True)[1].astype(np.int64)
        moments, first = np.unique(times, return_index=True)
        died = np.bincount(np.searchsorted(moments, times), weights=events, minlength=len(moments)).astype(np.int64)
        begins = (first + died)[np.searchsorted(moments, times)]  # behind all events of the same moment
        self._events = np.flatnonzero(events & (begins < n))
        self._levels = list(self._split(begins[self._events], ranks, n))

    def _split(self, begins: Array, ranks: Array, n: int) -> Any:
        at, size = begins.copy(), 1
        while (at < n).any():
            queries = np.flatnonzero((at < n) & (at & size > 0))
            if len(queries):
                block = np.arange(n) // size
                keys = block * (n + 1) + ranks
                order = np.argsort(keys, kind="stable")
                rising, mine = keys[order], ranks[self._events[queries]]
                ours = at[queries] // size * (n + 1)
                yield _Level(
                    order,
                    queries,
                    np.searchsorted(rising, ours),
                    np.searchsorted(rising, ours + mine),
                    np.searchsorted(rising, ours + mine, side="right"),
                    np.searchsorted(rising, ours + n + 1),
                )
                at[queries] += size
            size *= 2

    def score(self, counts: Array | None = None, weights: Array | None = None) -> float:
        """Share of usable pairs whose shorter-lived row has the higher risk, ties counted half; NaN where there is no such pair.

        Args:
            counts: how often each row counts, shape (n,); once when left out.
            weights: of each row's pairs where its event is the earlier one, shape (n,); alike when left out.
        """
        ours = np.ones(len(self._rows)) if counts is None else counts[self._rows]
        right, all_pairs = np.zeros(len(self._events)), np.zeros(len(self._events))
        for level in self._levels:
            sums = np.concatenate([[0.0], np.cumsum(ours[level.order])])
            right[level.queries] += (sums[level.below] + sums[level.upto]) / 2 - sums[level.start]
            all_pairs[level.queries] += sums[level.end] - sums[level.start]
        earlier = ours[self._events] if weights is None else (ours * weights[self._rows])[self._events]
        usable = float(earlier @ all_pairs)
        return float(earlier @ right) / usable if usable > 0 else float("nan")


def censoring_weights(y: Array, counts: Array | None = None) -> Array:
    """Inverse squares of the chance of not being censored before each row's own time, shape (n,); 0 where that chance is 0.

    By the product-limit estimate of the censoring times of these rows (Uno et al. 2011).

    Args:
        counts: how often each row counts, shape (n,); once when left out.
    """
    moments, kept = censoring_curve(y, counts)
    chance = step_values(moments, kept, times_of(y), before=1.0)
    return np.divide(1.0, chance**2, out=np.zeros(len(y)), where=chance > 0)
