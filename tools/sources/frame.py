"""A DataFrame that was given in Python: `frame:NAME#sha256=...`. Its file lies in the vault before anybody fetches it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tools.sources.contract import Found, Room
from tools.sources.spelling import Spelling
from tools.spec import InputRefused

FRAME = "frame:"


def frame_file(vault: Path) -> Path:
    """Where the table waits."""
    return vault / "frame.parquet"


class Frame:
    """Takes the table from beside the folder of files: where it came from, it is gone."""

    def bring(self, spelling: Spelling, room: Room) -> Found:
        spelling.refuse_options("sha256")
        kept = frame_file(room.folder.parent)
        if not kept.is_file() or not spelling.options:
            raise InputRefused(f"source {spelling.address!r} is a DataFrame that was given in Python. Give it to `run` again, or a file.")
        room.expect(kept.stat().st_size)
        target = room.folder / f"{spelling.rest}.parquet"
        try:
            os.link(kept, target)
        except OSError:  # a file system without hard links
            shutil.copyfile(kept, target)
        return Found()
