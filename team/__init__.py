"""mlteam: a team of language-model roles that does a whole machine-learning experiment, honestly.

    from team import run
    result = run("data.csv", target="churn", time="5m")

Everything public is here; the names are imported on first use, since the command line must start at once.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from team.api import RunResult, Team, arun, load_run, run
    from team.errors import MlteamError

__all__ = ["MlteamError", "RunResult", "Team", "arun", "load_run", "run"]
__version__ = "0.1.0"

_HOME = {"MlteamError": "team.errors"}


class _Package(ModuleType):
    """`run` is the function here, also once the module `team.run` has been imported, which would take its place as an attribute."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "run" or not isinstance(value, ModuleType):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME.get(name, "team.api")), name)


def load_ipython_extension(ipython: Any) -> None:
    """`%load_ext team`: the magics `%team` and `%%team`."""
    import_module("team.magics").load(ipython)


def __dir__() -> list[str]:
    return sorted(__all__)
