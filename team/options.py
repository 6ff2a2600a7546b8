"""Arguments and options that commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
Out = Annotated[Path, typer.Option("--out", help="Folder of the run directories.")]
Run = Annotated[str, typer.Argument(help="Run directory, the beginning of its name, or `last`.")]
