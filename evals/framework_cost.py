"""What the framework itself costs, beside models and tools.

    python -m evals.framework_cost [--json]

Measured in one go on the machine it runs on; times are this machine's, and noisy, so medians are given.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

CELLS = 200
EVENTS = 20_000
STARTS = 5


def help_seconds() -> float:
    """Median seconds of `mlteam --help`, process start included."""
    return statistics.median(
        _timed(lambda: subprocess.run([sys.executable, "-m", "team.cli", "--help"], check=True, capture_output=True)) for _ in range(7)
    )


def kernel_figures(kind: str) -> dict[str, float]:
    """Median seconds until a kernel is ready, and median milliseconds of a cell that does nothing."""
    return asyncio.run(_kernel_figures(kind))


async def _kernel_figures(kind: str) -> dict[str, float]:
    from team.sandbox import open_kernel

    starts, cells = [], []
    for _ in range(STARTS):
        with tempfile.TemporaryDirectory() as work:
            begun = time.perf_counter()
            async with open_kernel(kind, work=Path(work)) as kernel:
                starts.append(time.perf_counter() - begun)
                for _ in range(CELLS // STARTS):
                    begun = time.perf_counter()
                    await kernel.execute("1 + 1")
                    cells.append(time.perf_counter() - begun)
    return {"start_s": statistics.median(starts), "cell_ms": 1000 * statistics.median(cells)}


def log_rate() -> float:
    """Events appended a second, each flushed to the file."""
    from team.events import MessageSpoken
    from team.log import EventLog

    with tempfile.TemporaryDirectory() as folder:
        log = EventLog(Path(folder, "events.jsonl"))
        event = MessageSpoken(turn=1, role="engineer", text="x" * 200)
        seconds = _timed(lambda: [log.append(event) for _ in range(EVENTS)])
        log.close()
    return EVENTS / seconds


def turn_figures() -> dict[str, float]:
    """Milliseconds a turn outside model and tool, inside the group chat and between turns, from a real run."""
    from team.events import ModelCalled, ToolReturned, TurnEnded, TurnStarted
    from team.log import read_events
    from team.run import start
    from team.settings import load_settings

    with tempfile.TemporaryDirectory() as out:
        summary = start(load_settings({"source": "sklearn:iris", "target": "target", "time": "10s", "trials": 0, "out": out}))
        events = list(read_events(Path(summary["run"], "events.jsonl")))
    chat, between = [], []
    elsewhere, ended_at = 0.0, None
    for event in events:
        if isinstance(event, TurnStarted):
            if ended_at is not None:
                between.append(event.at - ended_at)
            elsewhere = 0.0
        elif isinstance(event, (ToolReturned, ModelCalled)):
            elsewhere += event.seconds
        elif isinstance(event, TurnEnded):
            chat.append(event.seconds - elsewhere)
            ended_at = event.at
    return {"turns": len(chat), "chat_ms": 1000 * statistics.median(chat), "between_ms": 1000 * statistics.median(between)}


def _timed(work: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description="What the framework itself costs, beside models and tools.")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    from evals.tracing_cost import tracing_figures
    from team.sandbox.choose import report

    figures: dict[str, Any] = {
        "help_s": help_seconds(),
        "kernels": {r.name: kernel_figures(r.name) for r in report() if r.works},
        "events_per_s": log_rate(),
        "turn": turn_figures(),
        "tracing": tracing_figures(),
    }
    if options.json:
        print(json.dumps(figures, indent=1))
        return
    print(f"mlteam --help            {figures['help_s']:.3f} s")
    for kind, kernel in figures["kernels"].items():
        print(f"kernel {kind:17} ready in {kernel['start_s']:.2f} s, {kernel['cell_ms']:.1f} ms a cell")
    print(f"event log                {figures['events_per_s']:,.0f} events a second")
    turn = figures["turn"]
    print(f"a turn (of {turn['turns']})           {turn['chat_ms']:.1f} ms in the chat, {turn['between_ms']:.1f} ms between turns")
    tracing = figures["tracing"]
    took = tracing["import_s"] + tracing["host_s"] + tracing["otlp_s"] + tracing["kernel_s"]
    parts = ", ".join(
        f"{1000 * tracing[f'{part}_s']:.0f} ms {name}"
        for part, name in (("import", "imports"), ("host", "here"), ("otlp", "sending"), ("kernel", "timing"))
    )
    print(f"tracing                  {100 * took / tracing['run_s']:.2f} % of a run's {tracing['run_s']:.1f} s of processor time")
    print(f"                         {tracing['spans']} spans: {parts}")


if __name__ == "__main__":
    main()
