"""How many values of a column are missing and how many are different, whatever its length: no more than a piece of it is in memory.

Different values are counted by the least of their hashes (Bar-Yossef et al. 2002, "Counting distinct elements in a data stream"; the
unbiased form is that of Beyer et al. 2007): exactly while all hashes are kept, which `MOST_HASHES` of a table and `MOST_KEPT` of each
column are, and beyond as an estimate whose standard error is one in the square root of `MOST_KEPT`, 0.4 %.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tools.hashes import Hashes, different, hashed, may_lack, present
from tools.parquet import by_pieces

if TYPE_CHECKING:
    import pyarrow as pa

MOST_KEPT = 1 << 16
MOST_HASHES = 1 << 24
"""Of all columns together, 128 MiB: a table is counted exactly as long as they suffice."""
_PIECE_ROWS, _COLUMNS_AT_ONCE = 1 << 16, 32


class Tally(NamedTuple):
    """Of one column."""

    missing: int
    unique: int
    exact: bool
    """Whether `unique` is counted, up to two values of one 64-bit hash, and not estimated."""


class Tallies:
    """Counts columns of a table while its rows pass by.

    Args:
        names: the columns that are counted.
        most_hashes: so many are kept of all of them while that makes counts exact.
    """

    def __init__(self, names: Sequence[str], most_hashes: int | None = None) -> None:
        at_first = max(MOST_KEPT, (MOST_HASHES if most_hashes is None else most_hashes) // max(1, len(names)))
        self._counts = {name: _Count(at_first) for name in names}
        self._rows = 0
        self._room: Hashes = np.empty(0, dtype=np.uint64)

    def add(self, batch: pa.RecordBatch) -> None:
        self._rows += batch.num_rows
        if len(self._room) < batch.num_rows:
            self._room = np.empty(batch.num_rows, dtype=np.uint64)
        for name, count in self._counts.items():
            count.add(batch.column(name), self._room)

    def found(self) -> dict[str, Tally]:
        """Of every column, by name, in their order."""
        return {name: Tally(count.missing, *count.unique(self._rows - count.missing)) for name, count in self._counts.items()}


def tallies(path: Path, names: Iterable[str], most_hashes: int | None = None) -> dict[str, Tally]:
    """Some columns of a Parquet file, by name, in the order of `names`."""
    found: dict[str, Tally] = {}
    wanted = list(names)
    with by_pieces(path) as file:
        for start in range(0, len(wanted), _COLUMNS_AT_ONCE):
            here = wanted[start : start + _COLUMNS_AT_ONCE]
            counts = Tallies(here, most_hashes)
            for batch in file.iter_batches(batch_size=_PIECE_ROWS, columns=here):
                counts.add(batch)
            found |= counts.found()
    return found


class _Count:
    def __init__(self, at_first: int) -> None:
        self.missing = 0
        self._keep, self._exact = at_first, True
        self._repeats = True
        """Whether the last piece held values more than once, so that it is worth while to look for such in the next."""
        self._least: Hashes = np.empty(0, dtype=np.uint64)
        self._waiting: list[Hashes] = []
        self._held = 0

    def add(self, values: pa.Array, room: Hashes) -> None:
        """
        Args:
            room: for at least as many hashes, which is overwritten.
        """
        if values.null_count == len(values):
            self.missing += len(values)
            return
        if values.null_count and not may_lack(values.type):
            self.missing += values.null_count
            values = values.drop_null()
        hashes = hashed(values, room)
        if may_lack(values.type) and (there := present(values)) is not None:
            hashes = hashes[there]
            self.missing += len(values) - len(hashes)
        if not self._exact:
            hashes = hashes[hashes < self._least[-1]]
        if self._repeats or not self._waiting:
            before = len(hashes)
            hashes = different(hashes)
            self._repeats = 2 * len(hashes) <= before
        else:
            hashes = hashes.copy()
        self._waiting.append(hashes)
        self._held += len(hashes)
        if self._held > self._keep:
            self._settle()

    def _settle(self) -> None:
        self._least = different(np.concatenate([self._least, *self._waiting]))
        self._waiting, self._held = [], 0
        if len(self._least) > self._keep:
            self._keep, self._exact = MOST_KEPT, False
        if not self._exact:
            self._least = self._least[:MOST_KEPT].copy()

    def unique(self, most: int) -> tuple[int, bool]:
        self._settle()
        if self._exact:
            return len(self._least), True
        return min(most, round((MOST_KEPT - 1) * 2**64 / int(self._least[-1]))), False
