"""Trees that were grown by squared error, read for quantiles: a leaf keeps the values that fell into it, not only their mean
(Meinshausen 2006)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.families.setting import Array

if TYPE_CHECKING:
    from collections.abc import Sequence

FEWEST_IN_LEAF = 20
"""Rows of a leaf that tells quantiles by itself, in a first configuration: the outer ones of fewer rows are their extremes."""
BATCH_ROWS = 20_000
"""Rows that are predicted at one time, each with a value a tree."""


@dataclass
class LeafQuantiles:
    """A single tree with the quantiles of each of its leaves."""

    tree: Any
    quantiles: Array
    """Shape (nodes, q); zeros where a node is no leaf."""

    @classmethod
    def of(cls, tree: Any, matrix: Array, y: Array, levels: Sequence[float]) -> LeafQuantiles:
        leaves = tree.apply(matrix)
        quantiles = np.zeros((tree.tree_.node_count, len(levels)))
        for leaf in np.unique(leaves):
            quantiles[leaf] = np.quantile(y[leaves == leaf], levels)
        return cls(tree, quantiles)

    def predict(self, matrix: Array) -> Array:
        """Quantiles, shape (n, q)."""
        found: Array = self.quantiles[self.tree.apply(matrix)]
        return found


@dataclass
class ForestQuantiles:
    """A forest with one row's value in each leaf, drawn at random from those that fall into it. The values that a row meets in all
    trees are a draw from the forest's weights for it, so their quantiles are those of the forest, at the price of its mean."""

    forest: Any
    drawn: list[Array]
    """By node, one array a tree."""
    levels: Array

    @classmethod
    def of(cls, forest: Any, matrix: Array, y: Array, levels: Sequence[float], seed: int) -> ForestQuantiles:
        rng, drawn = np.random.default_rng(seed), []
        for place, leaves in enumerate(forest.apply(matrix).T):
            rows = rng.permutation(len(y))
            values = np.zeros(forest.estimators_[place].tree_.node_count)
            values[leaves[rows]] = y[rows]  # the last of a leaf's rows stays, and their order is random
            drawn.append(values)
        return cls(forest, drawn, np.asarray(levels))

    def predict(self, matrix: Array) -> Array:
        """Quantiles, shape (n, q)."""
        return np.concatenate([self._predict(matrix[start : start + BATCH_ROWS]) for start in range(0, len(matrix), BATCH_ROWS)])

    def _predict(self, matrix: Array) -> Array:
        leaves = self.forest.apply(matrix)
        values = np.column_stack([values[leaves[:, place]] for place, values in enumerate(self.drawn)])
        found: Array = np.quantile(values, self.levels, axis=1).T
        return found
