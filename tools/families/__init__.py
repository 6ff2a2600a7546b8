"""Model families by name. A family's library is imported only when the family is asked for."""

from __future__ import annotations

import difflib
import os
import sys
from contextlib import suppress
from functools import cache
from importlib import import_module
from importlib.util import find_spec

from tools.candidates import CODE, ENSEMBLE
from tools.contract import Task
from tools.families.base import Family
from tools.families.custom import FAMILIES_BROUGHT
from tools.families.weights import FOUNDATION, OFFLINE

# In the order in which a search takes them: quick and telling ones first.
MODULES = {
    "dummy": ("tools.families.dummy", "sklearn"),
    "linear": ("tools.families.linear", "sklearn"),
    "tree": ("tools.families.tree", "sklearn"),
    "sparse_linear": ("tools.families.sparse_linear", "sklearn"),
    "ordered_linear": ("tools.families.ordered", "sklearn"),
    "lightgbm": ("tools.families.lightgbm", "lightgbm"),
    "ordered_lightgbm": ("tools.families.ordered", "lightgbm"),
    "catboost": ("tools.families.catboost", "catboost"),
    "xgboost": ("tools.families.xgboost", "xgboost"),
    "extra_trees": ("tools.families.forests", "sklearn"),
    "random_forest": ("tools.families.forests", "sklearn"),
    "knn": ("tools.families.knn", "sklearn"),
    "mlp": ("tools.families.mlp", "torch"),
    "realmlp": ("tools.families.realmlp", "torch"),
    "tabm": ("tools.families.tabm", "tabm"),
    "tabicl": ("tools.families.foundation", "tabicl"),
    "tabpfn": ("tools.families.foundation", "tabpfn"),
    "seasonal_naive": ("tools.families.forecasting", "numpy"),
    "theta": ("tools.families.statistical", "statsforecast"),
    "lags_linear": ("tools.families.lagged", "sklearn"),
    "ets": ("tools.families.statistical", "statsforecast"),
    "lags_lightgbm": ("tools.families.lagged", "lightgbm"),
    "lags_catboost": ("tools.families.lagged", "catboost"),
    "arima": ("tools.families.statistical", "statsforecast"),
    "coxnet": ("tools.families.cox", "sksurv"),
    "survival_boosting": ("tools.families.survival_trees", "sksurv"),
    "survival_forest": ("tools.families.survival_trees", "sksurv"),
    "pca": ("tools.families.detectors", "sklearn"),
    "isolation_forest": ("tools.families.detectors", "sklearn"),
    "local_outlier": ("tools.families.detectors", "sklearn"),
    "one_class_svm": ("tools.families.detectors", "sklearn"),
    "ecod": ("tools.families.pyod_detectors", "pyod"),
    "copod": ("tools.families.pyod_detectors", "pyod"),
    "kmeans": ("tools.families.clusterers", "sklearn"),
    "gaussian_mixture": ("tools.families.clusterers", "sklearn"),
    "agglomerative": ("tools.families.clusterers", "sklearn"),
    "hdbscan": ("tools.families.clusterers", "sklearn"),
}
NAMES = list(MODULES)
_TABULAR = ["dummy", "linear", "tree", "sparse_linear", "lightgbm", "catboost", "xgboost", "extra_trees", "random_forest", "knn"]
NETWORKS = ("mlp", "realmlp", "tabm")
_TABULAR += [*NETWORKS, *FOUNDATION]
_ORDERED = ["dummy", "linear", "tree", "sparse_linear", "ordered_linear", "lightgbm", "ordered_lightgbm", *_TABULAR[5:]]
LEARNS: dict[Task, list[str]] = {
    "binary": _TABULAR,
    "multiclass": _TABULAR,
    "ordinal": _ORDERED,
    "multilabel": _TABULAR,
    "regression": _TABULAR,
    "count": _TABULAR,
    "quantile": [name for name in _TABULAR if name not in ("knn", *FOUNDATION)],
    "forecast": ["seasonal_naive", "theta", "lags_linear", "ets", "lags_lightgbm", "lags_catboost", "arima"],
    "survival": ["dummy", "coxnet", "xgboost", "survival_boosting", "survival_forest"],
    "cluster": ["dummy", "kmeans", "gaussian_mixture", "agglomerative", "hdbscan"],
    "anomaly": ["dummy", "pca", "isolation_forest", "local_outlier", "one_class_svm", "ecod", "copod"],
}
"""Families by task, in the order in which a search takes them."""
TABULAR: tuple[Task, ...] = ("binary", "multiclass", "ordinal", "multilabel", "regression", "count", "quantile")
"""Tasks that boosters, forests, linear models and the network serve."""
OPEN = tuple(task for task in TABULAR if task != "quantile")
"""Tasks that families of packages serve, which are made to say classes and values."""
_SIMPLE = ["dummy", "tree", "linear"]
"""The tree first: it is there within a second or two where a linear model of many classes or levels may take all the time there is."""
BASELINES: dict[Task, list[str]] = {
    "binary": _SIMPLE,
    "multiclass": _SIMPLE,
    "ordinal": _SIMPLE,
    "multilabel": _SIMPLE,
    "regression": _SIMPLE,
    "count": _SIMPLE,
    "quantile": _SIMPLE,
    "forecast": ["seasonal_naive"],
    "survival": ["dummy", "coxnet"],
    "cluster": ["dummy", "kmeans"],
    "anomaly": ["dummy", "pca"],
}
"""What any model must beat: the floor first, then the simple models."""
UNTUNABLE = ("dummy", "seasonal_naive", "theta", "ets", "arima", *FOUNDATION)
"""Families without a parameter, or that search for theirs themselves."""
LINEAR = ("linear", "coxnet")
"""Families whose models are straight lines, on whatever scale, and of which a task has one at most."""
INSTALLS = {
    "torch": "'mlteam[torch]'",
    "statsforecast": "'mlteam[forecast]'",
    "sksurv": "'mlteam[survival]'",
    "pyod": "'mlteam[anomaly]'",
    "tabm": "'mlteam[networks]'",
    "tabicl": "'mlteam[foundation]'",
    "tabpfn": "'mlteam[foundation]'",
}
"""What pip is to be given for a library that has another name or belongs to an extra."""
LIBRARY_MB = {"torch": 190.0, "sksurv": 60.0, "pyod": 80.0, "skrub": 45.0, "catboost": 10.0}
"""Memory that importing a library takes beside what every kernel has loaded already; others take a few MiB at most."""


