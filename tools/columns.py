"""Find out what the columns of a table are, and bring any later table into the same shape."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

from tools.contract import Column, ColumnKind, TableSchema
from tools.tables import TableError

if TYPE_CHECKING:
    import pandas as pd

# Text that may be a date: a plain number or a version must not become one.
_DATE = re.compile(
    r"\d{4}[-/.]\d{1,2}([-/.]\d{1,2})?([ T]\d{1,2}:\d{2}.*)?|\d{1,2}[-/.]\d{1,2}[-/.](\d{4}|\d{2})( \d{1,2}:\d{2}.*)?"
    r"|\d{8}T\d{4,6}.*|\d{1,2}[ -][A-Za-z]{3,9}\.?[ ,-]+\d{2,4}.*|[A-Za-z]{3,9}\.? \d{1,2},? \d{4}.*"
    r"|\d{4}[- ]?Q[1-4]|Q[1-4][-/ ]?\d{4}|\d{4}M(0[1-9]|1[0-2])|\d{4}-?W[0-5]\d(-?[1-7])?|\d{4}-\d{2}-\d{2}/\d{4}-\d{2}-\d{2}"
)
_ZONED = re.compile(r".*\d{1,2}:\d{2}.*([+-]\d{2}:?\d{2}|Z)")
# A quarter, a month, a week of ISO 8601, or a span of days, which stand for the day that they begin with.
_PERIOD = re.compile(
    r"(?P<of_quarter>\d{4})[- ]?Q(?P<quarter>[1-4])|Q(?P<quarter_first>[1-4])[-/ ]?(?P<then_year>\d{4})"
    r"|(?P<of_month>\d{4}(?=M)|(?:1[89]|2[01])\d{2})M?(?P<month>0[1-9]|1[0-2])"
    r"|(?P<of_week>\d{4})-?W(?P<week>\d{2})(?:-?(?P<weekday>[1-7]))?|(?P<first_day>\d{4}-\d{2}-\d{2})/\d{4}-\d{2}-\d{2}"
)


def infer_schema(frame: pd.DataFrame, target: str | None) -> TableSchema:
    """What the feature columns are, from this frame alone.

    Constant and wholly missing columns are kept; a preparation drops them.

    Args:
        target: the column to leave out, or None when there is none.
    """
    columns = []
    for position, name in enumerate(map(str, frame.columns)):
        if name == target:
            continue
        values = frame.iloc[:, position]
        texts = values.dropna()
        if texts.dtype == object:
            texts = texts.astype(str)
        kind = _kind(values)
        columns.append(
            Column(
                name=name,
                kind=kind,
                missing=float(values.isna().mean()) if len(values) else 0.0,
                unique=int(texts.nunique()),
                day_first=kind == "datetime" and days_come_first(texts),
            )
        )
    return TableSchema(columns=columns)


def _kind(values: pd.Series) -> ColumnKind:
    from pandas.api import types

    if types.is_bool_dtype(values.dtype):
        return "boolean"
    if types.is_datetime64_any_dtype(values.dtype) or values.dtype.name.startswith("period"):
        return "datetime"
    if types.is_numeric_dtype(values.dtype) or types.is_timedelta64_dtype(values.dtype):
        return "numeric"
    if values.dtype.name == "category":
        return "categorical"
    present = values.dropna()
    if len(present) == 0:
        return "numeric"
    sample = present if len(present) <= 5000 else present.sample(5000, random_state=0)
    if values.dtype == object:
        if all(isinstance(value, bool) for value in sample):
            return "boolean"
        if all(isinstance(value, (int, float)) for value in sample):
            return "numeric"
    texts = sample.astype(str).str.strip()
    if set(texts.str.lower().unique()) <= {"true", "false"}:
        return "boolean"
    if texts.str.fullmatch(_DATE).mean() >= 0.95 and parse_dates(texts, days_come_first(texts)).notna().mean() >= 0.95:
        return "datetime"
    words = texts.str.count(r"\s+") + 1
    distinct = texts.nunique() / len(texts)
    if len(texts) >= 20 and distinct > 0.5 and texts.str.len().mean() >= 12 and words.mean() >= 2:
        return "text"
    return "categorical"


def days_come_first(texts: pd.Series) -> bool:
    """Whether a date such as `13/02/2024` stands among the values, which makes all of them day-first."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(texts) or pd.api.types.is_datetime64_any_dtype(texts):
        return False

    first = pd.to_numeric(texts.astype("str").str.extract(r"^\s*(\d{1,2})[-/.]\d{1,2}[-/.]\d{2,4}", expand=False), errors="coerce")
    return bool((first > 12).any())


