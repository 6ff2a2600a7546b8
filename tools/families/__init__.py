"""Model families by name. A family's library is imported only when the family is asked for."""

from __future__ import annotations

import difflib
import os
from functools import cache
from importlib import import_module
from importlib.util import find_spec

from tools.families.base import Family

# In the order in which a search takes them: quick and telling ones first.
MODULES = {
    "dummy": ("tools.families.dummy", "sklearn"),
    "linear": ("tools.families.linear", "sklearn"),
    "tree": ("tools.families.tree", "sklearn"),
    "lightgbm": ("tools.families.lightgbm", "lightgbm"),
    "catboost": ("tools.families.catboost", "catboost"),
    "xgboost": ("tools.families.xgboost", "xgboost"),
    "extra_trees": ("tools.families.forests", "sklearn"),
    "random_forest": ("tools.families.forests", "sklearn"),
    "mlp": ("tools.families.mlp", "torch"),
}
NAMES = list(MODULES)


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


def load_libraries(names: list[str]) -> None:
    """Import what the families need, before any alarm is set: one that strikes inside an import leaves half a module."""
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    wanted = {MODULES[name][1] for name in names if name in MODULES} | ({"skrub"} if "linear" in names else set())
    for library in sorted(wanted):
        if find_spec(library) is not None:
            import_module(library)
