"""A 64-bit hash of every value of an Arrow array, in passes of numpy over some thousands at once.

Arrow's Python has kernels that find different values, which need memory for all of them, and none that hashes. What passes make in between
stays in the cache of a processor; where each piece took fresh memory from the system, that took several times as long as the hashing.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

Hashes: TypeAlias = np.ndarray[Any, np.dtype[np.uint64]]
Integers: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]

_FIRST, _SECOND, _LENGTH = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB), np.uint64(0x9E3779B97F4A7C15)
_FLOATS = {"double": "float64", "float": "float32", "halffloat": "float16"}
_AT_ONCE = 1 << 13
_WORD = 8
_LONG = 256
"""Texts of more bytes are hashed one by one: passes over all of them would be for a few."""
_MOST_BYTES = 1 << 20
"""Of the texts that are copied at once."""


def hashed(values: pa.Array, out: Hashes | None = None) -> Hashes:
    """A hash of each value, the same for the same values of a type in any array; of one that is missing it is any, where there may be
    such (`may_lack`). The two zeros have one.

    Args:
        out: where they are written, uint64, of at least as many values; fresh memory by default.

    Returns:
        uint64, as many as there are values.
    """
    import pyarrow as pa

    kind, n = values.type, len(values)
    if pa.types.is_dictionary(kind):
        import pyarrow.compute as pc  # its start takes longer than a small table

        return hashed(values.dictionary)[pc.cast(values.indices, pa.int64())]
    found = np.empty(n, dtype=np.uint64) if out is None else out[:n]
    if pa.types.is_floating(kind):
        numbers = as_numpy(values)
        with np.errstate(invalid="ignore"):  # where a value is missing, anything may stand
            for i in range(0, n, _AT_ONCE):
                piece = found[i : i + _AT_ONCE]
                np.add(numbers[i : i + _AT_ONCE], 0.0, out=piece.view(np.float64))
                _mix(piece)
        return found
    if pa.types.is_timestamp(kind) or pa.types.is_date64(kind) or pa.types.is_duration(kind):
        import pyarrow.compute as pc

        values = pc.cast(values, pa.int64())
        kind = values.type
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        wholes = as_numpy(values) if pa.types.is_integer(kind) else _bits(values, 1)
        for i in range(0, n, _AT_ONCE):
            piece = found[i : i + _AT_ONCE]
            np.copyto(piece.view(np.int64), wholes[i : i + _AT_ONCE], casting="unsafe")
            _mix(piece)
        return found
    if not (pa.types.is_large_binary(kind) or pa.types.is_binary(kind) or pa.types.is_large_string(kind) or pa.types.is_string(kind)):
        import pyarrow.compute as pc

        values = pc.cast(values, pa.large_string())
    _of_texts(values, found)
    return found


def may_lack(kind: pa.DataType) -> bool:
    """Whether values of a type that are missing need not be taken out before hashing and `present`."""
    import pyarrow as pa

    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_string(kind))


def present(values: pa.Array) -> np.ndarray[Any, np.dtype[np.bool_]] | None:
    """Which values of a type that `may_lack` are there, neither missing nor NaN; None where all are. Arrow's own way starts all of its
    functions, which takes longer than a small table."""
    import pyarrow as pa

    there = _bits(values, 0).view(np.bool_) if values.null_count else None
    if pa.types.is_floating(values.type) and len(values):
        with np.errstate(invalid="ignore"):
            if np.isnan(np.min(numbers := as_numpy(values))):
                there = ~np.isnan(numbers) & (True if there is None else there)
    return there


def different(hashes: Hashes) -> Hashes:
    """In order and each once; numpy's own unique hashes them once more, which takes longer. Those that are given are put in order too."""
    hashes.sort()
    new = np.ones(len(hashes), dtype=bool)
    np.not_equal(hashes[1:], hashes[:-1], out=new[1:])
    return hashes[new]


