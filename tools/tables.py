"""Read tables from files: one call for every format that `tools/formats` knows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

MOST_COLUMNS = 20_000
"""Of one table."""


class TableError(ValueError):
    """A table cannot be used; the message names the value, what was expected and what to do."""


def read_table(path: Path, *, header_only: bool = False) -> pd.DataFrame:
    """Read a file of any format in `tools/formats`, found by its content and its name.

    Column names come back as text. Nothing in the file is executed.

    Args:
        header_only: whether a header without rows is a table too.

    Raises:
        TableError: when the file is missing, empty, of no known format, has a header only, has no columns or
            two columns of one name, or has lines that do not fit its header.
    """
    from tools.formats.detect import read

    return checked(read(Path(path)).frame, Path(path), header_only=header_only)


def checked(frame: pd.DataFrame, path: Path, *, header_only: bool = False) -> pd.DataFrame:
    """The frame, after refusing one without columns or rows."""
    if frame.shape[1] == 0:
        raise TableError(f"{path.name}: the table has no columns")
    if len(frame) == 0 and not header_only:
        raise TableError(f"{path.name}: a header but no rows ({frame.shape[1]} columns); expected rows below it")
    return frame
