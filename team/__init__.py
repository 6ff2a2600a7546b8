"""mlteam: a team of language-model roles that does a whole machine-learning experiment, honestly.

    from team import run
    result = run("data.csv", target="churn", time="5m")

Everything public is here; the names are imported on first use, since the command line must start at once.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from team.api import RunResult, Team, arun, load_run, run
    from team.errors import MlteamError

__all__ = ["MlteamError", "RunResult", "Team", "arun", "load_run", "run"]
__version__ = "0.1.0"

_HOME = {"MlteamError": "team.errors"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME.get(name, "team.api")), name)


def __dir__() -> list[str]:
    return sorted(__all__)
