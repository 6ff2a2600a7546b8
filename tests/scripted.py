"""A model client that says what a test wrote down, and fails loudly when it is asked for more or for less."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from autogen_core import FunctionCall
from autogen_core.models import ChatCompletionClient, CreateResult, LLMMessage, RequestUsage

from team.models.delegating import DelegatingClient
from team.playbook import PlaybookClient

Line = str | tuple[str, dict[str, Any]] | list[tuple[str, dict[str, Any]]] | Exception


class UnexpectedModelCall(AssertionError):
    """The client was asked once more than the script has lines."""


@dataclass
class Request:
    """What the client was shown."""

    messages: Sequence[LLMMessage]
    tools: list[str] = field(default_factory=list)


class ScriptedClient(DelegatingClient):
    """Each line is a text, a tool call, several tool calls, or an exception to raise."""

    component_provider_override = "tests.scripted.ScriptedClient"

    def __init__(self, lines: Sequence[Line], inner: ChatCompletionClient | None = None) -> None:
        super().__init__(inner or PlaybookClient())
        self._lines = list(lines)
        self.requests: list[Request] = []

    async def create(self, messages: Sequence[LLMMessage], **options: Any) -> CreateResult:  # type: ignore[override]  # the base's keywords
        names = [tool["name"] if isinstance(tool, dict) else tool.name for tool in options.get("tools", ())]
        self.requests.append(Request(list(messages), names))
        if not self._lines:
            raise UnexpectedModelCall(f"call {len(self.requests)}: the script has no line left")
        line = self._lines.pop(0)
        if isinstance(line, Exception):
            raise line
        usage = RequestUsage(prompt_tokens=10, completion_tokens=2)
        if isinstance(line, str):
            return CreateResult(finish_reason="stop", content=line, usage=usage, cached=False)
        calls = [line] if isinstance(line, tuple) else line
        content = [
            FunctionCall(id=f"call-{len(self.requests)}-{k}", name=name, arguments=json.dumps(arguments))
            for k, (name, arguments) in enumerate(calls)
        ]
        return CreateResult(finish_reason="function_calls", content=content, usage=usage, cached=False)

    def assert_complete(self) -> None:
        """Fail when lines were left unsaid."""
        assert not self._lines, f"{len(self._lines)} lines were left unsaid: {self._lines[:3]}"
