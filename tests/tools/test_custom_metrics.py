"""Metrics of installed packages: a real distribution in a folder of its own, found by its entry points."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.hosting import Hosting
from tests.tools.installed import install
from tools.deadline import Deadline, DeadlineReached
from tools.deciding import choose, decide
from tools.intake import fetch_data
from tools.metrics import METRICS, Metric, bootstrap_interval, find_metric, metric_for, score
from tools.metrics.custom import brought
from tools.metrics.trying import unusable
from tools.sealing import seal_holdout
from tools.spec import InputRefused
from tools.weighing import weigher

CODE = """
import threading
import numpy as np
from tools.metrics import Metric

OVER = threading.Event()

def profit(y, labels):
    return float(np.mean(np.where(labels == 1, np.where(y == 1, 10.0, -3.0), 0.0)))

def fussy(y, labels):
    raise RuntimeError("no such day")

def shy(y, labels):
    return float(y[labels == 1].mean()) if (labels == 1).mean() > 0.1 else float("nan")

def slow(y, labels):
    while not OVER.wait(0.01):
        pass
    return 0.0

def stops(y, labels):
    raise SystemExit(4)

def cost(y, labels):
    return float(np.mean(np.where(labels == y, 0.0, 3.0)))

def apart(y, values):
    return float(np.abs(y - values).mean())

def ratio(y, values):
    if (values <= 0).any():
        raise ValueError("the logarithm of nothing")
    return float(np.abs(np.log(values + 0.0) - np.log(y + 0.5)).mean())

RATIO = Metric("ratio", ("count", "regression"), "minimize", "value", "Of positive predictions alone", ratio)
COST = Metric("cost", ("binary", "multiclass"), "minimize", "label", "Cost of a call in euros", cost, (0.0, 3.0))
TURNED = Metric("turned", ("binary", "multiclass"), "maximize", "label", "The same, said to be better the more it is", cost, (0.0, 3.0))
APART = Metric("apart", ("regression",), "maximize", "value", "A distance, said to be better the more it is", apart)
SHY = Metric("shy", ("binary",), "maximize", "label", "Precision of ten calls in a hundred and more", shy)
SLOW = Metric("slow", ("binary",), "maximize", "label", "Does not come back by itself", slow)
STOPS = Metric("stops", ("binary",), "maximize", "label", "Ends its process", stops)
PROFIT = Metric("profit", ("binary",), "maximize", "label", "Profit of a call in euros", profit, (-3.0, 10.0))
FUSSY = Metric("fussy", ("binary",), "maximize", "label", "Fails when it is used", fussy)
SIDEWAYS = Metric("sideways", ("binary",), "upwards", "label", "Has no direction", profit)
MIXED = Metric("mixed", ("regression",), "maximize", "label", "Labels of a number", profit)
HAZARD = Metric("hazard", ("survival",), "maximize", "proba", "Probabilities of a risk", profit)
BOTH = Metric("both", ("regression", "survival"), "maximize", "value", "Of times and numbers", profit)
LATE = Metric("late", ("survival",), "maximize", "value", "Signed times as they are", lambda y, risk: float(y[np.argmin(risk)]))
PLAIN = profit
"""
POINTS = {
    "profit": "PROFIT",
    "fussy": "FUSSY",
    "sideways": "SIDEWAYS",
    "mixed": "MIXED",
    "hazard": "HAZARD",
    "both": "BOTH",
    "late": "LATE",
    "plain": "PLAIN",
    "renamed": "PROFIT",
    "lost": "NOWHERE",
    "roc_auc": "PROFIT",
    **{name: name.upper() for name in ("cost", "turned", "apart", "ratio", "shy", "slow", "stops")},
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
    if (loaded := sys.modules.pop("shop_metrics", None)) is not None:
        loaded.OVER.set()


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
        ("mixed", "needs 'label' does not go with tasks regression, which predict values; expected 'value'"),
        ("hazard", "needs 'proba' does not go with tasks survival, which predict risk; expected 'value'"),
        ("both", "tasks regression, survival: they predict risk and values; expected one kind of prediction"),
        ("plain", "it is a function, expected a tools.metrics.Metric"),
        ("renamed", "the entry point is called 'renamed', the metric 'profit'"),
        ("lost", "AttributeError"),
    ],
)
def test_a_broken_one_is_told_by_name_and_package_and_breaks_no_other(shop: Path, name: str, why: str) -> None:
    with pytest.raises(ValueError, match=f"metric '{name}' of package 'shop-metrics' cannot be used: .*{why}"):
        metric_for(name, "binary")
    assert find_metric("profit").name == "profit"


def test_a_metric_of_risks_gets_signed_times(shop: Path) -> None:
    y, risk = np.array([0.5, -1.75, 3.0]), np.array([2.0, -5.0, 0.1])
    assert score("late", "survival", y, risk) == -1.75


def test_one_that_fails_in_use_is_told_too(shop: Path) -> None:
    with pytest.raises(ValueError, match="'fussy' of package 'shop-metrics' failed: RuntimeError: no such day"):
        score("fussy", "binary", Y, PROBA)


def test_calls_without_a_score_are_not_called(shop: Path) -> None:
    """A metric may have no value where next to nothing is called: such multipliers are as bad as any, and no reason to fail."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 400)
    p = np.clip(0.3 * y + rng.uniform(0, 0.7, 400), 0, 1)
    decision, scored = decide("shy", "binary", y, np.column_stack([1 - p, p]), np.arange(400) % 5, 0)
    assert np.isfinite(score("shy", "binary", y, scored))
    assert decision == [] or ((scored[:, 1] > scored[:, 0]).mean() > 0.1)
    never = Metric("shy", ("binary",), "maximize", "label", "", lambda y, labels: float("nan"), package="shop-metrics")
    assert choose(never, y, np.column_stack([1 - p, p])) == [1.0, 1.0]


