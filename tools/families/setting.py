"""What a family is told of a problem before it fits, and of a fit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.constraints import Sign
from tools.contract import Column, Predicts
from tools.deadline import Deadline
from tools.device import Asked
from tools.forecast import Forecast

if TYPE_CHECKING:
    from collections.abc import Callable

Array = np.ndarray[Any, np.dtype[Any]]
Params = dict[str, Any]

CLASS_METRICS = ("balanced_accuracy", "f1", "f1_macro", "recall_macro", "mcc", "kappa")
"""Metrics of labels to which a rare class matters more than its share of the rows."""


@dataclass(frozen=True)
class Setting:
    """What does not change between the folds and trials of a search."""

    columns: list[Column]
    """Columns that the preparation uses."""
    n_rows: int
    n_classes: int
    """0 where no classes are predicted."""
    metric: str
    predicts: Predicts = "classes"
    counts: bool = False
    """Whether the values are whole numbers of 0 and more."""
    quantiles: tuple[float, ...] = ()
    """Levels that are predicted, ascending; empty where none are."""
    labels: int = 0
    """Number of labels, each of which is a problem of two classes; 0 where there are no labels."""
    ordered: bool = False
    """Whether the classes stand in an order."""
    text: bool = True
    readable: bool = False
    """Whether a person must be able to read the model, so that nothing in it may stand for a mixture of words."""
    dates: bool = True
    seed: int = 0
    threads: int = 1
    device: Asked = "cpu"
    """What was asked for; inside a fit where it runs, `cpu` or `cuda`."""
    monotone: dict[str, Sign] = field(default_factory=dict)
    """Columns with which predictions may only rise (1) or fall (-1)."""
    text_chars: float = 0.0
    """Mean number of characters in the text columns of a row."""
    target_min: float = 0.0
    crossable: bool = False
    """Whether pairs of columns say what no column says by itself, see `tools.crosses`."""
    crosses: bool = False
    """Whether a fit encodes such pairs."""
    forecast: Forecast | None = None
    """How the future is asked for, where rows are moments of series."""
    target_skew: float = 0.0
    """Skewness of the target's values, 0 for classes."""
    without: tuple[str, ...] = ()
    """Parts of the engine that are left out, see `tools.omissions`."""

    @property
    def native(self) -> list[str]:
        """Columns that a family which knows categories gets as categories."""
        return [] if "native_categories" in self.without else [c.name for c in self.columns if c.kind == "categorical"]

    @property
    def absolute_loss(self) -> bool:
        """Whether the metric asks for the median rather than the mean."""
        # Leaves that are set anew to medians, as boosters do for it, do not keep to monotone constraints.
        return self.metric in ("mae", "median_ae", "mape", "smape", "huber", "mase", "wape") and not self.monotone

    @property
    def weighs_classes(self) -> bool:
        """Whether the metric counts classes rather than rows, so that rare ones may deserve more weight in a fit."""
        return self.n_classes > 1 and self.metric in CLASS_METRICS and "class_weights" not in self.without

    @property
    def poisson_loss(self) -> bool:
        """Whether values are learnt by the likelihood of counts, on the scale of the logarithm of their expected value."""
        return self.counts and not self.absolute_loss and self.metric != "rmsle"

    @property
    def may_log(self) -> bool:
        """Whether the target can be learnt on the scale log(1 + value) at all."""
        return self.n_classes == 0 and self.target_min >= 0 and not self.poisson_loss

    @property
    def skewed(self) -> bool:
        """Whether values pile up near 0, so that log(1 + value) is worth a try."""
        return self.may_log and self.target_skew > 1

    @property
    def log_target(self) -> bool:
        """Whether the target is learnt best on the scale log(1 + value)."""
        return self.may_log and (self.metric == "rmsle" or (self.metric == "mape" and self.skewed))


@dataclass
class FitContext:
    """What one fit is given beside its rows."""

    deadline: Deadline = field(default_factory=Deadline)
    """An iterative fit stops adding iterations here and keeps what it has."""
    iterations: int | None = None
    """Exact number of iterations, for refits; None lets early stopping decide."""
    probe: bool = False
    """Whether a few timed steps are all that is wanted: their pace."""
    seed: int = 0
    kept: dict[str, Any] = field(default_factory=dict)
    """What fits that share this made of their rows, see `of_rows`."""

    def of_rows(self, X: Any, make: Callable[[], Any]) -> Any:
        """What `make` makes of the rows `X` alone: once for fits in a row on the very same rows, as those of several labels are."""
        if self.kept.get("rows") is not X:
            self.kept.clear()
            self.kept |= {"made": make(), "rows": X}
        return self.kept["made"]
