"""Kernel tool: the finished model in further formats, beside its pipeline."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Le
from pydantic import BaseModel

from tools.package.interchange import MOST_S
from tools.spec import ToolRefused, tool
from tools.workspace import workspace, write_text


class ModelExported(BaseModel):
    """What became of each format."""

    formats: dict[str, str]
    """How it was checked, or why the model is not in it."""


@tool(where="kernel", timeout_s=300)
def export_model(
    each_s: Annotated[float, "Wall-clock seconds for each format, checking included.", Ge(1), Le(140)] = MOST_S,
) -> ModelExported:
    """Write the finished model as skops and, where every part allows it, as ONNX; each is held against the pipeline on real rows."""
    import joblib

    from tools.package.interchange import write_formats
    from tools.package.manifest import FORMATS_FILE, PIPELINE

    space = workspace()
    if not (space.model / PIPELINE).is_file():
        raise ToolRefused("there is no finished model to write in other formats: call finish first.")
    formats = write_formats(space.model, joblib.load(space.model / PIPELINE), space.table("all"), each_s)
    write_text(space.model / FORMATS_FILE, formats.model_dump_json(indent=1))
    return ModelExported(formats=formats.told)
