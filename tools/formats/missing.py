"""How missing values are spelled in text, and the spellings that begin as numbers do, which Arrow need not look for.

Arrow follows its list of spellings for every value as far as its signs agree, so each number that begins with a minus or a one is looked
at longer for the sake of `-nan` and `1.#IND`. Without those it parses sooner. Where one stands in a column of text it is found afterwards;
where one stands among numbers, the file has to be read with all spellings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tools.hashes import as_numpy

if TYPE_CHECKING:
    import pyarrow as pa

MISSING = (
    "",
    "#N/A",
    "#N/A N/A",
    "#NA",
    "-1.#IND",
    "-1.#QNAN",
    "-NaN",
    "-nan",
    "1.#IND",
    "1.#QNAN",
    "<NA>",
    "N/A",
    "NA",
    "NULL",
    "NaN",
    "None",
    "n/a",
    "nan",
    "null",
)
"""What pandas takes for a missing value."""
LIKE_NUMBERS = tuple(spelling for spelling in MISSING if spelling.startswith(("-", "1")))
USUAL = tuple(spelling for spelling in MISSING if spelling not in LIKE_NUMBERS)
_SIGNS = (b"-nan", b"-NaN", b"1.#")
"""One of these is in each of `LIKE_NUMBERS`."""


class AmongNumbers(Exception):
    """A column of numbers may hold one of `LIKE_NUMBERS`."""


def has_like_numbers(text: bytes) -> bool:
    """Whether some of `LIKE_NUMBERS` may stand in it."""
    return any(sign in text for sign in _SIGNS)


def with_missing(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Rows that were read with no more than `USUAL`, as they are with all of `MISSING`.

    Raises:
        AmongNumbers: where a column of floats holds NaN, which Arrow takes `-nan` for.
    """
    import pyarrow as pa

    for i, values in enumerate(batch.columns):
        if pa.types.is_floating(values.type):
            if len(values) and np.isnan(np.min(as_numpy(values))):
                raise AmongNumbers
        elif pa.types.is_string(values.type) and _begins_like_them(values):
            import pyarrow.compute as pc  # its start takes longer than a small table

            found = pc.is_in(values, pa.array(LIKE_NUMBERS))
            if pc.any(found).as_py():
                batch = batch.set_column(i, batch.schema.field(i), pc.if_else(found, pa.scalar(None, values.type), values))
    return batch


def _begins_like_them(texts: pa.StringArray) -> bool:
    """Whether a text that is as long as one of `LIKE_NUMBERS` begins with a minus or a one."""
    _, ends, data = texts.buffers()
    signs = np.frombuffer(data or b"", np.uint8)
    if not len(signs):
        return False
    offsets = np.frombuffer(ends, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    first = signs.take(offsets[:-1], mode="clip")  # of an empty one at the end there is none
    like = (first == ord("-")) | (first == ord("1"))
    return bool(like.any()) and bool(np.isin(np.diff(offsets)[like], [*map(len, LIKE_NUMBERS)]).any())
