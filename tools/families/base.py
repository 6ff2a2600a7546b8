"""What a model family is: configurations to try, a search space, and a fit that ends in time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np

from tools.alignment import by_size
from tools.constraints import Sign
from tools.contract import Column, Predicts
from tools.deadline import Deadline
from tools.forecast import Forecast
from tools.standing import Standing
from tools.survival import events_of, null_residuals

if TYPE_CHECKING:
    import optuna
    import pandas as pd

Array = np.ndarray[Any, np.dtype[Any]]
Params = dict[str, Any]


FEWEST_EVENTS = 0.5
"""Expected in all rows of a fit together, at least: counts that a model calls impossible would cost without limit where one comes."""
CLASS_METRICS = ("balanced_accuracy", "f1", "f1_macro", "recall_macro", "mcc", "kappa")
"""Metrics of labels to which a rare class matters more than its share of the rows."""
CLASS_WEIGHT = "class_weight"
"""Parameter of weighable families: `balanced`, or None."""


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
    labels: int = 0
    """Number of labels, each of which is a problem of two classes; 0 where there are no labels."""
    ordered: bool = False
    """Whether the classes stand in an order."""
    text: bool = True
    dates: bool = True
    seed: int = 0
    threads: int = 1
    monotone: dict[str, Sign] = field(default_factory=dict)
    """Columns with which predictions may only rise (1) or fall (-1)."""
    text_chars: float = 0.0
    """Mean number of characters in the text columns of a row."""
    target_min: float = 0.0
    forecast: Forecast | None = None
    """How the future is asked for, where rows are moments of series."""
    target_skew: float = 0.0
    """Skewness of the target's values, 0 for classes."""

    @property
    def absolute_loss(self) -> bool:
        """Whether the metric asks for the median rather than the mean."""
        # Leaves that are set anew to medians, as boosters do for it, do not keep to monotone constraints.
        return self.metric in ("mae", "median_ae", "mape", "smape", "huber", "mase", "wape") and not self.monotone

    @property
    def weighs_classes(self) -> bool:
        """Whether the metric counts classes rather than rows, so that rare ones may deserve more weight in a fit."""
        return self.n_classes > 1 and self.metric in CLASS_METRICS

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
    seed: int = 0


class Predictor(Protocol):
    """A fitted model: probabilities (n, k) over the classes it was shown, or values (n,)."""

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

    def predict(self, X: pd.DataFrame) -> Array:
        """Probabilities (n, n_classes) with rows summing to 1, values (n,), risks and scores (n,) as shares of the rows that have
        less, or numbers of groups (n,). float64."""
        if len(X) == 0:
            return np.empty(0) if self.n_classes == 0 else np.empty((0, self.n_classes))
        raw = np.asarray(self.predictor.predict(X), dtype=np.float64)
        if self.standing is not None:
            return self.standing(raw)
        if self.renamed is not None:
            return self.renamed[raw.astype(np.int64)].astype(np.float64)
        if self.n_classes == 0:
            values = np.expm1(np.minimum(raw, 700.0)) if self.log_target else raw
            return np.clip(values, self.low, self.high)
        proba = np.zeros((len(X), self.n_classes))
        proba[:, self.classes] = np.clip(raw, 0.0, 1.0)
        # Classes that this fold never saw keep a sliver, so that the log loss stays finite.
        proba = np.clip(proba, 1e-7, None)
        normalised: Array = proba / proba.sum(axis=1, keepdims=True)
        return normalised

    def contributions(self, X: pd.DataFrame) -> Contributions | None:
        """Exact Shapley values of rows; None for models that do not compute them, or know fewer classes than there are."""
        if not isinstance(self.predictor, Additive) or len(self.classes) != self.n_classes:
            return None
        return self.predictor.contributions(X)