def parse_dates(values: pd.Series, day_first: bool) -> pd.Series:
    """Text or dates as naive UTC datetime64[ns]; what cannot be read is missing.

    A period, such as 2024-Q1, 202401, 2024-W05 or 2024-01-01/2024-01-07, is the day that it begins with. Of numbers the whole ones are
    read that are written like a date (20240131) or a month (202401).
    """
    import pandas as pd

    if pd.api.types.is_bool_dtype(values.dtype):
        parsed = pd.Series(pd.NaT, index=values.index, dtype="datetime64[us, UTC]")
    elif pd.api.types.is_numeric_dtype(values.dtype):
        parsed = _stamps(values)
    elif pd.api.types.is_datetime64_any_dtype(values.dtype):
        parsed = pd.to_datetime(values, utc=True)
    else:
        texts = values.astype("str").str.strip()
        periods = texts.str.fullmatch(_PERIOD).fillna(False).astype(bool)
        if periods.any():
            texts = texts.where(~periods, texts.where(periods).map(_begin, na_action="ignore"))
        parsed = pd.to_datetime(texts, format="mixed", dayfirst=day_first, utc=True, errors="coerce")
    parsed = parsed.dt.tz_localize(None)
    # Nanoseconds reach from 1677 to 2262; what lies outside has no such value.
    parsed = parsed.where((parsed > pd.Timestamp("1677-09-22")) & (parsed < pd.Timestamp("2262-04-11")))
    return parsed.astype("datetime64[ns]")


def zoned(values: pd.Series) -> bool:
    """Whether moments, as dates or text, are written with their zone, such as 2024-03-31T00:00:00+01:00."""
    import pandas as pd

    if isinstance(values.dtype, pd.DatetimeTZDtype):
        return True
    return values.dtype.kind == "O" and bool(values.astype("str").str.strip().str.fullmatch(_ZONED).fillna(False).all())


def stamped(values: pd.Series) -> bool:
    """Whether numbers, none missing, are dates or months written as whole numbers, such as 20240131 or 202401."""
    import pandas as pd

    return bool(pd.api.types.is_numeric_dtype(values) and len(values) and _stamps(values).notna().all())


def _stamps(values: pd.Series) -> pd.Series:
    """Dates that whole numbers are written like, UTC, of years from 1800 to 2199; missing for all others."""
    import pandas as pd

    numbers = pd.to_numeric(values, errors="coerce").astype("Float64").to_numpy("float64", na_value=float("nan"))
    months, days = (numbers >= 180001) & (numbers <= 219912), (numbers >= 18000101) & (numbers <= 21991231)
    whole = (numbers % 1 == 0) & (months | days)
    texts = pd.Series(numbers).where(whole, 0).astype("int64").astype("str")
    texts = texts.where(~months, texts + "01").where(whole)
    return pd.to_datetime(texts, format="%Y%m%d", utc=True, errors="coerce").set_axis(values.index)


