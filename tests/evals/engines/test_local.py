"""The engine of one machine: every job comes back once, with what it came to, and nothing is left behind."""

from __future__ import annotations

import pytest

from evals.engines import Engine, make_engine
from team.errors import UsageError
from tests.contracts.engine import EngineContract
from tests.evals.engines.chores import where


class TestLocal(EngineContract):
    @pytest.fixture
    def spec(self) -> str:
        return "local"

    @pytest.fixture
    def engine(self) -> Engine:
        return make_engine("local", 2)


def test_processes_are_used_again() -> None:
    assert len({pid for _, pid in make_engine("local", 2).run(where, range(6), 1)}) == 1


@pytest.mark.parametrize("spec", ["", "ray://here:1", "dask://", "dask://here", "dask://here:port", "dask://here:8786/path", "dask:8786"])
def test_an_engine_that_is_none_is_refused(spec: str) -> None:
    with pytest.raises(UsageError, match=r"expected local"):
        make_engine(spec)


def test_no_jobs_at_a_time_are_refused() -> None:
    with pytest.raises(UsageError, match=r"--jobs 0: expected 1 or more"):
        make_engine("local", 0)
