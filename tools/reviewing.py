"""Host tool of the critic: accept the work of a stage or send it back."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from tools.host import HostContext, Verdict
from tools.spec import ToolRefused, tool


class Review(BaseModel):
    """A review on record."""

    verdict: Verdict
    findings: list[str]
    back_to: str | None


@tool(where="host", timeout_s=10)
def review(
    ctx: HostContext,
    verdict: Annotated[Verdict, "`accept` when the work stands, `send_back` when it must be done again."],
    findings: Annotated[
        list[str], "What was checked and what was found, one sentence each, with the figures.", Field(min_length=1, max_length=20)
    ],
    back_to: Annotated[str | None, "Stage that must do its work again; only with `send_back`."] = None,
) -> Review:
    """Put the review of this stage on record. Sending back is possible a bounded number of times."""
    if verdict == "accept":
        if back_to is not None:
            raise ToolRefused("`back_to` goes with verdict `send_back` only.")
        return Review(verdict=verdict, findings=findings, back_to=None)
    allowed = ctx.send_back_to()
    if not allowed:
        raise ToolRefused(
            "nothing can be sent back now: the search is spent or it was sent back often enough. Accept, and say what is wrong."
        )
    if back_to not in allowed:
        raise ToolRefused(f"back_to={back_to!r}: expected one of {', '.join(allowed)}.")
    return Review(verdict=verdict, findings=findings, back_to=back_to)
