"""Text of any size as Parquet, block by block, in one file or in parts of one table: memory does not grow with it.

Arrow parses; what it does not read as pandas does (lines with missing fields, other encodings, blanks behind delimiters) pandas parses in
chunks. A column's kind is guessed from pieces of the file (kinds.py); a value that does not fit widens it, and the file is begun again.
Likewise where missing numbers turn out to be spelled as Arrow was not told at first (missing.py).
"""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tools.formats.contract import Choice, first_line
from tools.formats.dialect import Dialect, agreed, texts_of
from tools.formats.encodings import PACKED, decoding_notes, encoding_of
from tools.formats.groups import row_groups
from tools.formats.kinds import FALSE, TRUE, WRITTEN, Kind, Plan, guessed, unlike, widened
from tools.formats.missing import LIKE_NUMBERS, MISSING, USUAL, AmongNumbers, has_like_numbers, with_missing
from tools.formats.numbers import COMMA, DOTTED, GAPS, GROUPED, SPACED
from tools.formats.text import (
    DELIMITERS,
    announced,
    checked_header,
    comments_among_rows,
    decimal_of,
    escapes_quotes,
    lacks_header,
    long_lines,
    numbered_lines,
    parted_by_blanks,
    refuse_idle,
    short_lines,
    sniffed,
)
from tools.tables import TableError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from tools.tally import Tally

_HEAD, _BLOCK = 1 << 20, 1 << 22
_CHUNK_CELLS = 2_000_000


class Streamed(NamedTuple):
    rows: list[int]
    """Of each file."""
    columns: int
    notes: list[str]
    """On all files together."""
    of_files: list[list[str]]
    """Notes on each file."""
    counts: dict[str, Tally]
    """Of the first columns."""
    dialect: Dialect = Dialect()
    """What the files agree on."""
    format: str = ""
    """Where it is another than that of the files."""


class _Misfit(Exception):
    """A column holds what its kind does not."""

    def __init__(self, column: int, value: str | None = None) -> None:
        super().__init__(column)
        self.column, self.value, self.file = column, value, 0


class _Odd(Exception):
    """Arrow does not read the file."""

    file = 0


class _Spelled(Exception):
    """Missing numbers of the file are spelled as numbers begin."""

    file = 0


def stream_text(files: Sequence[Path], output: Path, choice: Choice) -> Streamed | None:
    """Convert files of text whose rows stand under each other; None when one has to be read whole (UTF-16, a header over several
    lines), or when they have not the same columns in the same order.

    Raises:
        TableError: as `read_text` does.
    """
    plans, notes = list[Plan](), list[list[str]]()
    for path in files:
        with path.open("rb") as file:
            head = file.read(_HEAD)
        if (
            b"\x00" in head
            or (choice.encoding or "").startswith(("utf-16", "utf-32"))
            or head.startswith((b"\xff\xfe", b"\xfe\xff", *PACKED))
        ):
            return None
        plan, told = _planned(path, head, choice)
        if plan is None or (plans and plan.names != plans[0].names):
            return None
        plans.append(plan)
        notes.append(told)
    kinds, marks = guessed(plans, choice.decimal, choice.texts)
    plain = set[int]()
    """Columns in which a dot was met that parts no thousands."""
    while True:
        if choice.decimal == "," or (choice.decimal is None and "comma" in kinds):
            kinds = ["dotted" if kind == "float" and i not in plain else kind for i, kind in enumerate(kinds)]
        try:
            rows, dotted, counts = _written(plans, kinds, output)
            break
        except _Misfit as misfit:
            plain |= {misfit.column} if kinds[misfit.column] == "dotted" else set()
            kinds[misfit.column] = widened(kinds, misfit.column, misfit.value, marks, choice.decimal)
        except _Odd as odd:
            plan = plans[odd.file]
            plans[odd.file] = plan._replace(plain=not plan.quoted, quoted=True)
        except _Spelled as spelled:
            plans[spelled.file] = plans[spelled.file]._replace(spelled=True)
    whole: list[str] = []
    for how in dict.fromkeys(WRITTEN.values()):
        written = [name for i, name in enumerate(plans[0].names) if WRITTEN.get(kinds[i]) == how and (kinds[i] != "dotted" or i in dotted)]
        whole += [f"Numbers {how}: {', '.join(map(repr, written[:10]))}."] if written else []
    if not all(plan.plain for plan in plans) and _lacks_at_the_end(output):
        for plan, told in zip(plans, notes, strict=True):
            if not plan.plain:
                with _lines(plan) as lines:
                    told += short_lines(lines, plan.delimiter, len(plan.names))
    return Streamed(rows, len(plans[0].names), whole, notes, counts, _dialect(plans, kinds, choice))


