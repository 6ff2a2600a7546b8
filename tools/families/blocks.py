"""A matrix of more rows than memory holds: written to disk block by block, read again in any stretch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tools.deadline import Deadline
from tools.families.setting import Array

if TYPE_CHECKING:
    import pandas as pd

    Pieces = Iterable[tuple[pd.DataFrame, Array]]
    """Rows in the schema's dtypes with their targets."""

BLOCK_ROWS = 1 << 16
MOST_BYTES = 8 << 30
"""Of a matrix on disk; the sandbox's own bound (`sandbox.disk_mb`) would end the kernel."""


@dataclass(frozen=True)
class Blocks:
    """Rows as float32 in a file, row after row, and their targets in memory."""

    path: Path
    width: int
    y: Array
    """Dense class codes (int64) or values on the scale that is learnt (float64), shape (n,)."""

    def __len__(self) -> int:
        return len(self.y)

    def rows(self, start: int, stop: int) -> Array:
        """Rows of a stretch, shape (m, width), float32. The file is read, not mapped: mapped pages would count as memory."""
        stop = min(stop, len(self))
        with self.path.open("rb") as file:
            file.seek(start * self.width * 4)
            found = np.fromfile(file, dtype=np.float32, count=max(0, stop - start) * self.width)
        return found.reshape(-1, self.width)

    def stretches(self, deadline: Deadline | None = None) -> Iterator[tuple[Array, Array]]:
        """All rows with their targets, block by block.

        Raises:
            DeadlineReached: before a block, when the time is over.
        """
        for start in range(0, len(self), BLOCK_ROWS):
            if deadline is not None:
                deadline.check()
            yield self.rows(start, start + BLOCK_ROWS), self.y[start : start + BLOCK_ROWS]


def spilled(path: Path, pieces: Pieces, encode: Callable[[pd.DataFrame], Array], deadline: Deadline) -> Blocks:
    """Encode pieces of a table one after the other and keep them in a file.

    Args:
        encode: a fitted encoder's transformation, which gives equally many columns each time.

    Raises:
        DeadlineReached: when the time is over before the end.
        OSError: when the disk takes no more.
    """
    width, targets = 0, []
    with path.open("wb") as file:
        for X, y in pieces:
            deadline.check()
            matrix = np.ascontiguousarray(encode(X), dtype=np.float32)
            width = matrix.shape[1]
            matrix.tofile(file)
            if file.tell() > MOST_BYTES:
                raise OSError(f"its matrix takes more than {MOST_BYTES >> 30} GiB of disk")
            targets.append(y)
    return Blocks(path, width, np.concatenate(targets))
