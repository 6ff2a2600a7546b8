"""Files of SAS (.sas7bdat, .xpt), Stata (.dta) and SPSS (.sav, .zsav). Labelled values become their labels."""

from __future__ import annotations

import re
import struct
import warnings
from pathlib import Path
from typing import Any

from tools.formats.cells import plain
from tools.formats.contract import Choice, Format, Reading, first_line, library
from tools.tables import TableError

_SAS7BDAT = bytes(12) + b"\xc2\xea\x81\x60\xb3\x14\x11\xcf\xbd\x92\x08\x00\x09\xc7\x31\x8c\x18\x1f\x10\x11"
_XPT = b"HEADER RECORD*******LIB"


def read_sas(path: Path, choice: Choice) -> Reading:
    import pandas as pd

    with path.open("rb") as file:
        kind: Any = "xport" if file.read(len(_XPT)) == _XPT else "sas7bdat"
    return _reading(path, "SAS", lambda: pd.read_sas(path, format=kind, encoding="utf-8" if kind == "sas7bdat" else "cp1252"))


def read_stata(path: Path, choice: Choice) -> Reading:
    import pandas as pd

    try:
        return _reading(path, "Stata", lambda: pd.read_stata(path))
    except TableError as error:
        if "labels are not unique" not in str(error) and "not unique" not in str(error):
            raise
        found = _reading(path, "Stata", lambda: pd.read_stata(path, convert_categoricals=False))
        found.notes.append("Some labels of values stand twice, so the values were kept as numbers.")
        return found


def read_spss(path: Path, choice: Choice) -> Reading:
    pyreadstat = library("pyreadstat", "pyreadstat", "reading an SPSS file")

    def read() -> Any:
        return pyreadstat.read_sav(str(path), apply_value_formats=True, formats_as_category=True)[0]

    return _reading(path, "SPSS", read, pyreadstat.ReadstatError)


def _reading(path: Path, name: str, read: Any, own_error: type[Exception] = ValueError) -> Reading:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            frame = read()
    except (ValueError, OSError, KeyError, IndexError, NotImplementedError, struct.error, own_error) as error:
        raise TableError(f"{path.name}: not a readable {name} file ({first_line(error)}); is it whole?") from None
    frame, notes = plain(frame.apply(_labelled), path)
    return Reading(frame, name, notes)


def _labelled(values: Any) -> Any:
    """Labels of values as text: the order that a category keeps is the file's, and nothing here uses it."""
    return values.astype(object).where(values.notna(), None).astype("str") if values.dtype.name == "category" else values


def _is_stata(head: bytes, path: Path) -> bool:
    old = path.suffix.lower() == ".dta" and re.match(rb"[\x66-\x73][\x01\x02]\x01\x00", head[:4]) is not None
    return head.startswith(b"<stata_dta>") or old


SAS = Format("SAS", (".sas7bdat", ".xpt"), lambda head, path: head.startswith((_SAS7BDAT, _XPT)), read_sas)
STATA = Format("Stata", (".dta",), _is_stata, read_stata)
SPSS = Format("SPSS", (".sav", ".zsav"), lambda head, path: head.startswith((b"$FL2", b"$FL3")), read_spss)
