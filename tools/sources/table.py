"""The table of what was fetched."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tools.sources.contract import files_folder, record
from tools.spec import InputRefused
from tools.tables import TableError, read_table

if TYPE_CHECKING:
    import pandas as pd


def read_fetched(vault: Path) -> pd.DataFrame:
    """Read the table that was fetched into a vault.

    Raises:
        InputRefused: when it is no table, or there are several files; the message has the user's own name of the source.
    """
    fetched = record(vault)
    if len(fetched.files) > 1:
        names = ", ".join(file.name for file in fetched.files[:3])
        raise InputRefused(f"{fetched.source} has {len(fetched.files)} files, expected one table. It holds {names}: name one of these.")
    path = files_folder(vault) / fetched.files[0].name
    try:
        return read_table(path)
    except TableError as error:
        # The copy in the vault is an inner matter: the user knows the source by their own name for it.
        raise InputRefused(str(error).replace(str(path), fetched.source).replace(path.name, fetched.source)) from None
