"""Model families by name. A family's library is imported only when the family is asked for."""

from __future__ import annotations

import difflib
import os
import sys
from contextlib import suppress
from functools import cache
from importlib import import_module
from importlib.util import find_spec

from tools.families.base import Family

# In the order in which a search takes them: quick and telling ones first.
MODULES = {
    "dummy": ("tools.families.dummy", "sklearn"),
    "linear": ("tools.families.linear", "sklearn"),
    "tree": ("tools.families.tree", "sklearn"),
    "sparse_linear": ("tools.families.sparse_linear", "sklearn"),
    "lightgbm": ("tools.families.lightgbm", "lightgbm"),
    "catboost": ("tools.families.catboost", "catboost"),
    "xgboost": ("tools.families.xgboost", "xgboost"),
    "extra_trees": ("tools.families.forests", "sklearn"),
    "random_forest": ("tools.families.forests", "sklearn"),
    "knn": ("tools.families.knn", "sklearn"),
    "mlp": ("tools.families.mlp", "torch"),
}
NAMES = list(MODULES)
LIBRARY_MB = {"torch": 190.0, "skrub": 45.0, "catboost": 10.0}
"""Memory that importing a library takes beside what every kernel has loaded already; others take a few MiB at most."""


class FamilyUnavailable(Exception):
    """The family exists, but its library is not installed; the message says which."""


@cache
def family(name: str) -> Family:
    """The family called `name`.

    Raises:
        ValueError: when there is none of that name; names the nearest and all.
        FamilyUnavailable: when its library is not installed.
    """
    if name not in MODULES:
        near = difflib.get_close_matches(name.lower(), NAMES, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"unknown family {name!r}.{hint} Families: {', '.join(NAMES)}.")
    module, library = MODULES[name]
    if find_spec(library) is None:
        raise FamilyUnavailable(f"{library} is not installed; `pip install {library}` adds the family {name!r}")
    # Read by OpenMP when a library loads it. Threads that spin for long while they wait cost several times the
    # computation itself where other processes want the same cores; threads that never spin cost as much on idle ones.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    found: dict[str, Family] = import_module(module).FAMILIES
    return found[name]


def library_mb(name: str) -> float:
    """Memory that importing what a family needs will take, in MiB; 0 when it has been imported."""
    return sum(LIBRARY_MB.get(library, 0.0) for library in _libraries(name) if library not in sys.modules)


def _libraries(name: str) -> set[str]:
    return {MODULES[name][1]} | ({"skrub"} if name == "linear" else set()) if name in MODULES else set()


def load_libraries(names: list[str]) -> None:
    """Import what the families need, before any alarm is set: one that strikes inside an import leaves half a module."""
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    wanted = set().union(*map(_libraries, names))
    for library in sorted(wanted):
        if find_spec(library) is not None:
            import_module(library)
    if "torch" in wanted and "torch" in sys.modules:
        with suppress(ImportError):
            import_module("torch._dynamo")  # which its optimisers import when the first of them is made
