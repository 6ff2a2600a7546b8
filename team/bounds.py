"""What the sealed contract holds models to, kept where code of a role could argue.

A model that is too slow or too large is no outcome, by what the host measured. Where families are bound, nothing counts that code of a
role wrote, and what is scored or packaged is what `evaluate` wrote.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from team.consequences import OUT_OF_BOUNDS
from team.evidence import Evidence
from team.host import Host
from team.ongoing import Ongoing
from team.outcome import Outcome
from team.scales import CannotTell, Scales
from team.stages import State
from tools.constraints import Constraints
from tools.spec import ToolRefused, ToolSpec


class Bounds:
    """Keeps them for one run.

    Args:
        evidence: gives the run's evidence.
        scales: measures fitted models where the contract bounds them; None takes the kernel's word.
    """

    def __init__(self, host: Host, evidence: Callable[[], Evidence], ongoing: Ongoing, scales: Scales | None) -> None:
        self._host, self._evidence, self._ongoing, self._scales = host, evidence, ongoing, scales

    @property
    def constraints(self) -> Constraints:
        """What the sealed contract holds models to."""
        vault = self._host.vault
        return vault.contract.constraints if vault.sealed else Constraints()

    def bar_unknown(self, state: State) -> None:
        """Take nothing for a candidate that code of a role wrote. Where families are bound, a record says which one a candidate is."""
        for name in self._evidence().bar_unknown(state):
            reason = f"candidate {name!r} does not count: code wrote it, and the contract binds what a model may be"
            self._ongoing.goes_without(name, reason)

    async def weighed(self, spec: ToolSpec, values: Mapping[str, Any], outcome: Outcome) -> Outcome:
        """The outcome of a fit whose model the contract bounds: with what the host measured, or an error where that is too much."""
        if self._scales is None or outcome.result is None or spec.name not in ("evaluate", "finish") or not self.constraints.bounded:
            return outcome
        candidate = str(values["candidate"])
        folder = self._host.run.work / ("model" if spec.name == "finish" else f"fitted/{candidate}")
        try:
            weighed = await self._scales.weigh(folder, self.constraints, refitted=spec.name == "finish")
        except CannotTell as error:
            told = f"it cannot be measured ({error})"
        else:
            exceeded = weighed.exceeded(self.constraints)
            if exceeded is None:
                measured = {"size_mb": round(weighed.size_mb, 6)}
                if weighed.latency_ms is not None:
                    measured["latency_ms"] = round(weighed.latency_ms, 4)
                result = {**outcome.result, **(measured if spec.name == "evaluate" else {})}
                return outcome.model_copy(update={"result": result, "text": json.dumps(result, ensure_ascii=False)})
            told = f"it takes {exceeded}, as the host measured"
        reason = f"{candidate} is left out: {told}"
        self._ongoing.goes_without(candidate, reason)
        return Outcome(status="error", text=f"{reason}. Hand over another candidate.", facts={OUT_OF_BOUNDS: candidate})

    def with_digest(self, spec: ToolSpec, values: Mapping[str, Any], state: State) -> State:
        """The state with what trusted code has just written of a candidate, where it matters what that is."""
        candidate = str(values.get("candidate"))
        if spec.name != "evaluate" or not self.constraints.by_family or candidate not in state.evaluated:
            return state
        return state.model_copy(update={"digests": {**state.digests, candidate: self._evidence().digest_of(candidate)}})

    def check_unchanged(self, spec: ToolSpec, values: Mapping[str, Any], state: State) -> None:
        """Refuse to score or package what is not what `evaluate` wrote.

        Raises:
            ToolRefused: naming the candidate.
        """
        if not self.constraints.by_family or spec.name not in ("evaluate", "score_holdout", "package_model"):
            return
        if spec.name == "evaluate":
            if (name := str(values["candidate"])) not in {c.name for c in state.candidates}:
                raise ToolRefused(f"the host has scored no candidate {name!r}; train it with the tools, so that it is known what it is.")
            return
        final = state.holdout
        candidate = str(values.get("candidate") or (final.candidate if final else ""))
        if spec.name == "package_model" and not values.get("as_scored"):
            return
        if state.digests.get(candidate) != self._evidence().digest_of(candidate):
            raise ToolRefused(
                f"what `evaluate` wrote of {candidate!r} has been changed since, and the contract binds what a model may be:"
                f" evaluate({candidate!r}) again."
            )