class FamilyUnavailable(Exception):
    """The family exists, but its library is not installed or its package is broken; the message says which."""


def all_names() -> list[str]:
    """Every family there is: the built-in ones, then those that installed packages bring. Nothing is imported."""
    return [*NAMES, *brought()]


def learners(task: Task) -> list[str]:
    """Every family that learns a task, in the order in which a search takes them; those of packages learn what rows of columns say."""
    return [*LEARNS[task], *(brought() if task in OPEN else ())]


def brought() -> list[str]:
    """Families that installed packages say they bring, by name."""
    return sorted(set(FAMILIES_BROUGHT.brought()) - {*NAMES, CODE, ENSEMBLE})


def family(name: str) -> Family:
    """The family called `name`.

    Raises:
        ValueError: when there is none of that name; names the nearest and all.
        FamilyUnavailable: when its library is not installed, or the package that brings it cannot be used.
    """
    if name in MODULES:
        return _built_in(name)
    known = all_names()
    if name not in known:
        near = difflib.get_close_matches(name.lower(), known, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"unknown family {name!r}.{hint} Families: {', '.join(known)}.")
    try:
        return FAMILIES_BROUGHT.load(name)
    except ValueError as error:
        raise FamilyUnavailable(str(error)) from None


def lacking(name: str) -> str | None:
    """Which library a built-in family lacks here, and what installs it; None where it is there. Nothing is imported."""
    library = MODULES[name][1] if name in MODULES else None
    if library is None or find_spec(library) is not None:
        return None
    return f"{library} is not installed; `pip install {INSTALLS.get(library, library)}` adds the family {name!r}"


@cache
def _built_in(name: str) -> Family:
    module, _ = MODULES[name]
    if reason := lacking(name):
        raise FamilyUnavailable(reason)
    # Read by OpenMP when a library loads it. Threads that spin for long while they wait cost several times the
    # computation itself where other processes want the same cores; threads that never spin cost as much on idle ones.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    found: dict[str, Family] = import_module(module).FAMILIES
    return found[name]


def library_mb(name: str) -> float:
    """Memory that importing what a family needs will take, in MiB; 0 when it has been imported."""
    return sum(LIBRARY_MB.get(library, 0.0) for library in _libraries(name) if library not in sys.modules)


def _libraries(name: str) -> set[str]:
    if name not in MODULES or find_spec(MODULES[name][1]) is None:
        return set()
    beside = {"torch"} if name in (*NETWORKS, *FOUNDATION) else {"skrub"} if name in ("linear", "ordered_linear", "lags_linear") else set()
    return {MODULES[name][1]} | beside


def load_libraries(names: list[str]) -> None:
    """Import what the families need, before any alarm is set: one that strikes inside an import leaves half a module."""
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    wanted = set().union(*map(_libraries, names))
    if wanted & set(FOUNDATION):
        os.environ.update(OFFLINE)
    for library in sorted(wanted):
        if find_spec(library) is not None:
            import_module(library)
    for name in set(names) & set(brought()):
        with suppress(FamilyUnavailable):  # who asks for it is told
            family(name)
    if "torch" in wanted and "torch" in sys.modules:
        with suppress(ImportError):
            import_module("torch._dynamo")  # which its optimisers import when the first of them is made
