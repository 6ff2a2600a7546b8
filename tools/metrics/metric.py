"""What a metric is: a signed function with the range of its values, and the interval that goes with a score."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from tools.contract import Direction, Task
from tools.metrics.decision import Decision

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

Needs = Literal["proba", "label", "value", "group"]


@dataclass(frozen=True)
class Metric:
    """One way to score predictions."""

    name: str
    tasks: tuple[Task, ...]
    direction: Direction
    needs: Needs
    """`proba`: probabilities; `label`: the called class, see `decision`; `value`: numbers, such as values, risks and scores;
    `group`: the number of each row's group."""
    description: str
    function: Callable[[Array, Array], float]
    """Takes `y` and, by `needs`, probabilities (n, k), predicted codes (n,) or values (n,)."""
    range: tuple[float, float] = (-inf, inf)
    """Lowest and highest value that it can take, in any of its tasks."""
    compares_rows: bool = False
    """Whether it ranks rows against each other, so that predictions of several models in one column must agree in level."""
    decision: Decision = "mode"
    """Which class a metric of labels takes to be called."""
    in_units: bool = False
    """Whether each row's error is counted in a unit of its own, as that of its series."""
    same_as: str = ""
    """Another metric that has the same value where a row has one class, for a name that people ask for all the same."""
    package: str = ""
    """The installed package that brought it; empty for a built-in one."""

    def better(self, a: float, b: float) -> bool:
        """Whether score `a` is strictly better than `b`."""
        return a > b if self.direction == "maximize" else a < b


class Interval(BaseModel):
    """A score with its bootstrap interval."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    score: float
    low: float
    high: float
    std_error: float
    level: float
    """Nominal coverage, 0 to 1."""
    n: int
    """Number of rows scored."""
    groups: int | None = None
    """Number of groups, where whole groups were resampled; None where rows were."""
