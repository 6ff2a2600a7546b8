"""`python -m evals.weak_models openai:MODEL@URL`: what becomes of a model's calls, by AutoGen alone and with our recovery.

The same AutoGen agent, tools and prompts twice; the second time its client is wrapped in `RecoveringClient`. Both are judged by what was
executed: how often a tool ran with arguments that it takes. Nothing is scripted: it needs a server with a model.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from autogen_agentchat.agents import AssistantAgent
from autogen_core.models import ChatCompletionClient
from autogen_core.tools import BaseTool, FunctionTool, StaticWorkbench

from team.models import make_client
from team.models.recovering import NoUsableCall, RecoveringClient

SYSTEM = "You are the engineer of a machine-learning team. You act only by calling tools; words alone change nothing."
PROMPTS = (
    "Prepare the table, and leave out the column 'name'.",
    "Train LightGBM and a linear model for 20 seconds.",
    "Prepare the table without dropping anything, then train a random forest for half a minute.",
    "The table has 900 rows and a column of free text. Fit what suits it in at most one minute.",
    "Train catboost; you have 10 seconds.",
    "Which of the columns 'id' and 'age' should not be used? Prepare the table accordingly.",
)
PLAIN, OURS = "AutoGen alone", "with recovery"


@dataclass(frozen=True)
class Try:
    """One prompt put to one of the two."""

    who: str
    prompt: str
    executed: list[str]
    """Calls that ran, as they were made."""
    said: str
    """Last words, or how it failed."""


class Desk:
    """Counts what had to be done; a turn without a call is one that brought nothing."""

    def __init__(self, executed: list[str]) -> None:
        self._executed = executed

    def missing(self, role: str) -> str | None:
        return None if self._executed else "nothing was done yet"

    def example(self, role: str) -> None: ...
    def invitation(self, role: str) -> None: ...
    def recovered(self, role: str, tools: list[str], form: str) -> None: ...
    def asked_again(self, role: str, problem: str) -> None: ...
    def gave_up(self, role: str, problem: str) -> None: ...


async def ask(who: str, client: ChatCompletionClient, prompt: str) -> Try:
    """Put one prompt to an agent with two tools, and write down which calls ran."""
    executed: list[str] = []

    async def prepare(drop: Annotated[list[str], "Columns to leave out."] = []) -> str:
        executed.append(f"prepare(drop={drop!r})")
        return json.dumps({"prepared": True, "dropped": drop})

    async def train(
        families: Annotated[list[str], "Of linear, lightgbm, catboost, xgboost, random_forest, sparse_linear."],
        time_s: Annotated[float, "Seconds for the call."] = 60.0,
    ) -> str:
        executed.append(f"train(families={families!r}, time_s={time_s!r})")
        return json.dumps({"trained": families, "seconds": time_s})

    tools: list[BaseTool[Any, Any]] = [
        FunctionTool(prepare, "Prepare the table for training."),
        FunctionTool(train, "Fit model families on the prepared table."),
    ]
    used = RecoveringClient(client, "engineer", Desk(executed)) if who == OURS else client
    agent = AssistantAgent(
        "engineer",
        model_client=used,
        workbench=StaticWorkbench(tools),
        system_message=SYSTEM,
        max_tool_iterations=4,
        reflect_on_tool_use=False,
    )
    try:
        result = await agent.run(task=prompt)
        said = str(getattr(result.messages[-1], "content", ""))
    except (NoUsableCall, RuntimeError, OSError, ValueError) as error:
        said = f"{type(error).__name__}: {error}"
    return Try(who, prompt, executed, said[:300])


async def compare(client: ChatCompletionClient, prompts: Sequence[str] = PROMPTS) -> list[Try]:
    """Each prompt to each of the two, one after the other."""
    return [await ask(who, client, prompt) for prompt in prompts for who in (PLAIN, OURS)]


def table(tries: Sequence[Try]) -> str:
    """What ran, prompt by prompt, in Markdown, and how many prompts led to a call."""
    lines = [f"| prompt | {PLAIN} | {OURS} |", "|--|--|--|"]
    for prompt in dict.fromkeys(one.prompt for one in tries):
        ran = {one.who: "; ".join(one.executed) or "nothing" for one in tries if one.prompt == prompt}
        lines.append(f"| {prompt} | {ran[PLAIN]} | {ran[OURS]} |")
    acted = {who: sum(bool(one.executed) for one in tries if one.who == who) for who in (PLAIN, OURS)}
    asked = len(tries) // 2
    lines.append(f"| **prompts that led to a call** | {acted[PLAIN]} of {asked} | {acted[OURS]} of {asked} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m evals.weak_models", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model", help="as --model takes it, such as openai:qwen@http://127.0.0.1:8099/v1")
    parser.add_argument("--json", type=Path, help="also write every try to this file")
    options = parser.parse_args()

    async def run() -> list[Try]:
        client = make_client(options.model)
        try:
            return await compare(client)
        finally:
            await client.close()

    tries = asyncio.run(run())
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in tries], indent=1), encoding="utf-8")
    print(table(tries))


if __name__ == "__main__":
    main()