def _dialect(plans: list[Plan], kinds: list[Kind], choice: Choice) -> Dialect:
    decimal = decimal_of({WRITTEN[kind] for kind in kinds if kind in WRITTEN}, False, choice.decimal)
    texts = texts_of([name for name, kind in zip(plans[0].names, kinds, strict=True) if kind == "text"])
    headers = ["none" if plan.headless else "first" for plan in plans]
    return agreed(
        [
            Dialect.model_validate(
                {"encoding": plan.encoding, "delimiter": plan.delimiter, "header": header, "decimal": decimal, "texts": texts}
            )
            for plan, header in zip(plans, headers, strict=True)
        ]
    )


def _planned(path: Path, head: bytes, choice: Choice) -> tuple[Plan | None, list[str]]:
    whole = len(head) < _HEAD
    if not whole and b"\n" not in head:  # a header that is longer than what is looked at
        return None, []
    head = head if whole else head[: head.rfind(b"\n") + 1]
    encoding = choice.encoding or encoding_of(head, choice.likely)
    text = head.decode("utf-8-sig" if encoding == "utf-8" else encoding, errors="replace")
    notes = decoding_notes(encoding, text, encoding if encoding in (choice.encoding, choice.likely) else None)
    lines = text.splitlines()
    announces = announced(text)
    said = choice.delimiter or announces
    above = int(announces is not None)
    while above < len(lines) and (not lines[above].strip() or lines[above].startswith("#")):
        above += 1
    if above and above < len(lines) and lines[above - 1].startswith("#"):
        delimiter = said or max(DELIMITERS, key=lines[above].count)
        above -= lines[above - 1].count(delimiter) >= lines[above].count(delimiter)
    below = "\n".join(lines[above:])
    if said == "blanks" or (said is None and parted_by_blanks(below)) or escapes_quotes(text, said):
        return None, notes
    commented = any(line.startswith("#") for line in lines[:above]) or ("\n#" in text and comments_among_rows(below, said))
    notes += ["Comment lines that begin with # were left out."] if commented else []
    delimiter, records = sniffed(below, said)
    refuse_idle(path, choice, below, records)
    headless = choice.header == "none" or (choice.header is None and lacks_header(records))
    header = [f"column_{i + 1}" for i in range(len(records[0]))] if headless else records[0]
    names = checked_header(path, header, records if headless else records[1:])
    if any("\n" in name for name in names):
        return None, notes
    if headless:
        notes.append(f"The first line is a row, not a header: the columns are named {names[0]} to {names[-1]}.")
    names = [name if name.strip() else f"Unnamed: {i}" for i, name in enumerate(names)]
    plain = (
        encoding == "utf-8"
        and "\ufffd" not in text
        and f"{delimiter} " not in text
        and not commented
        and len(names) > 1
        and not unlike(head)
    )
    return Plan(
        path,
        delimiter,
        encoding,
        names,
        above + (not headless),
        plain,
        has_like_numbers(head),
        any("\n" in cell for record in records for cell in record),
        commented,
        headless,
    ), notes


def _written(plans: list[Plan], kinds: list[Kind], output: Path) -> tuple[list[int], set[int], dict[str, Tally]]:
    """Write all rows; returns how many each file has, which columns had dots between thousands, and what the columns hold."""
    import pyarrow as pa

    schema = pa.schema([(name, _type(kind)) for name, kind in zip(plans[0].names, kinds, strict=True)])
    rows = [0] * len(plans)
    dotted = set[int]()
    with row_groups(output, schema) as groups:
        for i, plan in enumerate(plans):
            try:
                for read in _by_arrow(plan, kinds) if plan.plain else _by_pandas(plan, kinds, schema):
                    batch = _with_numbers(read, kinds, dotted)
                    groups.add(batch)
                    rows[i] += batch.num_rows
            except (_Misfit, _Odd, _Spelled) as found:
                found.file = i
                raise
    return rows, dotted, groups.counts()


def _type(kind: Kind, *, as_read: bool = False) -> pa.DataType:
    """What a column is kept as, or what it is read as before numbers are made of it."""
    import pyarrow as pa

    if kind == "text" or (as_read and kind in WRITTEN):
        return pa.string()
    return pa.bool_() if kind == "bool" else pa.int64() if kind in ("int", "thousands") else pa.float64()


def _by_arrow(plan: Plan, kinds: list[Kind]) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    import pyarrow.csv as pc

    options = pc.ConvertOptions(
        column_types={name: _type(kind, as_read=True) for name, kind in zip(plan.names, kinds, strict=True)},
        null_values=[*MISSING] if plan.spelled else [*USUAL],
        true_values=[*TRUE],
        false_values=[*FALSE],
        strings_can_be_null=True,
    )
    try:
        with pc.open_csv(
            plan.path,
            read_options=pc.ReadOptions(column_names=plan.names, skip_rows=plan.above, block_size=_BLOCK),
            parse_options=pc.ParseOptions(delimiter=plan.delimiter, newlines_in_values=plan.quoted),
            convert_options=options,
        ) as reader:
            yield from reader if plan.spelled else map(with_missing, reader)
    except AmongNumbers:
        raise _Spelled from None
    except pa.ArrowInvalid as error:
        if str(error) == "Empty CSV file":  # nothing stands below the header
            return
        found = re.search(r"In CSV column #(\d+)", str(error))
        if found is None or "invalid UTF8" in str(error):
            raise _Odd from None
        value = re.search(r"invalid value '(.*)'\Z", str(error), re.DOTALL)
        if value and value[1] in LIKE_NUMBERS and not plan.spelled:
            raise _Spelled from None
        raise _Misfit(int(found[1]), value[1] if value else None) from None


