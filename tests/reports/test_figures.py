"""Figures as documents print them."""

from __future__ import annotations

from typing import get_args

import pytest

from reports.figures import (
    BESIDE_METRICS,
    METRIC_TITLES,
    TASK_TITLES,
    compact,
    dollars,
    duration,
    file_size,
    metric_said,
    metric_title,
    p_value,
    row_format,
    score_format,
    share,
    signed,
    source_name,
)
from tools.contract import Task


@pytest.mark.parametrize(
    ("scale", "value", "expected"),
    [
        (0.97, 0.9, "0.9000"),
        (2.5, 10.0, "10.000"),
        (285.3, 285.34, "285.3"),
        (2853.0, 2853.4, "2,853"),
        (54321.0, 54321.9, "54,322"),
        (0.0, 1.0, "1.000"),
        (0.00123, 0.0012345, "0.001234"),
    ],
)
def test_a_table_has_the_decimals_of_its_scale(scale: float, value: float, expected: str) -> None:
    assert score_format(scale)(value) == expected


@pytest.mark.parametrize(
    ("score", "beside", "expected"),
    [(7.23e-6, [0.0, 1e-4, 0.008653], "0.000007"), (0.4867, [-50.0, 0.6], "0.4867"), (3.2e-7, [3e-7, 4e-7], "0.0000003200")],
)
def test_a_score_next_to_nothing_has_the_decimals_of_those_beside_it(score: float, beside: list[float], expected: str) -> None:
    assert row_format(score, beside)(score) == expected


@pytest.mark.parametrize(("value", "expected"), [(0.97123, "0.9712"), (12345.6, "12,346"), (7, "7"), (1234567, "1,234,567"), (0.0, "0")])
def test_compact(value: float, expected: str) -> None:
    assert compact(value) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.05, "0.05 s"), (14.84, "14.8 s"), (60.0, "1 min"), (200.0, "3 min 20 s"), (3600.0, "1 h"), (7500.0, "2 h 5 min")],
)
def test_duration(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected


@pytest.mark.parametrize(("value", "expected"), [(0.0, "0 %"), (0.001, "<1 %"), (0.3, "30 %"), (0.999, ">99 %"), (1.0, "100 %")])
def test_a_few_are_not_none(value: float, expected: str) -> None:
    assert share(value) == expected


@pytest.mark.parametrize(("usd", "expected"), [(None, "price unknown"), (0.0, "$0.00"), (0.0042, "$0.0042"), (1.5, "$1.50")])
def test_an_unknown_price_is_said_to_be_unknown(usd: float | None, expected: str) -> None:
    assert dollars(usd) == expected


@pytest.mark.parametrize(("count", "expected"), [(12, "12 bytes"), (53098, "53.1 kB"), (2_500_000, "2.5 MB")])
def test_file_size(count: int, expected: str) -> None:
    assert file_size(count) == expected


def test_an_unknown_metric_keeps_its_name() -> None:
    assert [metric_title(name) for name in ("roc_auc", "my_metric")] == ["ROC AUC", "my metric"]


def test_every_metric_of_the_tools_has_a_title() -> None:
    from tools.curves import IBS, ONE_CURVE
    from tools.metrics import METRICS
    from tools.metrics.regression import ADJUSTED

    assert set(METRICS) == set(METRIC_TITLES)
    assert {ADJUSTED, IBS, ONE_CURVE} == set(BESIDE_METRICS)


def test_every_task_of_the_tools_has_a_title() -> None:
    assert set(get_args(Task)) == set(TASK_TITLES)


def test_differences_carry_their_sign() -> None:
    figure = score_format(0.97)
    assert [signed(value, figure) for value in (0.0123, -0.0123, 1e-16, -1e-16, 0.0)] == ["+0.0123", "−0.0123", "0", "0", "0"]


def test_small_p_values_are_not_zero() -> None:
    assert [p_value(p) for p in (0.0004, 0.001, 0.05, 1.0, None)] == ["<0.001", "0.001", "0.050", "1.000", ""]


def test_a_scale_of_nothing_gets_no_decimals_of_its_own() -> None:
    assert score_format(1e-10)(0.0) == score_format(0.0)(0.0) == "0.000"


def test_names_within_a_sentence() -> None:
    said = [metric_said(name) for name in ("roc_auc", "log_loss", "kappa", "f1", "pinball_10", "smape", "my_metric")]
    assert said == ["ROC AUC", "log loss", "Cohen's kappa", "F1", "pinball_10", "sMAPE", "my metric"]
    sources = ["/tmp/a b/x.csv", "https://h.org/d/t.parquet", "hf:owner/name", "sklearn:iris", "x.csv#sha256=abcd", "frame:sales#sha256=ff"]
    assert [source_name(source) for source in sources] == ["x.csv", "t.parquet", "name", "sklearn:iris", "x.csv", "sales"]
