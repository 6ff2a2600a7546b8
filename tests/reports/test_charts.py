"""Charts place marks inside their width, whatever the scores are."""

from __future__ import annotations

import re

import pytest

from reports.charts import Axis, axis_over, bar, focused_axis, folds, interval, ticks


def places(markup: str) -> list[float]:
    return [float(value) for value in re.findall(r'(?:cx|x1|x2)="([\d.]+)%"', markup)]


def test_an_axis_is_linear_and_ends_hold_what_lies_beyond() -> None:
    axis = Axis(0.0, 10.0)
    assert axis.place(5.0) == 50.0
    assert axis.place(-5.0) == axis.place(0.0) < axis.place(10.0) == axis.place(99.0)
    assert [axis.beyond(v) for v in (-1.0, 5.0, 11.0)] == [-1, 0, 1]


@pytest.mark.parametrize(
    ("low", "high", "expected"), [(0.0, 1.0, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]), (947.0, 1031.0, [960.0, 980.0, 1000.0, 1020.0])]
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert Axis(low, high).ticks() == pytest.approx(expected)


@pytest.mark.parametrize("values", [[], [0.0], [3.0, 3.0], [float("nan"), float("inf")], [-1e9, 1e9]])
def test_an_axis_can_be_made_over_anything(values: list[float]) -> None:
    axis = axis_over(values)
    assert axis.low < axis.high
    assert 1 <= len(axis.ticks()) <= 8


def test_an_outlier_does_not_squeeze_the_rest() -> None:
    axis = focused_axis([0.9, 0.91, 0.92, 0.93, 0.94, -50.0], whole=[0.92, 0.95])
    assert axis.low > 0.8
    assert axis.beyond(-50.0) == -1
    assert axis.beyond(0.95) == 0


def test_folds_beyond_the_axis_become_one_arrow_a_side() -> None:
    drawn = folds(Axis(0.0, 1.0), 0.5, 0.1, [-3.0, -2.0, 0.5, float("nan"), 7.0], best=False)
    assert drawn.count('class="beyond"') == 2
    assert drawn.count('class="fold"') == 1


def test_an_interval_is_a_band_with_a_point() -> None:
    drawn = interval(Axis(0.0, 1.0), 0.5, 0.25, 0.75, "holdout")
    assert places(re.search(r'<line class="band"[^>]*>', drawn)[0]) == [26.25, 73.75]  # type: ignore[index]
    assert places(re.search(r'<circle class="point"[^>]*>', drawn)[0]) == [50.0]  # type: ignore[index]


@pytest.mark.parametrize("fraction", [-1.0, 0.0, 0.001, 1.0, 7.0])
def test_a_bar_never_leaves_its_track(fraction: float) -> None:
    widths = [float(w) for w in re.findall(r'width="([\d.]+)%"', bar(fraction))]
    assert all(0 <= w <= 100 for w in widths)


def test_labels_are_text() -> None:
    axis = Axis(0.0, 1.0)
    assert "&lt;b&gt;" in ticks(axis, ["<b>"] * len(axis.ticks()))


def test_scores_that_differ_by_rounding_alone_have_an_axis_with_ticks() -> None:
    score = 1.0986122886681098
    axis = axis_over([score, score + 2.3e-16, score - 2.3e-16])
    assert len(set(axis.tick_texts())) > 2
    assert 40 < axis.place(score) < 60
