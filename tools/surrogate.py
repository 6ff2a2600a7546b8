"""A shallow tree that says in a few conditions which group a row is in, and how often it is right about rows that it has not seen.

It explains the model, not the table: where it agrees with the model on few more rows than always naming the largest group would, the
groups are not made by a few columns, and its rules are not to be read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.contract import Column, TableSchema

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, np.dtype[Any]]

DEPTH = 3
LEAST_SHARE = 0.02
"""Of the rows, in each leaf."""
MOST_LEVELS = 12
UNSEEN = 0.5
"""Share of the rows that the tree is judged on."""


@dataclass(frozen=True)
class Leaf:
    """Rows that the tree takes for one group."""

    conditions: tuple[str, ...]
    group: int
    share: float
    """Of the unseen rows."""
    right: float | None
    """Share of its unseen rows that the model puts into that group; None where there is none."""


@dataclass(frozen=True)
class Surrogate:
    """The tree's leaves with how far they can be believed."""

    leaves: tuple[Leaf, ...]
    fidelity: float
    """Share of unseen rows on which tree and model agree."""
    floor: float
    """The same for always naming the largest group."""
    rows: int
    """Unseen rows."""


def surrogate(schema: TableSchema, X: pd.DataFrame, groups: Array, seed: int) -> Surrogate | None:
    """Grow a tree (Breiman et al. 1984) on one half of the rows to say the model's groups, and judge it on the other.

    Args:
        X: rows in the schema's dtypes.
        groups: what the model says of them, shape (n,), whole numbers.

    Returns:
        None where the model sees one group, or the table has no column to cut by.
    """
    from sklearn.tree import DecisionTreeClassifier

    columns = [_Cuts.of(column, X[column.name]) for column in schema.columns if column.kind != "text" and column.name in X]
    columns = [each for each in columns if each.matrix.shape[1]]
    order = np.random.default_rng(seed).permutation(len(X))
    learn, unseen = np.split(order, [len(X) - round(UNSEEN * len(X))])
    if not columns or not len(unseen) or len(np.unique(groups[learn])) < 2:
        return None
    matrix = np.column_stack([each.matrix for each in columns])
    told = [(each, place) for each in columns for place in range(each.matrix.shape[1])]
    tree = DecisionTreeClassifier(max_depth=DEPTH, min_samples_leaf=max(2, round(LEAST_SHARE * len(learn))), random_state=seed)
    tree.fit(matrix[learn], groups[learn])
    said, in_leaf = tree.predict(matrix[unseen]), tree.apply(matrix[unseen])
    leaves = []
    for node, conditions in _paths(tree.tree_, told):
        inside = in_leaf == node
        group = int(tree.classes_[tree.tree_.value[node][0].argmax()])
        right = float((groups[unseen][inside] == group).mean()) if inside.any() else None
        leaves.append(Leaf(conditions, group, float(inside.mean()), right))
    largest = np.bincount(groups[learn]).argmax()
    return Surrogate(
        leaves=tuple(sorted(leaves, key=lambda leaf: (leaf.group, -leaf.share))),
        fidelity=float((said == groups[unseen]).mean()),
        floor=float((groups[unseen] == largest).mean()),
        rows=len(unseen),
    )


@dataclass(frozen=True)
class _Cuts:
    """A column as numbers that a tree may cut, with what a cut is called."""

    column: Column
    matrix: Array
    """Shape (n, m): the number, or a mark a level."""
    levels: tuple[Any, ...] = ()

    @classmethod
    def of(cls, column: Column, values: pd.Series) -> _Cuts:
        if column.kind in ("categorical", "boolean"):
            levels = tuple(values.value_counts().index[:MOST_LEVELS])
            marks = [(values == level).fillna(False).to_numpy(dtype=np.float64) for level in levels]
            return cls(column, np.column_stack(marks) if marks else np.empty((len(values), 0)), levels)
        numbers = values.to_numpy(dtype="datetime64[s]").astype(np.float64) if column.kind == "datetime" else values.to_numpy(np.float64)
        known = values.notna().to_numpy()
        middle = float(np.median(numbers[known])) if known.any() else 0.0
        return cls(column, np.where(known, numbers, middle)[:, None] if known.any() else np.empty((len(values), 0)))

    def below(self, place: int, cut: float) -> str:
        return f"{self.column.name} is not {self.levels[place]!r}" if self.levels else f"{self.column.name} <= {self._told(cut)}"

    def above(self, place: int, cut: float) -> str:
        return f"{self.column.name} = {self.levels[place]!r}" if self.levels else f"{self.column.name} > {self._told(cut)}"

    def _told(self, cut: float) -> str:
        return str(np.datetime64(int(cut), "s")).replace("T", " ") if self.column.kind == "datetime" else f"{cut:.4g}"


def _paths(tree: Any, told: list[tuple[_Cuts, int]]) -> list[tuple[int, tuple[str, ...]]]:
    """Leaves with the conditions on the way to each; of two cuts of one column in one direction the closer one stays."""
    found: list[tuple[int, tuple[str, ...]]] = []

    def walk(node: int, way: dict[tuple[int, bool], str]) -> None:
        if tree.children_left[node] < 0:
            found.append((node, tuple(way.values())))
            return
        place, cut = int(tree.feature[node]), float(tree.threshold[node])
        column, level = told[place]
        for child, above in ((tree.children_left[node], False), (tree.children_right[node], True)):
            text = column.above(level, cut) if above else column.below(level, cut)
            walk(int(child), {**{key: said for key, said in way.items() if key != (place, above)}, (place, above): text})

    walk(0, {})
    return found
