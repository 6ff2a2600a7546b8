"""What families share that learn from points alone, see `tools.space`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tools.families.setting import Array
from tools.space import Space

if TYPE_CHECKING:
    import pandas as pd


@dataclass
class PointModel:
    """`space` then `estimator`, of which one method tells what a point is."""

    space: Space
    estimator: Any
    says: Literal["predict", "score_samples", "decision_function"] = "predict"
    sign: float = 1.0
    """-1 where larger numbers mean a more usual point."""

    def predict(self, X: pd.DataFrame) -> Array:
        points = self.space.transform(X)
        return self.sign * np.asarray(getattr(self.estimator, self.says)(points), dtype=np.float64)


def some_of(points: Array, most: int, seed: int) -> Array:
    """At most so many of the points, in their order, drawn at random."""
    if len(points) <= most:
        return points
    return points[np.sort(np.random.default_rng(seed).permutation(len(points))[:most])]