_PATTERNS: dict[Kind, str] = {"comma": COMMA, "thousands": GROUPED, "grouped": GROUPED, "dotted": DOTTED, "spaced": SPACED}
_BETWEEN: dict[Kind, str] = {"comma": r"\.", "thousands": ",", "grouped": ",", "dotted": r"\.", "spaced": f"[{GAPS}]"}
"""What stands between thousands."""


def _with_numbers(batch: pa.RecordBatch, kinds: list[Kind], dotted: set[int]) -> pa.RecordBatch:
    """Rows with numbers where they were read as text; columns with dots between thousands are added to `dotted`."""
    import pyarrow as pa

    for i, kind in enumerate(kinds):
        if kind not in WRITTEN:
            continue
        import pyarrow.compute as pc  # its start takes longer than a small table

        texts = pc.utf8_trim_whitespace(batch.column(i))
        fits = pc.match_substring_regex(texts, f"^({_PATTERNS[kind]})$")
        if not pc.all(fits, min_count=0).as_py():
            raise _Misfit(i, texts.filter(pc.invert(fits))[0].as_py())
        if kind == "dotted" and i not in dotted and pc.any(pc.match_substring(texts, ".")).as_py():
            dotted.add(i)
        plain = pc.replace_substring_regex(texts, _BETWEEN[kind], "")
        try:
            numbers = pc.cast(pc.replace_substring(plain, ",", "."), _type(kind))
        except pa.ArrowInvalid:
            raise _Misfit(i) from None
        batch = batch.set_column(i, batch.schema.field(i).name, numbers)
    return batch


def _by_pandas(plan: Plan, kinds: list[Kind], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    import pandas as pd
    import pyarrow as pa

    as_text = {name: "str" for name, kind in zip(plan.names, kinds, strict=True) if _type(kind, as_read=True) == pa.string()}
    try:
        with (
            warnings.catch_warnings(action="error", category=pd.errors.ParserWarning),
            pd.read_csv(
                plan.path,
                sep=plan.delimiter,
                header=None,
                names=plan.names,
                index_col=False,
                skiprows=plan.above,
                skipinitialspace=True,
                skip_blank_lines=len(plan.names) > 1,
                dtype=as_text,
                encoding=plan.encoding if plan.encoding != "utf-8" else "utf-8-sig",
                encoding_errors="replace",
                low_memory=False,
                chunksize=max(1000, _CHUNK_CELLS // len(plan.names)),
            ) as chunks,
        ):
            for chunk in chunks:
                if plan.commented:
                    chunk = chunk[~chunk.iloc[:, 0].astype(str).str.startswith("#")]
                yield _batch(chunk, kinds, schema)
    except (pd.errors.ParserError, pd.errors.ParserWarning, ValueError, OverflowError) as error:
        with _lines(plan) as lines:
            detail = long_lines(lines, plan.delimiter, len(plan.names)) or first_line(error)
        raise TableError(f"{plan.path.name}: a line does not fit the header ({detail}); mend it or quote its fields") from None
    except pa.ArrowException as error:
        raise TableError(f"{plan.path.name}: not readable as a table ({first_line(error)})") from None


def _batch(chunk: pd.DataFrame, kinds: list[Kind], schema: pa.Schema) -> pa.RecordBatch:
    import pandas as pd
    import pyarrow as pa

    columns: list[Any] = []
    for i, kind in enumerate(kinds):
        values = chunk.iloc[:, i]
        try:
            if kind in ("int", "float") and not pd.api.types.is_numeric_dtype(values.dtype):
                values = pd.to_numeric(values)  # comment lines have stood among them
            columns.append(pa.array(values, type=_type(kind, as_read=True), from_pandas=True))
        except (pa.ArrowException, ValueError, TypeError):
            raise _Misfit(i) from None
    return pa.RecordBatch.from_arrays(columns, names=schema.names)


@contextlib.contextmanager
def _lines(plan: Plan) -> Iterator[Iterator[str]]:
    with plan.path.open(encoding=plan.encoding, errors="replace", newline="") as file:
        yield numbered_lines(file, plan.commented)


def _lacks_at_the_end(output: Path) -> bool:
    """Whether values of the last column are missing, as they are in every line with too few fields."""
    import pyarrow.parquet as pq

    facts = pq.read_metadata(output)
    groups = [facts.row_group(i) for i in range(facts.num_row_groups)]
    return any(group.column(facts.num_columns - 1).statistics.null_count for group in groups if group.num_rows)
