"""How long a served package takes for a row: `python -m evals.serving_bench RUN`, on one core, over loopback, one connection.

The server is a process of its own, bound to one core, and so is the client, to another where there is one. `mlteam serve` with a sandbox
adds the way to its kernel: `--sandbox bubblewrap` measures that.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import psutil

from team.serving import KEY_VARIABLE, find_package
from tools.deploying.load import Load
from tools.package.inputs import Inputs
from tools.package.manifest import INPUTS_FILE, read_learnt, read_manifest
from tools.registry import example_of

KEY = "bench"
READY_S = 300.0


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
        body = json.dumps({"row": example_of(inputs)}).encode()
        Load(address, KEY, [body], seconds / 5).run(1)  # what is loaded with the first requests is no answer's time
        load, before = Load(address, KEY, [body], seconds), cpu_s(server.pid)
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
