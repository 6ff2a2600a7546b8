"""What every step of a preparation has in common: which columns it works on, what it learns, and where its columns come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from tools.contract import Column, ColumnKind
from tools.features import numbers
from tools.steps.error import StepError

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, np.dtype[Any]]

PARTS = 5
"""Into so many the rows are cut where a step reads the target, or the rows of a group, for each part from the others."""


def kinds_of(frame: pd.DataFrame) -> dict[str, ColumnKind]:
    """Kinds of a frame in the dtypes of `tools.columns.coerce`: float64, datetime64 and object."""
    from tools.columns import infer_schema

    found: dict[str, ColumnKind] = {}
    for name in map(str, frame.columns):
        dtype = frame[name].dtype
        if dtype.kind == "M":
            found[name] = "datetime"
        elif dtype.kind in "fiub":
            found[name] = "numeric"
        else:
            found[name] = "text" if infer_schema(frame[[name]], None).columns[0].kind == "text" else "categorical"
    return found


def columns_of(frame: pd.DataFrame) -> list[Column]:
    """The columns of such a frame as a schema has them."""
    return [
        Column(name=name, kind=kind, missing=float(frame[name].isna().mean()) if len(frame) else 0.0, unique=int(frame[name].nunique()))
        for name, kind in kinds_of(frame).items()
    ]


class Step(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A transformer of frames in the schema's dtypes, by scikit-learn's conventions.

    A subclass says in `_plan` which columns it makes, in `_state` what it learns of rows for them, and in `_make` what becomes of
    rows by that. `fit_transform` is `fit` and then `transform`, but where `cross_fits` is set: there each part of the rows gets what
    the others taught, as rows that come later do, so that no model sees in a row what was read from it.

    Args:
        way: how the step is done, see `tools.steps.WAYS`.
        columns: names of the columns to work on; none for all that the step is for.
        target: what `y` is: class codes (`codes`), values (`numbers`), signed times (`risk`), or nothing that may be read (`none`).
        random_state: seed.
    """

    kinds: ClassVar[tuple[str, ...]] = ("numeric",)
    """Kinds of the columns that it is for."""

    def __init__(self, way: str = "", columns: tuple[str, ...] = (), target: str = "numbers", random_state: int = 0) -> None:
        self.way = way
        self.columns = columns
        self.target = target
        self.random_state = random_state

    @property
    def reads_target(self) -> bool:
        """Whether what it learns depends on the target."""
        return False

    @property
    def cross_fits(self) -> bool:
        """Whether rows that it learned from must get what it learned from others."""
        return self.reads_target

    def fit(self, X: pd.DataFrame, y: Array | None = None) -> Step:
        if strange := [name for name in self.columns if name not in X.columns]:
            raise StepError(f"no column {strange[0]!r}; there is {', '.join(map(repr, list(X.columns)[:20]))}")
        self.kinds_ = kinds_of(X)
        self.on_ = [name for name, kind in self.kinds_.items() if kind in self.kinds and (not self.columns or name in self.columns)]
        self.made_: dict[str, list[str]] = {}
        """Columns that are made or changed, each with those that it is made of."""
        self.gone_: set[str] = set()
        """Columns that others stand for from here on."""
        truth = self._truth(y)
        self._plan(X, truth)
        self.state_ = self._state(X, truth)
        kept = {name: [name] for name in self.kinds_ if name not in self.gone_}
        self.sources_ = {**kept, **self.made_}
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        return self._framed(X, self._make(X, self.state_))

    def fit_transform(self, X: pd.DataFrame, y: Array | None = None, **_: Any) -> pd.DataFrame:
        from sklearn.model_selection import KFold

        self.fit(X, y)
        if not self.cross_fits or not self.made_ or len(X) < 2:
            return self.transform(X)
        truth, made = self._truth(y), {name: np.full(len(X), np.nan) for name in self.made_}
        for others, part in KFold(min(PARTS, len(X)), shuffle=True, random_state=self.random_state).split(X):
            state = self._state(X.iloc[others], None if truth is None else truth[others])
            for name, values in self._make(X.iloc[part], state).items():
                made[name][part] = values
        return self._framed(X, made)

    def _truth(self, y: Array | None) -> Array | None:
        from tools.survival import null_residuals

        if not self.reads_target:
            return None
        if y is None or self.target == "none":
            raise StepError("it reads the target, and there is none here that is one number a row")
        return null_residuals(y) if self.target == "risk" else np.asarray(y)

    def _plan(self, X: pd.DataFrame, y: Array | None) -> None:
        """Say in `made_` and `gone_` what becomes of the columns `on_`."""
        raise NotImplementedError

    def _state(self, X: pd.DataFrame, y: Array | None) -> Any:
        """What is learned of rows for the columns that are planned."""
        return None

    def _make(self, X: pd.DataFrame, state: Any) -> dict[str, Any]:
        """Values of every column in `made_`."""
        raise NotImplementedError

    def _framed(self, X: pd.DataFrame, made: dict[str, Any]) -> pd.DataFrame:
        import pandas as pd

        columns = {name: np.asarray(made[name]) if name in self.made_ else X[name].to_numpy() for name in self.sources_}
        return pd.DataFrame(columns)

    def matrix(self, X: pd.DataFrame, names: list[str] | None = None) -> Array:
        """Number columns, float64, (n, columns), NaN where nothing finite is known."""
        names = self.on_ if names is None else names
        return np.column_stack([numbers(X[name]) for name in names]) if names else np.empty((len(X), 0))

    def free(self, name: str) -> str:
        """A name like `name` that no column has."""
        while name in self.kinds_ or name in self.made_:
            name += "_"
        return name


def indicators(y: Array, target: str, most: int = 12) -> Array:
    """What a search of columns is held against, float64 (n, k): values, or one column for each of the commonest classes."""
    if target != "codes":
        return np.asarray(y, dtype=np.float64)[:, None]
    codes, counts = np.unique(y, return_counts=True)
    chosen = codes[np.argsort(-counts, kind="stable")[:most]]
    chosen = chosen[1:] if len(codes) == 2 else chosen
    return np.asarray((np.asarray(y)[:, None] == chosen).astype(np.float64))


def some_rows(n: int, most: int, seed: int) -> Array:
    """Positions of at most so many rows, drawn at random, in their order."""
    return np.arange(n) if n <= most else np.sort(np.random.default_rng(seed).permutation(n)[:most])