def _bits(values: pa.Array, buffer: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Zeros and ones, as many as there are values, that a buffer packs eight to a byte."""
    begin, end = values.offset // 8, (values.offset + len(values) + 7) // 8
    packed = np.frombuffer(values.buffers()[buffer] or b"", np.uint8)[begin:end]
    return np.unpackbits(packed, bitorder="little")[values.offset % 8 :][: len(values)]


def as_numpy(values: pa.Array) -> np.ndarray[Any, Any]:
    """Numbers without a copy, anything where they are missing: Arrow's own way starts pandas."""
    kind = _FLOATS.get(str(values.type), str(values.type))
    return np.frombuffer(values.buffers()[1] or b"", kind)[values.offset : values.offset + len(values)]


def _of_texts(values: pa.Array, found: Hashes) -> None:
    """Of the words of eight bytes of each text, taken up one after another, and of its length."""
    import pyarrow as pa

    wide = pa.types.is_large_string(values.type) or pa.types.is_large_binary(values.type)
    _, ends, data = values.buffers()
    offsets = np.frombuffer(ends or b"", np.int64 if wide else np.int32)[values.offset : values.offset + len(values) + 1]
    text = np.frombuffer(data or b"", np.uint8)
    for i in range(0, len(values), _AT_ONCE):
        here = offsets[i : i + _AT_ONCE + 1].astype(np.int64)
        _of_piece(text[here[0] : here[-1]], here - here[0], found[i : i + _AT_ONCE])


def _of_piece(text: np.ndarray[Any, np.dtype[np.uint8]], offsets: Integers, found: Hashes) -> None:
    if len(text) > _MOST_BYTES and len(found) > 1:
        half = len(found) // 2
        _of_piece(text[: offsets[half]], offsets[: half + 1], found[:half])
        _of_piece(text[offsets[half] :], offsets[half:] - offsets[half], found[half:])
        return
    at, lengths = offsets[:-1], np.diff(offsets)
    long = np.flatnonzero(lengths > _LONG)
    for i in long:
        digest = hashlib.blake2b(text[at[i] : at[i] + lengths[i]].data, digest_size=_WORD).digest()
        found[i] = int.from_bytes(digest, "little")
    if not len(long):
        _of_words(text, at, lengths, found)
    elif len(long) < len(found):
        short = np.flatnonzero(lengths <= _LONG)
        hashes = np.empty(len(short), dtype=np.uint64)
        _of_words(text, at[short], lengths[short], hashes)
        found[short] = hashes


def _of_words(text: np.ndarray[Any, np.dtype[np.uint8]], at: Integers, lengths: Integers, found: Hashes) -> None:
    padded = np.zeros(len(text) + _WORD, dtype=np.uint8)
    padded[: len(text)] = text
    words = np.ndarray((len(text) + 1,), np.uint64, buffer=padded, strides=(1,))  # of any eight bytes, not of every eighth
    np.multiply(lengths.view(np.uint64), _LENGTH, out=found)
    _take_up(found, words[at], lengths)
    for taken in range(_WORD, int(lengths.max()), _WORD):
        left = np.flatnonzero(lengths > taken)
        if len(left) == len(found):
            _take_up(found, words[at + taken], lengths - taken)
        else:
            hashes = found[left]
            _take_up(hashes, words[at[left] + taken], lengths[left] - taken)
            found[left] = hashes


def _take_up(hashes: Hashes, words: Hashes, lengths: Integers) -> None:
    """Let hashes depend on a further word of each text too, of which so many bytes are the text's own."""
    if int(lengths.min()) < _WORD:
        beyond = np.maximum(_WORD - lengths, 0)
        beyond <<= 3
        words *= beyond < 64  # a shift by all 64 bits is none
        words <<= (beyond & 63).view(np.uint64)  # the first byte is the lowest, so what follows the text leaves at the top
    hashes ^= words
    _mix(hashes)


def _mix(x: Hashes) -> None:
    """Let every bit depend on every bit: the finaliser of SplitMix64 (Steele, Lea and Flood 2014)."""
    shifted = np.right_shift(x, np.uint64(30))
    x ^= shifted
    x *= _FIRST
    np.right_shift(x, np.uint64(27), out=shifted)
    x ^= shifted
    x *= _SECOND
    np.right_shift(x, np.uint64(31), out=shifted)
    x ^= shifted
