"""Read tables, find out what their columns are, and bring any later table into the same shape."""

from __future__ import annotations

import csv
import difflib
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

from tools.contract import Column, ColumnKind, TableSchema

if TYPE_CHECKING:
    import pandas as pd

SNIFFED_ROWS = 200
DELIMITERS = (",", ";", "\t", "|")

_MAGIC = {
    b"PK\x03\x04": "a zip archive or an Excel workbook; unpack it or save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook; save the sheet as CSV",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"%PDF": "a PDF document",
    b"\x1f\x8b": "gzip data; give it a name that ends in .csv.gz",
    b"PAR1": "a parquet file; give it a name that ends in .parquet",
    b"SQLite format 3": "an SQLite database; export the table as CSV",
    b"\x28\xb5\x2f\xfd": "zstandard data; unpack it first",
    b"7z\xbc\xaf": "a 7-Zip archive; unpack it first",
    b"BZh": "bzip2 data; unpack it first",
    b"\x80\x04\x95": "a Python pickle, which is never opened; save the table as CSV or parquet",
}

# Text that may be a date: a plain number or a version must not become one.
_DATE = re.compile(
    r"\d{4}[-/.]\d{1,2}([-/.]\d{1,2})?([ T]\d{1,2}:\d{2}.*)?|\d{1,2}[-/.]\d{1,2}[-/.](\d{4}|\d{2})( \d{1,2}:\d{2}.*)?"
    r"|\d{8}T\d{4,6}.*|\d{1,2}[ -][A-Za-z]{3,9}\.?[ ,-]+\d{2,4}.*|[A-Za-z]{3,9}\.? \d{1,2},? \d{4}.*"
)


class TableError(ValueError):
    """A table cannot be used; the message names the value, what was expected and what to do."""


