"""The model in a kernel that serves: loaded with the first rows, and kept. The host asks cell by cell."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from tools.show import RESULT_MIME

_kept: dict[str, tuple[Any, Any, Any]] = {}


class Answered(BaseModel):
    """What a cell gives back."""

    answers: list[dict[str, Any]] = []
    refused: str | None = None
    """Why the model cannot take the rows."""


def answer(folder: str, rows: str) -> None:
    """Predict rows and display what the model says, as `Answered`.

    Args:
        folder: of a package that the host has verified.
        rows: JSON list of rows; empty to load the model alone.
    """
    from IPython.display import display

    from tools.answers import answers
    from tools.tables import TableError

    _forget()
    model, inputs, decision = _loaded(folder)
    given = json.loads(rows)
    try:
        found = Answered(answers=answers(model, inputs, given, decision) if given else [])
    except TableError as error:
        found = Answered(refused=str(error))
    display({RESULT_MIME: found.model_dump(), "text/plain": f"{len(given)} rows"}, raw=True)


def _loaded(folder: str) -> tuple[Any, Any, Any]:
    if folder not in _kept:
        import joblib

        from tools.package.inputs import Inputs
        from tools.package.manifest import INPUTS_FILE, PIPELINE, read_learnt, read_manifest

        place = Path(folder)
        _kept[folder] = joblib.load(place / PIPELINE), read_learnt(place, INPUTS_FILE, Inputs), read_manifest(place).decision
    return _kept[folder]


def _forget() -> None:
    """Let go of the rows of earlier cells: a shell keeps the text of each for whoever scrolls back, and nobody does here."""
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    if shell is None or shell.history_manager is None:
        return
    for lines in (shell.history_manager.input_hist_parsed, shell.history_manager.input_hist_raw):
        lines[:] = [""]
    for name in [name for name in shell.user_ns if re.fullmatch(r"_i\d+", name)]:
        del shell.user_ns[name]
