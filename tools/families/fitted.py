"""What a fit gives: a model that predicts in the contract's shape, whatever the family."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from tools.device import Device
from tools.families.setting import Array
from tools.few_rows import FewRows, TakesFew
from tools.readings import shared_readings
from tools.standing import Standing

if TYPE_CHECKING:
    import pandas as pd


NO_CLASSES: Array = np.empty(0, dtype=np.int64)


class EndedProcess(RuntimeError):
    """Code of a package tried to end the process that it runs in, as `sys.exit` does."""

    def __init__(self, error: SystemExit) -> None:
        super().__init__(f"it tried to end the process that it runs in (SystemExit: {error})")


class Predictor(Protocol):
    """A fitted model: probabilities (n, k) over the classes it was shown, quantiles (n, q) that may cross, or values (n,)."""

    def predict(self, X: pd.DataFrame) -> Array: ...


@dataclass
class Contributions:
    """What each column adds to the raw score of each row: Shapley values, which add up with the base to the score itself.

    The raw score is the log-odds of the second of two classes, one number a class before the softmax for more, and the value for
    values, on the scale that the model learnt.
    """

    columns: list[str]
    """Source columns."""
    values: Array
    """Shape (n, columns, outputs)."""
    base: Array
    """Score of no row in particular, shape (outputs,)."""


@runtime_checkable
class Additive(Protocol):
    """A fitted model that computes its Shapley values itself."""

    def contributions(self, X: pd.DataFrame) -> Contributions: ...


@dataclass
class Fitted:
    """A fitted model over the contract's classes. It can be pickled and used from threads."""

    predictor: Predictor
    classes: Array
    """Codes of the classes that the predictor knows; empty for values."""
    n_classes: int
    log_target: bool = False
    log_rate: bool = False
    """Whether it learnt the logarithm of the expected value, so that its raw score is on that scale."""
    low: float = -np.inf
    high: float = np.inf
    """Range that predicted values are kept in, for models that could run away on unseen rows."""
    iterations: int | None = None
    cut_short: bool = False
    starved: bool = False
    """Whether it is smaller than asked for because memory ran short."""
    importance: dict[str, float] = field(default_factory=dict)
    """Share of each source column in the model's own importance, where it has one."""
    pace: float | None = None
    """Seconds per iteration, for iterative families."""
    standing: Standing | None = None
    """Of risks and scores: where they stand among those of the rows it was fitted on."""
    renamed: Array | None = None
    """Of groups: the number that each number of the predictor is told as, int64."""
    levels: int = 0
    """Number of quantiles a row; 0 where none are predicted."""
    device: Device = "cpu"
    off_cuda: str = ""
    """Why it was not fitted on a graphics processor though that was asked for."""

    def predict(self, X: pd.DataFrame | FewRows) -> Array:
        """Probabilities (n, n_classes) with rows summing to 1, quantiles (n, levels) ascending in each row, values (n,), risks and
        scores (n,) as shares of the rows that have less, or numbers of groups (n,). float64."""
        if len(X) == 0:
            return np.empty((0, self.n_classes or self.levels)) if self.n_classes or self.levels else np.empty(0)
        try:
            raw = np.asarray(self.predictor.predict(self._taken(X)), dtype=np.float64)
        except SystemExit as error:
            raise EndedProcess(error) from None
        if self.standing is not None:
            return self.standing(raw)
        if self.renamed is not None:
            return self.renamed[raw.astype(np.int64)].astype(np.float64)
        if self.n_classes == 0:
            values = np.expm1(np.minimum(raw, 700.0)) if self.log_target else raw
            kept = np.clip(values, self.low, self.high)
            return np.sort(kept.reshape(len(X), self.levels), axis=1) if self.levels else kept
        if raw.shape != (len(X), len(self.classes)):
            raise ValueError(f"the model predicts in the shape {raw.shape}, expected {(len(X), len(self.classes))}: a probability a class")
        proba = np.zeros((len(X), self.n_classes))
        proba[:, self.classes] = np.clip(raw, 0.0, 1.0)
        # Classes that this fold never saw keep a sliver, so that the log loss stays finite.
        proba = np.clip(proba, 1e-7, None)
        normalised: Array = proba / proba.sum(axis=1, keepdims=True)
        return normalised

    def _taken(self, X: pd.DataFrame | FewRows) -> Any:
        """Rows as the predictor takes them."""
        return X.frame if isinstance(X, FewRows) and not isinstance(self.predictor, TakesFew) else X

    def contributions(self, X: pd.DataFrame) -> Contributions | None:
        """Exact Shapley values of rows; None for models that do not compute them, or know fewer classes than there are."""
        if not isinstance(self.predictor, Additive) or len(self.classes) != self.n_classes:
            return None
        return self.predictor.contributions(X)


