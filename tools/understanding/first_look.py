"""What a table is likely about, before anything is sealed: its target, and the order or the groups that a split must respect.

Made on the host from values, and told without any: names, confidence and reasons are all that leaves it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tools.conversion import TABLE, WHOLE_BYTES
from tools.understanding.findings import Ordering
from tools.understanding.hints import hints
from tools.understanding.order import groups, moments_columns
from tools.understanding.targets import CALLED, TargetGuess, documents_of, guess_targets, like_one, missing_shares

if TYPE_CHECKING:
    import pandas as pd

ROWS = 5000
GROUPS = 10
"""Groups of rows that are read of a large table."""
MOST_COLUMNS, MOST_NAMED, CLEARLY = 200, 20, 0.45
"""Columns that are looked at, the first ones, and how many of the others whose name speaks so clearly for them."""
MOST_TOLD = 3


class FirstLook(NamedTuple):
    targets: list[TargetGuess]
    """Empty where the user named one."""
    orderings: list[Ordering]
    """Columns of groups and of time, the surest first."""
    hints: list[str]
    """Other problems that the table may hold."""


def first_look(vault: Path, source: Path, *, target: str | None, goal: str | None, said: str | None) -> FirstLook:
    """Look at every so many rows of the converted table.

    Args:
        source: folder of the files as they came, in which documentation is looked for.
        target: the column that the user named.
        said: the column that the source itself names.
    """
    from tools.columns import infer_schema
    from tools.understanding.kinds import read_column

    frame = _looked_at(vault / TABLE, target)
    guesses: list[TargetGuess] = []
    if target is None:
        kinds = {column.name: column.kind for column in infer_schema(frame, None).columns}
        readings = [read_column(name, frame[name], kinds[name]) for name in frame.columns]
        documents = documents_of(source) if source.is_dir() else ""
        guesses = guess_targets(
            list(frame.columns), readings=readings, missing=missing_shares(frame), goal=goal, said=said, documents=documents
        )
    about = target or (guesses[0].column if guesses else None)
    if about is None or about not in frame:
        return FirstLook(guesses, [], hints(frame, target, []))
    known = frame[frame[about].notna()].reset_index(drop=True)
    if known[about].nunique() < 2:
        return FirstLook(guesses, [], [])
    found = [*groups(known, about), *moments_columns(known, about)]
    found = sorted(found, key=lambda one: -one.confidence)[:MOST_TOLD]
    return FirstLook(guesses, found, hints(known, target, found, guessed=about))


def _looked_at(path: Path, target: str | None) -> pd.DataFrame:
    """Rows of a table, and of very many columns the first, the last, and those whose name speaks for them: stretches of neighbours, so
    that what hangs together in time still does.

    Of a large table some groups of rows, all over it, are read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        names, facts = [str(name) for name in file.schema_arrow.names], file.metadata
        speaking = [name for name in names[MOST_COLUMNS:-1] if name.strip().lower() in CALLED or like_one(name) >= CLEARLY]
        also = {target, *speaking[:MOST_NAMED], *names[-1:]}
        columns = [name for i, name in enumerate(names) if i < MOST_COLUMNS or name in also]
        if sum(facts.row_group(i).total_byte_size for i in range(facts.num_row_groups)) < WHOLE_BYTES:
            groups: list[int | None] = [None]
        else:
            n = min(GROUPS, facts.num_row_groups)
            groups = [facts.num_row_groups * i // n for i in range(n)]
        parts = []
        for group in groups:
            table = file.read(columns) if group is None else file.read_row_group(group, columns)
            parts.append(table.select(columns).take(pa.array(_stretches(table.num_rows, ROWS // len(groups)), pa.int64())))
    return pa.concat_tables(parts).to_pandas().reset_index(drop=True)


def _stretches(rows: int, wanted: int = ROWS) -> list[int]:
    """Positions of so many rows, or of all, in stretches of a hundred all over a table."""
    if rows <= wanted:
        return list(range(rows))
    stretches = max(1, wanted // 100)
    length, step = wanted // stretches, rows // stretches
    return [start * step + place for start in range(stretches) for place in range(length)]
