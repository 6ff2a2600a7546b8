"""CSV and its friends: text of any usual delimiter, encoding and way to write numbers."""

from __future__ import annotations

import contextlib
import csv
import io
import re
import warnings
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tools.formats.contract import Choice, Format, Reading, told
from tools.formats.dialect import Dialect, texts_of
from tools.formats.encodings import decoded, decoding_notes
from tools.formats.numbers import (
    COMMAS_BETWEEN,
    DECIMAL_COMMAS,
    DOTS_BETWEEN,
    commas_part_thousands,
    could_have_dots,
    dots_part_thousands,
    without_dots,
    written_numbers,
)
from tools.tables import MOST_COLUMNS, TableError

if TYPE_CHECKING:
    import pandas as pd

SNIFFED_ROWS = 200
DELIMITERS = (",", ";", "\t", "|")
MOST_LINES_TOLD = 5
TAKES = ("header", "encoding", "delimiter", "decimal")
FEWEST_BANDS = 6
"""So many numbers in order name the bands of a spectrum; fewer stand in order by chance."""


def read_text(path: Path, choice: Choice) -> Reading:
    """Read a table of text.

    The delimiter is found among comma, semicolon, tab and bar; the encoding is UTF-8, or detected. Comment lines (`#`) are left
    out where they stand above a header that has more fields. Columns of numbers with decimal commas, or with commas between
    thousands, become numbers.

    Raises:
        TableError: when it holds nothing, has no header, two columns of one name, or lines with more fields than the header.
    """
    text, encoding = decoded(path, choice.encoding, choice.likely)
    if not text.strip():
        raise TableError(f"{path.name}: the file holds only white space; expected a header line and rows")
    notes = decoding_notes(encoding, text, encoding if encoding in (choice.encoding, choice.likely) else None)
    blanks = choice.delimiter == "blanks"
    said = None if blanks else choice.delimiter
    if announces := announced(text):
        text = "\n" + text.partition("\n")[2]  # lines keep their numbers
        said = said or announces
    whole = text
    text, comments = _without_comments(text, said)
    if comments:
        notes.append(f"{comments} comment lines that begin with # were left out.")
    text = text.lstrip("\r\n")
    if blanks or (said is None and parted_by_blanks(text)):
        blanks = True
        notes.append("Its fields are parted by blanks.")
        text, whole = _with_tabs(text), _with_tabs(whole)
        said = "\t"
    if escapes_quotes(text, said):
        notes.append('Quotes inside fields are written as \\".')
        text, whole = text.replace('\\"', '""'), whole.replace('\\"', '""')
    delimiter, records = sniffed(text, said)
    refuse_idle(path, choice, text, records)
    headless = choice.header == "none" or (choice.header is None and lacks_header(records))
    header = [f"column_{i + 1}" for i in range(len(records[0]))] if headless else records[0]
    if headless:
        notes.append(f"The first line is a row, not a header: the columns are named {header[0]} to {header[-1]}.")
    header = checked_header(path, header, records if headless else records[1:])
    lines = numbered_lines(io.StringIO(whole, newline=""), comments > 0)
    frame = _parsed(path, text, delimiter, header, headless, lines, as_text=choice.texts)
    if not _full(text, delimiter, len(frame) + (not headless), len(header)):
        notes += short_lines(lines, delimiter, len(header))
    frame, names = _without_huge(frame)
    notes += [f"Whole numbers that are too long for 64 bits were kept as text: {', '.join(map(repr, names[:10]))}."] if names else []
    frame, how_written = _with_numbers(
        frame, delimiter, choice, lambda: _parsed(path, text, delimiter, header, headless, lines, as_text=header)
    )
    notes += [f"Numbers {how}: {', '.join(map(repr, names[:10]))}." for how, names in how_written.items()]
    written = {name for names in how_written.values() for name in names}
    pointed = any(dtype == "float64" and name not in written and (frame[name] % 1).any() for name, dtype in frame.dtypes.items())
    dialect = Dialect(
        encoding=encoding,
        delimiter="blanks" if blanks else delimiter,
        header="none" if headless else "first",
        decimal=decimal_of(how_written, pointed, choice.decimal),
        texts=texts_of([str(name) for name, dtype in frame.dtypes.items() if dtype == "str"]),
    )
    return Reading(frame, "text", notes, dialect=dialect)