def read_table(path: Path, *, header_only: bool = False) -> pd.DataFrame:
    """Read a `.csv`, `.tsv`, `.txt`, `.csv.gz` or `.parquet` file.

    The delimiter of text is found among comma, semicolon, tab and bar; the encoding is UTF-8, or detected.
    Column names come back as text. Nothing in the file is executed.

    Args:
        header_only: whether a header without rows is a table too.

    Raises:
        TableError: when the file is missing, empty, binary under a text name, has a header only, has no columns or
            two columns of one name, or has lines that do not fit its header.
    """
    path = Path(path)
    if not path.is_file():
        raise TableError(f"{path}: no such file; give the path of a .csv, .csv.gz or .parquet file")
    if path.stat().st_size == 0:
        raise TableError(f"{path.name}: the file is empty; expected a header line and rows")
    name = path.name.lower()
    if name.endswith((".parquet", ".pq")):
        frame = _read_parquet(path)
    elif name.endswith((".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".data")):
        frame = _read_text(path)
    else:
        raise TableError(f"{path.name}: unknown kind of table {path.suffix!r}; expected .csv, .csv.gz or .parquet")
    if frame.shape[1] == 0:
        raise TableError(f"{path.name}: the table has no columns")
    if len(frame) == 0 and not header_only:
        raise TableError(f"{path.name}: a header but no rows ({frame.shape[1]} columns)")
    return frame


def _read_parquet(path: Path) -> pd.DataFrame:
    import pandas as pd
    import pyarrow as pa

    try:
        frame = pd.read_parquet(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise TableError(f"{path.name}: not a readable parquet file ({str(error).splitlines()[0][:200]})") from None
    frame.columns = [str(column) for column in frame.columns]
    _refuse_duplicates(path, list(frame.columns))
    return frame.reset_index(drop=True)


def _read_text(path: Path) -> pd.DataFrame:
    import pandas as pd

    text = _decoded(path)
    if not text.strip():
        raise TableError(f"{path.name}: the file holds only white space; expected a header line and rows")
    delimiter, records = _sniffed(text)
    header = records[0]
    named = [name for name in header if name.strip()]
    if not named:
        raise TableError(f"{path.name}: the first line names no columns; expected a header line")
    _refuse_duplicates(path, named)
    body = records[1:]
    if body and all(len(record) == len(header) + 1 for record in body):
        if any(record[-1] for record in body):
            raise TableError(
                f"{path.name}: the header names {len(header)} columns but the rows have {len(header) + 1} fields; "
                "name the first column, or save the table without row names"
            )
        header = [*header, ""]
    try:
        frame = pd.read_csv(
            io.StringIO(text),
            sep=delimiter,
            index_col=False,
            low_memory=False,
            skipinitialspace=True,
            # In a table of one column an empty line is a row whose value is missing.
            skip_blank_lines=len(header) > 1,
        )
    except pd.errors.EmptyDataError:
        raise TableError(f"{path.name}: the table has no columns") from None
    except (pd.errors.ParserError, ValueError, OverflowError) as error:
        detail = str(error).strip().splitlines()[-1][:200]
        raise TableError(f"{path.name}: a line does not fit the header ({detail}); mend it or quote its fields") from None
    frame.columns = [str(column) for column in frame.columns]
    return frame.apply(_decimal_commas) if delimiter == ";" else frame


def _decimal_commas(values: pd.Series) -> pd.Series:
    """Numbers written as `1.234,5`, as tables with semicolons often have them; other columns as they are."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return values
    texts = values.dropna().astype(str).str.strip()
    fits = texts.str.fullmatch(r"[+-]?(\d{1,3}(\.\d{3})+|\d+)(,\d+)?")
    if texts.empty or not fits.all() or not texts.str.contains(",").any():
        return values
    numbers = pd.to_numeric(texts.str.replace(".", "", regex=False).str.replace(",", ".", regex=False))
    return numbers.reindex(values.index)


def _decoded(path: Path) -> str:
    """The text of a file, after refusing binary content."""
    import gzip
    import zlib

    data = path.read_bytes()
    if path.name.lower().endswith(".gz"):
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise TableError(f"{path.name}: not readable gzip data ({error})") from None
        if not data:
            raise TableError(f"{path.name}: the packed file is empty; expected a header line and rows")
    for magic, what in _MAGIC.items():
        if data.startswith(magic):
            raise TableError(f"{path.name}: named as text, but the content is {what}")
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="replace")
    if b"\x00" in data:
        raise TableError(f"{path.name}: named as text, but it holds NUL bytes, so it is binary; expected a CSV file")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode(_detected(data), errors="replace")


def _detected(data: bytes) -> str:
    """The most likely encoding of text that is not UTF-8."""
    from charset_normalizer import from_bytes

    # Only lines with bytes beyond ASCII tell encodings apart.
    lines = [line for line in data.splitlines() if not line.isascii()][:2000]
    best = from_bytes(b"\n".join(lines), cp_exclusion=["utf_16", "utf_32", "utf_7"]).best()
    return best.encoding if best is not None else "cp1252"


def _sniffed(text: str) -> tuple[str, list[list[str]]]:
    """The delimiter under which the first lines agree best on the number of fields, and those lines split by it."""
    sample = text[:1_000_000]
    best: tuple[float, str, list[list[str]]] | None = None
    for delimiter in DELIMITERS:
        try:
            reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter, skipinitialspace=True)
            records = [record for record, _ in zip((r for r in reader if r), range(SNIFFED_ROWS), strict=False)]
        except csv.Error:
            continue
        if not records:
            continue
        width = len(records[0])
        agreeing = sum(len(record) in (width, width + 1) for record in records) / len(records)
        rank = agreeing + width / 10_000 if width > 1 else 0.0
        if best is None or rank > best[0]:
            best = (rank, delimiter, records)
    if best is None:
        return ",", [text.splitlines()[0].split(",")]
    return best[1], best[2]


def _refuse_duplicates(path: Path, names: list[str]) -> None:
    seen: set[str] = set()
    twice = sorted({name for name in names if name in seen or seen.add(name)})  # type: ignore[func-returns-value]
    if twice:
        raise TableError(f"{path.name}: columns named twice: {', '.join(map(repr, twice[:10]))}; rename or remove them")


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
    if texts.str.fullmatch(_DATE).mean() >= 0.95 and _parse_dates(texts, days_come_first(texts)).notna().mean() >= 0.95:
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


def _parse_dates(values: pd.Series, day_first: bool) -> pd.Series:
    """Text or dates as naive UTC datetime64[ns]; what cannot be read is missing."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(values.dtype) or pd.api.types.is_bool_dtype(values.dtype):
        parsed = pd.Series(pd.NaT, index=values.index, dtype="datetime64[us, UTC]")
    elif pd.api.types.is_datetime64_any_dtype(values.dtype):
        parsed = pd.to_datetime(values, utc=True)
    else:
        texts = values.astype("str").str.strip()
        parsed = pd.to_datetime(texts, format="mixed", dayfirst=day_first, utc=True, errors="coerce")
    parsed = parsed.dt.tz_localize(None)
    # Nanoseconds reach from 1677 to 2262; what lies outside has no such value.
    parsed = parsed.where((parsed > pd.Timestamp("1677-09-22")) & (parsed < pd.Timestamp("2262-04-11")))
    return parsed.astype("datetime64[ns]")


def moments(column: pd.Series, day_first: bool) -> pd.Series:
    """A time column as something to order by: numbers as they are, else datetime64[ns], missing where there is no moment."""
    import pandas as pd

    return column if pd.api.types.is_numeric_dtype(column) else _parse_dates(column, day_first)


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
        raise TableError(f"{len(missing)} columns are missing: {', '.join(_with_nearest(name, names) for name in missing[:10])}")
    columns = {}
    for column in schema.columns:
        values = frame.iloc[:, names.index(column.name)]
        if column.kind in ("numeric", "boolean"):
            columns[column.name] = _numbers(values)
        elif column.kind == "datetime":
            columns[column.name] = _parse_dates(values, column.day_first)
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
    codes, uniques = pd.factorize(values, use_na_sentinel=True)
    table = [text(value) for value in uniques] + [None]
    result = pd.Series(index=series.index, dtype=object, name=series.name)
    result[:] = [table[code] for code in codes]
    return result