@dataclass
class FittedLabels(Fitted):
    """One fitted model of two classes for each label."""

    fits: list[Fitted] = field(default_factory=list)

    @classmethod
    def of(cls, fits: list[Fitted]) -> FittedLabels:
        """The labels' fits as one, whose iterations are their mean and whose pace is that of one iteration for every label."""
        made = [fitted.iterations for fitted in fits if fitted.iterations is not None]
        paces = [fitted.pace for fitted in fits if fitted.pace is not None]
        names = dict.fromkeys(name for fitted in fits for name in fitted.importance)
        return cls(
            fits[0].predictor,
            np.empty(0, dtype=np.int64),
            len(fits),
            iterations=round(float(np.mean(made))) if made else None,
            cut_short=any(fitted.cut_short for fitted in fits),
            starved=any(fitted.starved for fitted in fits),
            importance={name: float(np.mean([fitted.importance.get(name, 0.0) for fitted in fits])) for name in names},
            pace=sum(paces) if paces else None,
            fits=fits,
        )

    def predict(self, X: pd.DataFrame) -> Array:
        """Probability of each label, shape (n, labels). float64."""
        return np.column_stack([fitted.predict(X)[:, 1] for fitted in self.fits])

    def contributions(self, X: pd.DataFrame) -> Contributions | None:
        return None


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


Encoding = Literal["codes", "target", "one_hot"]
"""How a family turns categories into numbers: one code a column; one column a level where there are few; one column a level."""
DATE_WIDTH, TEXT_WIDTH = 7, 66
"""Columns of numbers that a date and a text become."""
MOST_ONE_HOT = {"codes": 0, "target": 10, "one_hot": 100}
"""Categories with more levels than this become one column of numbers."""


@dataclass(frozen=True)
class Appetite:
    """How much memory a fit takes at its peak, beside the loaded table. Measured by `python -m evals.fit_memory`."""

    table: float
    """Times that the table's cells lie in memory, eight bytes each."""
    matrix: float = 0.0
    """The same of the matrix of numbers that the family makes of them."""
    encoding: Encoding = "codes"
    category: float = 0.0
    """Columns of numbers that a category counts for where it becomes one code."""
    classes: float = 0.0
    """Numbers a row for each of three and more classes."""
    text_bytes: float = 57.0
    """Bytes for each character of text, which is taken apart into n-grams."""
    fixed_mb: float = 0.0

    def mb(self, rows: int, setting: Setting) -> float:
        """MiB of a fit on `rows` rows."""
        used = [c for c in setting.columns if (setting.text or c.kind != "text") and (setting.dates or c.kind != "datetime")]
        numbers = self.table * len(used) + self.matrix * sum(self._width(column) for column in used)
        numbers += self.classes * setting.n_classes * (setting.n_classes > 2)
        texts = setting.text_chars if any(column.kind == "text" for column in used) else 0.0
        return self.fixed_mb + rows * (8 * numbers + self.text_bytes * texts) / 2**20

    def _width(self, column: Column) -> float:
        if column.kind != "categorical":
            return {"datetime": DATE_WIDTH, "text": TEXT_WIDTH}.get(column.kind, 1)
        if self.encoding == "codes":
            return self.category
        return column.unique if column.unique <= MOST_ONE_HOT[self.encoding] else 1 if self.encoding == "target" else TEXT_WIDTH