def decimal_of(how_written: Container[str], pointed: bool, said: str | None) -> Literal[",", "."] | None:
    """The decimal sign that the numbers of a table tell; None where they tell both.

    Args:
        how_written: the ways in which numbers are written that people write.
        pointed: whether other numbers have a decimal point.
        said: what holds where they tell nothing.
    """
    commas, points = DECIMAL_COMMAS in how_written, pointed or COMMAS_BETWEEN in how_written
    if commas and points:
        return None
    return "," if commas or (said == "," and not points) else "." if points or said == "." else None


def _with_numbers(
    frame: pd.DataFrame, delimiter: str, choice: Choice, as_text: Callable[[], pd.DataFrame]
) -> tuple[pd.DataFrame, dict[str, list[str]]]:
    """A table with numbers where people wrote some.

    Args:
        as_text: gives the table again, its columns as they stand in the file.

    Returns:
        The table, and names of columns by how their numbers were written.
    """
    if choice.decimal is not None:
        marks = ";" if choice.decimal == "," else ","
    else:
        marks = "," if any(commas_part_thousands(frame[name]) for name in frame) else delimiter
    columns: dict[str, pd.Series] = {}
    found: dict[str, list[str]] = {}
    names = [name for name in map(str, frame) if name not in choice.texts]
    for name in names:
        values, how = written_numbers(frame[name], marks)
        if how:
            columns[name] = values
            found.setdefault(how, []).append(name)
    if choice.decimal == "," or (choice.decimal is None and DECIMAL_COMMAS in found):
        broken = [name for name in names if frame[name].dtype == "float64" and could_have_dots(frame[name])]
        raw = frame.assign(**as_text()[broken]) if broken else frame
        for name in names:
            if name not in columns and dots_part_thousands(raw[name]):
                columns[name] = without_dots(raw[name])
                found.setdefault(DOTS_BETWEEN, []).append(name)
    return frame.assign(**columns) if columns else frame, found


def _parsed(
    path: Path, text: str, delimiter: str, header: list[str], headless: bool, lines: Iterator[str], *, as_text: Container[str] = ()
) -> pd.DataFrame:
    """
    Args:
        as_text: names of columns that are read as they stand in the file.
    """
    import pandas as pd

    try:
        # A warning says that pandas cut off fields that the header has no names for.
        with warnings.catch_warnings(action="error", category=pd.errors.ParserWarning):
            frame = pd.read_csv(
                io.StringIO(text),
                sep=delimiter,
                index_col=False,
                low_memory=False,
                skipinitialspace=True,
                # In a table of one column an empty line is a row whose value is missing.
                skip_blank_lines=len(header) > 1,
                header=None if headless else "infer",
                names=header if headless else None,
                dtype=dict.fromkeys((i for i, name in enumerate(header) if name in as_text), "str"),
            )
    except pd.errors.EmptyDataError:
        raise TableError(f"{path.name}: the table has no columns") from None
    except (pd.errors.ParserError, pd.errors.ParserWarning, ValueError, OverflowError) as error:
        detail = long_lines(lines, delimiter, len(header)) or str(error).strip().splitlines()[-1][:200]
        raise TableError(f"{path.name}: a line does not fit the header ({detail}); mend it or quote its fields") from None
    frame.columns = [str(column).strip() for column in frame.columns]
    return frame


