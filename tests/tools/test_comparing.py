"""Paired tests against scipy, against R, and against their definitions."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats

from tools.comparing import corrected_resampled_t, delong, mcnemar, mcnemar_chi2, paired_bootstrap, wilcoxon, wilcoxon_rows
from tools.contract import Task, predicts
from tools.metrics import METRICS, score
from tools.multiplicity import bonferroni, holm
from tools.resampling import paired_bootstrap_scores
from tools.strata import strata

CASES = [(name, task) for name, metric in METRICS.items() for task in metric.tasks if predicts(task) in ("classes", "values")]

A = [0.81, 0.84, 0.79, 0.88, 0.83]
B = [0.80, 0.80, 0.80, 0.85, 0.80]
# Albumin, total protein, K-G score and outcome of 43 patients with ovarian cancer (DeLong, DeLong and Clarke-Pearson 1988).
OVARIAN_ROWS = """
3.0 5.8 10 0 3.2 6.3 5 1 3.9 6.8 3 1 2.8 4.8 6 0 3.2 5.8 3 1 0.9 4.0 5 0 2.5 5.7 8 0 1.6 5.6 5 1 3.8 5.7 5 1
3.7 6.7 6 1 3.2 5.4 4 1 3.8 6.6 6 1 4.1 6.6 5 1 3.6 5.7 5 1 4.3 7.0 4 1 3.6 6.7 4 0 2.3 4.4 6 1 4.2 7.6 4 0
4.0 6.6 6 0 3.5 5.8 6 1 3.8 6.8 7 1 3.0 4.7 8 0 4.5 7.4 5 1 3.7 7.4 5 1 3.1 6.6 6 1 4.1 8.2 6 1 4.3 7.0 5 1
4.3 6.5 4 1 3.2 5.1 5 1 2.6 4.7 6 1 3.3 6.8 6 0 1.7 4.0 7 0 3.7 6.1 5 1 3.3 6.3 7 1 4.2 7.7 6 1 3.5 6.2 5 1
2.9 5.7 9 0 2.1 4.8 7 1 2.8 6.2 8 0 4.0 7.0 7 1 3.3 5.7 6 1 3.7 6.9 5 1 3.6 6.6 5 1
"""
OVARIAN = np.array(OVARIAN_ROWS.split(), dtype=float).reshape(-1, 4)


def test_without_the_correction_it_is_the_paired_t_test() -> None:
    ours, scipys = corrected_resampled_t(A, B, 0.0), stats.ttest_rel(A, B)
    assert ours.statistic == pytest.approx(scipys.statistic)
    assert ours.p == pytest.approx(scipys.pvalue)
    interval = scipys.confidence_interval(0.95)
    assert (ours.low, ours.high) == pytest.approx((interval.low, interval.high))


def test_the_correction_by_hand() -> None:
    # Differences 1, 4, -1, 3, 3 hundredths: mean 2, variance 4 (times 1e-4); (1/5 + 1/4) of it is 1.8.
    found = corrected_resampled_t(A, B, 1 / 4)
    assert found.difference == pytest.approx(0.02)
    assert found.statistic == pytest.approx(2 / np.sqrt(1.8))
    assert found.p == pytest.approx(2 * stats.t.sf(2 / np.sqrt(1.8), 4))
    assert found.n == 5


def test_it_keeps_its_level_where_the_plain_t_test_does_not() -> None:
    """Folds that share most of their training rows: the errors of their scores are correlated by n₂/(n₁ + n₂)."""
    rng = np.random.default_rng(0)
    rejected = {0.0: 0, 1 / 9: 0}
    for _ in range(400):
        differences = np.sqrt(0.1) * rng.normal() + np.sqrt(0.9) * rng.normal(size=10)
        for ratio in rejected:
            rejected[ratio] += bool((corrected_resampled_t(differences, np.zeros(10), ratio).p or 1) < 0.05)
    assert rejected[1 / 9] <= 400 * 0.08 < rejected[0.0]


def test_equal_scores_are_no_difference_and_equal_steps_no_test() -> None:
    assert corrected_resampled_t(A, A, 0.25).p == 1.0
    stepped = corrected_resampled_t([a + 0.02 for a in A], A, 0.25)
    assert (stepped.p, stepped.low) == (None, None)
    assert "no spread" in stepped.note
    assert wilcoxon(A, A).p == 1.0


def test_what_rounding_leaves_between_equal_scores_is_no_difference() -> None:
    other = [float(np.nextafter(a, 1)) for a in A] * 2
    assert (wilcoxon(other, A * 2).p, corrected_resampled_t(other, A * 2, 0.25).p) == (1.0, 1.0)
    # Beside real differences it has no rank either.
    assert wilcoxon([1.0, 2.0, 5.0, 7.0, 1 + 1e-15], [1.0, 1.0, 3.0, 4.0, 1.0]).p == pytest.approx(2 / 8)


def test_wilcoxon_is_scipys_and_says_how_low_it_can_go() -> None:
    rng = np.random.default_rng(3)
    first, second = rng.normal(0.3, 1, size=12), rng.normal(size=12)
    assert wilcoxon(first, second).p == pytest.approx(stats.wilcoxon(first, second, method="exact").pvalue)
    five = wilcoxon([a + step for a, step in zip(A, (1, 2, 3, 4, 5), strict=True)], A)
    assert five.p == pytest.approx(0.0625)
    assert "0.062" in five.note


def test_wilcoxon_of_many_folds_with_ties_is_exact_and_ends() -> None:
    rng = np.random.default_rng(0)
    steps = rng.choice([-3, -2, -1, 1, 2, 3, 4], 12).astype(float)
    ranks = stats.rankdata(np.abs(steps))
    signs = np.array(list(product([0, 1], repeat=12)))
    sums, above = signs @ ranks, ranks[steps > 0].sum()
    expected = min(1.0, 2 * min((sums <= above + 1e-9).mean(), (sums >= above - 1e-9).mean()))
    assert wilcoxon(steps, np.zeros(12)).p == pytest.approx(expected)
    many = rng.choice([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0], 100)
    found = wilcoxon(many, np.zeros(100))
    assert found.p == pytest.approx(stats.wilcoxon(many, method="asymptotic").pvalue, abs=0.005)
    assert found.statistic == stats.wilcoxon(many, method="asymptotic").statistic


def test_wilcoxon_is_exact_with_ties_and_without_the_folds_that_agree() -> None:
    # Differences 1, 4, -1, 3, 3: mid-ranks 1.5, 5, -1.5, 3.5, 3.5; of 32 sign patterns 6 are as far out.
    assert wilcoxon(A, B).p == pytest.approx(6 / 32)
    assert wilcoxon([1.0, 2.0, 5.0, 7.0], [1.0, 1.0, 3.0, 4.0]).p == pytest.approx(2 / 8)


def test_folds_must_pair_up() -> None:
    for test in (wilcoxon, lambda a, b: corrected_resampled_t(a, b, 0.25)):
        with pytest.raises(ValueError, match="two folds at least; got 5 and 4"):
            test(A, B[:4])


def test_mcnemar_is_the_binomial_test_of_the_discordant_rows() -> None:
    # 48 and 53 rows on which both agree, 35 and 28 on which they do not: R's binom.test(c(35, 28)) gives 0.4499625.
    y = np.ones(164, dtype=int)
    first = np.repeat([1, 1, 0, 0], [48, 28, 35, 53])
    second = np.repeat([1, 0, 1, 0], [48, 28, 35, 53])
    found = mcnemar(y, first, second)
    assert found.p == pytest.approx(0.4499625, abs=1e-7)
    assert found.difference == pytest.approx(-7 / 164)
    assert mcnemar(y, first, first).p == 1.0


def test_mcnemar_with_continuity_correction_by_hand() -> None:
    # Approval ratings of a Prime Minister in two surveys (Agresti 1990, p. 350): 150 and 86 of 1,600 changed their minds.
    y = np.ones(1600, dtype=int)
    first = np.repeat([1, 1, 0, 0], [794, 150, 86, 570])
    second = np.repeat([1, 0, 1, 0], [794, 150, 86, 570])
    found = mcnemar_chi2(y, first, second)
    assert found.statistic == pytest.approx((64 - 1) ** 2 / 236)
    assert mcnemar_chi2(y, second, first).p == found.p == pytest.approx(stats.chi2.sf(16.8178, 1), rel=1e-4)
    assert found.p == pytest.approx(mcnemar(y, first, second).p, rel=0.2)
    assert mcnemar_chi2(y, first, first).p == 1.0
    assert "few for this approximation" in mcnemar_chi2(y[:24], first[-24:], 1 - first[-24:]).note


def test_wilcoxon_over_rows_is_scipys_and_leaves_equal_rows_out() -> None:
    rng = np.random.default_rng(4)
    first, second = rng.gamma(2, size=200), rng.gamma(2.5, size=200)
    found = wilcoxon_rows(first, second)
    assert found.p == pytest.approx(stats.wilcoxon(first, second).pvalue)
    assert (found.over, found.n, found.difference < 0) == ("rows", 200, True)
    assert wilcoxon_rows(first, first).p == 1.0
    mostly = np.where(np.arange(200) < 150, first, second)  # of the first 150 rows nothing but rounding is left
    rounded = np.where(np.arange(200) < 150, first + rng.choice([0.0, 1e-15], 200), first)
    assert wilcoxon_rows(rounded, mostly).p == pytest.approx(stats.wilcoxon(first[150:], second[150:], method="approx").pvalue)
    with pytest.raises(ValueError, match="row losses must pair up, two rows at least; got 200 and 3"):
        wilcoxon_rows(first, second[:3])


def test_rows_without_a_loss_are_left_out_of_wilcoxons_test() -> None:
    """As a row that was censored before the first event has none in survival: it has no pair whose order is known."""
    rng = np.random.default_rng(4)
    first, second = rng.gamma(2, size=200), rng.gamma(2.5, size=200)
    gaps = first.copy()
    gaps[[3, 90]] = np.nan
    found, known = wilcoxon_rows(gaps, second), np.isfinite(gaps)
    assert (found.n, found.difference) == (198, pytest.approx((first - second)[known].mean()))
    assert found.p == pytest.approx(stats.wilcoxon(first[known], second[known]).pvalue)


def test_the_bootstrap_by_the_normal_distribution_has_no_floor_and_agrees_elsewhere() -> None:
    y, first, second = two_models("binary", 400)
    clear = paired_bootstrap("log_loss", "binary", y, first, 1 - second, resamples=200, normal=True)
    assert clear.p is not None
    assert clear.p < 1e-6 < 2 / 201
    # Of 100 resamples no p-value is below 0.02, and none could pass a correction for three.
    few = [paired_bootstrap("log_loss", "binary", y, first, 1 - second, resamples=100, tests=tests).p for tests in (1, 2, 3)]
    assert few[:2] == pytest.approx([2 / 101, 2 / 101], rel=0.05)
    assert (few[2] or 1) < 1e-6
    near = first + 0.02 * np.random.default_rng(0).normal(size=first.shape)
    near = np.clip(near, 0.01, 1)
    by_ranks, by_spread = (paired_bootstrap("brier", "binary", y, first, near, resamples=2000, normal=n).p for n in (False, True))
    assert by_ranks == pytest.approx(by_spread, abs=0.05)


def test_delong_gives_the_figures_of_another_implementation() -> None:
    """What `roc.test` of R's pROC 1.18.0 prints for the table of the paper that proposed the test."""
    albumin, protein, kg, y = OVARIAN[:, 0], OVARIAN[:, 1], 10 - OVARIAN[:, 2], OVARIAN[:, 3]
    found = delong(y, protein, kg)
    assert found.difference == pytest.approx(0.6478495 - 0.7258065, abs=1e-6)
    assert (found.statistic, found.p) == pytest.approx((-0.7452184, 0.4561397), abs=1e-6)
    assert (found.low, found.high) == pytest.approx((-0.282988, 0.127074), abs=1e-6)
    found = delong(y, albumin, kg)
    assert (found.statistic, found.p) == pytest.approx((0.1127783, 0.9102063), abs=1e-6)
    assert (found.low, found.high) == pytest.approx((-0.1761174, 0.1976227), abs=1e-6)


