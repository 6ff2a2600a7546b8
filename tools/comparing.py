"""Paired tests of two models: over the folds they share, and over the holdout rows they share.

A difference is always the first minus the second, in the metric's own direction. A p-value is two-sided; it is None
where a test says nothing, and `note` says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from tools.contract import Task

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

Test = Literal["corrected_t", "wilcoxon", "bootstrap", "mcnemar", "mcnemar_chi2", "delong"]
LEVEL = 0.95
RESAMPLES = 2000
ROWS_RESAMPLED = 100_000_000
"""Rows drawn in all at most, so that a large holdout takes seconds; it gets fewer resamples then, but never below 200."""
_EQUAL = 1e-9
"""Differences that agree to this share of the largest one are the same: fold scores of labels move in steps."""


class PairedTest(BaseModel):
    """One test of the difference between two models."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    test: Test
    over: Literal["folds", "rows"]
    n: int
    """How many folds or rows the test rests on."""
    difference: float
    """Of the scores; for McNemar's test, of the shares of rows that are right."""
    low: float | None = None
    high: float | None = None
    """Ends of the interval around the difference."""
    level: float = LEVEL
    """Nominal coverage of the interval, 0 to 1."""
    statistic: float | None = None
    p: float | None
    note: str = ""


def corrected_resampled_t(first: Sequence[float], second: Sequence[float], test_to_train: float, level: float = LEVEL) -> PairedTest:
    """The t-test over folds, with the variance corrected for training sets that overlap.

    The plain variance of the mean, s²/J, takes the J folds for independent; it is replaced by (1/J + n₂/n₁) s², with n₂
    test and n₁ training rows in a fold and J - 1 degrees of freedom (Nadeau and Bengio 2003, Inference for the
    Generalization Error, Machine Learning 52; proposed for random splits, and used for folds ever since).

    Args:
        first: scores of the first model, one a fold.
        second: scores of the second model on the same folds.
        test_to_train: n₂/n₁, which is 1/(k - 1) for k folds, however often the rows were dealt to them.

    Raises:
        ValueError: when the folds do not pair up, or are fewer than two.
    """
    import numpy as np
    from scipy.stats import t as student

    differences = _differences(first, second)
    folds, mean = len(differences), float(differences.mean())
    if np.ptp(differences) <= _EQUAL * np.abs(np.concatenate([first, second])).max():
        same = bool(np.abs(differences).max() <= _EQUAL * np.abs(np.concatenate([first, second])).max())
        note = "the scores are equal in every fold" if same else "the folds differ by one amount, which leaves no spread to test against"
        return PairedTest(test="corrected_t", over="folds", n=folds, difference=mean, level=level, p=1.0 if same else None, note=note)
    error = float(np.sqrt((1 / folds + test_to_train) * differences.var(ddof=1)))
    reach = float(student.ppf((1 + level) / 2, folds - 1)) * error
    return PairedTest(
        test="corrected_t",
        over="folds",
        n=folds,
        difference=mean,
        low=mean - reach,
        high=mean + reach,
        level=level,
        statistic=mean / error,
        p=float(2 * student.sf(abs(mean / error), folds - 1)),
    )