def _without_huge(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Columns of whole numbers that no int64 holds as text, since they are names more often than quantities; and which these are."""
    huge = {
        name: values.map(str, na_action="ignore").astype("str")
        for name, values in frame.items()
        if values.dtype == object and any(isinstance(value, int) and not isinstance(value, bool) for value in values)
    }
    return frame.assign(**{str(name): values for name, values in huge.items()}) if huge else frame, [str(name) for name in huge]


def checked_header(path: Path, header: list[str], body: list[list[str]]) -> list[str]:
    """The header, with a nameless column more where every line ends in a delimiter."""
    header = [name.strip() for name in header]
    named = [name for name in header if name]
    if not named:
        raise TableError(f"{path.name}: the first line names no columns; expected a header line")
    if len(header) > MOST_COLUMNS:
        raise TableError(
            f"{path.name}: {len(header):,} columns; at most {MOST_COLUMNS:,} are read. Leave columns out, or turn the table around"
        )
    if body and sum(len(record) > len(header) + 1 for record in body) > 0.9 * len(body):
        usual = Counter(map(len, body)).most_common(1)[0][0]
        raise TableError(
            f"{path.name}: the first line has {len(header)} fields ({told(header)}), most lines below it {usual}; "
            "if titles or comments stand above the header, remove them"
        )
    refuse_duplicates(path, named, ", or put #header=none behind the source if the first line is a row")
    if body and all(len(record) == len(header) + 1 for record in body):
        if any(record[-1] for record in body):
            raise TableError(
                f"{path.name}: the header names {len(header)} columns but the rows have {len(header) + 1} fields; "
                "name the first column, or save the table without row names"
            )
        return [*header, ""]
    return header


def _without_comments(text: str, said: str | None) -> tuple[str, int]:
    """Text without its comment lines. A first line with `#` that has the fields of the lines below it is a header."""
    if not text.startswith("#"):
        if "\n#" not in text or not comments_among_rows(text, said):
            return text, 0
        kept = [line for line in text.split("\n") if not line.startswith("#")]
        return "\n".join(kept), text.count("\n#")
    lines = text.splitlines(keepends=True)
    above = next((i for i, line in enumerate(lines) if line.strip() and not line.startswith("#")), len(lines))
    if above == len(lines):
        return text, 0
    first = lines[above]
    delimiter = said or max(DELIMITERS, key=first.count)
    if lines[above - 1].count(delimiter) >= first.count(delimiter):  # the last of them is the header, as in `#id,a,b`
        above -= 1
    kept = [line for line in lines[above:] if line is lines[above] or not line.startswith("#")]
    return "".join(kept), len(lines) - len(kept)


def comments_among_rows(text: str, said: str | None = None) -> bool:
    """Whether lines that begin with # are none of the rows of a table whose first line is its header: none of them has its fields,
    and none can stand in a quoted field."""
    header = text.partition("\n")[0]
    delimiter = said or max(DELIMITERS, key=header.count)
    marked = [line for line in text.split("\n") if line.startswith("#")]
    return bool(marked) and '"' not in text and max(line.count(delimiter) for line in marked) < header.count(delimiter)


def lacks_header(records: list[list[str]]) -> bool:
    """Whether the first line is a row: it holds a broken number, or one twice, and its numbers are none that could name columns.

    Columns of spectra are named by numbers, each once and in order; anything else with a decimal point is a measurement.
    """
    if len(records) < 2:
        return False
    numbers = [number for number in map(_number, records[0]) if number is not None]
    broken = [number for number in numbers if number != int(number)]
    twice = len(set(numbers)) < len(numbers)
    if not (broken or twice) or (len(set(numbers)) == len(numbers) >= FEWEST_BANDS and numbers in (sorted(numbers), sorted(numbers)[::-1])):
        return False
    below = [sum(_number(cell) is not None for cell in record) for record in records[1:20]]
    return len(numbers) > 1 and sum(below) / len(below) >= len(numbers) - 0.5


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if abs(value) < 1e300 else None


def long_lines(lines: Iterator[str], delimiter: str, width: int) -> str:
    """Which lines have more fields than the header, in words; empty when it cannot be told."""
    found = [f"line {line} has {fields} fields, the header {width}" for line, fields in _odd_lines(lines, delimiter, lambda n: n > width)]
    more = f", and {len(found) - MOST_LINES_TOLD:,} more lines" if len(found) > MOST_LINES_TOLD else ""
    return "; ".join(found[:MOST_LINES_TOLD]) + more


def _full(text: str, delimiter: str, lines: int, width: int) -> bool:
    """Whether every line surely has all fields, as plain counting tells where nothing is quoted: reading them in Python takes as long
    as all the rest."""
    return '"' not in text and text.count(delimiter) == lines * (width - 1)


def short_lines(lines: Iterator[str], delimiter: str, width: int) -> list[str]:
    """A note of lines with fewer fields than the header: what is missing there was read as missing."""
    found = [line for line, _ in _odd_lines(lines, delimiter, lambda n: 0 < n < width)] if width > 1 else []
    if not found:
        return []
    shown = ", ".join(map(str, found[:MOST_LINES_TOLD])) + (" …" if len(found) > MOST_LINES_TOLD else "")
    have = "1 line has" if len(found) == 1 else f"{len(found):,} lines have"
    return [f"{have} fewer fields than the header, and the missing ones are empty: line {shown}."]


def numbered_lines(file: Iterable[str], commented: bool) -> Iterator[str]:
    """The lines of a file, each in its place: comment lines as empty ones.

    Args:
        commented: whether lines that begin with # are none of the table.
    """
    return ("\n" if commented and line.startswith("#") else line for line in file)


def _odd_lines(lines: Iterator[str], delimiter: str, odd: Callable[[int], bool]) -> list[tuple[int, int]]:
    """Number and fields of lines whose number of fields is odd."""
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    try:
        return [(reader.line_num, len(record)) for record in reader if odd(len(record))]
    except csv.Error:  # a field of more than 128 KiB
        return []


def escapes_quotes(text: str, said: str | None = None) -> bool:
    """Whether quotes inside quoted fields stand behind a backslash, as MySQL writes them: without it nothing but a delimiter may
    follow a closing quote."""
    sample = text[:1_000_000]
    return '\\"' in sample and not _closes_its_quotes(sample, said) and _closes_its_quotes(sample.replace('\\"', '""'), said)


def _closes_its_quotes(text: str, said: str | None) -> bool:
    for delimiter in (said,) if said else DELIMITERS:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
        with contextlib.suppress(csv.Error):
            if max((len(record) for record in reader), default=0) > 1:
                return True
    return False


def parted_by_blanks(text: str) -> bool:
    """Whether lines agree on a number of fields with blanks between them, on no other delimiter, and hold numbers in one place."""
    lines = [line for line in text[:1_000_000].splitlines()[: SNIFFED_ROWS + 1] if line.strip()][:SNIFFED_ROWS]
    if len(lines) < 3 or any(delimiter in lines[0] for delimiter in DELIMITERS):
        return False
    records = [line.split() for line in lines]
    width = len(records[0])
    numbers = [all(_number(record[i]) is not None for record in records[1:]) for i in range(width) if {*map(len, records)} == {width}]
    return width > 1 and any(numbers) and '"' not in text


def _with_tabs(text: str) -> str:
    return "\n".join("\t".join(line.split()) for line in text.split("\n"))


def announced(text: str) -> str | None:
    """The delimiter that a first line such as `sep=;` says, which Excel writes and reads; None without one."""
    found = re.match(r"sep=([,;|\t])\r?\n", text, re.IGNORECASE)
    return found[1] if found else None


def sniffed(text: str, said: str | None = None) -> tuple[str, list[list[str]]]:
    """The delimiter under which the first lines agree best on the number of fields, or the one that was said, and those lines split
    by it."""
    sample = text[:1_000_000]
    best: tuple[float, str, list[list[str]]] | None = None
    for delimiter in (said,) if said else DELIMITERS:
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


def refuse_idle(path: Path, choice: Choice, text: str, records: list[list[str]]) -> None:
    """Raise `TableError` where a delimiter that was asked for parts nothing, and another would."""
    if choice.delimiter in (None, "blanks") or any(len(record) > 1 for record in records):
        return
    other, parted = sniffed(text)
    if len(parted[0]) > 1:
        raise TableError(
            f"{path.name}: delimiter={choice.delimiter!r} parts no line, and {other!r} would give {len(parted[0])} fields; leave it out"
        )


def refuse_duplicates(path: Path, names: list[str], otherwise: str = "") -> None:
    """Raise `TableError` where a name stands twice.

    Args:
        otherwise: what else may be done about it.
    """
    seen: set[str] = set()
    twice = sorted({name for name in names if name in seen or seen.add(name)})  # type: ignore[func-returns-value]
    if twice:
        raise TableError(f"{path.name}: columns named twice: {', '.join(map(repr, twice[:10]))}; rename or remove them{otherwise}")


# Text has no mark of its own: what no other format recognises is taken for text.
FORMAT = Format("text", (".csv", ".tsv", ".txt", ".data", ".dat", ".tab", ".psv"), lambda head, path: False, read_text, TAKES)
