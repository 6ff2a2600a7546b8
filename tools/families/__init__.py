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
from tools.families.base import Family
from tools.families.custom import FAMILIES_BROUGHT

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
    "mlp": ("tools.families.mlp", "torch"),
}
NAMES = list(MODULES)
"""The built-in families."""
LIBRARY_MB = {"torch": 190.0, "skrub": 45.0, "catboost": 10.0}
"""Memory that importing a library takes beside what every kernel has loaded already; others take a few MiB at most."""


class FamilyUnavailable(Exception):
    """The family exists, but its library is not installed or its package is broken; the message says which."""


def all_names() -> list[str]:
    """Every family there is: the built-in ones, then those that installed packages bring. Nothing is imported."""
    return [*NAMES, *brought()]


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


@cache
def _built_in(name: str) -> Family:
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
    return {MODULES[name][1]} | ({"skrub"} if name in ("linear", "ordered_linear") else set()) if name in MODULES else set()


def load_libraries(names: list[str]) -> None:
    """Import what the families need, before any alarm is set: one that strikes inside an import leaves half a module."""
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    wanted = set().union(*map(_libraries, names))
    for library in sorted(wanted):
        if find_spec(library) is not None:
            import_module(library)
    for name in set(names) & set(brought()):
        with suppress(FamilyUnavailable):  # who asks for it is told
            family(name)
    if "torch" in wanted and "torch" in sys.modules:
        with suppress(ImportError):
            import_module("torch._dynamo")  # which its optimisers import when the first of them is made
