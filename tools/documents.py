"""Host tools of the writer: prose by slot, and the report."""

from __future__ import annotations

import json
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, Field

from tools.host import HostContext
from tools.spec import ToolRefused, tool
from tools.workspace import write_json

Slot = Literal["summary", "data", "method", "result", "limitations", "abstract", "introduction", "discussion", "conclusion"]
SLOTS: tuple[str, ...] = get_args(Slot)
MOST_REFUSALS = 2
"""Texts of a slot that are sent back before the playbook's own stands."""


class SectionWritten(BaseModel):
    slot: str
    words: int
    missing: list[str]
    """Slots without prose yet."""
    replaced: list[str] = []
    """Figures for which the playbook's text stands in place of what was handed in."""


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
    """Write, or write again, one part of the documents' prose. Text with a figure that the run's record does not hold is refused."""
    unbacked = ctx.unbacked(text)
    if unbacked:
        refused = ctx.refused_sections(slot)
        if refused < MOST_REFUSALS and text != ctx.prose().get(slot):
            raise ToolRefused(
                f"nothing on record is {', '.join(map(repr, unbacked))}: take figures from the briefing, as they stand or rounded, and"
                f" leave out what is not there. Write {slot!r} again; after {MOST_REFUSALS} refusals the playbook's text stands."
            )
        text = ctx.backed_prose(slot)
    sections = _sections(ctx)
    sections[slot] = text
    write_json(ctx.run.sections, sections)
    missing = [s for s in SLOTS if s not in sections]
    return SectionWritten(slot=slot, words=len(text.split()), missing=missing, replaced=unbacked)


def _sections(ctx: HostContext) -> dict[str, str]:
    path = ctx.run.sections
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


@tool(where="host", timeout_s=120)
def build_report(ctx: HostContext) -> ReportBuilt:
    """Build the HTML report from the run's facts and the sections. The document stage ends when this is done.

    Slots that nobody wrote get the playbook's text.
    """
    sections = _sections(ctx)
    if not sections:
        raise ToolRefused("write at least the summary first: write_section(slot='summary', text=...).")
    own = {slot: ctx.backed_prose(slot) for slot in SLOTS if slot not in sections and slot in ctx.prose()}
    if own:
        write_json(ctx.run.sections, sections | own)
    return ReportBuilt(path=str(ctx.build_report().relative_to(ctx.run.path)))
