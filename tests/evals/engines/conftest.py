"""A scheduler and two workers for all tests that need no others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from evals.engines import make_engine
from evals.engines.dask import DaskEngine
from tests.evals.engines.cluster import Cluster
from tests.evals.engines.waiting import wait_for


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster")) as made:
        yield made


@pytest.fixture(scope="session")
def address(cluster: Cluster) -> str:
    found = cluster.scheduler()
    for name in ("one", "two"):
        cluster.worker(name, found)
    return found


@pytest.fixture(scope="session")
def engine(address: str) -> Iterator[DaskEngine]:
    made = make_engine(f"dask://{address}")
    assert isinstance(made, DaskEngine)
    with closing(made):
        wait_for(lambda: len(made.client.nthreads()) == 2, "two workers")
        yield made
