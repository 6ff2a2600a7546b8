from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.tools.conftest import Open
from tools.attempt import Attempts
from tools.candidates import CandidateSpec, leaderboard
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


@pytest.mark.parametrize("seconds, begun", [(0.0, ["dummy"]), (60.0, ["dummy", "linear", "lightgbm"])])
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
