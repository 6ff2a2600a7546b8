"""Moments, percentiles, shapes and relations of columns, on the rows that they are given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tools.features import numbers
from tools.problem import Problem
from tools.understanding.findings import Inflation, Informative, Moments, Outliers, Outlying, Relation
from tools.understanding.order import levels

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, np.dtype[Any]]

FITTED_ROWS = 2000
"""Values that shapes are fitted to: among more, any real column is far from every shape."""
MOST_NUMBERS, MOST_CATEGORIES, MOST_LEVELS, BINS = 100, 30, 50, 10
TOLD = 20
LEAST_TOLD = 0.5
"""Relations below this are not told."""
LARGE_VIF = 5.0
FOREST_ROWS, ISOLATED = 2000, 0.65


def numeric_names(problem: Problem) -> list[str]:
    """Columns of numbers with more than two values, as far as relations go."""
    return [c.name for c in problem.schema.columns if c.kind == "numeric" and problem.X[c.name].nunique() > 2][:MOST_NUMBERS]


def moments_of(name: str, values: Array) -> Moments | None:
    """Moments and shape of finite numbers; None for fewer than eight different ones."""
    from scipy.stats import kurtosis, skew

    values = values[np.isfinite(values)]
    if len(np.unique(values)) < 8:
        return None
    points = dict(zip(("p1", "p5", "p25", "p75", "p95", "p99"), np.quantile(values, [0.01, 0.05, 0.25, 0.75, 0.95, 0.99]), strict=True))
    shape, distance, fits = nearest_shape(values)
    found = {"mean": values.mean(), "std": values.std(), "skew": skew(values), "kurtosis": kurtosis(values), **points}
    return Moments(
        column=name[:80],
        **{key: float(f"{value:.5g}") for key, value in found.items()},
        shape=shape,
        distance=round(distance, 4),
        fits=fits,
    )


def nearest_shape(values: Array) -> tuple[str, float, bool]:
    """The shape whose distribution function lies nearest, its largest distance, and whether that is within chance.

    Parameters are the estimates of maximum likelihood, and limits those of Lilliefors for estimated ones (1967 for the normal, 1969 for the
    exponential distribution); for the uniform one the limit of Kolmogorov and Smirnov, which is too mild for it.
    """
    from scipy.special import ndtr

    if len(values) > FITTED_ROWS:
        values = np.random.default_rng(0).choice(values, FITTED_ROWS, replace=False)
    values = np.sort(values)
    n, root = len(values), float(np.sqrt(len(values)))
    steps = np.arange(n + 1) / n

    def distance(cdf: Array) -> float:
        return float(max((steps[1:] - cdf).max(), (cdf - steps[:-1]).max()))

    found = [
        ("normal", distance(ndtr((values - values.mean()) / values.std())), 0.886 / root),
        ("uniform", distance((values - values[0]) / (values[-1] - values[0])), 1.358 / root),
    ]
    if values[0] > 0:
        logs = np.log(values)
        found.append(("lognormal", distance(ndtr((logs - logs.mean()) / max(float(logs.std()), 1e-12))), 0.886 / root))
    if values[0] >= 0:
        found.append(("exponential", distance(-np.expm1(-values / values.mean())), 1.06 / root))
    shape, nearest, limit = min(found, key=lambda each: each[1])
    return shape, nearest, nearest <= limit


def relations(problem: Problem) -> list[Relation]:
    """The strongest pairs: numbers by Pearson's and Spearman's correlation, whichever is larger, categories by Cramér's V."""
    names = numeric_names(problem)
    found: list[Relation] = []
    if len(names) > 1:
        frame = problem.X[names]
        plain, ranked = correlation(frame), correlation(frame.rank())
        for i, j in np.argwhere(np.triu(np.maximum(abs(plain), abs(ranked)), 1) >= LEAST_TOLD):
            by_rank = abs(ranked[i, j]) > abs(plain[i, j]) + 0.02
            value = float((ranked if by_rank else plain)[i, j])
            found.append(
                Relation(column=names[i][:80], other=names[j][:80], measure="spearman" if by_rank else "pearson", value=round(value, 4))
            )
    found += [r for r in _between_categories(problem) if r.value >= LEAST_TOLD]
    return sorted(found, key=lambda r: -abs(r.value))[:TOLD]


