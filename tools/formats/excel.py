"""Workbooks of Excel and LibreOffice: .xlsx, .xlsm, .xlsb, .xls, .ods. Read by calamine, which runs no macro and no formula."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from tools.formats.cells import plain
from tools.formats.contract import Choice, Format, Reading, first_line, library, told
from tools.formats.dialect import Dialect
from tools.tables import TableError

OLD = b"\xd0\xcf\x11\xe0"


def read_workbook(path: Path, choice: Choice) -> Reading:
    """Read one sheet: the one that was asked for, else the one with the most cells.

    Raises:
        TableError: when it cannot be opened, is locked by a password, has no such sheet, or the sheet is empty.
    """
    import pandas as pd

    calamine = library("python_calamine", "python-calamine", "reading a workbook")
    try:
        book = calamine.CalamineWorkbook.from_path(str(path))
        sheets = {name: book.get_sheet_by_name(name).to_python(skip_empty_area=True) for name in book.sheet_names}
    except (calamine.CalamineError, OSError, ValueError) as error:
        raise TableError(f"{path.name}: not a readable workbook ({first_line(error)}); is it whole, and free of a password?") from None
    name = _chosen(path, sheets, choice.sheet)
    rows, skipped = _below_titles(sheets[name])
    header = [str(cell).strip() if cell != "" else "" for cell in rows[0]]
    body = [[None if cell == "" else cell for cell in row] for row in rows[1:]]
    kept = [i for i, title in enumerate(header) if title or any(row[i] is not None for row in body)]
    frame = pd.DataFrame(
        {position: pd.Series([row[i] for row in body], dtype=object) for position, i in enumerate(kept)},
    ).set_axis([header[i] or f"Unnamed: {i}" for i in kept], axis=1)
    frame = frame.dropna(how="all")
    frame = frame.apply(_whole_numbers)
    frame, changed = plain(frame, path)
    notes = (
        [f"Sheet {name!r} was read; the workbook also has {told([other for other in sheets if other != name])}."] if len(sheets) > 1 else []
    )
    notes += [f"{skipped} lines above the header were left out."] if skipped else []
    return Reading(frame, "Excel", [*notes, *changed], dialect=Dialect(sheet=name))


def _chosen(path: Path, sheets: dict[str, list[list[Any]]], wanted: str | None) -> str:
    names = list(sheets)
    if wanted is not None:
        if wanted in sheets:
            name = wanted
        elif wanted.isdecimal() and 1 <= int(wanted) <= len(names):
            name = names[int(wanted) - 1]
        else:
            raise TableError(f"{path.name}: there is no sheet {wanted!r}; sheets: {told(names, 20)}")
    else:
        name = max(names, key=lambda name: sum(len(row) for row in sheets[name]), default="")
    if not name or not sheets[name]:
        raise TableError(f"{path.name}: {f'sheet {name!r}' if name else 'the workbook'} is empty; choose another with #sheet=NAME")
    return name


def _below_titles(rows: list[list[Any]]) -> tuple[list[list[Any]], int]:
    """The rows from the header on: titles above a table fill one cell or two, its header most."""
    width = max(len(row) for row in rows)
    filled = [sum(cell != "" for cell in row) for row in rows[:20]]
    most = max(filled)
    start = next(i for i, count in enumerate(filled) if count >= max(1, most * 0.6))
    return [row + [""] * (width - len(row)) for row in rows[start:]], start


def _whole_numbers(values: Any) -> Any:
    """Numbers come as floats: those that are all whole are whole numbers."""
    import pandas as pd

    present = values.dropna()
    if len(present) and all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in present):
        numbers = pd.to_numeric(values)
        if len(present) == len(values) and (numbers % 1 == 0).all() and numbers.abs().max() < 2**53:
            return numbers.astype("int64")
        return numbers.astype("float64")
    if len(present) and all(hasattr(value, "isoformat") and hasattr(value, "year") for value in present):
        return pd.to_datetime(values)
    return values


def _recognises(head: bytes, path: Path) -> bool:
    if head.startswith(OLD):
        return True
    if not head.startswith(b"PK\x03\x04"):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return path.suffix.lower() in FORMAT.suffixes
    return "xl/workbook.xml" in names or "xl/workbook.bin" in names or {"content.xml", "mimetype"} <= names


FORMAT = Format("Excel", (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"), _recognises, read_workbook, ("sheet",))
