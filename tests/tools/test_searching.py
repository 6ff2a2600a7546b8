from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest

from tests.tools.conftest import Open
from tools.attempt import Attempts
from tools.candidates import CandidateSpec, leaderboard
from tools.constraints import Constraints
from tools.deadline import Deadline
from tools.preparation import load_preparation
from tools.problem import load_problem
from tools.searching import Search


class Counted(Attempts):
    """Attempts that remember which fits were begun."""

    begun: list[str]

    @contextmanager
    def fitting(self, spec: CandidateSpec, most_s: float | None = None) -> Iterator[None]:
        self.begun.append(spec.family)
        with super().fitting(spec, most_s):
            yield


@pytest.mark.parametrize(("seconds", "begun"), [(0.0, ["dummy"]), (60.0, ["dummy", "linear", "lightgbm"])])
def test_only_a_floor_is_begun_when_the_time_is_over(open_workspace: Open, seconds: float, begun: list[str]) -> None:
    space = open_workspace("wine")
    problem = load_problem(space)
    attempts = Counted(space, "train", {})
    attempts.begun = []
    search = Search(space, problem, load_preparation(space, "default", problem), Deadline(seconds), attempts)
    with attempts:
        search.floors(["dummy"])
        search.run(["linear", "lightgbm"], 1)
    assert attempts.begun == begun
    assert {candidate.family for candidate in leaderboard(space)} == set(begun)
    assert [left.reason for left in search.skipped] == ["the time is over"] * (3 - len(begun))


@pytest.mark.parametrize(("asked", "begun"), [((), ["lightgbm", "mlp"]), (("lightgbm", "mlp", "realmlp"), ["lightgbm", "mlp", "realmlp"])])
def test_a_slow_network_is_not_begun_where_a_quick_one_is_clearly_behind(
    open_workspace: Open, asked: tuple[str, ...], begun: list[str]
) -> None:
    rng = np.random.default_rng(0)
    place = rng.integers(0, 60, 900)
    frame = pd.DataFrame({"place": place, "noise": rng.normal(size=900), "y": rng.normal(size=60)[place] + 0.1 * rng.normal(size=900)})
    problem = load_problem(space := open_workspace(frame, "y", "regression", constraints=Constraints(families=asked)))
    attempts = Counted(space, "train", {})
    attempts.begun = []
    search = Search(space, problem, load_preparation(space, "default", problem), Deadline(30), attempts)
    with attempts:
        search.run(["lightgbm", "mlp", "realmlp"], 1)
    assert attempts.begun == begun
    if not asked:
        assert "mlp-1 is clearly behind lightgbm-1" in search.skipped[0].reason
