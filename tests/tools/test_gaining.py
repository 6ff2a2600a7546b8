"""Steps are kept for what they gain on rows that no fit has seen, and for nothing else."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.tools.conftest import Open
from tools.gaining import suggested, try_steps
from tools.preparation import load_preparation, prepare
from tools.problem import load_problem
from tools.spec import ToolRefused


def areas(rows: int = 400, told: bool = True) -> pd.DataFrame:
    """A target that is a matter of a ratio, which trees must cut in many steps; or of nothing."""
    rng = np.random.default_rng(5)
    sides = {name: rng.uniform(1, 9, rows) for name in ("width", "height")}
    frame = pd.DataFrame({**sides, "other": rng.normal(size=rows)})
    y = (frame["width"] / frame["height"]) if told else pd.Series(rng.normal(size=rows))
    return frame.assign(y=np.log(y) if told else y)


def test_a_ratio_that_tells_is_kept_and_goes_into_the_preparation(open_workspace: Open) -> None:
    space = open_workspace(areas(), "y", "regression", folds=5)
    found = try_steps(time_s=300)
    assert found.steps == ["make=ratios"]
    first = found.tried[0]
    assert (first.step, first.kept, first.gain > first.margin > 0) == ("make=ratios", True, True)
    assert found.after == first.score
    made = prepare("prepared", steps=found.steps)
    assert made.steps == ["make=ratios"]
    assert "width / height" in made.made
    assert (space.work / str(made.lineage)).is_file()


def test_nothing_is_kept_where_nothing_tells(open_workspace: Open) -> None:
    space = open_workspace(areas(280, told=False), "y", "regression")
    found = try_steps(["scale=power", "resample=over"], time_s=300)
    assert found.steps == []
    assert [one.kept for one in found.tried] == [False, False]
    assert "predicted in classes" in found.tried[1].why
    problem = load_problem(space)
    assert suggested(problem, load_preparation(space, "default", problem)) == ["make=ratios", "make=interactions"]


def test_a_gathered_table_stays_where_its_columns_gain_and_is_left_out_where_not(open_workspace: Open) -> None:
    rng, frame = np.random.default_rng(3), areas(300, told=False)
    spent = rng.gamma(2.0, size=300)
    told = {"orders.rows": rng.poisson(3.0, 300), "orders.mean(items.sum(price))": spent}
    idle = {"visits.rows": rng.poisson(3.0, 300), "visits.max(minutes)": rng.normal(size=300)}
    frame = frame.assign(**told, **idle, y=np.log(spent) + 0.2 * rng.normal(size=300))
    space = open_workspace(frame, "y", "regression", folds=5)
    found = try_steps(["gather=visits", "gather=orders"], time_s=300)
    assert [(one.step, one.kept) for one in found.tried] == [("gather=visits", False), ("gather=orders", True)]
    assert (found.steps, found.left_out) == ([], ["visits.*"])
    made = prepare("prepared", drop=found.left_out)
    assert [one.column for one in made.dropped] == list(idle)
    assert made.not_there == []
    assert {"orders.rows", "width"} <= {column.name for column in load_preparation(space, "prepared", load_problem(space)).columns}
    with pytest.raises(ToolRefused, match="no step 'gather=sales'"):
        try_steps(["gather=sales"])


def test_refusals(open_workspace: Open) -> None:
    open_workspace("wine")
    with pytest.raises(ToolRefused, match="rows are too few"):
        try_steps()


def test_what_is_no_step_is_refused(open_workspace: Open) -> None:
    open_workspace(areas(), "y", "regression")
    with pytest.raises(ToolRefused, match="nearest is 'make=ratios'"):
        try_steps(["make=ratio"])
