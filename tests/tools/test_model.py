from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.tools.conftest import Open
from tools.candidates import load_candidate
from tools.deadline import Deadline
from tools.ensembling import ensemble
from tools.model import fit_model
from tools.problem import load_problem
from tools.tables import TableError
from tools.training import train


def test_an_ensemble_is_the_weighted_average_of_its_members(open_workspace: Open) -> None:
    space = open_workspace("wine")
    train(["linear", "extra_trees"], time_s=5)
    ensemble()
    problem, record = load_problem(space), load_candidate(space, "ensemble")
    holdout = space.table("holdout")
    whole = fit_model(space, record, problem, Deadline(60)).predict_table(holdout)
    alone = {m.name: fit_model(space, load_candidate(space, m.name), problem, Deadline(60)).predict_table(holdout) for m in record.members}
    assert np.allclose(whole, sum(m.weight * alone[m.name] for m in record.members), atol=1e-5)
    assert np.allclose(whole.sum(axis=1), 1)


def test_tables_of_other_shapes(open_workspace: Open) -> None:
    space = open_workspace("mixed")
    train(["linear"], time_s=5)
    model = fit_model(space, load_candidate(space, "linear-1"), load_problem(space), Deadline(60))
    holdout = space.table("holdout")
    rows = pd.concat([holdout, holdout]).iloc[:, ::-1].assign(extra=1)
    assert np.array_equal(model.predict_table(rows)[: len(holdout)], model.predict_table(holdout))
    assert model.predict_table(holdout.head(0)).shape == (0, 3)
    with pytest.raises(TableError, match=r"'size \[mm\]'"):
        model.predict_table(holdout.rename(columns={"size [mm]": "size"}))