def correlation(frame: pd.DataFrame) -> Array:
    """Pearson's correlation of all pairs, missing values at their column's mean; 0 where a column has no spread."""
    matrix = np.column_stack([numbers(frame[name]) for name in frame.columns])
    with np.errstate(all="ignore"):
        centre = np.nan_to_num(matrix - np.nanmean(matrix, axis=0))
    norms = np.linalg.norm(centre, axis=0)
    found: Array = centre.T @ centre / np.maximum(np.outer(norms, norms), 1e-300)
    return found


def _between_categories(problem: Problem) -> list[Relation]:
    import pandas as pd

    usable = [
        c.name for c in problem.schema.columns if c.kind in ("categorical", "boolean") and 2 <= problem.X[c.name].nunique() <= MOST_LEVELS
    ]
    codes = {name: pd.factorize(problem.X[name])[0] for name in usable[:MOST_CATEGORIES]}
    names = list(codes)
    return [
        Relation(column=a[:80], other=b[:80], measure="cramers_v", value=round(cramers_v(codes[a], codes[b]), 4))
        for i, a in enumerate(names)
        for b in names[i + 1 :]
    ]


def cramers_v(a: Array, b: Array) -> float:
    """Cramér's V of two columns of codes (-1 is missing), with Bergsma's correction (2013) of its bias; 0 where it has no value."""
    table = _table(a, b)
    n, (rows, columns) = table.sum(), table.shape
    if n < 2 or min(rows, columns) < 2:
        return 0.0
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / n
    phi = float(((table - expected) ** 2 / np.maximum(expected, 1e-12)).sum()) / n
    phi = max(0.0, phi - (rows - 1) * (columns - 1) / (n - 1))
    size = min(rows - (rows - 1) ** 2 / (n - 1), columns - (columns - 1) ** 2 / (n - 1)) - 1
    return float(np.sqrt(min(1.0, phi / size))) if size > 0 else 0.0


def _table(a: Array, b: Array) -> Array:
    """Counts of pairs of codes in which neither is missing, without empty rows and columns."""
    keep = (a >= 0) & (b >= 0)
    a, b = np.unique(a[keep], return_inverse=True)[1], np.unique(b[keep], return_inverse=True)[1]
    if not len(a):
        return np.zeros((0, 0))
    shape = int(a.max()) + 1, int(b.max()) + 1
    return np.bincount(a * shape[1] + b, minlength=shape[0] * shape[1]).reshape(shape).astype("float64")


def informative(problem: Problem) -> list[Informative]:
    """Mutual information of each column with the target, the most telling first; numbers in tenths."""
    import pandas as pd

    if problem.contract.predicts in ("groups", "scores", "labels"):
        return []
    y = levels(pd.Series(problem.plain_target))
    entropy = _entropy(np.bincount(y).astype("float64"))
    found = []
    for column in problem.schema.columns[: 2 * MOST_NUMBERS]:
        if column.kind == "text":
            continue
        codes = _binned(problem.X[column.name], column.kind in ("numeric", "datetime"))
        table = _table(codes, y)
        if min(table.shape) < 2:
            continue
        n = table.sum()
        bits = _entropy(table.sum(axis=1)) + _entropy(table.sum(axis=0)) - _entropy(table.ravel())
        bits -= (np.count_nonzero(table.sum(axis=1)) - 1) * (np.count_nonzero(table.sum(axis=0)) - 1) / (2 * n * np.log(2))
        bits = max(0.0, float(bits))
        found.append(Informative(column=column.name[:80], bits=round(bits, 4), share=round(min(1.0, bits / max(entropy, 1e-9)), 4)))
    return sorted(found, key=lambda one: -one.bits)[:TOLD]


