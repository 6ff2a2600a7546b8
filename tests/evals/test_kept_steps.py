from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from evals.kept_steps import Kept, Source, dealt, measure, summary
from evals.step_gains import FAMILIES, Gain


def areas() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({name: rng.uniform(1, 9, 600) for name in ("width", "height", "y")})
    return frame.assign(area=np.log(frame["width"] / frame["height"]) + 0.02 * rng.normal(size=600))


def test_what_is_kept_is_judged_on_rows_that_nobody_saw(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLTEAM_DATA", "MLTEAM_WORK"):
        monkeypatch.setenv(name, "gone")  # so that it is put back
    source = Source(areas, "area", "regression")
    train, held = dealt(source, 300, 0)
    assert [*train] == ["width", "height", "y_", "y"], "a column that is called as the target is here gets another name"
    assert (len(train), len(held)) == (300, 300)
    assert not set(train["y"]) & set(held["y"])
    (found,) = measure("areas", source, 300, 1, 120, ["suggested"])
    assert "make=ratios" in found.steps
    assert [gain.family for gain in found.gains] == [*FAMILIES]
    assert found.gains[1].sign == "better", "a linear model has no other way to a ratio"


def test_the_summary_counts_calls_and_what_they_brought() -> None:
    def kept(table: str, gain: float | None) -> Kept:
        gains = [Gain(table, name, "all kept", 2.0, gain, gain - 0.1, gain + 0.1, True) for name in FAMILIES if gain is not None]
        return Kept(table, 0, "suggested", ["make=ratios"] if gains else [], gains)

    lines = summary([kept("a", 0.5), kept("b", 0.0), kept("c", None), kept("d", -0.5), kept("e", 0.2)]).splitlines()
    assert lines[2:] == [f"| suggested | {name} | 5 | 4 | 2 | 1 | 1 | +10.00 % |" for name in FAMILIES]
