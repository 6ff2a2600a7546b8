"""A DataFrame as the source of a run: it becomes a Parquet file, and `frame:NAME#sha256=...` names it in the settings.

The file is put into the run's vault before anybody fetches it, so a run goes on after its process, and the frame with it, is gone.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from team.errors import UsageError
from tools.sources.frame import FRAME, frame_file

if TYPE_CHECKING:
    import pandas as pd

LONGEST_NAME = 40


@dataclass(frozen=True)
class FrameSource:
    """A frame on its way into a run."""

    source: str
    """What the settings say, with the sum of the file."""
    content: bytes
    """Parquet."""

    def put(self, vault: Path) -> None:
        """Leave the file where `fetch_data` looks for it."""
        frame_file(vault).write_bytes(self.content)


def is_frame(source: Any) -> bool:
    """Whether a source is a table in memory: a pandas frame, or what gives one by `to_pandas` (polars, pyarrow)."""
    return not isinstance(source, (str, Path)) and (hasattr(source, "to_pandas") or _is_pandas(source))


def frame_source(frame: Any, name: str = "frame") -> FrameSource:
    """Write a frame as Parquet.

    Raises:
        UsageError: when it has no rows or columns, columns of one name, or values that Parquet does not hold.
    """
    from io import BytesIO

    flat = flattened(frame)
    if flat.empty:
        raise UsageError(f"the DataFrame has {len(flat)} rows and {flat.shape[1]} columns: there is nothing to learn from.")
    buffer = BytesIO()
    try:
        flat.to_parquet(buffer, index=False)
    except (ValueError, TypeError, NotImplementedError) as error:  # pyarrow's own are among these
        told = " ".join(str(part) for part in error.args).splitlines()[0][:200]
        raise UsageError(f"the DataFrame cannot be written as Parquet: {told}. Give every column values of one type.") from None
    content = buffer.getvalue()
    slug = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:LONGEST_NAME] or "frame"
    return FrameSource(f"{FRAME}{slug}#sha256={hashlib.sha256(content).hexdigest()}", content)


def flattened(frame: Any) -> pd.DataFrame:
    """A frame whose rows are numbered from 0 and whose columns have names that are text.

    A named index is a column of the table, the first; so is each named level of several. An index without a name only numbers rows and
    is left out.

    Raises:
        UsageError: for two columns of one name, and for columns of several levels.
    """
    import pandas as pd

    flat = frame if _is_pandas(frame) else frame.to_pandas()
    if flat.columns.nlevels > 1:
        raise UsageError(
            "the DataFrame's columns have several levels; name each with one text: df.columns = ['_'.join(c) for c in df.columns]."
        )
    named = [level for level in flat.index.names if level is not None]
    columns = [str(column) for column in [*named, *flat.columns]]
    if twice := sorted({column for column in columns if columns.count(column) > 1}):
        raise UsageError(f"the DataFrame has two columns named {twice[0]!r} (a named index counts as one). Rename one.")
    levels = [flat.index.get_level_values(level) for level in named]
    flat = pd.DataFrame(flat).reset_index(drop=True)
    for place, level in enumerate(levels):
        flat.insert(place, named[place], pd.Series(level))
    return flat.set_axis(columns, axis=1)


def _is_pandas(source: Any) -> bool:
    import sys

    pandas = sys.modules.get("pandas")  # whoever has a frame has imported it
    return pandas is not None and isinstance(source, pandas.DataFrame)
