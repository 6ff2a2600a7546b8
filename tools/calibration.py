"""What a calibration is: a map from probabilities to probabilities in a few plain numbers. `tools.calibrating` learns it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, FiniteFloat

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

LEAST = 1e-12
"""Smallest probability that a logarithm is taken of."""


class Calibration(BaseModel):
    """A map from probabilities to probabilities."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["temperature", "sigmoid", "isotonic"]
    scale: FiniteFloat = 1.0
    """Factor of the logarithms: the inverse of the temperature. Above 1 predictions become surer."""
    shift: tuple[FiniteFloat, ...] = ()
    """Added to them then, one a class."""
    spread: FiniteFloat = 0.0
    """Share of the probability that all classes get alike then, so that nothing is surer than the rows that taught it can tell."""
    knots: tuple[tuple[FiniteFloat, FiniteFloat], ...] = ()
    """Of two classes: probability of the second as predicted, rising, and as it should be."""

    def apply(self, proba: Array) -> Array:
        """Calibrated probabilities (n, k), rows summing to 1. Missing rows stay missing."""
        import numpy as np

        if self.kind == "isotonic":
            said, meant = np.array(self.knots).T
            second = np.where(np.isfinite(proba[:, 1]), np.interp(proba[:, 1], said, meant), np.nan)
            return np.column_stack([1 - second, second])
        logs = self.scale * np.log(np.maximum(proba, LEAST))
        raised = softmax(logs + np.array(self.shift) if self.shift else logs)
        return (1 - self.spread) * raised + self.spread / proba.shape[1]


def softmax(logs: Array) -> Array:
    """Rows of exponentials that sum to 1."""
    import numpy as np

    raised = np.exp(logs - logs.max(axis=1, keepdims=True))
    result: Array = raised / raised.sum(axis=1, keepdims=True)
    return result
