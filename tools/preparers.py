"""Preparers: our own steps (`tools.steps`), and what installed packages bring by entry points of the group `mlteam.preparers`.

A package names a callable without arguments that makes a transformer by scikit-learn's conventions:

    [project.entry-points."mlteam.preparers"]
    ratios = "ourpackage.features:make_ratios"

It is given the columns of a preparation as a frame in the schema's dtypes, and gives a frame, or a dense matrix, of as many
rows. It is fitted inside each fold, on the rows that the fold's model learns from and before the family's own encoder.
What a transformer reads of the target it must not show to the rows that it read it from. One that neither leaves the target
alone nor cross-fits in its own `fit_transform` is cross-fitted here: its columns must then mean the same from fit to fit.
Our own steps cross-fit by themselves, may make other columns in each fit, and may change the rows that a model learns from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tools.brought import Group
from tools.contract import Column, TableSchema
from tools.deadline import DeadlineReached
from tools.preparation import OWN, Preparer
from tools.steps.error import StepError

if TYPE_CHECKING:
    import pandas as pd

    from tools.families.base import Family
    from tools.families.fitted import Fitted, Predictor
    from tools.families.setting import FitContext, Params, Setting
    from tools.steps.base import Step

Array = np.ndarray[Any, np.dtype[Any]]

PARTS = 5
"""Into so many the rows are cut where a preparer is cross-fitted."""


def _check(name: str, found: Any) -> Callable[[], Any]:
    if not callable(found):
        raise TypeError(f"it is a {type(found).__name__}, expected a callable that makes a transformer")
    made = found()
    lacks = [method for method in ("fit", "transform", "get_params") if not hasattr(made, method)]
    if lacks:
        raise TypeError(f"it makes a {type(made).__name__} without {', '.join(lacks)}, expected a scikit-learn transformer")
    return found


PREPARERS_BROUGHT = Group[Callable[[], Any]]("mlteam.preparers", "preparer", _check)


class PreparerFailed(ValueError):
    """A preparer could not be used on rows; the message names it and its package."""


class Learnt(NamedTuple):
    """What a model learns from when preparers are done with its rows."""

    X: pd.DataFrame
    y: Array
    steps: list[tuple[Preparer, Any]]
    """The fitted transformers, for other rows."""


@dataclass
class Prepared:
    """Fitted transformers, one after another, and the predictor behind them. What a package brings must be there to load it."""

    steps: list[tuple[Preparer, Any]]
    schema: TableSchema
    predictor: Predictor

    def predict(self, X: pd.DataFrame) -> Array:
        return self.predictor.predict(transform(self.steps, X, self.schema))


def own_step(used: Preparer, seed: int) -> Step:
    """A step of our own, unfitted."""
    from tools.steps import make_step

    return make_step(used.name, used.reads, seed)


def find_preparer(name: str) -> Preparer:
    """The preparer called `name`, of which it is not known yet whether it must be cross-fitted.

    Raises:
        ValueError: when there is none, naming those there are, or when it cannot be used, naming its package.
    """
    there = PREPARERS_BROUGHT.brought()
    if name not in there:
        raise ValueError(f"no preparer {name!r} is installed where this runs; preparers: {', '.join(sorted(there)) or 'none'}.")
    PREPARERS_BROUGHT.load(name)
    return Preparer(name=name, package=there[name], cross_fit=False)


def prove(name: str, X: pd.DataFrame, y: Array, seed: int) -> Preparer:
    """Find out by trying how a preparer must be used: whether it reads the target, and whether it cross-fits by itself.

    Raises:
        ValueError: as `find_preparer` does, and when it fails or gives something else each time that it is fitted.
    """
    used = find_preparer(name)
    plain = _fit(used, seed, lambda made: _framed(made.fit(X, y).transform(X), made, used, X))
    again = _fit(used, seed, lambda made: _framed(made.fit(X, y).transform(X), made, used, X))
    if not _alike(plain, again):
        raise PreparerFailed(f"{_called(used)} gives something else each time it is fitted on the same rows; give it a `random_state`.")
    shuffled = np.random.default_rng(seed).permutation(y)
    blind = _fit(used, seed, lambda made: _framed(made.fit(X, shuffled).transform(X), made, used, X))
    own = _fit(used, seed, lambda made: _framed(_fit_transform(made, X, y), made, used, X))
    chosen = set(plain.columns) <= set(X.columns) and _alike(plain, X[list(plain.columns)].reset_index(drop=True))
    return used.model_copy(update={"cross_fit": not _alike(plain, blind) and _alike(plain, own) and not chosen})


def _alike(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Whether two frames hold the same, but for what threads make of the last digits."""
    from pandas.api.types import is_numeric_dtype

    if list(one.columns) != list(other.columns):
        return False
    pairs = [(one[name], other[name]) for name in one.columns]
    return all(
        np.allclose(a, b, rtol=1e-6, equal_nan=True) if is_numeric_dtype(a) and is_numeric_dtype(b) else a.equals(b) for a, b in pairs
    )


