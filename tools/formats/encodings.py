"""Bytes of a file into text: unpacked, and decoded by what a mark says, by UTF-8, or by a guess."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from pathlib import Path

from tools.formats.contract import HEAD_BYTES
from tools.tables import TableError

PACKED = {b"\x1f\x8b": ("gzip", gzip.decompress), b"BZh": ("bzip2", bz2.decompress), b"\xfd7zXZ": ("xz", lzma.decompress)}
_GUESSED = (
    *("cp1252", "cp1250", "cp1251", "cp1254", "cp1253", "cp1255", "cp1256", "cp1257", "cp1258"),
    *("koi8_r", "gb18030", "cp932", "euc_jp", "big5", "cp949", "cp874", "cp850", "cp437", "mac_roman"),
)
"""Encodings that tables come in, the commoner first: of those that fit equally well the first is taken."""
_SEVEN_BITS = ("iso2022", "hz", "utf-7")
_BROKEN_SHARE = 0.1


def decoded(path: Path, encoding: str | None = None, likely: str | None = None) -> tuple[str, str]:
    """The text of a file and its encoding.

    Args:
        encoding: what the user says it is.
        likely: what it is where its bytes allow that and are no UTF-8.

    Raises:
        TableError: for binary content.
    """
    data = path.read_bytes()
    for magic, (kind, unpack) in PACKED.items():
        if data.startswith(magic):
            try:
                data = unpack(data)
            except (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError) as error:
                raise TableError(f"{path.name}: not readable {kind} data ({error})") from None
            if not data:
                raise TableError(f"{path.name}: the packed file is empty; expected a header line and rows")
            break
    if encoding is None and (wide := wide_encoding(data)) is not None:
        return data.decode(wide, errors="replace").removeprefix("\ufeff"), without_order(wide)
    if b"\x00" in data and encoding is None:
        raise TableError(f"{path.name}: named as text, but it holds NUL bytes, so it is binary; expected a CSV file")
    encoding = encoding or encoding_of(data, likely)
    return data.decode("utf-8-sig" if encoding == "utf-8" else encoding, errors="replace").removeprefix("\ufeff"), encoding


def without_order(encoding: str) -> str:
    """UTF-16 and UTF-32 as people name them, whatever the order of their bytes."""
    return encoding.removesuffix("-le").removesuffix("-be")


def decoding_notes(encoding: str, text: str, said: str | None) -> list[str]:
    """What is told of how text was decoded.

    Args:
        said: the encoding, where it was no guess.
    """
    notes = [] if encoding == "utf-8" else [f"Decoded as {encoding}."]
    if said is None and encoding in _GUESSED:
        notes = [f"Decoded as {encoding}, which is a guess: `#encoding=` behind the source decides it."]
    if "\ufffd" in text:
        notes.append(f"Bytes that are none of {encoding} were replaced by a question mark, \ufffd.")
    return notes


def encoding_of(data: bytes, likely: str | None = None) -> str:
    """The encoding of text, or of its beginning. UTF-8 in which few signs are broken is UTF-8 still.

    Args:
        likely: is taken where the bytes allow that and are no UTF-8, or where it writes everything in seven bits.
    """
    if likely is not None and data.isascii() and likely.startswith(_SEVEN_BITS) and _fits(data, likely):
        return likely
    try:
        data.decode("utf-8")
        return "utf-8"
    except UnicodeDecodeError as error:
        if error.start >= len(data) - 3 and error.reason == "unexpected end of data":
            return "utf-8"  # cut within a sign
    text = data.decode("utf-8", errors="replace")
    if text.count("\ufffd") <= _BROKEN_SHARE * sum(not sign.isascii() for sign in text):
        return "utf-8"
    return likely if likely is not None and _fits(data, likely) else _guessed(data)


def _fits(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except (UnicodeError, LookupError):
        return False
    return True


def _guessed(data: bytes) -> str:
    from charset_normalizer import from_bytes

    # Only lines with bytes beyond ASCII tell encodings apart.
    lines = b"\n".join([line for line in data.splitlines() if not line.isascii()][:2000])
    for threshold in (0.2, 1.0):  # how odd text may be; a few names of places are odder than prose
        if found := list(from_bytes(lines, cp_isolation=list(_GUESSED), threshold=threshold)):
            fewest = min(match.chaos for match in found)
            found = [match for match in found if match.chaos <= fewest + 0.02]
            likest = max(match.coherence for match in found)
            names = {name for match in found if match.coherence >= likest - 0.02 for name in match.could_be_from_charset}
            return next((name for name in _GUESSED if name in names), found[0].encoding)
    return _GUESSED[0]


def wide_encoding(data: bytes) -> str | None:
    """UTF-32 or UTF-16 where a mark at the beginning says so, or where every second byte is zero, as in text of most alphabets."""
    if data.startswith((b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff")):
        return "utf-32"
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    head = data[:HEAD_BYTES]
    first, second = head[::2].count(0), head[1::2].count(0)
    if max(first, second) > 0.3 * len(head) and min(first, second) == 0:  # of 0.5 at most
        return "utf-16-le" if second else "utf-16-be"
    return None
