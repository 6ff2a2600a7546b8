"""How many values of a column are missing and how many are different, whatever its length: no more than a piece of it is in memory.

Different values are counted by the least of their hashes (Bar-Yossef et al. 2002, "Counting distinct elements in a data stream"; the
unbiased form is that of Beyer et al. 2007): exactly up to `MOST_KEPT` of them, and beyond as an estimate whose standard error is one in
the square root of `MOST_KEPT`, 0.4 %.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tools.parquet import by_pieces

if TYPE_CHECKING:
    import pyarrow as pa

    Hashes = np.ndarray[Any, np.dtype[np.uint64]]

MOST_KEPT = 1 << 16
_PIECE_ROWS, _COLUMNS_AT_ONCE = 1 << 16, 32
_BASE, _BASE_INVERSE = 0x9E3779B97F4A7C15, pow(0x9E3779B97F4A7C15, -1, 1 << 64)
"""An odd number, which has an inverse modulo 2^64."""


class Tally(NamedTuple):
    """Of one column."""

    kind: str
    """The dtype that pandas gives it."""
    missing: int
    unique: int
    exact: bool
    """Whether `unique` is counted, up to two values of one 64-bit hash, and not estimated."""


def tallies(path: Path) -> dict[str, Tally]:
    """The columns of a Parquet file, by name, in its order."""
    import pyarrow as pa

    found: dict[str, Tally] = {}
    with by_pieces(path) as file:
        schema = file.schema_arrow
        plain = schema.empty_table().to_pandas().dtypes
        for start in range(0, len(schema.names), _COLUMNS_AT_ONCE):
            names = schema.names[start : start + _COLUMNS_AT_ONCE]
            counts = {name: _Count() for name in names}
            for batch in file.iter_batches(batch_size=_PIECE_ROWS, columns=names):
                for name in names:
                    counts[name].add(batch.column(name))
            for name in names:
                missing, kind = counts[name].missing, str(plain[name])
                if missing and pa.types.is_integer(schema.field(name).type):
                    kind = "float64"
                elif missing and kind == "bool":
                    kind = "object"
                unique, exact = counts[name].unique(file.metadata.num_rows - missing)
                found[name] = Tally(kind, missing, unique, exact)
    return found


class _Count:
    def __init__(self) -> None:
        self.missing = 0
        self._least: Hashes = np.empty(0, dtype=np.uint64)
        self._waiting: list[Hashes] = []
        self._held = 0

    def add(self, values: pa.Array) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        if values.null_count:
            self.missing += values.null_count
            values = values.drop_null()
        if pa.types.is_floating(values.type) and (nans := pc.sum(pc.is_nan(values)).as_py()):
            self.missing += nans
            values = values.filter(pc.invert(pc.is_nan(values)))
        hashes = hashed(values)
        if len(self._least) == MOST_KEPT:
            hashes = hashes[hashes < self._least[-1]]
        hashes = pc.unique(pa.array(hashes)).to_numpy()
        self._waiting.append(hashes)
        self._held += len(hashes)
        if self._held > MOST_KEPT:
            self._settle()

    def _settle(self) -> None:
        every = np.sort(np.concatenate([self._least, *self._waiting]))  # numpy's own unique hashes them once more
        new = np.ones(len(every), dtype=bool)
        np.not_equal(every[1:], every[:-1], out=new[1:])
        self._least = every[new][:MOST_KEPT]
        self._waiting, self._held = [], 0

    def unique(self, most: int) -> tuple[int, bool]:
        self._settle()
        if len(self._least) < MOST_KEPT:
            return len(self._least), True
        return min(most, round((MOST_KEPT - 1) * 2**64 / int(self._least[-1]))), False


def hashed(values: pa.Array) -> Hashes:
    """A 64-bit hash of each value, none of which is missing; the same for the same values of a type in any piece."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = values.type
    if pa.types.is_dictionary(kind):
        values = values.dictionary_decode()
        kind = values.type
    if pa.types.is_floating(kind):
        numbers = values.to_numpy(zero_copy_only=False).astype(np.float64) + 0.0  # of the two zeros one
        return _mixed(numbers.view(np.uint64))
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return _mixed(values.to_numpy(zero_copy_only=False).astype(np.int64).view(np.uint64))
    if pa.types.is_timestamp(kind) or pa.types.is_date64(kind) or pa.types.is_duration(kind):
        return _mixed(pc.cast(values, pa.int64()).to_numpy(zero_copy_only=False).view(np.uint64))
    if not (pa.types.is_large_binary(kind) or pa.types.is_binary(kind)):
        values = pc.cast(values, pa.large_string())
    return _of_texts(pc.cast(values, pa.large_binary()))


def _of_texts(values: pa.LargeBinaryArray) -> Hashes:
    """Of each text the polynomial of its bytes modulo 2^64, as a difference of sums up to its ends, with its length."""
    offsets = np.frombuffer(values.buffers()[1], dtype=np.int64)[values.offset : values.offset + len(values) + 1]
    data = np.frombuffer(values.buffers()[2] or b"", dtype=np.uint8)[offsets[0] : offsets[-1]].astype(np.uint64)
    ends = offsets - offsets[0]
    sums = np.zeros(len(data) + 1, dtype=np.uint64)
    np.cumsum((data + np.uint64(1)) * _powers(_BASE, len(data)), out=sums[1:])
    hashes = (sums[ends[1:]] - sums[ends[:-1]]) * _powers(_BASE_INVERSE, len(data) + 1)[ends[:-1]]
    return _mixed(hashes + np.diff(ends).astype(np.uint64))


def _powers(base: int, n: int) -> Hashes:
    powers = np.full(n, base, dtype=np.uint64)
    powers[:1] = 1
    return np.multiply.accumulate(powers)


def _mixed(x: Hashes) -> Hashes:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014), whose every bit depends on every bit of `x`."""
    x = (x + np.uint64(_BASE)).astype(np.uint64)
    x ^= x >> np.uint64(30)
    x *= np.uint64(0xBF58476D1CE4E5B9)
    x ^= x >> np.uint64(27)
    x *= np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return x
