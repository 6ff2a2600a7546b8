"""Host tools of the writer: prose by slot, and the report."""

from __future__ import annotations

import json
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, Field

from tools.host import HostContext
from tools.spec import ToolRefused, tool
from tools.workspace import write_json

Slot = Literal["summary", "data", "method", "result", "limitations"]
SLOTS: tuple[str, ...] = get_args(Slot)


class SectionWritten(BaseModel):
    slot: str
    words: int
    missing: list[str]
    """Slots without prose yet."""


class ReportBuilt(BaseModel):
    path: str


@tool(where="host", timeout_s=10)
def write_section(
    ctx: HostContext,
    slot: Annotated[Slot, "Part of the report that the text is for."],
    text: Annotated[
        str, "Plain prose, paragraphs parted by an empty line. Only figures that are in the briefing.", Field(min_length=1, max_length=6000)
    ],
) -> SectionWritten:
    """Write, or write again, one part of the report's prose."""
    path = ctx.run.sections
    sections = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    sections[slot] = text
    write_json(path, sections)
    return SectionWritten(slot=slot, words=len(text.split()), missing=[s for s in SLOTS if s not in sections])


@tool(where="host", timeout_s=120)
def build_report(ctx: HostContext) -> ReportBuilt:
    """Build the HTML report from the run's facts and the sections. The document stage ends when this is done."""
    if not ctx.run.sections.exists():
        raise ToolRefused("write at least the summary first: write_section(slot='summary', text=...).")
    return ReportBuilt(path=str(ctx.build_report().relative_to(ctx.run.path)))