def test_an_alarm_inside_a_metric_is_none_of_its_failures(shop: Path) -> None:
    for work in (
        lambda: score("slow", "binary", Y, PROBA),
        lambda: choose(find_metric("slow"), Y, PROBA),
        lambda: weigher(find_metric("slow"), Y, Y)(np.ones(len(Y))),
    ):
        with pytest.raises(DeadlineReached), Deadline(0.2).alarm():
            work()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("turned", r"is to maximize, and gives what is nearly right 0 and .*: its direction or its sign is the wrong way round"),
        ("fussy", "'fussy' of package 'shop-metrics' failed: RuntimeError: no such day"),
        ("stops", "'stops' of package 'shop-metrics' failed: SystemExit: 4"),
        ("slow", "did not score 60 rows 6 times in 0.2 s"),
    ],
)
def test_one_that_cannot_judge_a_run_is_told(shop: Path, name: str, why: str) -> None:
    assert re.search(why, str(unusable(find_metric(name), "binary", Y, 2, within_s=0.2 if name == "slow" else 30.0)))


def test_one_that_knows_better_from_worse_is_taken(shop: Path) -> None:
    assert unusable(find_metric("cost"), "multiclass", np.arange(60) % 3, 3) is None
    assert unusable(find_metric("profit"), "binary", Y, 2) is None
    assert unusable(find_metric("shy"), "binary", Y, 2) is None
    assert unusable(find_metric("ratio"), "count", np.arange(60) % 4, 0) is None
    assert "wrong way round" in str(unusable(find_metric("apart"), "regression", np.linspace(0, 9, 50), 0))


def test_a_run_is_refused_before_anything_is_sealed_by_a_metric_that_is_turned(shop: Path, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("a,y\n" + "".join(f"{i % 20},{'yn'[i * i % 3 == 0]}\n" for i in range(80)))
    h = Hosting(tmp_path / "runs", table, target="y", metric="turned")
    fetch_data(h.host)
    with pytest.raises(InputRefused, match=r"wrong way round\. Mend the package, or choose another metric"):
        seal_holdout(h.host)
    assert not h.vault.sealed
    h = Hosting(tmp_path / "runs", table, target="y", metric="cost")
    fetch_data(h.host)
    assert seal_holdout(h.host).metric == "cost"


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
