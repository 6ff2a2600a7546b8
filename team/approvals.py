"""Ask for a person's word before a call that needs it, put question and answer on record, and never ask twice."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from team.approval import NOBODY, Approval, ApprovalDecision, ApprovalRequest, Approve, ask_nobody, way_to_allow
from team.events import ApprovalAsked, ApprovalDecided, Event


class Approvals:
    """The words that one run has.

    Args:
        policy: when to ask.
        ask: asks a person; None where nobody can be asked.
        emit: appends an event.
        before: events of the run from before it was cut off; what was decided in them is not asked again.
    """

    def __init__(self, policy: Approval, ask: Approve | None, emit: Callable[[Event], Event], before: Iterable[Event] = ()) -> None:
        self._policy, self._ask, self._emit = policy, ask or ask_nobody, emit
        # Where nobody could be asked, there may be somebody now.
        self._decided = {one.key: one for one in before if isinstance(one, ApprovalDecided) and one.by != NOBODY}
        self.refused: set[str] = set()
        """Tools that may not act outside the run directory."""
        self.waited_s = 0.0
        """Seconds that the run has waited for a person."""

    async def word(self, request: ApprovalRequest, named_by: str = "") -> ApprovalDecision:
        """Whether a call may be made; waits for a person where the policy says so.

        Args:
            named_by: the setting in which the user named what the call acts on, which is a word already unless the policy is `always`.
        """
        if (before := self._decided.get(request.key)) is not None:
            return self._noted(request, ApprovalDecision(allowed=before.allowed, by=before.by, reason=before.reason))
        asks = self._policy.asks(request.tool, outside=request.outside and not named_by)
        if not asks:
            by = named_by or "the approval setting"
            decision = ApprovalDecision(allowed=True, by=by, reason="asked for beforehand" if named_by else "it says not to ask")
            return self._settled(request, decision, 0.0) if request.outside else decision
        self._emit(ApprovalAsked(**request.model_dump(include={"call", "tool", "role", "stage", "what", "outside"})))
        began = time.perf_counter()
        decision = await self._ask(request)
        waited = time.perf_counter() - began
        self.waited_s += waited
        return self._settled(request, decision, waited)

    def _settled(self, request: ApprovalRequest, decision: ApprovalDecision, waited: float) -> ApprovalDecision:
        event = ApprovalDecided(call=request.call, tool=request.tool, **decision.model_dump(), key=request.key, waited_s=round(waited, 3))
        self._emit(event)
        if decision.by != NOBODY:
            self._decided[request.key] = event
        return self._noted(request, decision)

    def _noted(self, request: ApprovalRequest, decision: ApprovalDecision) -> ApprovalDecision:
        (self.refused.discard if decision.allowed else self.refused.add)(request.tool)
        return decision


def refusal(request: ApprovalRequest, decision: ApprovalDecision) -> str:
    """Why a call is not made, for the role that asked for it."""
    reason = decision.reason or f"{decision.by} said no"
    remedy = "" if way_to_allow(request.tool) in reason else f" To allow it in another run, {way_to_allow(request.tool)}."
    return f"{request.tool} is not allowed to {request.what}: {reason}.{remedy} Go on without it."