def wilcoxon(first: Sequence[float], second: Sequence[float]) -> PairedTest:
    """Wilcoxon's signed-rank test over folds (Wilcoxon 1945; for learners: Demšar 2006), exact, also with ties, by adding up the
    chances of sums rank by rank (Streitberg and Röhmel 1986): folds of repeats are too many for going through all signs.

    Folds without a difference are left out. With J folds that differ no p-value is below 2^(1 - J): `note` says so where
    that is above 0.05.

    Raises:
        ValueError: when the folds do not pair up, or are fewer than two.
    """
    import numpy as np
    from scipy.stats import rankdata

    differences = _differences(first, second)
    differences[_alike(first, second)] = 0.0
    scale = np.abs(differences).max() or 1.0
    steps = np.round(differences / scale, 9)  # what should tie does, whatever the last bit says
    steps = steps[steps != 0]
    mean = float(differences.mean())
    if len(steps) == 0:
        note = "the scores are equal in every fold"
        return PairedTest(test="wilcoxon", over="folds", n=len(differences), difference=mean, statistic=0.0, p=1.0, note=note)
    ranks = np.rint(2 * rankdata(np.abs(steps))).astype(np.int64)  # twice the ranks are whole also where they are shared
    chances = np.zeros(ranks.sum() + 1)
    chances[0] = 1.0
    for rank in ranks:
        chances /= 2
        chances[rank:] += chances[:-rank].copy()
    above = int(ranks[steps > 0].sum())
    p = 2 * min(float(chances[: above + 1].sum()), float(chances[above:].sum()))
    smallest = 2.0 ** (1 - len(steps))
    note = f"{len(steps)} folds differ, so p is at least {smallest:.2g}" if smallest > 1 - LEVEL else ""
    return PairedTest(
        test="wilcoxon",
        over="folds",
        n=len(differences),
        difference=mean,
        statistic=min(above, int(ranks.sum()) - above) / 2,
        p=min(1.0, p),
        note=note,
    )


def wilcoxon_rows(first: Array, second: Array) -> PairedTest:
    """Wilcoxon's signed-rank test over rows: is the one model's loss of a row as often, and by as much, above the other's as below?

    It looks at the middle of the differences, so that a few rows on which one model fails badly hardly count, and may well say
    something else than the mean of the losses. Exact for up to 50 rows without ties, else by the normal distribution.

    Args:
        first: loss of each row under the first model, shape (n,); lower is better. NaN in rows that have none, which are left out.
        second: that under the second one.

    Raises:
        ValueError: when the rows do not pair up, or fewer than two have a loss.
    """
    import numpy as np
    from scipy.stats import wilcoxon as signed_rank

    if len(first) == len(second):
        known = np.isfinite(first) & np.isfinite(second)
        first, second = first[known], second[known]
    differences = _differences(first, second, "row losses")
    differences[_alike(first, second)] = 0.0
    if not differences.any():
        return PairedTest(test="wilcoxon", over="rows", n=len(differences), difference=0.0, p=1.0, note="the losses are equal in every row")
    found = signed_rank(differences)
    return PairedTest(
        test="wilcoxon",
        over="rows",
        n=len(differences),
        difference=float(differences.mean()),
        statistic=float(found.statistic),
        p=float(found.pvalue),
        note="of the losses of rows, lower is better",
    )


def paired_bootstrap(
    metric: str,
    task: Task,
    y: Array,
    first: Array,
    second: Array,
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
    normal: bool = False,
    tests: int = 1,
    units: Array | None = None,
    groups: Array | None = None,
) -> PairedTest:
    """Percentile bootstrap of the difference of two scores on the same rows (Efron and Tibshirani 1993, chapters 13 and 15).

    Both models are scored on the same resamples, so that rows that are hard for both cancel out. Rows are drawn within
    each class. The p-value is the smallest 1 - level at which the interval no longer holds 0; it is never below
    2/(resamples + 1). With `groups` whole groups are drawn instead, as in `tools.metrics.bootstrap_interval`, and the p-value is that of
    Student's distribution with one degree of freedom less than there are groups: of five whose differences have one sign no resample
    has another, though that comes up in one of sixteen tables without any difference. What few rows leave unknown is allowed for alike.

    Args:
        y: codes or values, shape (n,).
        first: probabilities (n, k) or values (n,) of the first model.
        second: those of the second model, in the same shape.
        normal: whether the p-value is that of Student's distribution, of many rows the normal one, with the spread of the resamples.
            It serves where many pairs are corrected for, since it needs few resamples and has no floor.
        tests: how many the p-value is going to be corrected for. Where no p-value of so few resamples, many rows get fewer, could pass
            after that, it is that of the spread.
        units: the unit of each row's error, shape (n,), or the levels of its quantiles, shape (n, q); see `tools.metrics.score`.
        groups: the group of each row, shape (n,), where rows belong together.

    Raises:
        ValueError: as `tools.metrics.score` does; when `groups` are too few, or so few that most resamples have no score.
    """
    import numpy as np
    from scipy.stats import t as student

    from tools.metrics import metric_for, score
    from tools.resampling import draws_of, p_of, tail_of

    difference = score(metric, task, y, first, units=units) - score(metric, task, y, second, units=units)
    drawn = _resampled_differences(metric, task, y, first, second, resamples, seed, units, groups)
    draws, spread = draws_of(metric_for(metric, task), task, np.asarray(y), groups), float(drawn.std(ddof=1))
    tail = tail_of(level, draws)
    low, high = np.quantile(drawn, [tail, 1 - tail])
    beyond = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    p = p_of((beyond + 1) / (len(drawn) + 1), draws)
    if spread > 0 and (groups is not None or normal or tests * p_of(1 / (len(drawn) + 1), draws) > 1 - level):
        p = float(2 * student.sf(abs(difference) / spread * np.sqrt((draws - 1) / draws), draws - 1))
    return PairedTest(
        test="bootstrap",
        over="rows",
        n=len(y),
        difference=difference,
        low=float(low),
        high=float(high),
        level=level,
        p=p,
        note=f"{len(np.unique(groups))} groups were drawn whole" if groups is not None else "",
    )


