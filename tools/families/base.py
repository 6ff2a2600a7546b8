"""What a model family is: configurations to try, a search space, and a fit that ends in time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tools import memory
from tools.alignment import by_size
from tools.contract import Column
from tools.device import Place, place
from tools.families.appetite import Appetite
from tools.families.fitted import NO_CLASSES, Constant, EndedProcess, Fitted, FittedLabels, LabelModels, Predictor, Raw
from tools.families.setting import Array, FitContext, Params, Setting
from tools.readings import shared_readings
from tools.standing import Standing
from tools.survival import events_of, null_residuals

if TYPE_CHECKING:
    from pathlib import Path

    import optuna
    import pandas as pd

    from tools.families.blocks import Pieces

FEWEST_EVENTS = 0.5
"""Expected in all rows of a fit together, at least: counts that a model calls impossible would cost without limit where one comes."""
CLASS_WEIGHT = "class_weight"
"""Parameter of weighable families: `balanced`, or None."""
CHAIN = "chain"
"""Parameter of several labels: `forward` or `backward`, the order in which each label is told to those behind it; None for none."""
CROSSES = "crosses"
"""Parameter of families that read a `TableEncoder`: `pairs`, where those that matter are columns too; none without it."""
AT_REST: Params = {CLASS_WEIGHT: "none", CHAIN: "none", CROSSES: "none"}
"""The switches beside a family's own space, turned off."""


class Rows(NamedTuple):
    """What a fit is shown."""

    X: pd.DataFrame
    y: Array
    X_valid: pd.DataFrame | None
    """For early stopping, as `y_valid`."""
    y_valid: Array | None


