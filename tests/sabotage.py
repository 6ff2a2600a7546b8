"""The playbook in all roles, but for calls that a test has it make first: how faults are caused from inside a run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from autogen_core import FunctionCall
from autogen_core.models import CreateResult, LLMMessage, RequestUsage

from team.models.delegating import DelegatingClient
from team.playbook import PlaybookClient
from team.playbook.transcript import read

Calls = Sequence[tuple[str, dict[str, Any]]]

BROKEN_VECTORIZER = """
import skrub

class TableVectorizer:
    def __init__(self, **options):
        raise TypeError("this library is broken")

skrub.TableVectorizer = TableVectorizer
"""
EATS_MEMORY = """
import lightgbm

lightgbm.train = lambda *_, **options: b"x" * (2 << 30)
"""
CRASHES = """
import catboost, ctypes

catboost.CatBoostClassifier.fit = lambda *_, **options: ctypes.string_at(0)
"""
NEVER_COMES_BACK = """
import collections, itertools, xgboost

# Endless in compiled code, which asks for no signal.
xgboost.train = lambda *_, **options: collections.deque(itertools.repeat(0), maxlen=0)
"""


class Saboteur(DelegatingClient):
    """Makes the calls of a role and stage, each once, before the playbook goes on from what came of them."""

    component_provider_override = "tests.sabotage.Saboteur"

    def __init__(self, first: Mapping[tuple[str, str], Calls]) -> None:
        super().__init__(PlaybookClient())
        self._waiting = {place: list(calls) for place, calls in first.items()}

    async def create(self, messages: Sequence[LLMMessage], **options: Any) -> CreateResult:  # type: ignore[override]  # the base's keywords
        transcript = read(messages)
        waiting = self._waiting.get((transcript.role, transcript.stage))
        if not waiting:
            return await super().create(messages, **options)
        tool, arguments = waiting.pop(0)
        call = FunctionCall(id=f"{tool}-{transcript.stage}-{len(waiting)}", name=tool, arguments=json.dumps(arguments))
        usage = RequestUsage(prompt_tokens=0, completion_tokens=0)
        return CreateResult(finish_reason="function_calls", content=[call], usage=usage, cached=False, thought="A fault is caused.")

    def assert_done(self) -> None:
        """Fail when calls were left unmade."""
        assert not any(self._waiting.values()), f"calls were left unmade: {self._waiting}"


def python(code: str) -> tuple[str, dict[str, Any]]:
    return "run_python", {"code": code}
