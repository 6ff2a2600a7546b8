"""Find the format of a file or folder by its content, then by its name, and read it."""

from __future__ import annotations

import re
from pathlib import Path

from tools.formats import arff, columnar, excel, hdf5, jsons, statistical, text
from tools.formats.contract import HEAD_BYTES, OF_ONE_FORMAT, Choice, Format, Reading, told
from tools.formats.encodings import PACKED
from tools.tables import TableError

FORMATS: tuple[Format, ...] = (
    columnar.PARQUET,
    columnar.ARROW,
    columnar.ORC,
    excel.FORMAT,
    hdf5.FORMAT,
    statistical.SAS,
    statistical.STATA,
    statistical.SPSS,
    arff.FORMAT,
    jsons.FORMAT,
    text.FORMAT,
)
SUFFIXES = {suffix: found for found in FORMATS for suffix in found.suffixes}
PICKLES = (".pkl", ".pickle", ".joblib", ".npy", ".npz", ".pt", ".pth", ".dill")
MOST_FILES = 200_000
"""In a folder."""
MOST_TABLES = 500
_MAGIC = {
    b"PK\x03\x04": "a zip archive; unpack it",
    b"\x89PNG": "a PNG image; a folder with one folder of pictures for each class is a table",
    b"\xff\xd8\xff": "a JPEG image; a folder with one folder of pictures for each class is a table",
    b"%PDF": "a PDF document; copy its tables into a CSV file",
    b"SQLite format 3": "an SQLite database; export the table as CSV",
    b"\x28\xb5\x2f\xfd": "zstandard data; unpack it first",
    b"7z\xbc\xaf": "a 7-Zip archive; unpack it first",
    b"RDX": "data of R; save it there with write.csv",
}
_PICKLE = re.compile(rb"\x80[\x02-\x05](\x95|[c}\]()\x8c\x8aKX]|ctorch)")
_PAGE = re.compile(rb"\s*(<!--.*?-->\s*)*<(!doctype\s+html|html|head|body)\b", re.I | re.S)


def read(path: Path, choice: Choice | None = None) -> Reading:
    """Read a file, or the files of a folder, as one table.

    Raises:
        TableError: naming what was found and what to do.
    """
    choice = choice or Choice()
    if path.is_dir():
        from tools.formats.folders import read_folder

        return read_folder(path, choice)
    if not path.is_file():
        raise TableError(f"{path}: no such file; give the path of a table, such as a .csv, .xlsx, .json or .parquet file")
    if path.stat().st_size == 0:
        raise TableError(f"{path.name}: the file is empty; expected a header line and rows")
    found = find(path)
    refuse_idle_options(path, found, choice)
    reading = found.read(path, choice)
    reading.notes[:0] = misnamed(path, found)
    return reading


def refuse_idle_options(path: Path, found: Format, choice: Choice) -> None:
    """Raise `TableError` for an option that means nothing to a format; whoever gave it would think that it was heeded."""
    for name in OF_ONE_FORMAT:
        if getattr(choice, name) is not None and name not in found.takes:
            known = f"it takes {', '.join(f'#{one}=' for one in found.takes)}" if found.takes else "it takes none"
            raise TableError(f"{path.name}: #{name}= means nothing to a file of {found.name}; {known}. Leave it out")


def misnamed(path: Path, found: Format) -> list[str]:
    """A note where a file is named for another format than the one that it was found to have."""
    named = SUFFIXES.get(path.suffix.lower())
    if named is None or named is found:
        return []
    return [f"Named {path.suffix}, but by its content it is {found.name}, and was read so."]


def find(path: Path) -> Format:
    """The format of a file.

    Raises:
        TableError: when it is none that is read; pickles are never.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    suffix = path.suffix.lower()
    if suffix in PICKLES or _PICKLE.match(head):
        raise TableError(
            f"{path.name}: a Python pickle, or a file that may hold one, which is never opened; save the table as CSV or Parquet"
        )
    for found in FORMATS:
        if found.recognises(head, path):
            return found
    for magic, what in _MAGIC.items():
        if head.startswith(magic):
            raise TableError(f"{path.name}: the content is {what}")
    if _PAGE.match(head):
        raise TableError(
            f"{path.name}: the content is a web page (HTML), not a table; download the file itself, not the page that shows it"
        )
    named = SUFFIXES.get(suffix)
    if named is jsons.FORMAT or named is text.FORMAT:
        return named
    if named is not None:
        name = named.name.lower() if named is columnar.PARQUET else named.name
        raise TableError(f"{path.name}: not a readable {name} file: its content is something else; is it whole?")
    if b"\x00" in head and head[:2] not in (b"\xff\xfe", b"\xfe\xff") and not head.startswith(tuple(PACKED)):
        kinds = ", ".join(sorted({found.name for found in FORMATS}, key=str.lower))
        raise TableError(f"{path.name}: unknown kind of table {suffix!r}; expected one of: {kinds}")
    return text.FORMAT


def names(paths: list[Path]) -> str:
    """Names of files, for a message."""
    return told([path.name for path in paths], 10)
