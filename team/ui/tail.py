"""An event log that another process writes to, read line by line as it grows."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import ValidationError

from team.events import EVENT, Event
from tools.files import open_regular

MOST_BYTES = 2 * 2**30
MOST_AT_ONCE = 8 * 2**20
"""Bytes of one reading; what is more waits for the next."""


class Tail:
    """Reads what was appended since the last reading. No link is followed."""

    def __init__(self, path: Path, inside: Path) -> None:
        """
        Args:
            inside: a trusted folder that the log lies in.
        """
        self._path, self._inside = path, inside
        self._at, self._file = 0, (0, 0)
        self.damaged = 0
        """Lines that could not be read, and are passed over."""

    def read(self) -> list[Event]:
        """Whole lines that are new; a line that is being written comes with the next reading.

        Raises:
            StartOver: when the log is not the one that was read so far, as after a repair.
            OSError: when it cannot be opened.
        """
        with open_regular(self._path, MOST_BYTES, self._inside) as file:
            found = os.fstat(file.fileno())
            identity = (found.st_dev, found.st_ino)
            if self._at and (identity != self._file or found.st_size < self._at):
                raise StartOver
            self._file = identity
            file.seek(self._at)
            fresh = file.read(MOST_AT_ONCE)
        whole = fresh[: fresh.rfind(b"\n") + 1]
        self._at += len(whole)
        events = []
        for line in whole.split(b"\n")[:-1]:
            try:
                events.append(EVENT.validate_json(line))
            except ValidationError:  # torn by a crash, or a later version's
                self.damaged += 1
        return events


class StartOver(Exception):
    """What was read so far does not stand any more."""
