"""The optimism of a pick against what it really is, where the truth is known."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from tools.metrics import METRICS, score
from tools.optimism import Optimism, most_candidates, selection_optimism


def rivals(seed: int, skill: float, rows: int = 300, others: int = 6000, models: int = 12) -> tuple[np.ndarray, list[np.ndarray]]:
    """Labels and probabilities of models that err together in part; the rows behind the first `rows` are the rest of the world."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(rows + others) % 2)
    shared = rng.normal(size=len(y))
    found = []
    for strength in skill * rng.random(models):
        p = 1 / (1 + np.exp(-0.3 * (4 * strength * (y - 0.5) + 0.5 * shared + rng.normal(size=len(y)))))
        found.append(np.column_stack([1 - p, p]))
    return y, found


def judged(metric: str, y: np.ndarray, models: list[np.ndarray], rows: int, seed: int) -> tuple[float, float]:
    """The optimism of the best on the first rows as it is estimated from them, and as the other rows show it."""
    sign = 1 if METRICS[metric].direction == "maximize" else -1
    here = [sign * score(metric, "binary", y[:rows], p[:rows]) for p in models]
    order = np.argsort(here)[::-1]
    best = models[order[0]]
    given = [partial(lambda p: p[:rows], models[i]) for i in order]
    found = selection_optimism(metric, "binary", y[:rows], given, resamples=60, seed=seed)
    assert found is not None
    return found.optimism, max(here) - sign * score(metric, "binary", y[rows:], best[rows:])


@pytest.mark.parametrize("metric", ["roc_auc", "log_loss", "accuracy", "average_precision"])
def test_models_without_skill_owe_their_score_to_the_pick(metric: str) -> None:
    pairs = [judged(metric, *rivals(seed, 0.0), 300, seed) for seed in range(15)]
    estimated, true = np.mean(pairs, axis=0)
    error = np.std([a - b for a, b in pairs], ddof=1) / np.sqrt(len(pairs))
    assert true > 0
    assert abs(estimated - true) < 4 * error + 0.2 * true


def test_a_clear_winner_owes_nothing_to_it() -> None:
    y, models = rivals(0, 0.05)
    clear = np.column_stack([1 - y, y]) * 0.6 + 0.2
    assert judged("roc_auc", y, [clear, *models], 300, 0)[0] == 0.0


def test_groups_count_as_a_whole() -> None:
    """Rows in five copies: by rows they seem to tell more than they do, so that the pick seems to flatter less."""
    y, models = rivals(3, 0.0)
    y, models = np.repeat(y[:100], 5), [np.repeat(p[:100], 5, axis=0) for p in models]
    order = np.argsort([-score("roc_auc", "binary", y, p) for p in models])
    given = [partial(lambda p: p, models[i]) for i in order]
    by_rows = selection_optimism("roc_auc", "binary", y, given, resamples=60)
    whole = selection_optimism("roc_auc", "binary", y, given, groups=np.repeat(np.arange(100), 5), resamples=60)
    assert by_rows is not None
    assert whole is not None
    assert whole.optimism > 1.5 * by_rows.optimism
    assert selection_optimism("roc_auc", "binary", y, given, groups=np.zeros(500)) is None


def test_one_candidate_is_no_pick_and_equal_seeds_give_equal_answers() -> None:
    y, models = rivals(0, 0.0)
    given = [partial(lambda p: p[:300], p) for p in models]
    assert selection_optimism("roc_auc", "binary", y[:300], given[:1]) is None
    same = selection_optimism("roc_auc", "binary", y[:300], given, resamples=40)
    assert same == selection_optimism("roc_auc", "binary", y[:300], given, resamples=40)
    assert isinstance(same, Optimism)
    assert (same.candidates, same.resamples) == (12, 40)


def test_many_rows_leave_fewer_to_pick_from_and_too_many_none() -> None:
    found = [most_candidates("roc_auc", "binary", np.zeros(rows, dtype=np.int8)) for rows in (10, 200_000, 1_000_000, 10_000_000)]
    assert found == [25, 10, 5, 0]
    codes = np.arange(200_000, dtype=np.int64) % 10
    assert [most_candidates(metric, "multiclass", codes) for metric in ("log_loss", "roc_auc")] == [10, 5]
