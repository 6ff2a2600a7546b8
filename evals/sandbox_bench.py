"""Our sandboxes beside AutoGen's Jupyter executors: how quick, how small, and what they do when something goes wrong.

    python -m evals.sandbox_bench [--only NAME ...] [--rounds N] [--json] [--markdown FILE] [--clean]

All contestants take turns in each round, since a machine is never equally busy for long; figures are medians over the rounds.
`--markdown` writes the tables between two marks of a document. AutoGen's Docker executor runs an image made of ours and a kernel gateway,
which stays for the next time unless `--clean` is given.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from evals.sandbox_behaviours import judge
from evals.sandbox_contestants import NAMES, Conditions, Contestant, Opened, contestant
from evals.sandbox_tables import CELLS, Measured, around, as_json, as_markdown, as_text, rewrite
from team.errors import MlteamError

LINES = "for _ in range(10 * 1024): print('x' * 1023)"


async def measure(who: Contestant) -> dict[str, float | None]:
    """One round of a contestant: seconds, but milliseconds for `cell`."""
    figures: dict[str, float | None] = {}
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as work:
        async with who.open(Path(work), Conditions()) as kernel:
            await _reply(kernel)
            figures["start"] = time.perf_counter() - begun
            figures["cell"] = 1000 * statistics.median([await _reply(kernel) for _ in range(CELLS)])
            begun = time.perf_counter()
        figures["close"] = time.perf_counter() - begun
    for figure, warm in (("lost", False), ("spare", True)):
        if warm and not who.spares:
            continue
        with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as work:
            # A contestant that does not see a death waits for the deadline, so it is a short one.
            async with who.open(Path(work), Conditions(timeout_s=10, warm=warm)) as kernel:
                await _reply(kernel)
                await kernel.settle()
                await kernel.run("import os; os._exit(1)")
                begun = time.perf_counter()
                await kernel.renew()
                await _reply(kernel)
                figures[figure] = time.perf_counter() - begun
                if not warm:
                    figures["output"] = await _output(kernel)
    return figures


async def _reply(kernel: Opened) -> float:
    """Seconds of a cell that does nothing."""
    begun = time.perf_counter()
    reply = await kernel.run("1")
    if not reply.ok:
        raise RuntimeError(f"the cell `1` came back with {reply.text[:500]}")
    return time.perf_counter() - begun


async def _output(kernel: Opened) -> float | None:
    """Seconds of a cell that prints 10 MiB in lines of 1 KiB; None when neither they nor word of what was cut arrives."""
    begun = time.perf_counter()
    reply = await kernel.run(LINES)
    seconds = time.perf_counter() - begun
    return seconds if reply.ok and (reply.text.count("x") == 1023 * 10 * 1024 or " bytes cut" in reply.text) else None


def measure_memory(name: str) -> dict[str, float]:
    """MiB; see `sandbox_host.memory`."""
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as work:
        command = [sys.executable, "-m", "evals.sandbox_host", "memory", name, work]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1])
    if done.returncode != 0:
        raise RuntimeError(f"the memory of {name} could not be measured: {done.stderr[-1000:]}")
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


async def run(names: Sequence[str], rounds: int) -> Measured:
    """Measure and judge. A contestant that does not work here, or stops working, is left out with the reason."""
    found = Measured(_machine(rounds))
    taking_part: list[Contestant] = []
    for who in map(contestant, names):
        _say(f"{who.name}: does it work here?")
        if reason := who.obstacle():
            found.absent[who.name] = reason
        else:
            taking_part.append(who)
    for number in range(-1, rounds):  # the round before the first fills caches and is not counted
        first = number % max(len(taking_part), 1)
        for who in taking_part[first:] + taking_part[:first]:
            _say(f"{who.name}: {f'round {number + 1} of {rounds}' if number >= 0 else 'warming up'}")
            try:
                figures = await measure(who) | measure_memory(who.name)
            except Exception as error:  # one that fails must not end the others
                found.absent[who.name] = f"it failed: {type(error).__name__}: {error}"
                taking_part.remove(who)
                continue
            for figure, value in figures.items() if number >= 0 else ():
                found.samples.setdefault(who.name, {}).setdefault(figure, []).append(value)
    for who in taking_part:
        _say(f"{who.name}: what it does when something goes wrong")
        found.verdicts[who.name] = await judge(who)
    found.samples = {who.name: found.samples[who.name] for who in taking_part}
    return found


def _machine(rounds: int) -> str:
    from team.sandbox.choose import report

    docker = next(one.why for one in report() if one.name == "docker")
    busy = f", load {os.getloadavg()[0]:.1f} at the start" if hasattr(os, "getloadavg") else ""
    what = f"{datetime.date.today()}, {platform.system()} on {os.cpu_count()} processors{busy}, Python {platform.python_version()}"
    return f"{what}; docker: {docker}. Medians of {rounds} rounds; in parentheses: part of the line's largest value."


def _say(what: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {what}", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", action="append", choices=NAMES, help="a contestant to run; may be given again; all when left out")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print one document instead of tables")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="also write the tables between the marks of a document")
    parser.add_argument("--clean", action="store_true", help="remove the image that was made for AutoGen's Docker executor")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error(f"--rounds {options.rounds}: expected 1 or more")
    try:
        if options.markdown:
            around(options.markdown)  # what is wrong with it is told before the minutes of measuring
        found = asyncio.run(run(options.only or NAMES, options.rounds))
        if options.markdown:
            rewrite(options.markdown, as_markdown(found))
        print(as_json(found) if options.json else as_text(found))
        if options.clean:
            _clean()
    except MlteamError as error:
        print(f"sandbox_bench: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def _clean() -> None:
    from evals.sandbox_rivals import remove_images
    from team.sandbox.daemon import DaemonUnavailable, connect

    try:
        client = connect()
    except DaemonUnavailable:
        return
    try:
        _say(f"removed: {', '.join(remove_images(client)) or 'nothing'}")
    finally:
        client.close()


if __name__ == "__main__":
    main()