@dataclass
class LabelModels:
    """One fitted model of two classes for each label, each for itself or in a chain."""

    fits: list[Fitted]
    """In the order of the labels."""
    order: list[int]
    """Places of the labels in the order in which they are predicted."""
    links: list[str] = field(default_factory=list)
    """In a chain, the columns that the labels are to those behind them, in the order of `order`; else empty."""

    def predict(self, X: pd.DataFrame) -> Array:
        """Probability of each label, shape (n, labels). float64."""
        proba = np.empty((len(X), len(self.fits)))
        with shared_readings():
            for step, place in enumerate(self.order):
                said = proba[:, place] = self.fits[place].predict(X)[:, 1]
                if self.links and step + 1 < len(self.order):
                    X = X.assign(**{self.links[step]: said})
        return proba


@dataclass
class FittedLabels(Fitted):
    """Models of several labels as one, `LabelModels` or what columns are prepared for."""

    @classmethod
    def of(cls, models: LabelModels) -> FittedLabels:
        """The labels' fits as one, whose iterations are their mean and whose pace is that of one iteration for every label."""
        fits = models.fits
        made = [fitted.iterations for fitted in fits if fitted.iterations is not None]
        paces = [fitted.pace for fitted in fits if fitted.pace is not None]
        names = dict.fromkeys(name for fitted in fits for name in fitted.importance if name not in models.links)
        return cls(
            models,
            NO_CLASSES,
            len(fits),
            iterations=round(float(np.mean(made))) if made else None,
            cut_short=any(fitted.cut_short for fitted in fits),
            starved=any(fitted.starved for fitted in fits),
            importance={name: float(np.mean([fitted.importance.get(name, 0.0) for fitted in fits])) for name in names},
            pace=sum(paces) if paces else None,
            device="cuda" if all(fitted.device == "cuda" for fitted in fits) else "cpu",
            off_cuda=next((fitted.off_cuda for fitted in fits if fitted.off_cuda), ""),
        )

    def predict(self, X: pd.DataFrame | FewRows) -> Array:
        """Probability of each label, shape (n, labels). float64."""
        return np.asarray(self.predictor.predict(self._taken(X)), dtype=np.float64) if len(X) else np.empty((0, self.n_classes))

    def contributions(self, X: pd.DataFrame) -> Contributions | None:
        return None


@dataclass
class FittedMedian(Fitted):
    """The median alone of a model of quantiles, as a model of values."""

    whole: Fitted | None = None
    place: int = 0
    """Of the median among the quantiles."""

    @classmethod
    def of(cls, whole: Fitted, place: int) -> FittedMedian:
        told = {each.name: getattr(whole, each.name) for each in fields(Fitted)}
        return cls(**{**told, "levels": 0}, whole=whole, place=place)

    def predict(self, X: pd.DataFrame | FewRows) -> Array:
        """The median of each row, shape (n,)."""
        assert self.whole is not None
        return self.whole.predict(X)[:, self.place]

    def contributions(self, X: pd.DataFrame) -> Contributions | None:
        assert self.whole is not None
        if (found := self.whole.contributions(X)) is None:
            return None
        one = slice(self.place, self.place + 1)
        return Contributions(found.columns, found.values[:, :, one], found.base[one])


@dataclass
class Constant:
    """Predicts the same for every row."""

    value: Array

    def predict(self, X: pd.DataFrame) -> Array:
        return np.repeat(self.value[None], len(X), axis=0)


@dataclass
class Raw:
    """What a family's own fit returns."""

    predictor: Predictor
    iterations: int | None = None
    cut_short: bool = False
    starved: bool = False
    importance: dict[str, float] = field(default_factory=dict)
    pace: float | None = None
    own: Array | None = None
    """What it says of the rows it was fitted on, shape (n,), where that is not what `predictor` would say if asked again."""

    def fitted(self, classes: Array | None = None, n_classes: int = 0, **shape: Any) -> Fitted:
        """The same as a model in the contract's shape.

        Args:
            classes: codes of the classes that the predictor knows; None for values, risks, scores and groups.
            shape: fields of `Fitted` that say how what the predictor says becomes a prediction.
        """
        return Fitted(
            self.predictor,
            NO_CLASSES if classes is None else classes,
            n_classes,
            iterations=self.iterations,
            cut_short=self.cut_short,
            starved=self.starved,
            importance=self.importance,
            pace=self.pace,
            **shape,
        )