class Family(ABC):
    """One kind of model. Subclasses describe configurations and fit; this class handles what all of them share:
    classes that a fold lacks, targets learnt on the log scale, predictions kept in a sane range.
    """

    name: str
    iterative: bool = False
    """Whether a fit adds iterations one by one, stops early on validation rows and can end at a deadline."""
    weight: float = 1.0
    """Share of a search's time that this family is worth, relative to others."""
    abreast: bool = False
    """Whether several fits can run at a time in threads of one process, and end sooner so."""
    bags: int = 1
    """How many seeds a final fit averages at most; 1 where seeds change nothing."""
    appetite: Appetite = Appetite(table=1.4)
    weighable: bool = False
    """Whether a fit knows the parameter `class_weight`."""

    def unsuited(self, setting: Setting) -> str | None:
        """Why the family has nothing to add on such a table, or None when it may."""
        return None

    @abstractmethod
    def default(self, setting: Setting) -> list[Params]:
        """Good configurations, the most valuable first."""

    @abstractmethod
    def space(self, trial: optuna.Trial, setting: Setting) -> Params:
        """A complete configuration drawn from the search space, which contains the first default."""

    def portfolio(self, setting: Setting) -> list[Params]:
        """The good configurations, with the first one weighing classes alike as the second where the metric counts classes."""
        found = self.default(setting)
        return [found[0], {**found[0], CLASS_WEIGHT: "balanced"}, *found[1:]] if self.weighable and setting.weighs_classes else found

    def search(self, trial: optuna.Trial, setting: Setting) -> Params:
        """A configuration drawn from the search space, with the weighing of classes where the metric counts classes."""
        drawn = self.space(trial, setting)
        if self.weighable and setting.weighs_classes and trial.suggest_categorical(CLASS_WEIGHT, ["none", "balanced"]) == "balanced":
            drawn[CLASS_WEIGHT] = "balanced"
        return drawn

    def memory_mb(self, rows: int, setting: Setting) -> float:
        """About how much memory a fit on `rows` rows takes at its peak, in MiB, beside the loaded table."""
        return self.appetite.mb(rows, setting)

    def paced(self, params: Params, pace: float, seconds: float, setting: Setting) -> Params:
        """The configuration made fit for `seconds` a fit, at `pace` seconds an iteration. Unchanged by default.

        Raises:
            DeadlineReached: when that is too little to be of use.
        """
        return params

    @abstractmethod
    def _fit(
        self, X: pd.DataFrame, y: Array, valid: tuple[pd.DataFrame, Array] | None, params: Params, setting: Setting, context: FitContext
    ) -> Raw:
        """Fit on rows whose classes are coded 0..k-1 without gaps, k = setting.n_classes."""

    def fit(
        self,
        X: pd.DataFrame,
        y: Array,
        X_valid: pd.DataFrame | None,
        y_valid: Array | None,
        params: Params,
        setting: Setting,
        context: FitContext,
    ) -> Fitted:
        """Fit on rows in the schema's dtypes.

        Args:
            y: class codes (int64), or values or signed times (float64), shape (n,), or 0 and 1 for each label, shape (n, labels).
            X_valid, y_valid: rows for early stopping, or None.

        Raises:
            DeadlineReached: when the time ended before there was anything to keep.
        """
        params = dict(params)
        if setting.predicts == "risk":
            return self._fit_risk(X, y, X_valid, y_valid, params, setting, context)
        if setting.predicts in ("groups", "scores"):
            return self._fit_points(X, params, setting, context)
        if setting.labels:
            return self._fit_labels(X, y, X_valid, y_valid, params, setting, context)
        if setting.n_classes == 0:
            return self._fit_values(X, y, X_valid, y_valid, params, setting, context)
        params.pop("log_target", None)
        present, dense = np.unique(y, return_inverse=True)
        if len(present) == 1:
            return Fitted(Constant(np.ones(1)), present, setting.n_classes)
        valid = None
        if X_valid is not None and y_valid is not None:
            known = np.isin(y_valid, present)
            if known.any():
                valid = (X_valid[known], np.searchsorted(present, y_valid[known]))
        inner = _with_classes(setting, len(present))
        raw = self._fit(X, dense.astype(np.int64), valid, params, inner, context)
        return Fitted(
            raw.predictor,
            present,
            setting.n_classes,
            iterations=raw.iterations,
            cut_short=raw.cut_short,
            starved=raw.starved,
            importance=raw.importance,
            pace=raw.pace,
        )

    def _fit_labels(
        self,
        X: pd.DataFrame,
        y: Array,
        X_valid: pd.DataFrame | None,
        y_valid: Array | None,
        params: Params,
        setting: Setting,
        context: FitContext,
    ) -> Fitted:
        """One fit a label, each of which gets the same share of the time (binary relevance)."""
        one, fits = replace(setting, labels=0, predicts="classes"), []
        for place in range(setting.labels):
            left = context.deadline
            part = replace(context, deadline=left.share(left.remaining() / (setting.labels - place)) if self.iterative else left)
            fits.append(self.fit(X, y[:, place], X_valid, None if y_valid is None else y_valid[:, place], params, one, part))
        return FittedLabels.of(fits)

    def _fit_risk(
        self,
        X: pd.DataFrame,
        y: Array,
        X_valid: pd.DataFrame | None,
        y_valid: Array | None,
        params: Params,
        setting: Setting,
        context: FitContext,
    ) -> Fitted:
        """Fit on signed times. What the model says is told as a standing, so that models of other folds and kinds say it alike."""
        none = np.empty(0, dtype=np.int64)
        if not events_of(y).any():
            return Fitted(Constant(np.asarray(0.5)), none, 0)
        valid = (X_valid, y_valid) if X_valid is not None and y_valid is not None and events_of(y_valid).any() else None
        raw = self._fit(X, y, valid, params, setting, context)
        own = np.asarray(raw.predictor.predict(X), dtype=np.float64)
        return Fitted(
            raw.predictor,
            none,
            0,
            iterations=raw.iterations,
            cut_short=raw.cut_short,
            starved=raw.starved,
            importance=raw.importance,
            pace=raw.pace,
            standing=Standing.among(own),
        )

    def _fit_points(self, X: pd.DataFrame, params: Params, setting: Setting, context: FitContext) -> Fitted:
        """Fit on rows alone: whatever they will be scored against is not shown."""
        none = np.empty(0, dtype=np.int64)
        raw = self._fit(X, np.zeros(len(X)), None, params, setting, context)
        own = np.asarray(raw.predictor.predict(X) if raw.own is None else raw.own, dtype=np.float64)
        scores = setting.predicts == "scores"
        return Fitted(
            raw.predictor,
            none,
            0,
            iterations=raw.iterations,
            cut_short=raw.cut_short,
            starved=raw.starved,
            importance=raw.importance,
            pace=raw.pace,
            standing=Standing.among(own) if scores else None,
            renamed=None if scores else by_size(own.astype(np.int64)),
        )

    def _fit_values(
        self,
        X: pd.DataFrame,
        y: Array,
        X_valid: pd.DataFrame | None,
        y_valid: Array | None,
        params: Params,
        setting: Setting,
        context: FitContext,
    ) -> Fitted:
        log_target = bool(params.pop("log_target", False)) and float(y.min()) >= 0 and not setting.poisson_loss
        low, high = float(y.min()), float(y.max())
        margin = 0.25 * (high - low)
        least = max(low - margin, FEWEST_EVENTS / len(y) if setting.counts else 0.0) if low >= 0 else low - margin
        if high == low:
            return Fitted(Constant(np.asarray(low)), np.empty(0, dtype=np.int64), 0, low=least)
        shaped = np.log1p(y) if log_target else y
        valid = None
        if X_valid is not None and y_valid is not None and len(y_valid):
            valid = (X_valid, np.log1p(np.maximum(y_valid, 0)) if log_target else y_valid)
        raw = self._fit(X, shaped, valid, params, setting, context)
        return Fitted(
            raw.predictor,
            np.empty(0, dtype=np.int64),
            0,
            log_target=log_target,
            log_rate=setting.poisson_loss,
            low=least,
            high=high + margin,
            iterations=raw.iterations,
            cut_short=raw.cut_short,
            starved=raw.starved,
            importance=raw.importance,
            pace=raw.pace,
        )


