"""How long a served package takes for a row: `python -m evals.serving_bench RUN`, on one core, over loopback, one connection.

The server is a process of its own, bound to one core, and so is the client, to another where there is one. `mlteam serve` with a sandbox
adds the way to its kernel: `--sandbox bubblewrap` measures that.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psutil

from team.serving import KEY_VARIABLE, find_package
from tools.deploying.load import Load
from tools.package.inputs import Input, Inputs
from tools.package.manifest import INPUTS_FILE, read_learnt, read_manifest

KEY = "bench"
READY_S = 300.0
ROWS = 2000
WORDS = ["red", "green", "old", "new", "small", "large", "north", "south", "late", "early", "one", "two"]


def drawn(inputs: Inputs, rows: int, seed: int) -> list[dict[str, Any]]:
    """Rows that the model takes, each value drawn from its column's range or categories, and texts of a few words: no two alike, so that
    nothing is answered from memory that a caller's next row would not be."""
    draw = random.Random(seed)

    def value(column: Input) -> Any:
        low, high = column.low or 0.0, column.high or 0.0
        match column.kind:
            case "numeric":
                return float(draw.randint(round(low), round(high))) if column.whole else draw.uniform(low, high)
            case "boolean":
                return draw.random() < 0.5
            case "datetime":
                return (date(1970, 1, 1) + timedelta(days=draw.randint(round(low), round(high)))).isoformat()
        return draw.choice(column.categories) if column.categories else " ".join(draw.choices(WORDS, k=5))

    return [{column.name: value(column) for column in inputs.columns} for _ in range(rows)]


def cpu_s(process: int) -> float:
    """Seconds that a process has had of a core."""
    times = psutil.Process(process).cpu_times()
    return float(times.user + times.system)


def measure(package: Path, sandbox: str, seconds: float) -> dict[str, float | int]:
    """Requests of one row, one after another; see `Load.summary` for what comes back, and `cpu_ms`, what the server's process had of a
    core for each, which others on the machine change little."""
    cores = sorted(os.sched_getaffinity(0))
    env = {**os.environ, KEY_VARIABLE: KEY, "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-m", "team.cli", "serve", str(package), "--port", "0", "--rate", "0", "--sandbox", sandbox]
    server = subprocess.Popen(words, env=env, stderr=subprocess.PIPE, text=True, preexec_fn=lambda: os.sched_setaffinity(0, cores[:1]))
    try:
        assert server.stderr is not None
        address = next((found[1] for line in server.stderr if (found := re.search(r"on (http://\S+)/predict", line))), None)
        if address is None:
            sys.exit(f"the server did not start: mlteam serve {package} says why")
        drain = subprocess.Popen(["cat"], stdin=server.stderr, stdout=subprocess.DEVNULL)
        os.sched_setaffinity(0, cores[-1:])
        inputs: Inputs = read_learnt(package, INPUTS_FILE, Inputs)
        first, rows = ([json.dumps({"row": row}).encode() for row in drawn(inputs, ROWS, seed)] for seed in (0, 1))
        Load(address, KEY, first, seconds / 5).run(1)  # what is loaded with the first requests is no answer's time
        load, before = Load(address, KEY, rows, seconds), cpu_s(server.pid)
        load.run(1)
        spent = cpu_s(server.pid) - before
        drain.kill()
        drain.wait(60)
        if load.failed:
            sys.exit(f"{len(load.failed)} of {len(load.ms)} requests failed; the first: {load.failed[0]}")
        return {**load.summary, "cpu_ms": round(1000 * spent / max(1, len(load.ms)), 2)}
    finally:
        server.kill()
        server.wait(60)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure a served package, one row a request, on one core.")
    parser.add_argument("run", help="run directory, beginning of its name, or package folder")
    parser.add_argument("--out", type=Path, default=Path("runs"))
    parser.add_argument("--sandbox", default="unsafe-local")
    parser.add_argument("--seconds", type=float, default=20.0)
    given = parser.parse_args()
    package = find_package(given.run, given.out)
    found = measure(package, given.sandbox, given.seconds)
    print(json.dumps({"model": read_manifest(package).candidate, "sandbox": given.sandbox, **found}))


if __name__ == "__main__":
    main()
