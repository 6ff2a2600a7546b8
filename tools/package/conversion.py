"""What `mlteam export` has a kernel do: write a verified pipeline in one more format and hold both against each other on the run's rows."""

from __future__ import annotations

import importlib.util

from pydantic import BaseModel, ConfigDict

from tools.package.interchange import LIBRARIES, Format, Name, write_formats
from tools.package.manifest import PIPELINE
from tools.show import show
from tools.workspace import workspace


class Converted(BaseModel):
    """What a cell gives back."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Format | None = None
    missing: str | None = None
    """Library without which it cannot be written, and which is not here."""


def convert(name: Name, most_s: float) -> None:
    """Write `work/model/pipeline.joblib` in a format beside it, and display what became of that, as `Converted`.

    Args:
        most_s: seconds for it, checking included.
    """
    absent = [library for library in (one.partition(".")[0] for one in LIBRARIES[name]) if importlib.util.find_spec(library) is None]
    if absent:
        show(Converted(missing=absent[0]))
        return
    import joblib

    space = workspace()
    rows = space.table("all" if (space.data / "all.parquet").is_file() else "train")
    written = write_formats(space.model, joblib.load(space.model / PIPELINE), rows, most_s, [name])
    show(Converted(format=written.formats[0]))
