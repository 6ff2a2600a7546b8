"""Text of UTF-16 and UTF-32 in a stream: in pieces made UTF-8 on disk, which is read as any other text."""

from __future__ import annotations

import codecs
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tools.formats.contract import HEAD_BYTES, Choice
from tools.formats.dialect import agreed
from tools.formats.encodings import decoding_notes, wide_encoding, without_order
from tools.formats.streaming import Streamed, stream_text
from tools.tables import TableError

_PIECE = 1 << 20


def stream_wide(files: Sequence[Path], output: Path, choice: Choice) -> Streamed | None:
    """Convert files of text of any encoding, as `stream_text` does."""
    encodings = [_encoding(path, choice) for path in files]
    if not any(encodings):
        return stream_text(files, output, choice)
    with tempfile.TemporaryDirectory(prefix=".utf8-", dir=output.parent) as folder:
        try:
            each = zip(files, encodings, range(len(files)), strict=True)
            plain = [path if found is None else _in_utf8(path, found, Path(folder) / str(i)) for path, found, i in each]
        except OSError as error:
            raise TableError(f"{files[0].name}: cannot be made UTF-8 on disk ({error.strerror}); save it as UTF-8") from None
        streamed = stream_text(plain, output, replace(choice, encoding=None))
    if streamed is None:
        return None
    names = [choice.encoding or without_order(found or "utf-8") for found in encodings]
    notes = [[*decoding_notes(name, "", name), *told] for name, told in zip(names, streamed.of_files, strict=True)]
    return streamed._replace(of_files=notes, dialect=agreed([streamed.dialect.model_copy(update={"encoding": name}) for name in names]))


def _encoding(path: Path, choice: Choice) -> str | None:
    """UTF-16 or UTF-32; None for everything else."""
    if choice.encoding is not None:
        return choice.encoding if choice.encoding.startswith(("utf-16", "utf-32")) else None
    with path.open("rb") as file:
        return wide_encoding(file.read(HEAD_BYTES))


def _in_utf8(path: Path, encoding: str, folder: Path) -> Path:
    """A copy by the file's own name."""
    folder.mkdir()
    target = folder / path.name
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    with path.open("rb") as source, target.open("w", encoding="utf-8", newline="") as copy:
        first = True
        while piece := source.read(_PIECE):
            text = decoder.decode(piece)
            copy.write(text.removeprefix("\ufeff") if first else text)
            first = first and not text
        copy.write(decoder.decode(b"", final=True))
    return target
