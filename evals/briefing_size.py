"""How long a role's requests get over a long run: bounded, as models are sent them, beside the full history of the chat.

    python -m evals.briefing_size [RUN] [--turns 200] [--json]

The turns of RUN, or of a short run that is made for it, are gone through again and again until there are enough, each with the
briefing that its state gives, the calls that were made and the results they had. Tokens are estimated as characters by four.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import Any

CHARS_A_TOKEN = 4
TURNS = 200


@dataclass
class Told:
    """One turn of a run: what it opened with and what was done in it."""

    role: str
    briefing: str
    calls: list[tuple[str, dict[str, Any], str, bool]] = field(default_factory=list)
    """Tool, arguments, what came back, and whether that was an error."""
    words: str = ""


@dataclass(frozen=True)
class Requests:
    """Mean tokens of a request in each turn, without system message and tools, which stay the same."""

    bounded: list[float]
    full: list[float]


def turns_of(path: Path) -> list[Told]:
    """The turns of a run as a language model would have been told them."""
    from team.briefing import brief
    from team.budget import Limits, Meter
    from team.events import MessageSpoken, ToolCalled, ToolReturned, TurnStarted
    from team.log import read_events
    from team.rundir import RunDir
    from team.settings import load_settings
    from team.stages import State
    from tools.contract import Contract
    from tools.host import Wish

    run = RunDir(path)
    settings = load_settings({}, run.settings)
    wish = Wish(source=settings.source, target=settings.target, goal=settings.goal, metric=settings.metric)
    contract = Contract.model_validate_json(run.contract.read_text(encoding="utf-8"))
    turns: list[Told] = []
    asked: dict[str, ToolCalled] = {}
    for event in read_events(run.events):
        if isinstance(event, TurnStarted):
            document = json.loads((run.path / "checkpoints" / f"{event.turn - 1:06}.json").read_text(encoding="utf-8"))
            state = State.model_validate(document["state"])
            said = [(turn.role, turn.words) for turn in turns]
            meter = Meter(Limits(search_s=settings.time))
            known = contract if state.sealed else None
            turns.append(Told(event.role, brief(state, wish, meter, known, run.name, said, short=True)))
        elif isinstance(event, MessageSpoken):
            turns[-1].words = event.text
        elif isinstance(event, ToolCalled):
            asked[event.call] = event
        elif isinstance(event, ToolReturned):
            text = event.text if event.result is None else json.dumps(event.result, ensure_ascii=False)
            turns[-1].calls.append((event.tool, asked[event.call].arguments, text, event.status != "ok"))
    return turns


def measure(turns: Sequence[Told], count: int) -> Requests:
    """Go through `turns` until there were `count`, and measure every request that a model would have been sent."""
    return asyncio.run(_measure(islice(cycle(turns), count)))


async def _measure(turns: Iterator[Told]) -> Requests:
    from autogen_core import FunctionCall
    from autogen_core.model_context import ChatCompletionContext, UnboundedChatCompletionContext
    from autogen_core.models import AssistantMessage, FunctionExecutionResult, FunctionExecutionResultMessage, UserMessage

    from team.model_context import CONDUCTOR, BriefingContext
    from team.roles import NAMES

    contexts: dict[str, list[ChatCompletionContext]] = {
        role: [BriefingContext(short=True), UnboundedChatCompletionContext()] for role in NAMES
    }
    sizes: tuple[list[float], list[float]] = ([], [])
    for number, turn in enumerate(turns):
        for everybody in contexts.values():
            for context in everybody:
                await context.add_message(UserMessage(content=turn.briefing, source=CONDUCTOR))
        for context, means in zip(contexts[turn.role], sizes, strict=True):
            requests = [await _tokens(context)]
            for place, (tool, arguments, text, failed) in enumerate(turn.calls):
                call = FunctionCall(id=f"{number}-{place}", name=tool, arguments=json.dumps(arguments))
                result = FunctionExecutionResult(content=text, name=tool, call_id=call.id, is_error=failed)
                await context.add_message(AssistantMessage(content=[call], source=turn.role))
                await context.add_message(FunctionExecutionResultMessage(content=[result]))
                requests.append(await _tokens(context))
            means.append(statistics.mean(requests))
        for role, everybody in contexts.items():
            for context in everybody:
                mine = AssistantMessage(content=turn.words, source=role)
                await context.add_message(mine if role == turn.role else UserMessage(content=turn.words, source=turn.role))
    return Requests(*sizes)


async def _tokens(context: Any) -> float:
    return sum(len(message.model_dump_json()) for message in await context.get_messages()) / CHARS_A_TOKEN


def _made_run(out: str) -> Path:
    from team.run import start
    from team.settings import load_settings

    summary = start(load_settings({"source": "sklearn:iris", "target": "target", "time": "60s", "trials": 0, "out": out}))
    return Path(summary["run"])


def main() -> None:
    parser = argparse.ArgumentParser(description="How long a role's requests get over a long run.")
    parser.add_argument("run", nargs="?", type=Path, help="a run that has ended; without it, one is made")
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as out:
        found = measure(turns_of(options.run or _made_run(out)), options.turns)
    quarter = max(1, options.turns // 4)
    rows = [
        {"turns": f"{at + 1}-{min(at + quarter, options.turns)}"}
        | {name: round(statistics.mean(getattr(found, name)[at : at + quarter])) for name in ("bounded", "full")}
        for at in range(0, options.turns, quarter)
    ]
    if options.json:
        print(json.dumps(rows, indent=1))
        return
    print("mean tokens of a request, without system message and tools")
    print(f"{'turns':>10} {'bounded':>9} {'full history':>13}")
    for row in rows:
        print(f"{row['turns']:>10} {row['bounded']:>9,} {row['full']:>13,}")


if __name__ == "__main__":
    main()
