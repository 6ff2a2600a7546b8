"""What kind a column of text is, by pieces from all over its file, and how a kind gives way to what does not fit it.

Arrow reads the pieces where it reads as pandas does, so that a plain table costs no start of pandas; the rest pandas reads.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Container, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import numpy as np

from tools.formats.missing import MISSING
from tools.formats.numbers import (
    COMMA,
    COMMAS_BETWEEN,
    DECIMAL_COMMAS,
    DOTS_BETWEEN,
    GAPS,
    GAPS_BETWEEN,
    GROUPED,
    SPACED,
    SURELY_GROUPED,
    commas_part_thousands,
    dots_part_thousands,
    looks_dotted,
    written_numbers,
)
from tools.hashes import as_numpy, present

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Kind = Literal["bool", "int", "float", "comma", "thousands", "grouped", "dotted", "spaced", "text"]
"""Numbers are whole or broken, with decimal commas, with commas between thousands, whole ("thousands") and broken ("grouped"), or with
dots ("dotted") or blanks ("spaced") between them."""
WRITTEN: dict[Kind, str] = {
    "comma": DECIMAL_COMMAS,
    "thousands": COMMAS_BETWEEN,
    "grouped": COMMAS_BETWEEN,
    "dotted": DOTS_BETWEEN,
    "spaced": GAPS_BETWEEN,
}
"""Kinds that are read as text and made numbers of, with how they are written."""
_WIDER: dict[Kind, Kind] = {
    "bool": "text",
    "int": "float",
    "float": "text",
    "comma": "text",
    "thousands": "grouped",
    "grouped": "text",
    "dotted": "float",
    "spaced": "text",
}
_GROUPED_KINDS = {"int", "float", "thousands", "grouped"}
_PIECE, _PIECES = 1 << 18, 8
_LEAST_SHARE = 8
"""Of a small file the pieces together are at most one part in so many."""
_UNLIKE = re.compile(rb"\b0[xX][0-9a-fA-F]|[,;\t|\n]\+\d")
_SIGNS_OF_IT = (b"0x", b"0X", b"+")
_LIKE_NUMBERS = rf"\s*[+-]?[0-9][0-9.,{GAPS}]*\s*"
_LIKE_A_NUMBER = re.compile(_LIKE_NUMBERS.replace(r"\s", r"[\t\n\f\r ]"))
TRUE, FALSE = ("True", "TRUE", "true"), ("False", "FALSE", "false")


_Look: TypeAlias = "Kind | pd.Series | None"
"""A column in a piece: its kind, values that look like numbers, or none at all."""


class Plan(NamedTuple):
    """How a file of text is read."""

    path: Path
    delimiter: str
    encoding: str
    names: list[str]
    above: int
    """Lines above the first row."""
    plain: bool
    """Whether Arrow reads it as pandas would."""
    spelled: bool
    """Whether missing values among its numbers may be spelled as numbers begin (missing.py), which takes Arrow longer to tell."""
    quoted: bool
    """Whether a quoted field may go over several lines, which takes Arrow longer to part."""
    commented: bool
    """Whether lines that begin with # are none of its rows."""
    headless: bool = False
    """Whether its first line is a row."""


