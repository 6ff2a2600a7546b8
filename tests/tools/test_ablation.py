from __future__ import annotations

import numpy as np
import pandas as pd

from tests.tools.conftest import Open
from tools.ablation import fits_without
from tools.candidates import load_candidate
from tools.deadline import Deadline
from tools.preparation import load_preparation
from tools.problem import load_problem
from tools.training import train


def twins(rows: int = 400) -> pd.DataFrame:
    """A column that matters most and one that says the same, one that matters by itself, and noise."""
    rng = np.random.default_rng(0)
    strong, weak, noise = rng.normal(size=(3, rows))
    y = 4 * strong + 2 * weak + 0.3 * rng.normal(size=rows)
    return pd.DataFrame({"strong": strong, "twin": strong + 0.01 * rng.normal(size=rows), "weak": weak, "noise": noise, "y": y})


def test_what_another_column_says_too_is_missed_only_with_it(open_workspace: Open) -> None:
    space = open_workspace(twins(), "y", "regression")
    train(["tree"], time_s=20, per_family=1)
    problem, record = load_problem(space), load_candidate(space, "tree-1")
    preparation = load_preparation(space, "default", problem)
    found = fits_without(record, preparation, problem, ["strong", "weak", "noise"], Deadline(60))
    told = {tuple(one.columns): one for one in found}
    assert [tuple(one.columns) for one in found] == [("strong",), ("strong", "twin"), ("weak",), ("noise",)]
    both, alone = told["strong", "twin"], told[("strong",)]
    assert both.low > 1
    assert both.loss > 5 * abs(alone.loss)
    assert alone.low < 0.2 < told[("weak",)].low
    assert told[("noise",)].low < 0.1
    assert all(one.low <= one.loss <= one.high and one.folds == len(problem.fold_ids) for one in found)
    # Without time, or where its fits are no measure, nothing is said.
    assert fits_without(record, preparation, problem, ["strong"], Deadline(0)) == []
    slow, cut = ({"fit_seconds": 1e6}, {"cut_short": True})
    assert all(
        fits_without(record.model_copy(update=change), preparation, problem, ["strong"], Deadline(9)) == [] for change in (slow, cut)
    )
