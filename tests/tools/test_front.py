from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tools.front import MOST_KEPT, Front, Kept, Podium


def front(signs: list[float], rows: list[tuple[float, ...]]) -> Front:
    made = Front(signs)
    for i, row in enumerate(rows):
        candidate: Any = SimpleNamespace(name=str(i))
        made.add(Kept(row, candidate, None))
    return made


def values(kept: list[Kept]) -> list[tuple[float, ...]]:
    return [one.values for one in kept]


def test_it_keeps_what_no_other_is_as_good_as_in_everything() -> None:
    rng = np.random.default_rng(3)
    rows = [tuple(row) for row in rng.integers(0, 6, (60, 3)).astype(float)]
    kept = set(values(front([1, -1, -1], rows).kept))
    better = np.array([1, -1, -1])
    for row in rows:
        others = [other for other in rows if other != row and (better * other >= better * np.array(row)).all()]
        assert (row in kept) == (not others)


def test_with_one_objective_it_is_the_first_of_the_best() -> None:
    made = front([-1], [(3.0,), (2.0,), (2.0,), (4.0,)])
    assert [one.candidate.name for one in made.kept] == ["1"]
    assert made.best is made.knee() is made.kept[0]
    assert Front([1]).best is None
    assert Front([1]).knee() is None


def test_the_knee_is_where_the_curve_bends_whatever_the_units() -> None:
    rows = [(0.90, 1000.0), (0.89, 200.0), (0.80, 150.0), (0.70, 100.0)]
    knee = front([1, -1], rows).knee()
    assert knee is not None
    assert knee.values == (0.89, 200.0)
    scaled = front([1, -1], [(100 * a, b / 1e6) for a, b in rows]).knee()
    assert scaled is not None
    assert scaled.values == pytest.approx((89.0, 0.0002))
    two = front([1, -1], [(0.9, 5.0), (0.8, 1.0)]).knee()
    assert two is not None
    assert two.values == (0.9, 5.0), "between two ends the score decides"


def test_of_many_the_ends_and_the_knee_stay() -> None:
    made = front([1, -1], [(float(i), float(i * i)) for i in range(30)])
    kept = made.chosen(6)
    assert len(kept) == 6
    knee = made.knee()
    assert knee is not None
    assert {(0.0, 0.0), (29.0, 841.0), knee.values} <= set(values(kept))
    assert values(kept) == sorted(values(kept), reverse=True), "the best score first"
    with pytest.raises(ValueError, match="the ends and the knee are 3"):
        made.chosen(2)


def scored(name: str, score: float, known: bool = False, params: str = "") -> Kept:
    candidate: Any = SimpleNamespace(name=name, score=score, std_error=1.0, params={"of": params or name})
    return Kept((score,), candidate, None if known else np.zeros(1))


def test_for_a_blend_the_best_few_are_kept_that_are_not_clearly_worse() -> None:
    errors = Podium(-1)
    for name, score in (("a", 5.0), ("b", 3.0), ("c", 5.0), ("d", 4.0), ("e", 3.5), ("far", 9.0)):
        errors.add(scored(name, score))
    assert [one.candidate.name for one in errors.chosen(None)] == ["b", "e", "d", "a"], "the best first, of equals the earlier"
    assert len(errors.chosen(None)) == MOST_KEPT
    before: Any = SimpleNamespace(name="before", score=1.6, std_error=1.0)
    assert [one.candidate.name for one in errors.chosen(before)] == ["b", "e"], "two standard errors are behind the family's best before"
    before.score = 0.5
    assert errors.chosen(before) == []


def test_what_is_on_record_is_not_kept_again() -> None:
    scores = Podium(1)
    assert scores.chosen(None) == []
    scores.add(scored("known", 0.9, known=True))
    scores.add(scored("new", 0.8))
    scores.add(scored("again", 0.8, params="new"))
    assert [one.candidate.name for one in scores.chosen(None)] == ["new"]
