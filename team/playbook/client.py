"""The playbook as an AutoGen model client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

from autogen_core import CancellationToken, FunctionCall
from autogen_core.models import ChatCompletionClient, CreateResult, LLMMessage, ModelFamily, ModelInfo, RequestUsage
from autogen_core.tools import Tool, ToolSchema

from team.playbook import critic, data_scientist, engineer, planner, release_manager, writer
from team.playbook.transcript import Call, Decision, Transcript, read

_ROLES: dict[str, Callable[[Transcript], Decision]] = {
    "planner": planner.decide,
    "data_scientist": data_scientist.decide,
    "engineer": engineer.decide,
    "critic": critic.decide,
    "writer": writer.decide,
    "release_manager": release_manager.decide,
}


class PlaybookClient(ChatCompletionClient):
    """Decides by the messages alone; keeps no state, so a resumed or repeated request gets the same answer.

    Costs nothing and uses no tokens.
    """

    component_provider_override = "team.playbook.PlaybookClient"

    async def create(self, messages: Sequence[LLMMessage], **options: Any) -> CreateResult:
        """Answer as an expert in the role's place would.

        Raises:
            NotABriefing: when the messages are not those of a team's turn.
        """
        token: CancellationToken | None = options.get("cancellation_token")
        if token is not None and token.is_cancelled():
            raise asyncio.CancelledError
        transcript = read(messages)
        decision = _ROLES[transcript.role](transcript)
        usage = RequestUsage(prompt_tokens=0, completion_tokens=0)
        if isinstance(decision, Call) and options.get("tool_choice") != "none":
            call = FunctionCall(
                id=f"{transcript.role}-{len(transcript.done)}", name=decision.tool, arguments=json.dumps(decision.arguments)
            )
            return CreateResult(finish_reason="function_calls", content=[call], usage=usage, cached=False, thought=decision.why)
        text = decision.why if isinstance(decision, Call) else decision.text
        return CreateResult(finish_reason="stop", content=text, usage=usage, cached=False)

    async def create_stream(self, messages: Sequence[LLMMessage], **options: Any) -> AsyncGenerator[str | CreateResult, None]:
        result = await self.create(messages, **options)
        if isinstance(result.content, str):
            yield result.content
        yield result

    async def close(self) -> None: ...

    def actual_usage(self) -> RequestUsage:
        return RequestUsage(prompt_tokens=0, completion_tokens=0)

    def total_usage(self) -> RequestUsage:
        return RequestUsage(prompt_tokens=0, completion_tokens=0)

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = ()) -> int:
        return 0

    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = ()) -> int:
        return 1 << 20

    @property
    def capabilities(self) -> ModelInfo:  # deprecated, still abstract
        return self.model_info

    @property
    def model_info(self) -> ModelInfo:
        return ModelInfo(
            vision=False,
            function_calling=True,
            json_output=False,
            family=ModelFamily.UNKNOWN,
            structured_output=False,
            multiple_system_messages=True,
        )