def _begin(period: str) -> str:
    """The day that a period begins with, as ISO 8601 writes it; nothing for a week that its year has not."""
    import datetime

    found = _PERIOD.fullmatch(period)
    assert found is not None
    if found["first_day"]:
        return str(found["first_day"])
    if found["of_month"]:
        return f"{found['of_month']}-{found['month']}-01"
    if found["of_week"]:
        try:
            return datetime.date.fromisocalendar(int(found["of_week"]), int(found["week"]), int(found["weekday"] or 1)).isoformat()
        except ValueError:
            return ""
    year, quarter = (found["of_quarter"] or found["then_year"]), int(found["quarter"] or found["quarter_first"])
    return f"{year}-{3 * quarter - 2:02d}-01"


def moments(column: pd.Series, day_first: bool) -> pd.Series:
    """A time column as something to order by: numbers as they are, else datetime64[ns], missing where there is no moment."""
    import pandas as pd

    return column if pd.api.types.is_numeric_dtype(column) else parse_dates(column, day_first)


def coerce(frame: pd.DataFrame, schema: TableSchema) -> pd.DataFrame:
    """Bring a table into the schema's columns and dtypes.

    numeric and boolean become float64, datetime datetime64[ns] (naive UTC), categorical and text object columns of
    str with None for missing. Numbers and dates that cannot be read become missing; other columns are left out.

    Raises:
        TableError: when columns are missing, with the nearest names of those that are there.
    """
    import pandas as pd

    frame = frame.reset_index(drop=True)
    names = [str(name) for name in frame.columns]
    missing = [column.name for column in schema.columns if column.name not in names]
    if missing:
        which = ", ".join(_with_nearest(name, names) for name in missing[:10])
        raise TableError(f"a column is missing: {which}" if len(missing) == 1 else f"{len(missing)} columns are missing: {which}")
    columns = {}
    for column in schema.columns:
        values = frame.iloc[:, names.index(column.name)]
        if column.kind in ("numeric", "boolean"):
            columns[column.name] = _numbers(values)
        elif column.kind == "datetime":
            columns[column.name] = parse_dates(values, column.day_first)
        else:
            columns[column.name] = label_text(values)
    return pd.DataFrame(columns, index=frame.index)


def _with_nearest(name: str, names: list[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    return f"{name!r} (the table has {near[0]!r})" if near else repr(name)


def _numbers(values: pd.Series) -> pd.Series:
    import pandas as pd

    if pd.api.types.is_timedelta64_dtype(values.dtype):
        return values.dt.total_seconds()
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return pd.Series(float("nan"), index=values.index)
    if pd.api.types.is_numeric_dtype(values.dtype):
        array = values.astype("Float64").to_numpy("float64", na_value=float("nan")) if _masked(values) else values.to_numpy("float64")
        return pd.Series(array, index=values.index)
    truth = {"true": 1.0, "false": 0.0}
    texts = values.astype(object).where(values.notna(), None)
    lowered = texts.map(lambda value: truth.get(str(value).strip().lower(), value), na_action="ignore")
    return pd.to_numeric(lowered, errors="coerce").astype("float64")


def _masked(values: pd.Series) -> bool:
    """Whether the dtype marks missing values with pandas.NA."""
    import pandas as pd

    return isinstance(values.dtype, pd.api.extensions.ExtensionDtype)


def label_text(series: pd.Series) -> pd.Series:
    """Class labels as canonical text: 1, 1.0 and "1" are "1", booleans "True" and "False", text without outer blanks.

    Returns:
        An object series of str, None where the label is missing or blank.
    """
    import pandas as pd

    def text(value: object) -> str | None:
        if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
            return str(int(value))
        stripped = str(value).strip()
        return stripped or None

    values = series.astype(object)
    if len(values) == 1:  # as a served model is asked: what follows costs as much for one value as for thousands
        value = values.iloc[0]
        missing = value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value)
        return pd.Series([None if missing else text(value)], index=series.index, dtype=object, name=series.name)
    codes, uniques = pd.factorize(values, use_na_sentinel=True)
    table = [text(value) for value in uniques] + [None]
    result = pd.Series(index=series.index, dtype=object, name=series.name)
    result[:] = [table[code] for code in codes]
    return result
