"""The one door for tool calls: an AutoGen workbench that never raises.

AutoGen hangs when a workbench raises in mid call, so whatever goes wrong becomes an error result.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from autogen_core import CancellationToken
from autogen_core.tools import ParametersSchema, TextResultContent, ToolResult, ToolSchema, Workbench

from team.choices import kept_steps
from team.guidance import offered
from team.outcome import Outcome
from team.roles import Role
from team.stages import Stage
from team.toolroom import Toolroom
from tools.spec import ToolSpec

_BOUNDS = ("minLength", "maxLength", "minItems", "maxItems", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")


class RoleWorkbench(Workbench):
    """The toolroom as one role sees it: the tools of its stage, and nothing else.

    Args:
        short: whether a language model is offered those alone that can be of use now.
    """

    component_provider_override = "team.workbench.RoleWorkbench"

    def __init__(self, role: Role, room: Toolroom, *, short: bool = False) -> None:
        self._role, self._room, self._short = role, room, short

    async def list_tools(self) -> list[ToolSchema]:
        stage = self._room.state.stage or Stage.RELEASE
        names = self._role.tools_in(stage) - self._room.of_no_use()
        if self._short:
            names = offered(self._room.state, self._role.name, names)
        return [_schema(spec, self._settled(name)) for name in sorted(names) if (spec := self._room.spec(name))]

    def _settled(self, tool: str) -> frozenset[str]:
        """Arguments that need not be shown; steps of a preparation are none of a model's choices until some have proved to gain."""
        found = self._room.settled(tool)
        none_kept = tool == "prepare" and not kept_steps(self._room.host.wish, self._room.state.results)
        return found | {"steps"} if self._short and none_kept else found

    async def call_tool(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        cancellation_token: CancellationToken | None = None,
        call_id: str | None = None,
    ) -> ToolResult:
        running = asyncio.ensure_future(self._room.call(self._role, name, arguments if isinstance(arguments, Mapping) else {}))
        if cancellation_token is not None:
            cancellation_token.link_future(running)
        try:
            outcome = await running
        except asyncio.CancelledError:
            outcome = Outcome(status="error", text="cancelled")
        except Exception as error:  # AutoGen would hang; the conductor raises it after the turn
            self._room.fatal = error
            outcome = Outcome(status="error", text=f"{type(error).__name__}: {error}")
        text = outcome.text if outcome.status == "ok" else json.dumps(outcome.told, ensure_ascii=False)
        return ToolResult(name=name, result=[TextResultContent(content=text)], is_error=outcome.status != "ok")

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    async def reset(self) -> None: ...
    async def save_state(self) -> Mapping[str, Any]:
        return {}

    async def load_state(self, state: Mapping[str, Any]) -> None: ...


def _schema(spec: ToolSpec, settled: frozenset[str] = frozenset()) -> ToolSchema:
    """A tool as models are shown it: short and flat. What is left out can be given all the same, and is validated as ever."""
    schema = spec.schema()
    flat = {name: value for name, value in schema["properties"].items() if value.get("type") != "object"}
    shown = {name: _short(value) for name, value in flat.items() if name not in settled or name in schema["required"]}
    parameters = ParametersSchema(type="object", properties=shown, required=schema["required"], additionalProperties=False)
    return ToolSchema(name=spec.name, description=spec.description, parameters=parameters, strict=False)


def _short(schema: dict[str, Any]) -> dict[str, Any]:
    """Without bounds, which a refusal names where they matter, and without a default that is nothing."""
    return {key: value for key, value in schema.items() if key not in _BOUNDS and not (key == "default" and value in (None, []))}
