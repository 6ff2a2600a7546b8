"""Metrics of installed packages: a real distribution in a folder of its own, found by its entry points."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.tools.installed import install
from tools.metrics import METRICS, bootstrap_interval, find_metric, metric_for, score
from tools.metrics.custom import brought

CODE = """
import numpy as np
from tools.metrics import Metric

def profit(y, labels):
    return float(np.mean(np.where(labels == 1, np.where(y == 1, 10.0, -3.0), 0.0)))

def fussy(y, labels):
    raise RuntimeError("no such day")

PROFIT = Metric("profit", ("binary",), "maximize", "label", "Profit of a call in euros", profit, (-3.0, 10.0))
FUSSY = Metric("fussy", ("binary",), "maximize", "label", "Fails when it is used", fussy)
SIDEWAYS = Metric("sideways", ("binary",), "upwards", "label", "Has no direction", profit)
MIXED = Metric("mixed", ("regression",), "maximize", "label", "Labels of a number", profit)
PLAIN = profit
"""
POINTS = {
    "profit": "PROFIT",
    "fussy": "FUSSY",
    "sideways": "SIDEWAYS",
    "mixed": "MIXED",
    "plain": "PLAIN",
    "renamed": "PROFIT",
    "lost": "NOWHERE",
    "roc_auc": "PROFIT",
}
Y = np.array([0, 1, 1, 0, 1, 0] * 10)
PROBA = np.column_stack([1 - np.linspace(0.1, 0.9, 60), np.linspace(0.1, 0.9, 60)])


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    install(tmp_path, "shop-metrics", CODE, {"mlteam.metrics": POINTS})
    install(tmp_path, "torn", "import does_not_exist_anywhere\n", {"mlteam.metrics": {"torn": "METRIC"}})
    install(tmp_path, "leaves", "raise SystemExit(3)\n", {"mlteam.metrics": {"leaves": "METRIC"}})
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("shop_metrics", None)


def test_a_metric_of_a_package_scores_like_a_built_in_one(shop: Path) -> None:
    found = metric_for("profit", "binary")
    assert (found.package, found.direction, found.range) == ("shop-metrics", "maximize", (-3.0, 10.0))
    calls = PROBA.argmax(axis=1)
    expected = float(np.mean(np.where(calls == 1, np.where(Y == 1, 10.0, -3.0), 0.0)))
    assert score("profit", "binary", Y, PROBA) == expected
    interval = bootstrap_interval("profit", "binary", Y, PROBA, resamples=100)
    assert interval.low < expected < interval.high
    assert bootstrap_interval("profit", "binary", Y, PROBA, groups=np.arange(60) // 3, resamples=100).groups == 20
    with pytest.raises(ValueError, match="'profit' is for binary tasks, this task is multiclass"):
        metric_for("profit", "multiclass")
    with pytest.raises(ValueError, match=r"unknown metric 'profits'\. Did you mean 'profit'"):
        find_metric("profits")


def test_nothing_is_imported_before_it_is_asked_for(shop: Path) -> None:
    assert brought()["profit"] == "shop-metrics"
    assert find_metric("roc_auc") is METRICS["roc_auc"], "a package cannot take a built-in metric's place"
    assert "shop_metrics" not in sys.modules
    find_metric("profit")
    assert "shop_metrics" in sys.modules


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("sideways", "direction: 'upwards' is none of maximize, minimize"),
        ("mixed", "needs 'label' does not go with tasks regression"),
        ("plain", "it is a function, expected a tools.metrics.Metric"),
        ("renamed", "the entry point is called 'renamed', the metric 'profit'"),
        ("lost", "AttributeError"),
    ],
)
def test_a_broken_one_is_told_by_name_and_package_and_breaks_no_other(shop: Path, name: str, why: str) -> None:
    with pytest.raises(ValueError, match=f"metric '{name}' of package 'shop-metrics' cannot be used: .*{why}"):
        metric_for(name, "binary")
    assert find_metric("profit").name == "profit"


def test_one_that_fails_in_use_is_told_too(shop: Path) -> None:
    with pytest.raises(ValueError, match="'fussy' of package 'shop-metrics' failed: RuntimeError: no such day"):
        score("fussy", "binary", Y, PROBA)


def test_a_package_that_cannot_be_imported_stands_in_nobodys_way(shop: Path) -> None:
    with pytest.raises(ValueError, match="'torn' of package 'torn' cannot be used: ModuleNotFoundError"):
        find_metric("torn")
    with pytest.raises(ValueError, match="'leaves' of package 'leaves' cannot be used: SystemExit"):
        find_metric("leaves")
    assert find_metric("profit").name == "profit"


def test_a_name_that_two_packages_bring_is_refused(
    shop: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path_factory.mktemp("other")
    install(other, "market", CODE, {"mlteam.metrics": {"profit": "PROFIT"}})
    monkeypatch.syspath_prepend(str(other))
    with pytest.raises(ValueError, match="brought by 'market' and 'shop-metrics'; uninstall one"):
        find_metric("profit")