def _binned(values: pd.Series, ordered: bool) -> Array:
    """Codes of at most `BINS` bins; missing values have one of their own."""
    import pandas as pd

    if ordered and values.nunique() > BINS:
        return pd.qcut(values.rank(method="first"), BINS, labels=False).fillna(-1).to_numpy().astype(np.int64) + 1
    codes = pd.factorize(values)[0] + 1
    counts = np.bincount(codes)
    order = np.argsort(-counts, kind="stable")
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    return np.minimum(place[codes], BINS)


def _entropy(counts: Array) -> float:
    """Entropy of counts, in bits."""
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log2(shares)).sum())


def inflation(problem: Problem) -> list[Inflation]:
    """Variance inflation factors above 5, the largest first: the diagonal of the inverted correlation matrix."""
    names = numeric_names(problem)
    if not 2 <= len(names) < problem.n_rows / 2:
        return []
    matrix = correlation(problem.X[names])
    # A little on the diagonal: columns that say the same would have no inverse.
    factors = np.diag(np.linalg.inv(matrix + 1e-6 * np.eye(len(names))))
    large = [i for i in np.argsort(-factors) if factors[i] > LARGE_VIF]
    return [Inflation(column=names[i][:80], vif=float(f"{factors[i]:.3g}")) for i in large[:TOLD]]


def outliers(problem: Problem) -> Outliers | None:
    """Values beyond fences column by column, and rows far from the others over all columns of numbers."""
    names = [name for name in numeric_names(problem) if problem.X[name].nunique() >= 8]
    if not names:
        return None
    matrix = np.column_stack([numbers(problem.X[name]) for name in names])
    matrix = np.where(np.isfinite(matrix), matrix, np.nan)
    columns = [_beyond(name, matrix[:, i]) for i, name in enumerate(names)]
    columns = sorted((c for c in columns if max(c.iqr, c.mad, c.z) > 0), key=lambda c: -max(c.iqr, c.mad, c.z))[:TOLD]
    spread = np.nanstd(matrix, axis=0)
    scaled = np.nan_to_num((matrix - np.nanmean(matrix, axis=0)) / np.where(spread > 0, spread, 1.0))
    mahalanobis = isolation = None
    if 2 <= len(names) < len(scaled) / 5:
        from scipy.stats import chi2
        from sklearn.ensemble import IsolationForest

        rank = int(np.linalg.matrix_rank(scaled))
        inverse = np.linalg.pinv(np.cov(scaled, rowvar=False), hermitian=True)
        squared = np.einsum("ij,jk,ik->i", scaled, inverse, scaled)
        mahalanobis = round(float((squared > chi2.ppf(0.999, rank)).mean()), 4)
        some = scaled[np.random.default_rng(0).permutation(len(scaled))[:FOREST_ROWS]]
        forest = IsolationForest(n_estimators=50, max_samples=min(256, len(some)), random_state=0).fit(some)
        isolation = round(float((-forest.score_samples(some) > ISOLATED).mean()), 4)
    return Outliers(columns=columns, mahalanobis=mahalanobis, isolation=isolation)


def _beyond(name: str, values: Array) -> Outlying:
    values = values[np.isfinite(values)]
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    reach = 1.5 * (high - low)
    mad = float(np.median(abs(values - middle)))
    spread = float(values.std())
    return Outlying(
        column=name[:80],
        iqr=round(float(((values < low - reach) | (values > high + reach)).mean()), 4) if reach > 0 else 0.0,
        mad=round(float((0.6745 * abs(values - middle) / mad > 3.5).mean()), 4) if mad > 0 else 0.0,
        z=round(float((abs(values - values.mean()) > 3 * spread).mean()), 4) if spread > 0 else 0.0,
    )
