"""What a table is likely about, before anything is sealed: its target, and the order or the groups that a split must respect.

Made on the host from values, and told without any: names, confidence and reasons are all that leaves it.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from tools.conversion import TABLE, WHOLE_BYTES
from tools.understanding.findings import Ordering
from tools.understanding.hints import hints
from tools.understanding.order import groups, moments_columns
from tools.understanding.targets import TargetGuess, documents_of, guess_targets, missing_shares

ROWS = 5000
MOST_COLUMNS = 200
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
    import pandas as pd
    import pyarrow.parquet as pq

    from tools.columns import infer_schema
    from tools.understanding.kinds import read_column

    facts = pq.read_metadata(vault / TABLE)
    if sum(facts.row_group(i).total_byte_size for i in range(facts.num_row_groups)) < WHOLE_BYTES:
        frame = pd.read_parquet(vault / TABLE)
    else:
        frame = next(pq.ParquetFile(vault / TABLE).iter_batches(ROWS)).to_pandas()
    frame.columns = [str(name) for name in frame.columns]
    # Stretches of neighbours, so that what hangs together in time still does.
    frame = frame.iloc[:ROWS] if len(frame) <= ROWS else frame.iloc[_stretches(len(frame))]
    looked_at = list(frame.columns[:MOST_COLUMNS])
    frame = frame[looked_at if target is None or target in looked_at or target not in frame else [*looked_at, target]]
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
    return FirstLook(guesses, found, hints(known, target, found))


def _stretches(rows: int) -> list[int]:
    """Positions of `ROWS` rows in fifty stretches all over the table."""
    length, step = ROWS // 50, rows // 50
    return [start * step + place for start in range(50) for place in range(length)]