class Family(ABC):
    """One kind of model. Subclasses describe configurations and fit; this class handles what all of them share:
    classes that a fold lacks, targets learnt on the log scale, predictions kept in a sane range.
    """

    name: str
    iterative: bool = False
    """Whether a fit adds iterations one by one, stops early on validation rows and can end at a deadline."""
    weight: float = 1.0
    """Share of a search's time that this family is worth, relative to others."""
    reads: bool = False
    """Whether it learns nothing beforehand and reads the training rows with every prediction, so that this is what takes time."""
    most: float = 1.0
    """Largest share of the time left that one configuration of it takes, whatever else waits."""
    abreast: bool = False
    """Whether several fits can run at a time in threads of one process, and end sooner so."""
    bags: int = 1
    """How many seeds a final fit averages at most; 1 where seeds change nothing."""
    appetite: Appetite = Appetite(table=1.4)
    cuda: bool = False
    """Whether it has a fit on a graphics processor at all."""
    cuda_rows: float = 0
    """Rows from which such a fit gains enough for `auto` to take it."""
    weighable: bool = False
    """Whether a fit knows the parameter `class_weight`."""
    chainable: bool = True
    """Whether labels may be columns of the labels behind them."""
    crossable: bool = False
    """Whether a fit knows the parameter `crosses`."""

    def unsuited(self, setting: Setting) -> str | None:
        """Why the family has nothing to add on such a table, or None when it may."""
        return None

    def no_cuda(self, setting: Setting) -> str | None:
        """Why a fit cannot run on the graphics processor that is visible: what the installed library lacks; None where it can."""
        return None

    @abstractmethod
    def default(self, setting: Setting) -> list[Params]:
        """Good configurations, the most valuable first."""

    @abstractmethod
    def space(self, trial: optuna.Trial, setting: Setting) -> Params:
        """A complete configuration drawn from the search space, which contains the first default."""

    def portfolio(self, setting: Setting) -> list[Params]:
        """The good configurations; behind the first one, that as a chain of labels, and weighing classes alike, where it may help. Where
        pairs of columns matter, the first one reads them, and comes again without."""
        found = self.default(setting)
        if self.crossable and setting.crossable:
            found = [{**found[0], CROSSES: "pairs"}, *found]
        weighed = [{**found[0], CLASS_WEIGHT: "balanced"}] if self.weighable and setting.weighs_classes else []
        chained = [{**found[0], CHAIN: "forward"}] if self._chains(setting) else []
        return [found[0], *chained, *weighed, *found[1:]]

    def search(self, trial: optuna.Trial, setting: Setting) -> Params:
        """A configuration drawn from the search space, with the weighing of classes where the metric counts classes, and the order of
        a chain where there are labels."""
        drawn = self.space(trial, setting)
        if self.weighable and setting.weighs_classes and trial.suggest_categorical(CLASS_WEIGHT, ["none", "balanced"]) == "balanced":
            drawn[CLASS_WEIGHT] = "balanced"
        if self.crossable and setting.crossable and trial.suggest_categorical(CROSSES, ["none", "pairs"]) == "pairs":
            drawn[CROSSES] = "pairs"
        if self._chains(setting):
            order = trial.suggest_categorical(CHAIN, ["none", "forward", "backward"])
            drawn |= {} if order == "none" else {CHAIN: order}
        return drawn

    def _chains(self, setting: Setting) -> bool:
        """Whether chains of labels may be tried: a label that follows another need not rise with a column with which that one rises."""
        return self.chainable and setting.labels > 1 and not setting.monotone

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

    def over_blocks(self, model: Predictor, pieces: Pieces, folder: Path, params: Params, setting: Setting, context: FitContext) -> Raw:
        """Fit again on rows that memory does not hold, with the encoder of a model that was fitted on some of them.

        Args:
            pieces: rows in the schema's dtypes with dense class codes, or values on the scale that is learnt.
            folder: an empty one on disk, for whatever takes the place of memory.
            context: says how many iterations there are.

        Raises:
            NotImplementedError: saying why the family cannot.
            DeadlineReached: when the time is over before there is anything to keep.
            MemoryError, OSError: when memory or disk does not suffice after all.
        """
        raise NotImplementedError(f"{self.name} takes its rows at once")

    def over_workers(self, model: Predictor, cluster: Any, X: Any, y: Any, params: Params, setting: Setting, context: FitContext) -> Raw:
        """Fit again on rows that no machine holds, on the workers of a Dask cluster, with the encoder of a model that was fitted on some.

        Args:
            cluster: a `distributed.Client`, which is the current one as well: libraries ask for that even where they are given one.
            X: encoded rows, a dask array of float32, in whose blocks they lie on the workers.
            y: a dask array of dense class codes, or of values on the scale that is learnt, in the same blocks.
            context: says how many iterations there are.

        Raises:
            NotImplementedError: saying why the family cannot.
        """
        raise NotImplementedError(f"{self.name} has no interface to Dask")

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
        """Fit on rows in the schema's dtypes, on the device that fits (`tools.device`); where a graphics processor has no memory left
        for it, on the processor, which the fit then tells.

        Args:
            y: class codes (int64), or values or signed times (float64), shape (n,), or 0 and 1 for each label, shape (n, labels).
            X_valid, y_valid: rows for early stopping, or None.

        Raises:
            DeadlineReached: when the time ended before there was anything to keep.
        """
        if setting.labels:
            return self._fit_labels(X, y, X_valid, y_valid, dict(params), setting, context)
        placed = place(self, setting)
        rows = Rows(X, y, X_valid, y_valid)
        try:
            fitted = self._fit_shaped(rows, params, replace(setting, device=placed.device), context)
        except SystemExit as error:
            raise EndedProcess(error) from None
        except Exception as error:
            if placed.device == "cpu" or not memory.ran_out(error):
                raise
            placed = Place("cpu", f"the graphics processor had no memory for it ({str(error).strip().splitlines()[0][:120]})")
            fitted = self._fit_shaped(rows, params, replace(setting, device="cpu"), context)
        return replace(fitted, device=placed.device, off_cuda=placed.why)

    def _fit_shaped(self, rows: Rows, params: Params, setting: Setting, context: FitContext) -> Fitted:
        """Fit what the problem predicts."""
        params = dict(params)
        if params.pop(CROSSES, None) == "pairs":
            setting = replace(setting, crosses=True)
        if setting.predicts == "risk":
            return self._fit_risk(rows, params, setting, context)
        if setting.predicts in ("groups", "scores"):
            return self._fit_points(rows.X, params, setting, context)
        if setting.n_classes == 0:
            return self._fit_values(rows, params, setting, context)
        params.pop("log_target", None)
        present, dense = np.unique(rows.y, return_inverse=True)
        if len(present) == 1:
            return Fitted(Constant(np.ones(1)), present, setting.n_classes)
        valid = None
        if rows.X_valid is not None and rows.y_valid is not None:
            known = np.isin(rows.y_valid, present)
            if known.any():
                valid = (rows.X_valid[known], np.searchsorted(present, rows.y_valid[known]))
        inner = _with_classes(setting, len(present))
        return self._fit(rows.X, dense.astype(np.int64), valid, params, inner, context).fitted(present, setting.n_classes)

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
        """One fit a label, each of which gets the same share of the time: each for itself (binary relevance), or in a chain, where a label
        has those before it for columns (Read et al. 2009). They are the truth in a fit and probabilities afterwards.
        """
        chain = params.pop(CHAIN, None)
        order = list(range(setting.labels))[:: -1 if chain == "backward" else 1]
        links = _link_names(X, setting.labels - 1) if chain else []
        one, fits = replace(setting, labels=0, predicts="classes"), {}
        with shared_readings():
            for step, label in enumerate(order):
                left = context.deadline
                part = replace(context, deadline=left.share(left.remaining() / (setting.labels - step)) if self.iterative else left)
                truth = None if y_valid is None else y_valid[:, label]
                fitted = fits[label] = self.fit(X, y[:, label], X_valid, truth, params, one, part)
                if step < len(links):
                    link = links[step]
                    # What stops a fit early is what the chain will see, so that the stop is not too late.
                    X_valid = None if X_valid is None else X_valid.assign(**{link: fitted.predict(X_valid)[:, 1]})
                    X = X.assign(**{link: y[:, label].astype(np.float64)})
                    one = replace(one, columns=[*one.columns, Column(name=link, kind="numeric", missing=0.0, unique=2)])
        return FittedLabels.of(LabelModels([fits[label] for label in sorted(fits)], order, links))

    def _fit_risk(self, rows: Rows, params: Params, setting: Setting, context: FitContext) -> Fitted:
        """Fit on signed times. What the model says is told as a standing, so that models of other folds and kinds say it alike."""
        X, y, X_valid, y_valid = rows
        if not events_of(y).any():
            return Fitted(Constant(np.asarray(0.5)), NO_CLASSES, 0)
        valid = (X_valid, y_valid) if X_valid is not None and y_valid is not None and events_of(y_valid).any() else None
        raw = self._fit(X, y, valid, params, setting, context)
        own = np.asarray(raw.predictor.predict(X), dtype=np.float64)
        return raw.fitted(standing=Standing.among(own))

    def _fit_points(self, X: pd.DataFrame, params: Params, setting: Setting, context: FitContext) -> Fitted:
        """Fit on rows alone: whatever they will be scored against is not shown."""
        raw = self._fit(X, np.zeros(len(X)), None, params, setting, context)
        own = np.asarray(raw.predictor.predict(X) if raw.own is None else raw.own, dtype=np.float64)
        if setting.predicts == "scores":
            return raw.fitted(standing=Standing.among(own))
        return raw.fitted(renamed=by_size(own.astype(np.int64)))

    def _fit_values(self, rows: Rows, params: Params, setting: Setting, context: FitContext) -> Fitted:
        """Fit on values, on the log scale where that is asked for and they allow it, and keep what is predicted near their range."""
        X, y, X_valid, y_valid = rows
        log_target = bool(params.pop("log_target", False)) and float(y.min()) >= 0 and not setting.poisson_loss
        low, high = float(y.min()), float(y.max())
        margin = 0.25 * (high - low)
        least = max(low - margin, FEWEST_EVENTS / len(y) if setting.counts else 0.0) if low >= 0 else low - margin
        if high == low:
            same = np.full(len(setting.quantiles), low) if setting.quantiles else np.asarray(low)
            return Fitted(Constant(same), NO_CLASSES, 0, low=least, levels=len(setting.quantiles))
        shaped = np.log1p(y) if log_target else y
        valid = None
        if X_valid is not None and y_valid is not None and len(y_valid):
            valid = (X_valid, np.log1p(np.maximum(y_valid, 0)) if log_target else y_valid)
        raw = self._fit(X, shaped, valid, params, setting, context)
        levels = len(setting.quantiles)
        return raw.fitted(log_target=log_target, log_rate=setting.poisson_loss, low=least, high=high + margin, levels=levels)


