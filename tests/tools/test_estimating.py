"""How long fits will take is told before them, and what is paid for once is counted once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tools.conftest import mixed, write_workspace
from tests.tools.installed import install
from tools.candidates import CandidateSpec
from tools.crossval import setting_for
from tools.deadline import Deadline
from tools.estimating import PILOT_ROWS, Estimates
from tools.families import family
from tools.preparation import every_column
from tools.problem import Problem, load_problem

CODE = """
import time
from tools.families.linear import Linear

FITS = []


class Heavy(Linear):
    "A library that takes two seconds to be there, and next to nothing after that."

    name = "heavy"

    def _fit(self, X, y, valid, params, setting, context):
        FITS.append(len(X))
        if len(FITS) == 1:
            until = time.monotonic() + 2
            while time.monotonic() < until:
                pass
        return super()._fit(X, y, valid, params, setting, context)
"""


@pytest.fixture
def heavy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    folder = tmp_path / "site"
    folder.mkdir()
    install(folder, "heavy-models", CODE, {"mlteam.families": {"heavy": "Heavy"}})
    monkeypatch.syspath_prepend(str(folder))
    import heavy_models

    yield heavy_models.FITS
    del sys.modules["heavy_models"]


def problem_of(tmp_path: Path, rows: int) -> Problem:
    return load_problem(write_workspace(tmp_path / "space", mixed(rows), "outcome", "multiclass"))


def test_what_a_library_takes_to_be_there_is_not_counted_for_every_fold(tmp_path: Path, heavy: list[int]) -> None:
    problem = problem_of(tmp_path, 4 * PILOT_ROWS)
    preparation = every_column(problem.schema)
    estimates = Estimates(problem, preparation, setting_for(problem, preparation))
    spec = CandidateSpec(
        name="heavy-1", family="heavy", params=family("heavy").default(setting_for(problem, preparation))[0], preparation="default"
    )
    first = estimates.seconds(spec, Deadline(100))
    assert 0 < first < 2 * len(problem.parts)
    assert (len(heavy), max(heavy)) == (2, PILOT_ROWS)
    estimates.seconds(spec, Deadline(100))
    assert len(heavy) == 3


def test_few_rows_and_families_that_can_be_cut_short_need_no_estimate(tmp_path: Path, heavy: list[int]) -> None:
    problem = problem_of(tmp_path, 300)
    preparation = every_column(problem.schema)
    estimates = Estimates(problem, preparation, setting_for(problem, preparation))
    for name in ("heavy", "lightgbm", "dummy"):
        assert estimates.seconds(CandidateSpec(name="x-1", family=name, params={}, preparation="default"), Deadline(100)) == 0
    assert heavy == []
