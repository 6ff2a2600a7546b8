"""How trackers are named in a setting, `mlflow,wandb,http://HOST:PORT`, and the tracker of each name."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from typing import Any

from tools.brought import Group
from tools.host import RunPaths
from tools.trackers.contract import Tracker
from tools.trackers.mlflow_file import Embedded
from tools.trackers.mlflow_server import Server, check_address
from tools.trackers.tensorboard import TensorBoard
from tools.trackers.wandb_runs import WandB, sends

OWN = "mlflow"
"""The run's own MLflow store, which every run is written to."""
BUILT_IN: dict[str, Callable[[RunPaths], Tracker]] = {OWN: Embedded, "wandb": WandB, "tensorboard": TensorBoard}
_NEEDS = {"wandb": ("wandb", "wandb"), "tensorboard": ("tensorboardX", "tensorboard")}
"""Module and extra that a tracker needs."""


def _check(name: str, made: Any) -> Callable[[RunPaths], Tracker]:
    if name in BUILT_IN or not re.fullmatch(r"[a-z][a-z0-9_-]{0,39}", name):
        raise ValueError("its name is taken by mlteam, or is no name in small letters")
    if not callable(made):
        raise TypeError(f"expected a Tracker or a function that makes one, got {type(made).__name__}")
    return made


TRACKERS: Group[Callable[[RunPaths], Tracker]] = Group("mlteam.trackers", "tracker", _check)


def read_places(text: str) -> tuple[str, ...]:
    """The trackers that a setting names, each once and in one spelling.

    Raises:
        ValueError: when one is none; a password in an address is never repeated.
    """
    parts = [part.strip() for part in text.split(",")]
    return tuple(dict.fromkeys(_place(part) for part in parts if part or len(parts) == 1))


def _place(part: str) -> str:
    if part in BUILT_IN or part in TRACKERS.brought():
        return part
    if re.fullmatch(r"[A-Za-z0-9_-]+", part):
        names = ", ".join([*BUILT_IN, *sorted(TRACKERS.brought())])
        raise ValueError(f"there is no tracker {part!r}; expected http://HOST:PORT or https://HOST of an MLflow server, or {names}")
    return check_address(part)


def acts_outside(place: str) -> bool:
    """Whether a tracker acts outside the run directory; one of a package is taken to."""
    return sends() if place == "wandb" else place not in BUILT_IN


def lacking(places: tuple[str, ...]) -> str | None:
    """The first tracker that cannot work here, and what to type; None where all can. Packages are looked for, not imported."""
    for place in places:
        module, extra = _NEEDS.get(place, (None, ""))
        if module and importlib.util.find_spec(module) is None:
            return f"the tracker {place} needs the package {module}: pip install 'mlteam[{extra}]'"
    return None


def make_tracker(place: str, run: RunPaths) -> Tracker:
    """The tracker of a name that `read_places` gave.

    Raises:
        ValueError: when a package brings it and it cannot be used.
    """
    if place in BUILT_IN:
        return BUILT_IN[place](run)
    if place not in TRACKERS.brought():
        return Server(place) if "://" in place else _gone(place)
    made = TRACKERS.load(place)(run)
    if not isinstance(made, Tracker):
        raise ValueError(f"tracker {place!r} of a package gives {type(made).__name__}, expected a tools.trackers.contract.Tracker")
    return made


def _gone(place: str) -> Tracker:
    raise ValueError(f"no installed package brings the tracker {place!r} any more; install it again")
