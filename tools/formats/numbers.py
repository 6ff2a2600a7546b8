"""Numbers as people write them: `1.234,5`, `1,234.5`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

COMMA = r"[+-]?(\d{1,3}(\.\d{3})+|\d+)(,\d+)?"
GROUPED = r"[+-]?\d{1,3}(,\d{3})*(\.\d+)?|[+-]?\d+(\.\d+)?"
SURELY_GROUPED = r",\d{3},|,\d{3}\.|^[+-]?[1-9]\d{0,2},000$"
"""Part of a grouped number that is none with a decimal comma."""
DECIMAL_COMMAS, COMMAS_BETWEEN = "with decimal commas", "with commas between thousands"


def written_numbers(values: pd.Series, delimiter: str) -> tuple[pd.Series, str]:
    """A column of text as numbers, where every one of its values can only be one.

    Args:
        delimiter: of the table. Where it is the comma, a comma inside a quoted number parts thousands; where it is the
            semicolon, it is the decimal sign; else the values tell.

    Returns:
        The column, float64 or int64, and how its numbers are written; the column as it was and "" where it holds others.
    """
    import pandas as pd

    if pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return values, ""
    texts = values.dropna()
    texts = texts.astype(str).str.strip()
    if texts.empty or not texts.str.contains(",", regex=False).any():
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
