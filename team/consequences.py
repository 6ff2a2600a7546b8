"""What follows from a call that did not work, or worked less well than it should: the run goes on with less, and says so.

A family whose fit took the kernel is tried smaller or left alone. A candidate that cannot be fitted on all training rows
gives its place to the next one, unless its predictions were written before. A refit that fails leaves the model that was
scored. Each of these is put on record as an event, and the facts stand in the state, where the next turn finds them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from team.events import Event, FellBack
from team.evidence import Evidence
from team.losses import Losses
from team.outcome import Outcome
from team.rundir import RunDir
from team.stages import Stage, State
from tools.predictions import PredictionError
from tools.spec import ToolSpec

OUT_OF_BOUNDS = "out_of_bounds"
"""Fact of a call whose model the host measured to be too slow or too large: it cannot be scored, though its predictions are there."""
MOST = 200
"""Degradations of one run that are put on record."""


class Consequences:
    """Draws them for one run."""

    def __init__(self, run: RunDir, evidence: Evidence, emit: Callable[[Event], Event]) -> None:
        self._losses, self._evidence, self._emit = Losses(run), evidence, emit
        self._told: set[tuple[str, str]] = set()

    def tell(self, state: State, role: str, spec: ToolSpec, values: Mapping[str, Any], outcome: Outcome) -> None:
        """Find out what a call that was just made lost, put it on record, and add to the outcome what a role can go on by.

        Args:
            state: as the call left it, with what it finished.
        """
        told = [(entry["what"], entry["reason"]) for entry in (outcome.result or {}).get("degraded", [])]
        if outcome.loss is not None and not spec.free_form:
            account = self._losses.account(spec.name, values, outcome.loss)
            told.append((account.what, account.sentence))
            outcome.facts = {
                "lost": {"family": account.family, "how": outcome.loss.kind, "next": account.next, "told": account.sentence},
                "seconds": round(outcome.loss.seconds, 2),
                "trained": list(dict.fromkeys(candidate.family for candidate in state.candidates)),
            }
            again = f"What was finished before counts; call {spec.name} again for what is left.\n" if spec.searches else ""
            outcome.text += f"\n{again}{account.sentence}."
        if spec.name == "prepare" and outcome.status != "ok" and values["preparers"]:
            told.append(("preparers", f"the models go without {', '.join(values['preparers'])}: {outcome.last_line}"))
        if spec.name == "evaluate":
            told += self._of_evaluation(state, str(values["candidate"]), outcome)
        elif spec.name == "package_model" and outcome.result is not None and not outcome.result["refitted"]:
            told.append(("refit", f"the refit on all rows failed ({state.refit_failure}): the model that was scored is packaged as it is"))
        for what, reason in told:
            if (what, reason) not in self._told and len(self._told) < MOST:
                self._told.add((what, reason))
                self._emit(FellBack(stage=state.stage or Stage.RELEASE, role=role, reason=reason[:400], what=what[:80]))

    def _of_evaluation(self, state: State, candidate: str, outcome: Outcome) -> list[tuple[str, str]]:
        if outcome.status == "ok":
            unfit = "; ".join(f"{name}: {reason}" for name, reason in state.unfit.items())
            return [(candidate, f"{candidate} takes the place of what could not be fitted on all training rows ({unfit})")] if unfit else []
        if OUT_OF_BOUNDS in outcome.facts:
            return []
        if candidate not in {known.name for known in state.candidates} or not self._can_be_scored(state, candidate):
            return []
        outcome.facts = {**outcome.facts, "evaluated": candidate}
        return [(candidate, f"the predictions of {candidate} were written, but not what describes it: {outcome.last_line}")]

    def _can_be_scored(self, state: State, candidate: str) -> bool:
        try:
            return candidate in self._evidence.of_predictions(state, candidate).evaluated
        except PredictionError:
            return False

    def state(self, state: State, tool: str, values: Mapping[str, Any], outcome: Outcome) -> State:
        """The state after a call, also after one that was made before the run was cut off."""
        lost = outcome.facts.get("lost", {})
        if lost.get("next") == "dropped":
            state = state.model_copy(update={"dropped": {**state.dropped, str(lost["family"]): lost["told"]}})
        if tool == "finish" and outcome.status != "ok":
            state = state.model_copy(update={"refit_failure": outcome.last_line})
        if tool == "submit_candidate":
            return self._evidence.of_attempt(state, values, None if outcome.status == "ok" else outcome.last_line)
        candidate = str(values.get("candidate"))
        if tool != "evaluate" or outcome.status == "ok" or candidate not in {known.name for known in state.candidates}:
            return state
        if outcome.facts.get("evaluated") == candidate:
            return self._evidence.of_predictions(state, candidate)
        return state.model_copy(update={"unfit": {**state.unfit, candidate: outcome.last_line}})