def row_weights(params: Params, y: Array, *others: Array) -> list[Array | None]:
    """Takes the class weight out of the parameters; gives each row n / (k * rows of its class), the heuristic of King and Zeng (2001).

    Args:
        y: codes 0 to k - 1 of the rows that are fitted.
        others: codes of further rows, such as those of early stopping, weighed by the same shares.

    Returns:
        Weights for `y` and each of the others, or None for each.
    """
    if params.pop(CLASS_WEIGHT, None) != "balanced":
        return [None] * (1 + len(others))
    by_class = len(y) / (np.count_nonzero(np.bincount(y)) * np.maximum(np.bincount(y), 1))
    return [by_class[codes] for codes in (y, *others)]


def encoding_target(y: Array, setting: Setting) -> Array:
    """What categories and texts are encoded by, shape (n,): the target, or a plain number that goes with it."""
    return null_residuals(y) if setting.predicts == "risk" else y


def _with_classes(setting: Setting, n_classes: int) -> Setting:
    return setting if setting.n_classes == n_classes else replace(setting, n_classes=n_classes)


def shares(importance: Array, sources: list[tuple[str, int, int]]) -> dict[str, float]:
    """Sum an importance per matrix column over the source columns, as shares of the whole."""
    totals = {name: 0.0 for name, _, _ in sources}
    for name, start, stop in sources:
        totals[name] += float(np.abs(importance[start:stop]).sum())
    whole = sum(totals.values())
    return {name: value / whole for name, value in totals.items()} if whole > 0 else {}
