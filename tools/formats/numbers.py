"""Numbers as people write them: `1.234,5`, `1,234.5`, `1 234,5`, `1'234.5`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

COMMA = r"[+-]?(\d{1,3}(\.\d{3})+|\d+)(,\d+)?"
GROUPED = r"[+-]?\d{1,3}(,\d{3})*(\.\d+)?|[+-]?\d+(\.\d+)?"
DOTTED = r"[+-]?\d{1,3}(\.\d{3})*"
"""A whole number with dots between thousands, where commas are decimal signs; elsewhere a broken one."""
GAPS = " \u00a0\u202f'\u2019"
"""Signs between thousands that are never part of a number otherwise: blanks, ordinary and unbreakable, and apostrophes."""
SPACED = rf"[+-]?(\d{{1,3}}([{GAPS}]\d{{3}})+|\d+)([.,]\d+)?"
SURELY_GROUPED = r",\d{3},|,\d{3}\.|^[+-]?[1-9]\d{0,2},000$"
"""Part of a grouped number that is none with a decimal comma."""
_PROOF = r",\d{3}[,.]"
DECIMAL_COMMAS, COMMAS_BETWEEN = "with decimal commas", "with commas between thousands"
DOTS_BETWEEN, GAPS_BETWEEN = "with dots between thousands", "with blanks or apostrophes between thousands"


def written_numbers(values: pd.Series, delimiter: str) -> tuple[pd.Series, str]:
    """A column of text as numbers, where every one of its values can only be one.

    Args:
        delimiter: of the table, or a comma where `commas_part_thousands`. Where it is the comma, a comma inside a quoted number parts
            thousands; where it is the semicolon, it is the decimal sign; else the values tell.

    Returns:
        The column, float64 or int64, and how its numbers are written; the column as it was and "" where it holds others.
    """
    import pandas as pd

    texts = _texts(values)
    if texts is None:
        return values, ""
    if texts.str.contains(rf"\d[{GAPS}]\d", regex=True).any():
        return _spaced(values, texts)
    if not texts.str.contains(",", regex=False).any():
        return values, ""
    grouped = delimiter != ";" and bool(texts.str.fullmatch(GROUPED).all())
    if delimiter in ("\t", "|") and grouped and not texts.str.contains(SURELY_GROUPED).any():
        return values, ""  # 1,234 may be either; whoever guesses is wrong by a factor of a thousand
    if grouped:
        plain, how = texts.str.replace(",", "", regex=False), COMMAS_BETWEEN
    elif delimiter != "," and texts.str.fullmatch(COMMA).all():
        plain, how = texts.str.replace(".", "", regex=False).str.replace(",", ".", regex=False), DECIMAL_COMMAS
    else:
        return values, ""
    return pd.to_numeric(plain).reindex(values.index), how


def _spaced(values: pd.Series, texts: pd.Series) -> tuple[pd.Series, str]:
    if not texts.str.fullmatch(SPACED).all():
        return values, ""
    plain = texts.str.replace(f"[{GAPS}]", "", regex=True).str.replace(",", ".", regex=False)
    return plain.astype("float64").reindex(values.index), GAPS_BETWEEN


def commas_part_thousands(values: pd.Series) -> bool:
    """Whether a column proves that commas part thousands, as `1,234.5` does: so they do then in the whole table, whatever parts its
    fields."""
    texts = _texts(values)
    return texts is not None and bool(texts.str.contains(_PROOF).any() and texts.str.fullmatch(GROUPED).all())


def dots_part_thousands(values: pd.Series) -> bool:
    """Whether all values of a column of a table with decimal commas, as they stand in it, are whole numbers, and dots part some."""
    texts = _texts(values)
    return texts is not None and bool(texts.str.contains(".", regex=False).any() and texts.str.fullmatch(DOTTED).all())


def without_dots(values: pd.Series) -> pd.Series:
    """A column of which `dots_part_thousands`, float64."""
    return values.str.strip().str.replace(".", "", regex=False).astype("float64")


def could_have_dots(values: pd.Series) -> bool:
    """Whether a column of broken numbers might be one of whole numbers whose dots part thousands: three digits at most behind the dot,
    three before it."""
    import numpy as np

    numbers = values.dropna().to_numpy(dtype="float64")
    thousands = numbers * 1000
    return len(numbers) > 0 and bool((np.abs(numbers) < 1000).all() and np.isclose(thousands, thousands.round(), atol=1e-6).all())


def looks_dotted(text: str) -> bool:
    return "." in text and re.fullmatch(DOTTED, text) is not None


def _texts(values: pd.Series) -> pd.Series | None:
    """The values that are there, stripped; None in a column of numbers, or without any."""
    from pandas.api import types

    if types.is_numeric_dtype(values) or types.is_bool_dtype(values):
        return None
    texts = values.dropna()
    return texts.astype(str).str.strip() if len(texts) else None