def _link_names(X: pd.DataFrame, number: int) -> list[str]:
    """Names of columns that a table does not have."""
    stem = "label"
    while any(str(name).startswith(stem) for name in X.columns):
        stem += "_"
    return [f"{stem}{step + 1}" for step in range(number)]


def row_weights(params: Params, y: Array, y_valid: Array | None = None) -> tuple[Array | None, Array | None]:
    """Takes the class weight out of the parameters; gives each row n / (k * rows of its class), the heuristic of King and Zeng (2001).

    Args:
        y: codes 0 to k - 1 of the rows that are fitted.
        y_valid: codes of the rows for early stopping, which are weighed by the same shares.

    Returns:
        Weights for `y` and for `y_valid`; None where classes are not weighed, or there are no such rows.
    """
    by_class = class_weights(params, y)
    if by_class is None:
        return None, None
    return by_class[y], None if y_valid is None else by_class[y_valid]


def refuse_weights(params: Params) -> None:
    """
    Raises:
        NotImplementedError: classes are to be weighed, by counts of rows that lie on many machines.
    """
    if params.pop(CLASS_WEIGHT, None) == "balanced":
        raise NotImplementedError("weighs its classes, which is not done over workers")


def class_weights(params: Params, y: Array) -> Array | None:
    """Takes the class weight out of the parameters; gives the weight of each code, as `row_weights` gives rows; None for equal ones."""
    if params.pop(CLASS_WEIGHT, None) != "balanced":
        return None
    counts = np.bincount(y)
    weights: Array = len(y) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return weights


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