def learn(preparers: list[Preparer], X: pd.DataFrame, y: Array, seed: int) -> Learnt:
    """What preparers make of the rows that a model learns from.

    Raises:
        PreparerFailed: when one of them fails.
    """
    steps = []
    for used in preparers:
        X, y, transformer = _learn_one(used, X, y, seed)
        steps.append((used, transformer))
    return Learnt(X, y, steps)


def _learn_one(used: Preparer, X: pd.DataFrame, y: Array, seed: int) -> tuple[pd.DataFrame, Array, Any]:
    if used.cross_fit:
        return _cross_fitted(used, X, y, seed), y, _fit(used, seed, lambda made: made.fit(X, y))

    def whole(made: Any) -> tuple[pd.DataFrame, Array, Any]:
        if used.package == OWN and hasattr(made, "fit_resample"):
            rows, labels = made.fit_resample(X, y)
            return rows, labels, made
        values = _fit_transform(made, X, y)
        return _framed(values, made, used, X), y, made

    found: tuple[pd.DataFrame, Array, Any] = _fit(used, seed, whole)
    return found


def fit_prepared(
    family: Family,
    preparers: list[Preparer],
    X: pd.DataFrame,
    y: Array,
    X_valid: pd.DataFrame | None,
    y_valid: Array | None,
    params: Params,
    setting: Setting,
    context: FitContext,
) -> Fitted:
    """`Family.fit` on what the preparers make of the rows; the fitted model takes rows as they were before.

    Args:
        setting: its columns are those that the preparers make.

    Raises:
        DeadlineReached: as `Family.fit` does.
        PreparerFailed: when a preparer fails on these rows.
    """
    if not preparers:
        return family.fit(X, y, X_valid, y_valid, params, setting, context)
    made, learnt, steps = learn(preparers, X, y, setting.seed)
    if any(used.package == OWN for used in preparers):
        setting = replace(setting, columns=columns_in(made))
    schema = TableSchema(columns=setting.columns)
    valid = None if X_valid is None else transform(steps, X_valid, schema)
    context.deadline.check()
    fitted = family.fit(_in_schema(made, schema, steps), learnt, valid, y_valid, params, setting, context)
    importance = _of_raw_columns(fitted.importance, steps, list(map(str, X.columns)))
    return replace(fitted, predictor=Prepared(steps, schema, fitted.predictor), importance=importance)


def _of_raw_columns(importance: dict[str, float], steps: list[tuple[Preparer, Any]], raw: list[str]) -> dict[str, float]:
    """Shares of prepared columns as shares of the raw ones that they are made of, in equal parts; none where a package's transformer
    does not tell: shares of columns that nobody has seen would say nothing."""
    from tools.lineage import roots

    found = roots(steps, raw)
    if found is None:
        return importance if importance.keys() <= set(raw) else {}
    shares = dict.fromkeys(raw, 0.0)
    for name, share in importance.items():
        for source in found.get(name, []):
            shares[source] += share / len(found[name])
    return shares if importance else {}


def columns_in(made: pd.DataFrame) -> list[Column]:
    """The columns of what our own steps, perhaps among others, made of rows."""
    from tools.steps.base import columns_of

    return columns_of(made)