def paired_error(
    metric: str,
    task: Task,
    y: Array,
    first: Array,
    second: Array,
    *,
    resamples: int = 400,
    seed: int = 0,
    units: Array | None = None,
    groups: Array | None = None,
) -> float:
    """Standard error of the difference of two scores on the same rows, by the bootstrap. Arguments and errors as in `paired_bootstrap`."""
    return float(_resampled_differences(metric, task, y, first, second, resamples, seed, units, groups).std(ddof=1))


def _resampled_differences(
    metric: str, task: Task, y: Array, first: Array, second: Array, resamples: int, seed: int, units: Array | None, groups: Array | None
) -> Array:
    import numpy as np

    from tools.metrics import metric_for, shaped
    from tools.resampling import paired_bootstrap_scores

    chosen = metric_for(metric, task)
    codes, mine = shaped(chosen, task, y, first, units)
    _, other = shaped(chosen, task, y, second, units)
    resamples = int(np.clip(ROWS_RESAMPLED // len(codes), min(200, resamples), resamples))
    drawn: Array = np.subtract(*paired_bootstrap_scores(chosen, task, codes, mine, other, resamples, seed, groups))
    return drawn


def mcnemar(y: Array, first: Array, second: Array) -> PairedTest:
    """McNemar's exact test: of the rows that only one of two models gets right, are there as many for either?

    A binomial test of the discordant rows (McNemar 1947; for learners: Dietterich 1998). `statistic` is the number of rows
    that the first model alone gets right.

    Args:
        y: true codes, shape (n,).
        first: predicted codes of the first model, shape (n,).
        second: those of the second model.
    """
    from scipy.stats import binomtest

    only_mine, only_other, difference = _discordant(y, first, second)
    return PairedTest(
        test="mcnemar",
        over="rows",
        n=len(y),
        difference=difference,
        statistic=float(only_mine),
        p=float(binomtest(only_mine, only_mine + only_other).pvalue) if only_mine + only_other else 1.0,
        note=f"rows right in the first alone: {only_mine}, in the second alone: {only_other}",
    )


def mcnemar_chi2(y: Array, first: Array, second: Array) -> PairedTest:
    """McNemar's test by the χ² distribution with Edwards' continuity correction, (|b - c| - 1)²/(b + c) with one degree of freedom
    (McNemar 1947; Edwards 1948, Psychometrika 13). `mcnemar` is the exact one; this is what tables of older work hold.

    Args:
        y: true codes, shape (n,).
        first: predicted codes of the first model, shape (n,).
        second: those of the second model.
    """
    from scipy.stats import chi2

    only_mine, only_other, difference = _discordant(y, first, second)
    discordant = only_mine + only_other
    statistic = max(0, abs(only_mine - only_other) - 1) ** 2 / discordant if discordant else 0.0
    return PairedTest(
        test="mcnemar_chi2",
        over="rows",
        n=len(y),
        difference=difference,
        statistic=statistic,
        p=float(chi2.sf(statistic, 1)),
        note=f"{discordant} rows tell the models apart, few for this approximation" if discordant < 25 else "",
    )


def delong(y: Array, first: Array, second: Array, level: float = LEVEL) -> PairedTest:
    """The difference of two areas under ROC curves on the same rows (DeLong, DeLong and Clarke-Pearson 1988).

    The structural components come from mid-ranks (Sun and Xu 2014), in n log n.

    Args:
        y: 1 for positive rows, 0 for negative ones, shape (n,), two of each at least.
        first: scores of the first model, higher for positive, shape (n,).
        second: those of the second model.

    Raises:
        ValueError: when a class has fewer than two rows.
    """
    import numpy as np
    from scipy.stats import norm

    positive = np.asarray(y) == 1
    hits, misses = int(positive.sum()), int((~positive).sum())
    if min(hits, misses) < 2:
        raise ValueError(f"DeLong's test needs two rows of each class; there are {hits} positive and {misses} negative ones")
    parts = [_components(np.asarray(scores, dtype=np.float64), positive) for scores in (first, second)]
    difference = float(parts[0][0].mean() - parts[1][0].mean())
    of_hits, of_misses = parts[0][0] - parts[1][0], parts[0][1] - parts[1][1]
    error = float(np.sqrt(of_hits.var(ddof=1) / hits + of_misses.var(ddof=1) / misses))
    if error <= _EQUAL:
        same = abs(difference) <= _EQUAL
        note = "both rank the rows alike" if same else "the difference has no variance"
        return PairedTest(
            test="delong", over="rows", n=len(positive), difference=difference, level=level, p=1.0 if same else None, note=note
        )
    reach = float(norm.ppf((1 + level) / 2)) * error
    return PairedTest(
        test="delong",
        over="rows",
        n=len(positive),
        difference=difference,
        low=max(-1.0, difference - reach),
        high=min(1.0, difference + reach),
        level=level,
        statistic=difference / error,
        p=float(2 * norm.sf(abs(difference / error))),
    )


def _discordant(y: Array, first: Array, second: Array) -> tuple[int, int, float]:
    """Rows that the first model alone gets right, those that the second does, and the difference of the shares of right rows."""
    import numpy as np

    mine, other = np.asarray(first) == np.asarray(y), np.asarray(second) == np.asarray(y)
    return int((mine & ~other).sum()), int((~mine & other).sum()), float(mine.mean() - other.mean())


def _differences(first: Sequence[float] | Array, second: Sequence[float] | Array, what: str = "fold scores") -> Array:
    import numpy as np

    if len(first) != len(second) or len(first) < 2:
        unit = "folds" if what == "fold scores" else "rows"
        raise ValueError(f"{what} must pair up, two {unit} at least; got {len(first)} and {len(second)}")
    return np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)


def _alike(first: Sequence[float] | Array, second: Sequence[float] | Array) -> Array:
    """Which pairs differ by rounding alone: that would rank among the differences, and so would its sign."""
    import numpy as np

    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    alike: Array = np.abs(one - other) <= _EQUAL * np.abs(np.concatenate([one, other])).max()
    return alike


def _components(scores: Array, positive: Array) -> tuple[Array, Array]:
    """Of each positive row the share of negatives below it, of each negative the share of positives above it; ties count half."""
    from scipy.stats import rankdata

    hits, misses = scores[positive], scores[~positive]
    ranks = rankdata(scores)
    above = (ranks[positive] - rankdata(hits)) / len(misses)
    below = 1 - (ranks[~positive] - rankdata(misses)) / len(hits)
    return above, below
