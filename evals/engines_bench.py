"""`python -m evals.engines_bench`: how much sooner two worker processes are done than one, on this machine and through Dask.

A job is a forest of one thread, so that two of them want two cores. Rounds with one and with two processes alternate, and the ratio is
that of their medians: 2 would be perfect, and what is missing is the start of processes, imports and whatever else the machine does.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import closing

from evals.engines import Engine
from evals.engines.local import LocalEngine


def chore(seed: int) -> float:
    """A fit that takes a core for a few seconds; seconds of processor time."""
    from sklearn.datasets import make_classification
    from sklearn.ensemble import ExtraTreesClassifier

    X, y = make_classification(4000, 20, random_state=seed)
    ExtraTreesClassifier(300, n_jobs=1, random_state=seed).fit(X, y)
    return time.process_time()


def seconds(engine: Engine, jobs: int, processes: int) -> float:
    """Wall-clock seconds for so many jobs, so many at a time."""
    began = time.monotonic()
    for _, found in engine.run(chore, range(jobs), processes):
        if isinstance(found, Exception):
            raise found
    return time.monotonic() - began


def speedup(engine: Engine, jobs: int, rounds: int) -> dict[str, float]:
    taken: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(rounds):
        for processes, times in taken.items():
            times.append(seconds(engine, jobs, processes))
    one, two = (statistics.median(taken[processes]) for processes in (1, 2))
    return {"one_s": round(one, 2), "two_s": round(two, 2), "ratio": round(one / two, 2)}


def main(words: Sequence[str] | None = None) -> int:
    import distributed

    from evals.engines.dask import DaskEngine

    parser = argparse.ArgumentParser(prog="python -m evals.engines_bench", description=str(__doc__).split("\n\n")[0])
    parser.add_argument("--jobs", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args(words)
    found: dict[str, object] = {"cores": len(os.sched_getaffinity(0)), "load": round(os.getloadavg()[0], 1), "jobs": given.jobs}
    found["local"] = speedup(LocalEngine(), given.jobs, given.rounds)
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", memory_limit=0) as cluster,
        closing(DaskEngine(cluster.scheduler_address.removeprefix("tcp://"))) as engine,
    ):
        found["dask"] = speedup(engine, given.jobs, given.rounds)
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
