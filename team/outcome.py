"""How a tool call ended, before it is told to anybody."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from team.losses import Loss

OBSERVATION_CHARS = 12_000
"""What a role is shown of one result."""

Status = Literal["ok", "refused", "error", "timeout", "died"]


class Outcome(BaseModel):
    """How a call ended."""

    status: Status
    text: str
    result: dict[str, Any] | None = None
    loss: Loss | None = None
    """How the call lost its kernel, when it did."""
    facts: dict[str, Any] = {}
    """What a role can go on by after a call that did not work."""

    @property
    def told(self) -> dict[str, Any]:
        """A call that did not work, as a role is told of it."""
        return {"error": self.status, "detail": self.text, **self.facts}

    @property
    def last_line(self) -> str:
        """What went wrong, at its shortest."""
        lines = self.text.strip().splitlines()
        return lines[-1].strip()[:300].rstrip(".") if lines else self.status


def cut(text: str, limit: int = OBSERVATION_CHARS) -> str:
    """Head and tail of a long text, and how much is missing between them."""
    if len(text) <= limit:
        return text
    head, tail = text[: limit * 2 // 3], text[-limit // 3 :]
    return f"{head}\n… {len(text) - len(head) - len(tail)} characters left out …\n{tail}"