def test_delong_is_its_definition_also_with_ties() -> None:
    rng = np.random.default_rng(5)
    y = rng.integers(2, size=120)
    first, second = np.round(y + rng.normal(size=120), 1), np.round(y + 2 * rng.normal(size=120), 1)

    def by_definition(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        above, below = scores[y == 1][:, None], scores[y == 0][None, :]
        wins = (above > below) + 0.5 * (above == below)
        return wins.mean(axis=1), wins.mean(axis=0)

    (hits_1, misses_1), (hits_2, misses_2) = by_definition(first), by_definition(second)
    variance = (hits_1 - hits_2).var(ddof=1) / len(hits_1) + (misses_1 - misses_2).var(ddof=1) / len(misses_1)
    found = delong(y, first, second)
    assert found.difference == pytest.approx(hits_1.mean() - hits_2.mean())
    assert found.statistic == pytest.approx(found.difference / np.sqrt(variance))


def test_delong_of_like_ranks_is_no_difference() -> None:
    y, scores = np.array([0, 0, 1, 1, 1]), np.array([0.1, 0.4, 0.3, 0.8, 0.9])
    assert delong(y, scores, scores**2).p == 1.0
    with pytest.raises(ValueError, match="two rows of each class"):
        delong(np.array([0, 1, 1]), scores[:3], scores[:3])


def test_holm_by_hand() -> None:
    # R's p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm") gives the same.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, None, 0.9]) == [1.0, None, 1.0]
    assert holm([]) == []


def test_corrections_count_tests_that_are_not_given() -> None:
    # R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "bonferroni"), and p.adjust(c(0.01, 0.02), "holm", n = 6).
    assert bonferroni([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.04, 0.16, 0.12, 0.02])
    assert holm([0.01, 0.02], of=6) == pytest.approx([0.06, 0.1])
    assert bonferroni([0.01, None, 0.4], of=6) == [pytest.approx(0.06), None, 1.0]
    for correct in (holm, bonferroni):
        with pytest.raises(ValueError, match="3 p-values of 2 tests"):
            correct([0.1, 0.2, 0.3], of=2)


def two_models(task: Task, n: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True values, and predictions of two models that err together."""
    rng = np.random.default_rng(1)
    if predicts(task) == "values":
        y, shared = rng.gamma(2.0, size=n) + 0.1, rng.normal(size=n)
        y = np.ceil(y) if task == "count" else y
        return y, y + 0.4 * shared, y + 0.4 * shared + 0.2 * rng.normal(size=n)
    k = 2 if task == "binary" else 4
    y, shared = rng.integers(k, size=n), rng.dirichlet(np.ones(k), n)
    models = []
    for strength, noise in ((0.5, 0.05), (0.4, 0.3)):
        proba = shared + noise * rng.dirichlet(np.ones(k), n)
        proba[np.arange(n), y] += strength
        models.append(proba / proba.sum(axis=1, keepdims=True))
    return y, models[0], models[1]


@pytest.mark.parametrize(("name", "task"), CASES)
def test_the_bootstrap_is_paired_for_every_metric(name: str, task: str) -> None:
    """The spread of the differences is that of resampling rows for both models at once, row by row."""
    y, first, second = two_models(task)
    units = np.linspace(0.5, 2.0, len(y)) if METRICS[name].in_units else None

    def gap(rows: np.ndarray) -> float:
        of = None if units is None else units[rows]
        return score(name, task, y[rows], first[rows], units=of) - score(name, task, y[rows], second[rows], units=of)

    found = paired_bootstrap(name, task, y, first, second, units=units, resamples=300)
    rng = np.random.default_rng(2)
    codes = strata(task, y)
    parts = [np.flatnonzero(codes == code) for code in np.unique(codes)]
    drawn = []
    for _ in range(60):
        rows = np.concatenate([rng.choice(part, len(part)) for part in parts])
        drawn.append(gap(rows))
    assert found.difference == pytest.approx(gap(np.arange(len(y))))
    assert found.high - found.low == pytest.approx(2 * 1.96 * np.std(drawn), rel=0.4)
    assert paired_bootstrap(name, task, y, first, first, units=units, resamples=50).p == 1.0


def test_whole_groups_are_drawn_for_both_models() -> None:
    """A difference that is one of groups: rows taken for independent would make it certain."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(8), 40)
    y = rng.normal(size=320)
    first, second = y + 1.0, y + 1.0 + 0.5 * rng.normal(size=8)[groups]
    alone = paired_bootstrap("mae", "regression", y, first, second)
    whole = paired_bootstrap("mae", "regression", y, first, second, groups=groups)
    of_groups = np.array([(np.abs(y - first) - np.abs(y - second))[groups == g].mean() for g in range(8)])
    assert whole.difference == alone.difference == pytest.approx(of_groups.mean())
    by_t = stats.ttest_1samp(of_groups, 0.0)
    ends = by_t.confidence_interval(0.95)
    assert whole.high - whole.low == pytest.approx(ends.high - ends.low, rel=0.15)
    assert whole.p == pytest.approx(by_t.pvalue, rel=0.15)
    assert alone.high - alone.low < 0.3 * (whole.high - whole.low)
    assert (alone.note, whole.note) == ("", "8 groups were drawn whole")
    y, first, second = two_models("binary", 320)
    assert paired_bootstrap("accuracy", "binary", y, first, second, groups=groups, resamples=200).low is not None
    with pytest.raises(ValueError, match="two different ones at least"):
        paired_bootstrap("accuracy", "binary", y, first, second, groups=np.zeros(320))


def test_the_bootstrap_interval_is_that_of_scipy() -> None:
    y, first, second = two_models("regression")

    def difference(y: np.ndarray, a: np.ndarray, b: np.ndarray, axis: int = -1) -> np.ndarray:
        return np.abs(y - a).mean(axis=axis) - np.abs(y - b).mean(axis=axis)

    scipys = stats.bootstrap((y, first, second), difference, paired=True, method="percentile", n_resamples=4000, rng=0).confidence_interval
    ours = paired_bootstrap("mae", "regression", y, first, second, resamples=4000)
    assert (ours.low, ours.high) == pytest.approx((scipys.low, scipys.high), rel=0.1)


def test_a_bootstrap_over_few_rows_has_the_level_of_the_t_test() -> None:
    """Ten rows on which neither model is better: by the percentiles of resamples alone 22 of 300 tables are told apart at 5 %."""
    rejected, tables = {"bootstrap": 0, "t": 0}, 300
    for seed in range(tables):
        errors = np.random.default_rng(seed).normal(size=10)
        found = paired_bootstrap("mae", "regression", np.zeros(10), 5.0 + errors, np.full(10, 5.0), resamples=200, seed=seed)
        assert found.low is not None
        assert found.high is not None
        assert found.p is not None
        assert found.p > 0.04 or not found.low < 0 < found.high
        rejected["bootstrap"] += found.p <= 0.05
        rejected["t"] += stats.ttest_1samp(errors, 0.0).pvalue <= 0.05
    assert rejected["bootstrap"] == pytest.approx(rejected["t"], abs=5)


def test_many_classes_are_resampled_in_batches() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(200, size=2000)
    first, second = np.where(rng.random(2000) < 0.7, y, 0), np.where(rng.random(2000) < 0.5, y, 0)
    mine, other = paired_bootstrap_scores(METRICS["accuracy"], "multiclass", y, first, second, 250, seed=0)
    assert mine.shape == other.shape == (250,)
    assert (mine > other).all()
    assert mine.mean() == pytest.approx((first == y).mean(), abs=0.005)
