"""The group chat: six AutoGen agents in one SelectorGroupChat, one turn at a time.

AutoGen's own state is never kept: after an exception the whole group is thrown away. A new one needs nothing, because a turn opens with a
briefing that tells facts and last words.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from typing import Any

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, TextMessage, ThoughtEvent, ToolCallSummaryMessage
from autogen_agentchat.teams import SelectorGroupChat
from autogen_core import CancellationToken
from autogen_core.models import ChatCompletionClient

from team.model_context import CONDUCTOR, BriefingContext
from team.roles import roles
from team.toolroom import Toolroom
from team.workbench import RoleWorkbench

MAX_CALLS_A_TURN = 16
"""Model calls of one turn, each of which may call tools."""

CANCEL_PATIENCE_S = 10.0
"""How long a cancelled turn may take to interrupt its cell."""

Spoken = Callable[[str, str], None]
"""Told of everything a role says: its name and the text."""


class Group:
    """The team of one run.

    Args:
        clients: a model client for each role.
        room: the shared door to the tools.
        spoken: called for each thought and message of the role whose turn it is.
        short: whether requests are bounded, as they are for language models.
    """

    def __init__(self, clients: Mapping[str, ChatCompletionClient], room: Toolroom, spoken: Spoken, *, short: bool = False) -> None:
        self._clients, self._room, self._spoken, self._short = clients, room, spoken, short
        self._speaker = ""
        self._team: SelectorGroupChat | None = None

    async def turn(self, speaker: str, briefing: str) -> str:
        """Let one role speak once, with as many tool calls as it needs, and return its last words.

        Raises:
            RuntimeError: when the model client fails; AutoGen gives every failure this type.
        CancelledError: when the turn is cancelled; the model call or the cell that was going on is ended first.
        """
        self._speaker = speaker
        team = self._team = self._team or self._build()
        task: list[BaseChatMessage] = [TextMessage(content=briefing, source=CONDUCTOR)]
        token = CancellationToken()
        listening = asyncio.ensure_future(self._listen(team, task, token))
        try:
            return await asyncio.shield(listening)
        except BaseException:
            self._team = None
            if not listening.done():
                # AutoGen waits for ever for an agent whose task is cancelled from outside; its own token ends it.
                token.cancel()
                await asyncio.wait({listening}, timeout=CANCEL_PATIENCE_S)
                listening.cancel()
            raise

    async def _listen(self, team: SelectorGroupChat, task: list[BaseChatMessage], token: CancellationToken) -> str:
        last = ""
        async for message in team.run_stream(task=task, cancellation_token=token, output_task_messages=False):
            if isinstance(message, (BaseAgentEvent, BaseChatMessage)):
                last = self._tell(message) or last
        return last

    def _tell(self, message: BaseAgentEvent | BaseChatMessage) -> str:
        if message.source != self._speaker:
            return ""
        if isinstance(message, ThoughtEvent):
            self._spoken(self._speaker, message.content)
            return message.content
        if isinstance(message, ToolCallSummaryMessage):
            return "The turn ended in the middle of its tool calls."
        if isinstance(message, TextMessage) and message.content.strip():
            self._spoken(self._speaker, message.content)
            return message.content
        return ""

    def _build(self) -> SelectorGroupChat:
        # Fifteen spans a turn, each with a whole message, would drown the run's own trace.
        os.environ.setdefault("AUTOGEN_DISABLE_RUNTIME_TRACING", "true")
        # A failing client is reported by the conductor, once; AutoGen would log it for every participant.
        logging.getLogger("autogen_core").setLevel(logging.CRITICAL)
        agents: list[Any] = [
            AssistantAgent(
                name,
                model_client=self._clients[name],
                workbench=RoleWorkbench(role, self._room, short=self._short),
                model_context=BriefingContext(short=self._short),
                system_message=role.system_message,
                description=role.title,
                max_tool_iterations=MAX_CALLS_A_TURN,
                reflect_on_tool_use=False,
            )
            for name, role in roles().items()
        ]
        # The stage machine chooses the speaker; the client is asked for by the constructor and never called.
        chooser = next(iter(self._clients.values()))
        return SelectorGroupChat(agents, model_client=chooser, selector_func=lambda _: self._speaker, max_turns=1)
