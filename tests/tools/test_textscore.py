"""A text column as what it says of the target."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tools import memory
from tools.contract import Column
from tools.features import TableEncoder
from tools.text_features import RECENT_SHARE, Recent
from tools.textscore import FEWEST_ROWS, TextScore

WORDS = np.array(["amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath"])


def texts(rng: np.random.Generator, n: int) -> pd.Series:
    return pd.Series([" ".join(rng.choice(WORDS, 5)) for _ in range(n)])


def test_it_finds_what_words_say() -> None:
    rng = np.random.default_rng(1)
    values = texts(rng, 600)
    y = values.str.contains("cedar").to_numpy().astype(np.int64)
    score = TextScore(n_classes=2, seed=0)
    crossed = score.fit_transform(values[:400], y[:400])
    assert crossed.shape == (400, 1)
    for scores, truth in ((crossed, y[:400]), (score.transform(values[400:]), y[400:])):
        assert scores[truth == 1].min() > scores[truth == 0].max()


@pytest.mark.parametrize("n_classes", [0, 2, 3])
def test_noise_says_nothing_of_the_rows_it_was_learnt_from(n_classes: int) -> None:
    """Each text is its own, so that a fit on the row itself would give its target away."""
    rng = np.random.default_rng(2)
    values = pd.Series([f"{text} number{i}" for i, text in enumerate(texts(rng, 800))])
    y = rng.normal(size=800) if n_classes == 0 else rng.integers(0, n_classes, 800)
    crossed = TextScore(n_classes, seed=0).fit_transform(values, y)
    assert crossed.shape == (800, 1 if n_classes < 3 else 3)
    truth = y if n_classes == 0 else (y == (1 if n_classes == 2 else 0)).astype(float)
    assert abs(np.corrcoef(crossed[:, 0], truth)[0, 1]) < 0.2


def test_as_many_results_are_kept_as_memory_has_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def make(key: int) -> np.ndarray:
        made.append(key)
        return np.zeros(1 << 17)  # a MiB

    monkeypatch.setenv(memory.LIMIT, str(int(60 / RECENT_SHARE)))
    kept = Recent(weigh=lambda array: array.nbytes)
    for key in [*range(50), *range(50)]:  # folds times columns of texts, asked for in turn by one family after another
        kept.get(key, lambda key=key: make(key))
    assert made == list(range(50))
    for key in range(50, 90):
        kept.get(key, lambda key=key: make(key))
    assert len(kept.entries) == 60
    kept.forget()
    assert not kept.entries
    kept.get(0, lambda: make(0))
    assert made[-1] == 0


def test_few_rows_and_empty_texts_are_left_alone() -> None:
    rng = np.random.default_rng(3)
    column = Column(name="note", kind="text", missing=0.0, unique=9)
    few = pd.DataFrame({"note": texts(rng, FEWEST_ROWS - 1)})
    y = rng.integers(0, 2, len(few))
    encoder = TableEncoder([column], "codes", n_classes=2)
    assert encoder.fit_transform(few, y).shape == encoder.transform(few).shape
    assert encoder.scores_ == {}
    empty = pd.DataFrame({"note": pd.Series([None] * 300, dtype="object")})
    encoder = TableEncoder([column], "codes", n_classes=2)
    assert np.isfinite(encoder.fit_transform(empty, np.arange(300) % 2)).all()
