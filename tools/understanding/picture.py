"""Rows as places in a plane, for pictures alone: rows that are alike in all columns stand near each other. No model sees these places.

Principal components keep distances as far as a line can, and say how much of the variance that is; UMAP (McInnes, Healy and Melville
2018), or t-SNE (van der Maaten and Hinton 2008) where umap-learn is not installed, keep who is near whom and nothing else.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from tools.contract import Column
from tools.space import Space, has_say

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, np.dtype[Any]]

ROWS = 600
"""Rows of a picture: more take long, and hide each other."""
FEWEST_ROWS = 20
NEIGHBOURS = 15
"""Rows that are near a row, as UMAP counts."""
PERPLEXITY = 30.0
"""About the same of t-SNE, at most a third of the rows."""


class Picture(NamedTuple):
    way: Literal["principal components", "UMAP", "t-SNE"]
    places: Array
    """Shape (n, 2), float64."""
    held: tuple[float, float] | None
    """Of principal components, the share of the variance that each direction holds."""


def pictures(X: pd.DataFrame, columns: list[Column], without: Collection[str], seed: int) -> list[Picture]:
    """Rows by principal components, and by their neighbours; none where rows or columns are too few to be spread.

    Args:
        X: in the dtypes of the schema, at most `ROWS` rows.
        without: columns that say nothing of likeness, such as identifiers.
    """
    from sklearn.decomposition import PCA

    usable = [column for column in columns if has_say(column) and column.name not in without and column.name in X]
    if len(X) < FEWEST_ROWS or len(usable) < 2:
        return []
    points = Space(usable).fit(X).transform(X)
    if points.shape[1] < 2 or len(np.unique(points, axis=0)) < FEWEST_ROWS:
        return []
    flat = PCA(2, svd_solver="full").fit(points)
    first, second = (round(float(share), 4) for share in flat.explained_variance_ratio_)
    components = Picture("principal components", flat.transform(points), (first, second))
    return [components, _neighbours(points, components.places, seed)] if points.shape[1] > 2 else [components]


def _neighbours(points: Array, start: Array, seed: int) -> Picture:
    try:
        from umap import UMAP
    except ImportError:
        from sklearn.manifold import TSNE

        made = TSNE(2, perplexity=min(PERPLEXITY, (len(points) - 1) / 3), init="pca", random_state=seed, n_jobs=1)
        return Picture("t-SNE", np.asarray(made.fit_transform(points), dtype=np.float64), None)
    # It begins at the principal components: a spectral start fails where rows fall into groups that nothing joins.
    begin = np.asarray(10 * start / max(float(np.abs(start).max()), 1e-9), dtype=np.float32)
    made = UMAP(n_neighbors=min(NEIGHBOURS, len(points) - 1), init=begin, random_state=seed, n_jobs=1)
    return Picture("UMAP", np.asarray(made.fit_transform(points), dtype=np.float64), None)
