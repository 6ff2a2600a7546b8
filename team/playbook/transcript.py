"""The messages of a request, read as facts: who am I, what stage is it, what have I done in this turn."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from autogen_core.models import AssistantMessage, FunctionExecutionResultMessage, LLMMessage, SystemMessage, UserMessage

from tools.constraints import Constraints
from tools.contract import Predicts, Task, predicts

SHORT = "cut_for_a_model"
"""Key that says that facts were cut to the length of a model's request: the playbook's rules need them whole."""
_FACTS = re.compile(r"```json\n(.*?)\n```", re.DOTALL)


class NotABriefing(ValueError):
    """The request holds no briefing of the conductor, so there is nothing to decide on."""


@dataclass(frozen=True)
class Call:
    """Call a tool, and say why."""

    tool: str
    arguments: dict[str, Any]
    why: str


@dataclass(frozen=True)
class Say:
    """End the turn with these words."""

    text: str


Decision = Call | Say


@dataclass(frozen=True)
class Done:
    """A call of this turn and what came back."""

    tool: str
    arguments: dict[str, Any]
    ok: bool
    result: dict[str, Any]
    """The result's facts, or `{"error": ..., "detail": ...}`."""

    @property
    def lost(self) -> dict[str, Any]:
        """What took the kernel along and which families have candidates now; empty when the kernel lived."""
        lost = self.result.get("lost")
        return {} if self.ok or not lost else {**lost, "trained": self.result.get("trained", [])}

    @property
    def why(self) -> str:
        """Why it did not work, in one line. Of what a cell printed that is the last one: before it stand tracebacks of threads."""
        told = self.lost.get("told") or str(self.result.get("detail") or self.result.get("error"))
        return [line.strip() for line in str(told).splitlines() if line.strip()][-1]

    @property
    def seconds(self) -> float:
        """Wall-clock seconds that the call says it took."""
        return float(self.result.get("seconds") or 0)


@dataclass(frozen=True)
class Transcript:
    """What the playbook decides by."""

    role: str
    stage: str
    facts: dict[str, Any]
    done: list[Done] = field(default_factory=list)

    def last(self, tool: str) -> Done | None:
        """The last call of `tool` in this turn."""
        return next((d for d in reversed(self.done) if d.tool == tool), None)

    def called(self, tool: str) -> bool:
        return self.last(tool) is not None

    @property
    def task(self) -> Task:
        """The problem type, once the contract says it, or the wish does; `regression` where only the target's values would."""
        wish, contract = self.facts.get("wish", {}), self.facts.get("contract", {})
        found: Task = contract.get("task") or wish.get("task") or "regression"
        return found

    @property
    def predicts(self) -> Predicts:
        """Shape of the predictions of such a task."""
        return predicts(self.task)

    @property
    def dropped(self) -> set[str]:
        """Families that are not fitted any more in this run."""
        now = {str(d.lost["family"]) for d in self.done if d.lost and d.lost["next"] == "dropped"}
        return now | set(self.facts.get("dropped", {}))

    @property
    def brought(self) -> list[str]:
        """Families that installed packages bring."""
        return list(self.facts.get("families_brought", []))

    @property
    def constraints(self) -> Constraints:
        """What the contract holds models to."""
        return Constraints.model_validate(self.facts["contract"].get("constraints", {}))

    @property
    def failure(self) -> Done | None:
        """The last call, when it did not work."""
        return self.done[-1] if self.done and not self.done[-1].ok else None

    def failed(self) -> Say:
        """What to say when the last call did not work and nothing else can be done."""
        assert self.failure is not None
        return Say(f"{self.failure.tool} did not work: {self.failure.why}")

    @property
    def seconds_left(self) -> float:
        """Search seconds left when the turn began, less what its own calls reported to have used."""
        used = sum(d.seconds for d in self.done)
        return max(0.0, float(self.facts["budget"]["search_seconds_left"]) - used)


def read(messages: Sequence[LLMMessage]) -> Transcript:
    """Read a request.

    Raises:
        NotABriefing: when the system message names no role or no message holds a briefing.
    """
    system = next((m.content for m in messages if isinstance(m, SystemMessage)), "")
    title = re.match(r"# (.+)", system)
    opening = max((i for i, m in enumerate(messages) if isinstance(m, UserMessage) and m.source == "conductor"), default=None)
    if title is None or opening is None:
        raise NotABriefing("the playbook needs a role's system message and the conductor's briefing")
    match = _FACTS.search(str(messages[opening].content))
    if match is None:
        raise NotABriefing("the conductor's message holds no block of facts")
    facts = json.loads(match[1])
    if facts.get(SHORT):
        raise NotABriefing("the playbook needs the whole briefing, and this one is cut for a language model")
    return Transcript(
        role=title[1].strip().lower().replace(" ", "_"), stage=facts["stage"], facts=facts, done=_calls(messages[opening + 1 :])
    )


def _calls(messages: Sequence[LLMMessage]) -> list[Done]:
    asked: dict[str, tuple[str, dict[str, Any]]] = {}
    done = []
    for message in messages:
        if isinstance(message, AssistantMessage) and isinstance(message.content, list):
            asked |= {call.id: (call.name, json.loads(call.arguments or "{}")) for call in message.content}
        elif isinstance(message, FunctionExecutionResultMessage):
            for result in message.content:
                name, arguments = asked.get(result.call_id, (result.name, {}))
                done.append(Done(name, arguments, not result.is_error, _facts(result.content)))
    return done


def _facts(content: str) -> dict[str, Any]:
    try:
        facts = json.loads(content)
    except ValueError:
        return {"text": content}
    return facts if isinstance(facts, dict) else {"value": facts}
