"""Hosts of their own, on a network of their own: one is killed and one is cut off in the middle, and nothing is lost or doubled."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.evals.engines.cluster import Cluster
from tests.evals.engines.hosts import Network
from tests.evals.engines.waiting import wait_for

JOBS = 8
CALLER = f"""
import json, sys
from contextlib import closing
from pathlib import Path
from evals.engines import make_engine
from tests.evals.engines.chores import hold
folder = Path(sys.argv[2])
with closing(make_engine(sys.argv[1])) as engine, (folder / "rows").open("a", buffering=1) as rows:
    (folder / "asking").touch()
    for (_, number), result in engine.run(hold, [(folder, number) for number in range({JOBS})]):
        print(json.dumps([number, result if isinstance(result, int) else str(result)]), file=rows)
(folder / "over").touch()
"""


@pytest.mark.hosts
def test_a_host_that_dies_and_one_that_is_cut_off_lose_and_double_nothing(tmp_path: Path) -> None:
    def begun(number: object = "*", place: str = "*") -> list[Path]:
        return list(tmp_path.glob(f"begun-{number}-{place}-*"))

    def of(place: str) -> int:
        wait_for(lambda: begun(place=place), f"{place} has begun a job")
        return int(begun(place=place)[0].name.split("-")[1])

    with Cluster(tmp_path) as cluster, Network() as network:
        address = cluster.scheduler(network.host("scheduler"), network.on("scheduler"))
        for name in ("killed", "cut", "left"):
            cluster.worker(name, address, network.host(name), network.on(name))
        network.host("caller")
        for name in ("killed", "cut", "left"):
            wait_for(lambda name=name: "Registered to" in cluster.said(name), f"the worker {name} is there")
        cluster.start("caller", ["-c", CALLER, f"dask://{address}", str(tmp_path)], network.on("caller"))
        killed, cut, left = of("killed"), of("cut"), of("left")
        network.kill("killed")
        network.plug("cut", "down")
        for number in set(range(JOBS)) - {cut}:
            (tmp_path / f"go-{number}").touch()
        # Both are at it: one who is not heard, and one to whom it was given again.
        wait_for(lambda: begun(cut, "left"), "the job of the host that was cut off is begun again")
        network.plug("cut", "up")
        (tmp_path / f"go-{cut}").touch()
        wait_for((tmp_path / "over").exists, f"all jobs are done: {cluster.said('caller')}")
    rows = [json.loads(line) for line in (tmp_path / "rows").read_text().splitlines()]
    assert sorted(rows) == [[number, 10 * number] for number in range(JOBS)]
    times = Counter(int(path.name.split("-")[1]) for path in begun())
    assert times == Counter(range(JOBS)) + Counter([killed, cut])
    assert len({killed, cut, left}) == 3