def made_columns(preparers: list[Preparer], X: pd.DataFrame, y: Array, seed: int) -> list[Column]:
    """The columns that preparers make of training rows."""
    from tools.columns import infer_schema

    made = learn(preparers, X, y, seed).X
    return columns_in(made) if any(used.package == OWN for used in preparers) else infer_schema(made, None).columns


def transform(steps: list[tuple[Preparer, Any]], X: pd.DataFrame, schema: TableSchema) -> pd.DataFrame:
    """Rows that a model did not learn from, as it sees them."""
    for used, transformer in steps:
        with _told(used):
            X = _framed(transformer.transform(X), transformer, used, X)
    return _in_schema(X, schema, steps)


def _in_schema(X: pd.DataFrame, schema: TableSchema, steps: list[tuple[Preparer, Any]]) -> pd.DataFrame:
    from tools.columns import coerce
    from tools.tables import TableError

    try:
        return coerce(X, schema)
    except TableError as error:
        called = " and ".join(_called(used) for used, _ in steps)
        raise PreparerFailed(f"{called} must make the same columns of all rows: {error}") from None


def _cross_fitted(used: Preparer, X: pd.DataFrame, y: Array, seed: int) -> pd.DataFrame:
    import pandas as pd
    from sklearn.model_selection import KFold

    parts = []
    for others, part in KFold(min(PARTS, len(X)), shuffle=True, random_state=seed).split(X):
        rows, unseen = X.iloc[others], X.iloc[part]

        def out_of_part(made: Any, rows: pd.DataFrame = rows, y_rows: Array = y[others], unseen: pd.DataFrame = unseen) -> pd.DataFrame:
            return _framed(made.fit(rows, y_rows).transform(unseen), made, used, unseen)

        parts.append(_fit(used, seed, out_of_part).set_index(part))
    return pd.concat(parts).sort_index()


def _fit(used: Preparer, seed: int, work: Callable[[Any], Any]) -> Any:
    """`work` on a transformer that is made for it; the package is told of in what it raises."""
    with _told(used):
        made = own_step(used, seed) if used.package == OWN else PREPARERS_BROUGHT.load(used.name)()
        if "random_state" in made.get_params(deep=False) and made.get_params(deep=False)["random_state"] is None:
            made.set_params(random_state=seed)
        if hasattr(made, "set_output"):
            made.set_output(transform="pandas")
        return work(made)


class _told:
    """Whatever a package raises becomes `PreparerFailed` with its name."""

    def __init__(self, used: Preparer) -> None:
        self._used = used

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, StepError):
            raise PreparerFailed(f"{_called(self._used)}: {error}") from None
        if isinstance(error, (Exception, SystemExit)) and not isinstance(error, (DeadlineReached, PreparerFailed, MemoryError)):
            raise PreparerFailed(f"{_called(self._used)} failed: {type(error).__name__}: {str(error)[:300]}") from None


def _fit_transform(made: Any, X: pd.DataFrame, y: Array) -> Any:
    return made.fit_transform(X, y) if hasattr(made, "fit_transform") else made.fit(X, y).transform(X)


def _framed(values: Any, made: Any, used: Preparer, X: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    if not isinstance(values, pd.DataFrame):
        matrix = np.asarray(values)
        if matrix.ndim != 2 or matrix.dtype == object:
            raise TypeError(f"expected a frame or a dense matrix of numbers, it gave {type(values).__name__} of shape {matrix.shape}")
        names = getattr(made, "get_feature_names_out", lambda: [f"{used.name}_{i}" for i in range(matrix.shape[1])])()
        values = pd.DataFrame(matrix, columns=list(names))
    if len(values) != len(X):
        raise ValueError(f"{len(X)} rows went in and {len(values)} came out")
    frame = values.set_axis([str(name) for name in values.columns], axis=1).reset_index(drop=True)
    if not frame.columns.is_unique or not len(frame.columns):
        raise ValueError(f"expected columns of different names, it gave {list(frame.columns)[:10]}")
    return frame


def _called(used: Preparer) -> str:
    return f"step {used.name!r}" if used.package == OWN else f"preparer {used.name!r} of package {used.package!r}"
