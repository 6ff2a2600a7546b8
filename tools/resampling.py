"""Bootstrap resamples of a metric: of rows, within their strata, or of whole groups of rows.

A resample is a count of how often each row was drawn; `tools.weighing` scores it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tools.contract import Task, predicts
from tools.metrics.classification import ECE_BINS, calibration_gaps
from tools.metrics.metric import Metric
from tools.strata import strata
from tools.survival import events_of
from tools.weighing import from_confusion, weigher

Array = np.ndarray[Any, np.dtype[Any]]

FEWEST = 10
"""Rows of a class that is resampled by itself, where there are more than two classes. Within a class of m rows a resample has (m - 1)/m
of the variance, none in a class of one row; so small classes are drawn from together, and one may be missing in a resample."""
# Sorted-row operations that take about 1.5 s on a slow core.
RANK_WORK = 90_000_000
# Cells of resampled confusion matrices that are held at once: 32 MB.
MATRIX_CELLS = 4_000_000


def bootstrap_scores(
    metrics: Sequence[Metric], task: Task, y: Array, shaped: Sequence[Array], resamples: int, seed: int, groups: Array | None = None
) -> list[Array]:
    """Scores of `resamples` resamples at most, for each metric an array of shape (m,): rank metrics over many rows get fewer, and
    resamples of groups without a score are left out. Metrics share their resamples, and get the same ones alone.

    Args:
        y: codes or values, shape (n,).
        shaped: what each metric's function takes: probabilities (n, k), codes (n,) or values (n,).
        groups: the group of each row, shape (n,), where whole groups are to be drawn.

    Raises:
        ValueError: when there are fewer than two groups, or most resamples have no score.
    """
    scores: dict[int, Array] = {}
    waiting: dict[bool, list[int]] = {False: [], True: []}
    for i, metric in enumerate(metrics):
        if metric.needs == "label" and y.ndim == 1 and groups is None and not metric.package:
            scores[i] = _label_scores(metric.same_as or metric.name, y, shaped[i], resamples, np.random.default_rng(seed))
        else:
            # How many rows are positive is part of what the calibration error is uncertain by: its classes are not drawn apart.
            waiting[metric.name == "ece" and groups is None].append(i)
    for pooled, places in waiting.items():
        if not places:
            continue
        weighers = [weigher(metrics[i], y, shaped[i]) for i in places]
        limits = [affordable(metrics[i], y, shaped[i], resamples) for i in places]
        found: list[list[float]] = [[] for _ in places]
        for counts in draw(task, y, max(limits), seed, groups, pooled=pooled):
            for score, limit, values in zip(weighers, limits, found, strict=True):
                if len(values) < limit:
                    values.append(score(counts))
        scores |= {i: _finite(metrics[i].name, np.array(values), groups) for i, values in zip(places, found, strict=True)}
    return [scores[i] for i in range(len(metrics))]


def draw(task: Task, y: Array, resamples: int, seed: int, groups: Array | None = None, *, pooled: bool = False) -> Iterator[Array]:
    """Counts of each row in each resample, shape (n,): the same for equal rows, groups and seeds.

    Args:
        groups: the group of each row, where whole groups are to be drawn.
        pooled: whether rows are drawn from all classes together.

    Raises:
        ValueError: when there are fewer than two groups.
    """
    rng = np.random.default_rng(seed)
    if groups is not None:
        return group_draws(groups, resamples, rng)
    return row_draws([np.arange(len(y))] if pooled else strata_of(task, y), len(y), resamples, rng)


def draws_of(metric: Metric, task: Task, y: Array, groups: Array | None = None) -> int:
    """How many independent draws the spread of a resampled score rests on, 2 at least: groups, where they are drawn; the rows of the
    rarer class, where two are ranked against each other, and the events, where times are; else all rows, less one for each further
    class that is drawn by itself.

    Args:
        y: codes or values, shape (n,), or labels or points, shape (n, d).
        groups: the group of each row, shape (n,), where whole groups are drawn.
    """
    if groups is not None:
        return max(2, len(np.unique(groups)))
    if metric.compares_rows and predicts(task) == "risk":
        return max(2, int(events_of(y).sum()))
    if metric.compares_rows and y.ndim == 1 and len(sizes := np.unique(y, return_counts=True)[1]) == 2:
        return max(2, int(sizes.min()))
    return max(2, len(y) - len(strata_of(task, y)) + 1)


def tail_of(level: float, draws: int) -> float:
    """The share of resamples to leave out at either end of an interval.

    Where draws are few resamples are too much alike, by (g - 1)/g of the variance, and by a normal distribution where Student's has
    g - 1 degrees of freedom; so the share is less, as in the expanded percentile interval of Hesterberg (2015, The American
    Statistician 69).

    Args:
        level: nominal coverage, between 0 and 1.
        draws: independent ones, 2 at least, see `draws_of`.
    """
    from scipy.stats import norm, t

    return float(norm.sf(np.sqrt(draws / (draws - 1)) * t.isf((1 - level) / 2, draws - 1)))


def p_of(tail: float, draws: int) -> float:
    """The two-sided p-value of what leaves a share of the resamples on its other side: the least 1 - level with which `tail_of` gives
    that share."""
    from scipy.stats import norm, t

    return min(1.0, float(2 * t.sf(norm.isf(tail) * np.sqrt((draws - 1) / draws), draws - 1)))


def _finite(name: str, scores: Array, groups: Array | None) -> Array:
    found: Array = scores[np.isfinite(scores)]
    if len(found) < max(2, len(scores) / 2):
        why = f" of its {len(np.unique(groups))} groups" if groups is not None else ""
        raise ValueError(f"{name} has a value in only {len(found)} of {len(scores)} resamples{why}; an interval needs more")
    return found


def calibration_interval(score: float, resampled: Array, proba: Array, tail: float, seed: int) -> tuple[float, float]:
    """Interval of an expected calibration error, from the scores of resamples.

    The error is a sum of absolute values, which noise makes larger in the rows and larger again in the resamples. So the
    interval is the basic one, 2 score - quantile (Davison and Hinkley 1997, section 5.2). It reaches down to 0 where the score is
    no larger than perfectly calibrated probabilities would give, with outcomes drawn from them (Bröcker and Smith 2007), and it
    holds the score.

    Args:
        tail: see `tail_of`.
    """
    rng = np.random.default_rng([seed, 1])
    low, high = np.quantile(resampled, [tail, 1 - tail])
    said = proba[:, 1] if proba.shape[1] == 2 else proba.max(axis=1)
    bins, _ = calibration_gaps(np.zeros(len(proba), dtype=np.int64), proba)
    ideal = [
        np.abs(np.bincount(bins, weights=said - (rng.random(len(said)) < said), minlength=ECE_BINS)).sum() / len(said)
        for _ in range(len(resampled))
    ]
    if score <= np.quantile(ideal, 1 - tail):
        return 0.0, max(score, 2 * score - low)
    return max(0.0, min(score, 2 * score - high)), min(1.0, max(score, 2 * score - low))


def faultless_end(metric: Metric, y: Array, calls: Array, level: float, groups: Array | None = None) -> float:
    """The far end of the interval of a score that nothing but right calls can have, as the recall has where no row is missed: every
    resample has it as well.

    Of n rows of a class that are all called right up to 1 - tail^(1/n) may be wrong of others (Clopper and Pearson 1934, for no error).
    It is the worst of what the metric would be where all such classes err so much by their rows together, and where a single one does by
    its own; what is called instead is dealt by how many rows the other classes have.

    Args:
        metric: of classes that are called, built in.
        y: codes, shape (n,).
        calls: the codes that were called, shape (n,).
        level: nominal coverage, between 0 and 1.
        groups: the group of each row, shape (n,), where rows belong together: a group counts as one then.
    """
    k, tail = int(max(y.max(), calls.max(), 1)) + 1, (1 - level) / 2
    matrix = np.bincount(y * k + calls, minlength=k * k).reshape(k, k).astype(np.float64)
    rows = matrix.sum(axis=1)
    right = (rows > 0) & (np.diagonal(matrix) == rows)

    def missed(inside: Array) -> float:
        """The share of such rows that may be wrong of others."""
        return 1 - tail ** (1 / (inside.sum() if groups is None else len(np.unique(groups[inside]))))

    dealt = np.tile(rows, (k, 1))
    np.fill_diagonal(dealt, 0.0)
    dealt = np.where(dealt.sum(axis=1, keepdims=True) > 0, dealt, 1.0 - np.eye(k))
    dealt *= (rows / dealt.sum(axis=1))[:, None]
    shares = [right * missed(right[y]) if right.any() else np.zeros(k)]
    shares += [np.eye(k)[code] * missed(y == code) for code in np.flatnonzero(right)]
    erring = np.stack([matrix * (1 - wrong)[:, None] + dealt * wrong[:, None] for wrong in shares])
    scores = from_confusion(metric.same_as or metric.name, erring)
    return float(scores.min() if metric.direction == "maximize" else scores.max())


def affordable(metric: Metric, y: Array, shaped: Array, resamples: int) -> int:
    """How many resamples a metric gets; 100 are always given where they are asked for."""
    if metric.needs == "group" and metric.name != "silhouette":  # scored on repeated rows
        return min(100, resamples)
    if not metric.compares_rows:
        return resamples
    if shaped.ndim == 1:  # concordance: cumulative sums over blocks of every size
        return int(np.clip(RANK_WORK // (len(y) * max(1, int(np.log2(len(y))))), min(100, resamples), resamples))
    columns = shaped.shape[1] if y.ndim == 2 else 1 if shaped.shape[1] == 2 else len(np.unique(y))
    work = len(y) * (4 * columns if metric.name == "roc_auc_ovo" else columns + 1)
    return int(np.clip(RANK_WORK // work, min(100, resamples), resamples))


def paired_bootstrap_scores(
    metric: Metric, task: Task, y: Array, first: Array, second: Array, resamples: int, seed: int, groups: Array | None = None
) -> tuple[Array, Array]:
    """Scores of two models on the same resamples, two arrays of shape (m,) with m at most `resamples`.

    Args:
        first: what the metric's function takes, of the first model, as in `bootstrap_scores`.
        second: the same of the second model.
        groups: the group of each row, shape (n,), where whole groups are to be drawn.

    Raises:
        ValueError: when there are fewer than two groups, or most resamples have no score.
    """
    if metric.needs == "label" and y.ndim == 1 and groups is None and not metric.package:
        return _paired_label_scores(metric.same_as or metric.name, y, first, second, resamples, np.random.default_rng(seed))
    resamples = affordable(metric, y, first, resamples)
    mine, other = weigher(metric, y, first), weigher(metric, y, second)
    pooled = metric.name == "ece" and groups is None  # as in `bootstrap_scores`
    scores = np.array([(mine(counts), other(counts)) for counts in draw(task, y, resamples, seed, groups, pooled=pooled)])
    found = scores[np.isfinite(scores).all(axis=1)]
    if len(found) < max(2, resamples / 2):
        why = f" of its {len(np.unique(groups))} groups" if groups is not None else ""
        raise ValueError(f"{metric.name} has a value in only {len(found)} of {resamples} resamples{why}; a comparison needs more")
    return found[:, 0], found[:, 1]


def strata_of(task: Task, y: Array) -> list[Array]:
    """Positions of the rows of each stratum (`tools.strata`), those of small ones together, see `FEWEST`."""
    return [np.flatnonzero(inside) for inside in _apart(strata(task, y))]


def _apart(codes: Array) -> list[Array]:
    """Masks of the rows that are drawn from by themselves, shape (n,) each: those of a code, and of all rare ones."""
    found, places, sizes = np.unique(codes, return_inverse=True, return_counts=True)
    rare = sizes < FEWEST
    if len(found) < 3 or rare.sum() < 2:
        rare[:] = False
    return [*(places == place for place in np.flatnonzero(~rare)), *([rare[places]] if rare.any() else [])]


def row_draws(strata: list[Array], n: int, resamples: int, rng: np.random.Generator) -> Iterator[Array]:
    """Counts of each row in a resample, shape (n,), each stratum resampled to its own size."""
    for _ in range(resamples):
        counts = np.zeros(n)
        for rows in strata:
            counts[rows] = np.bincount(rng.integers(len(rows), size=len(rows)), minlength=len(rows))
        yield counts


def group_draws(groups: Array, resamples: int, rng: np.random.Generator) -> Iterator[Array]:
    """Counts of each row in a resample, shape (n,), where as many groups are drawn as there are, with all their rows.

    Raises:
        ValueError: when there are fewer than two groups.
    """
    names, places = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        raise ValueError(f"resampling groups needs two different ones at least, found {len(names)}; leave `groups` out")
    for _ in range(resamples):
        yield np.bincount(rng.integers(len(names), size=len(names)), minlength=len(names)).astype(np.float64)[places]


def _label_scores(name: str, y: Array, labels: Array, resamples: int, rng: np.random.Generator) -> Array:
    """Resample the confusion matrix: within a true class, or the rare ones together, the cells of a resample are multinomial."""
    k = int(max(y.max(), labels.max(), 1)) + 1
    strata = [np.unique(y[inside] * k + labels[inside], return_counts=True) for inside in _apart(y)]
    batch = max(1, MATRIX_CELLS // (k * k))
    scores = []
    for start in range(0, resamples, batch):
        size = min(batch, resamples - start)
        drawn = np.zeros((size, k * k))
        for cells, counts in strata:
            drawn[:, cells] = rng.multinomial(counts.sum(), counts / counts.sum(), size=size)
        scores.append(_of_matrices(name, drawn.reshape(size, k, k)))
    return _finite(name, np.concatenate(scores), None)


def _paired_label_scores(name: str, y: Array, first: Array, second: Array, resamples: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Resample the pairs of calls within each true class, or the rare ones together; either model's calls make its own confusion matrix."""
    k = int(max(y.max(), first.max(), second.max(), 1)) + 1
    strata = [np.unique((y[inside] * k + first[inside]) * k + second[inside], return_counts=True) for inside in _apart(y)]
    batch = max(1, MATRIX_CELLS // (k * k))
    scores = []
    for start in range(0, resamples, batch):
        size = min(batch, resamples - start)
        mine, other = np.zeros((size, k, k)), np.zeros((size, k, k))
        for triples, counts in strata:
            drawn = rng.multinomial(counts.sum(), counts / counts.sum(), size=size)
            for triple, times in zip(triples, drawn.T, strict=True):
                code, called = divmod(int(triple) // k, k)
                mine[:, code, called] += times
                other[:, code, int(triple) % k] += times
        scores.append(np.stack([_of_matrices(name, mine), _of_matrices(name, other)]))
    both = np.concatenate(scores, axis=1)
    found = both[:, np.isfinite(both).all(axis=0)]
    return found[0], found[1]


def _of_matrices(name: str, matrices: Array) -> Array:
    """Scores of confusion matrices, shape (m,); NaN where rare classes alone were drawn from, one of them, and agreement has no value."""
    scores = from_confusion(name, matrices)
    if name in ("mcc", "kappa", "qwk"):
        scores[np.count_nonzero(matrices.sum(axis=2), axis=1) < 2] = np.nan
    return scores