def guessed(plans: Sequence[Plan], decimal: str | None = None, texts: Container[str] = ()) -> tuple[list[Kind], str]:
    """Each column's kind by pieces from all over the files, which have the same columns, "float" where none has a value; and the sign
    that tells how commas in numbers are meant: the delimiter, or a comma where some column proves that they part thousands.

    Args:
        decimal: the sign that the user says is the decimal one.
        texts: names of columns that are no numbers, whatever they look like.
    """
    kinds: list[Kind | None] = [None] * len(plans[0].names)
    written: dict[int, list[pd.Series]] = {}
    for plan in plans:
        here = _guessed_of(plan, max(1, _PIECES // len(plans)), written)
        kinds = [wider(kind, other) for kind, other in zip(kinds, here, strict=True)]
    marks = plans[0].delimiter if decimal is None else ";" if decimal == "," else ","
    if written:
        import pandas as pd

        columns = {i: pd.concat(parts, ignore_index=True) for i, parts in written.items()}
        if decimal is None:
            marks = "," if any(map(commas_part_thousands, columns.values())) else marks
        columns = {i: values for i, values in columns.items() if plans[0].names[i] not in texts}
        for i, values in columns.items():
            kinds[i] = wider(kinds[i], _how_written(values, marks))
        if decimal == "," or (decimal is None and "comma" in kinds):
            kinds = ["dotted" if i in columns and dots_part_thousands(columns[i]) else kind for i, kind in enumerate(kinds)]
    return ["text" if name in texts else kind or "float" for name, kind in zip(plans[0].names, kinds, strict=True)], marks


def _guessed_of(plan: Plan, pieces: int, written: dict[int, list[pd.Series]]) -> list[Kind | None]:
    """Each column's kind in so many pieces of a file; None where none has a value, or only such as look like numbers, which are added
    to `written`."""
    kinds: list[Kind | None] = [None] * len(plan.names)
    size = plan.path.stat().st_size
    with plan.path.open("rb") as file:
        for number in range(pieces):
            file.seek(size * number // pieces)
            piece = file.read(min(_PIECE, max(1 << 12, size // pieces // _LEAST_SHARE)))
            lines = _whole_lines(piece, 1 if number else plan.above)
            if plan.commented:
                lines = b"\n".join(line for line in lines.split(b"\n") if not line.startswith(b"#"))
            here = _by_arrow(plan, lines) if plan.plain and not unlike(lines) else None
            here = _by_pandas(plan, lines) if here is None else here
            for i, look in enumerate(here):
                if look is None or isinstance(look, str):
                    kinds[i] = wider(kinds[i], look)
                else:
                    written.setdefault(i, []).append(look)
    return kinds


def _whole_lines(piece: bytes, skipped: int) -> bytes:
    """A piece without so many lines at its beginning, and without the last one, of which something may be missing."""
    begin = 0
    for _ in range(skipped):
        if not (begin := piece.find(b"\n", begin) + 1):
            return b""
    return piece[begin : max(begin, piece.rfind(b"\n"))]


def unlike(text: bytes) -> bool:
    """Whether there are numbers in it that Arrow takes for others than pandas does: hexadecimal ones, and `+5`, which is whole."""
    return any(sign in text for sign in _SIGNS_OF_IT) and _UNLIKE.search(text) is not None


def _by_arrow(plan: Plan, lines: bytes) -> list[_Look] | None:
    """What is seen in a piece; None where pandas has to look at it."""
    import pyarrow as pa
    import pyarrow.csv as pc

    try:
        table = pc.read_csv(
            io.BytesIO(lines),
            read_options=pc.ReadOptions(column_names=plan.names, block_size=max(1, len(lines))),
            parse_options=pc.ParseOptions(delimiter=plan.delimiter, newlines_in_values=plan.quoted),
            convert_options=pc.ConvertOptions(null_values=[*MISSING], true_values=[*TRUE], false_values=[*FALSE], strings_can_be_null=True),
        )
        return [_kind_of_column(column) for column in table.columns]
    except (pa.ArrowInvalid, _Unclear):
        return None


class _Unclear(Exception):
    """Pandas may read a column otherwise."""


def _kind_of_column(values: pa.ChunkedArray) -> _Look:
    import pyarrow as pa

    kind = values.type
    if values.null_count == len(values):
        return None
    if pa.types.is_boolean(kind):
        return "bool"
    if pa.types.is_integer(kind):
        return "int"
    if pa.types.is_floating(kind):
        if not _fit_int64(values):
            raise _Unclear  # whole numbers that no int64 holds are names, which a float would round
        return "float"
    if pa.types.is_binary(kind):
        raise _Unclear  # its bytes are no UTF-8
    if pa.types.is_string(kind) and all(_LIKE_A_NUMBER.fullmatch(one.as_py()) for one in values if one.is_valid):
        return values.to_pandas()
    return "text"  # so are days and times of the day


def _fit_int64(values: pa.ChunkedArray) -> bool:
    """Whether there are numbers, and all are so small."""
    numbers = np.concatenate([as_numpy(chunk)[slice(None) if (there := present(chunk)) is None else there] for chunk in values.chunks])
    return len(numbers) > 0 and bool((np.abs(numbers) < 2.0**63).all())


def _by_pandas(plan: Plan, lines: bytes) -> list[_Look]:
    import pandas as pd

    try:
        # Lines with too many fields are told of by who reads the rows.
        with warnings.catch_warnings(action="ignore", category=pd.errors.ParserWarning):
            frame = pd.read_csv(
                io.BytesIO(lines),
                sep=plan.delimiter,
                header=None,
                names=plan.names,
                index_col=False,
                low_memory=False,
                skipinitialspace=True,
                encoding=plan.encoding,
                encoding_errors="replace",
                on_bad_lines="skip",
            )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError):
        return [None] * len(plan.names)
    return [_kind_of(frame.iloc[:, i]) for i in range(len(plan.names))]


def _kind_of(values: pd.Series) -> _Look:
    from pandas.api import types

    if values.isna().all():
        return None
    if types.is_bool_dtype(values.dtype) or (values.dtype == object and values.dropna().map(lambda value: isinstance(value, bool)).all()):
        return "bool"
    if types.is_numeric_dtype(values.dtype):
        # Whole numbers with missing ones among them come as floats.
        return "int" if types.is_integer_dtype(values.dtype) else "float"
    return values if values.dropna().astype(str).str.fullmatch(_LIKE_NUMBERS).all() else "text"


def _how_written(values: pd.Series, marks: str) -> Kind:
    """The kind of all the values in pieces that look like numbers: one alone may not tell."""
    numbers, how = written_numbers(values, marks)
    if how in (DECIMAL_COMMAS, GAPS_BETWEEN):
        return "comma" if how == DECIMAL_COMMAS else "spaced"
    return "text" if not how else "thousands" if (numbers.dropna() % 1 == 0).all() else "grouped"


def wider(one: Kind | None, other: Kind | None) -> Kind | None:
    """The narrowest kind that holds what both hold."""
    if one is None or other is None or one == other:
        return one or other
    both = {one, other}
    if "spaced" in both and both <= {"spaced", "int", "float", "comma"}:
        return "spaced"
    if both == {"int", "float"}:
        return "float"
    if both == {"int", "comma"}:
        return "comma"
    if both <= _GROUPED_KINDS:
        return "thousands" if both == {"int", "thousands"} else "grouped"
    return "text"


def widened(kinds: Sequence[Kind], column: int, value: str | None, marks: str, decimal: str | None = None) -> Kind:
    """A kind for a column that a value of another was met in.

    Args:
        kinds: of all columns; where one has decimal commas, dots part thousands.
        value: as it stands in the file; None where nobody knows it.
        marks: as `guessed` gives it.
        decimal: as `guessed` takes it.
    """
    kind = kinds[column]
    if kind == "dotted":
        return wider("float", _kind_of_text(value.strip(), marks) if value is not None else None) or "float"
    if value is not None and kind == "int" and (decimal == "," or (decimal is None and "comma" in kinds)) and looks_dotted(value.strip()):
        return "dotted"
    found = wider(kind, _kind_of_text(value.strip(), marks)) if value is not None else None
    return found if found not in (None, kind) else _WIDER[kind]


def _kind_of_text(value: str, marks: str) -> Kind:
    if re.fullmatch(r"[+-]?\d+", value):
        return "int" if abs(int(value)) < 2**63 else "text"
    if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?inf(inity)?", value, re.IGNORECASE):
        return "float"
    if marks != ";" and re.fullmatch(GROUPED, value) and (marks == "," or re.search(SURELY_GROUPED, value)):
        return "thousands" if "." not in value else "grouped"
    if re.search(rf"\d[{GAPS}]", value) and re.fullmatch(SPACED, value):
        return "spaced"
    return "comma" if marks != "," and re.fullmatch(COMMA, value) else "text"
