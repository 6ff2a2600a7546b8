"""How long fits on all rows may take, by what the folds took."""

from __future__ import annotations

from typing import Any

from team.playbook.refitting import growing_time, refit_time


def facts(trials: int | None = None) -> dict[str, Any]:
    """Five folds of a candidate took 8 s, so a fit on all rows takes about 2 s."""
    return {
        "budget": {"search_seconds": 60, "trials": trials},
        "leaderboard": [{"name": "a", "seconds": 8.0}],
        "contract": {"folds": 5, "rows_train": 100},
    }


def test_rows_beyond_a_sample_get_time_by_their_number_and_never_more_than_the_search_had() -> None:
    assert refit_time(facts(), "a") == 4.0
    assert growing_time(facts(), "a", {"rows": 100}) == 0.0
    assert growing_time(facts(), "a", {"rows": 100, "beyond": 300}) == 22.0
    assert growing_time(facts(), "a", {"rows": 100, "beyond": 30_000}) == 60.0
    assert growing_time(facts(trials=3), "a", {"rows": 100, "beyond": 30_000}) == 600.0
