"""Which calls of tools need a person's word, and what that word was.

By default those are asked about that act outside the run directory, unless the user named the very place (`--tracker`). Whoever can ask a
person (a terminal, a chat, a notebook) hands an `Approve` to `run.start`; where nobody can be asked, what needs a word is refused.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Policy = Literal["never", "always", "outside-only"]
"""When to ask: never, before every call, or before calls that act outside the run directory or spend more than was foreseen."""
SPEND = "spend"
"""Stands for a tool where models would cost more than was foreseen."""
NOBODY = "nobody"
"""Who decided where nobody could be asked; it is no decision that lasts."""


class Approval(BaseModel):
    """The policy of a run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    default: Policy = "outside-only"
    """For tools that are not named."""
    tools: dict[str, Policy] = {}
    """By name of the tool; `spend` is the spending of models beyond what was foreseen."""

    def asks(self, tool: str, *, outside: bool) -> bool:
        """Whether a call of `tool` needs a person's word.

        Args:
            outside: whether it acts outside the run directory, or spends what was not foreseen.
        """
        policy = self.tools.get(tool, self.default)
        return policy == "always" or (policy == "outside-only" and outside)


class ApprovalRequest(BaseModel):
    """What a person is asked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    call: str
    """Which call it is about: the id of its events."""
    tool: str
    role: str
    stage: str
    arguments: dict[str, Any] = {}
    outside: bool
    what: str
    """What it would do, in a sentence for a person."""

    @property
    def key(self) -> str:
        """What is asked about once a run: the same call of the same tool."""
        return json.dumps([self.tool, self.arguments], sort_keys=True, default=str)


class ApprovalDecision(BaseModel):
    """A person's word, or the policy's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    allowed: bool
    by: str
    """Who decided: `terminal`, `chat`, `notebook`, `nobody`."""
    reason: str = ""


Approve = Callable[[ApprovalRequest], Awaitable[ApprovalDecision]]
"""Asks a person and waits as long as that takes: no deadline of a tool runs meanwhile. It may be cancelled."""


async def ask_nobody(request: ApprovalRequest) -> ApprovalDecision:
    """The answer where no person can be asked."""
    return ApprovalDecision(allowed=False, by=NOBODY, reason=f"nobody could be asked; {way_to_allow(request.tool)}")


def way_to_allow(tool: str) -> str:
    return f"allow it beforehand with --approve {tool}, or all with --approval never"
