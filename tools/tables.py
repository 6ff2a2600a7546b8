"""Read tables from files: text of any usual delimiter and encoding, or Parquet."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

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
