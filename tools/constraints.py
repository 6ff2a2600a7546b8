"""What a model must keep to, whatever it scores: part of the sealed contract, so that no role can bargain over it."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from tools.omissions import INSTEAD

INTERPRETABLE = ("linear", "tree", "sparse_linear", "lags_linear", "coxnet")
"""Families whose single model a person can read: weights, or one tree."""
MONOTONE = ("tree", "lightgbm", "xgboost", "catboost")
"""Families that keep to monotone constraints while they fit."""
FLOORS = ("dummy", "seasonal_naive")
"""Families that say what a model must beat, and that no constraint leaves out: what learns nothing is readable, small and quick."""
BLENDS = ("ensemble",)
TOO_MUCH = "are allowed"
"""Ends what is said of a model that overruns a bound."""
SIGNS = {"+": 1, "-": -1}
Sign = Literal[1, -1]


class Constraints(BaseModel):
    """Bounds of a run's models. The defaults bind nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_latency_ms: float | None = Field(None, gt=0)
    """Most milliseconds that predicting a single row may take: the median of calls with one row, of the fitted model in its kernel."""
    max_size_mb: float | None = Field(None, gt=0)
    """Most that the model may take on file, in MB of a million bytes, by the size of its pickle before it is compressed."""
    interpretable: bool = False
    """Only families that a person can read, one model and no blend."""
    monotone: dict[str, Sign] = {}
    """Numeric columns with which the prediction, or the positive class's probability, may only rise (1) or fall (-1)."""
    families: tuple[str, ...] = ()
    """The only families that may be fitted; empty for all."""
    forbid: tuple[str, ...] = ()
    """Columns that are no features: taken out of the table before anything is shown of it."""
    no_text: bool = False
    """Whether columns of free text are no features either, and taken out with those."""
    sensitive: str | None = None
    """Column whose groups every candidate is compared over. It binds nothing; with `forbid` it is no feature and is kept for that."""
    without: tuple[str, ...] = ()
    """Parts of the engine (`tools.omissions`) and families that the run does without, so that it can be told what they are worth."""

    @property
    def bounded(self) -> bool:
        """Whether a fitted model is measured before it may go on."""
        return self.max_latency_ms is not None or self.max_size_mb is not None

    @property
    def by_family(self) -> bool:
        """Whether models of some families are out, so that it matters what a candidate truly is."""
        return bool(self.families or self.interpretable or self.monotone or [name for name in self.without if name not in INSTEAD])

    @property
    def binding(self) -> bool:
        return self != Constraints()

    def refuses(self, family: str) -> str | None:
        """Why candidates of a family are out, or None when they may be."""
        if family in FLOORS:
            return None
        if family in self.without:
            return f"the contract leaves {family} out"
        if family == "code" and (barred := [name for name in self.without if name not in INSTEAD]):
            return f"the contract leaves {', '.join(barred)} out, and what a module wraps cannot be seen from outside"
        if self.interpretable and family not in INTERPRETABLE:
            return f"the contract wants a model that a person can read: {', '.join(INTERPRETABLE)}, and no blend"
        if family in BLENDS:
            return None  # its members are asked one by one
        if self.monotone and family not in MONOTONE:
            return f"the contract wants predictions monotone in {', '.join(self.monotone)}, which {', '.join(MONOTONE)} alone can promise"
        if self.families and family not in self.families:
            hidden = ", and what a module wraps cannot be seen from outside" if family == "code" else ""
            return f"the contract allows {', '.join(self.families)} alone{hidden}"
        return None

    def allowed(self, names: Iterable[str]) -> list[str]:
        """Those of the families that may be fitted, in their order."""
        return [name for name in names if self.refuses(name) is None]

    def exceeded(self, latency_ms: float | None, size_mb: float | None, slack: float = 1.0) -> str | None:
        """What a model with these measures is too much of, in words; None where it keeps to the bounds.

        Args:
            slack: how many times the bounds it may reach, for measures that only estimate the fitted model.
        """
        told = []
        if self.max_latency_ms is not None and latency_ms is not None and latency_ms > slack * self.max_latency_ms:
            told.append(f"{latency_ms:.3g} ms for a row, where {self.max_latency_ms:g} ms {TOO_MUCH}")
        if self.max_size_mb is not None and size_mb is not None and size_mb > slack * self.max_size_mb:
            told.append(f"{size_mb:.3g} MB on file, where {self.max_size_mb:g} MB {TOO_MUCH}")
        return " and ".join(told) or None

    def excess(self, latency_ms: float | None, size_mb: float | None) -> float:
        """By how many times the worst bound is overrun; up to 1 keeps to all."""
        shares = [0.0]
        if self.max_latency_ms is not None and latency_ms is not None:
            shares.append(latency_ms / self.max_latency_ms)
        if self.max_size_mb is not None and size_mb is not None:
            shares.append(size_mb / self.max_size_mb)
        return max(shares)


def names_of(text: str | None) -> tuple[str, ...]:
    """Names from `a,b`; one with a comma stands in double quotes."""
    return tuple(dict.fromkeys(name.strip() for name in next(csv.reader([text or ""], skipinitialspace=True), []) if name.strip()))


def signs_of(text: str | None) -> dict[str, Sign]:
    """Signs by column from `col:+,other:-`.

    Raises:
        ValueError: naming the part that is none of these.
    """
    found: dict[str, Sign] = {}
    for part in names_of(text):
        column, colon, sign = part.rpartition(":")
        if not colon or not column.strip() or sign.strip() not in SIGNS:
            raise ValueError(f"{part!r}: expected COLUMN:+ or COLUMN:-, several with commas between")
        read: Sign = 1 if sign.strip() == "+" else -1
        if found.setdefault(column.strip(), read) != read:
            raise ValueError(f"{column.strip()!r} is to rise and to fall: expected one direction for a column")
    return found
