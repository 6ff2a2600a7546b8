"""What a cell prints while it runs, kept in a file for whoever watches the run from another process, until the call has ended.

What stays of a cell is in `cells.jsonl`; this file only bridges the time until then. A line with the call's id, then the text.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.files import read_regular

MOST_BYTES = 1 << 20
"""Far above what a sandbox tells of one cell (`Limits.output_bytes`)."""


@contextmanager
def printing(path: Path, call: str) -> Iterator[Callable[[str], None]]:
    """Keep what is printed for a call; gives what takes each piece as it comes.

    A disk that takes nothing more ends no cell: then there is less to watch.
    """

    def take(text: str) -> None:
        with contextlib.suppress(OSError), path.open("ab") as file:
            if not file.tell():
                file.write(call.encode() + b"\n")
            file.write(text.encode("utf-8", "replace"))

    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)  # a process that was killed left it
    try:
        yield take
    finally:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def printed(path: Path, call: str, inside: Path) -> str:
    """What a call has printed so far; nothing where nothing is known of it.

    Args:
        inside: a trusted folder; no link below it is followed.
    """
    try:
        whose, _, text = read_regular(path, MOST_BYTES, inside).partition(b"\n")
    except OSError:
        return ""
    return text.decode("utf-8", "replace") if whose == call.encode() else ""
