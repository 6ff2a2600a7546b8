from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evals.step_gains import FAMILIES, Gain, measure, summary


def test_a_step_that_finds_what_models_miss_gains_on_rows_held_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLTEAM_DATA", "MLTEAM_WORK"):
        monkeypatch.setenv(name, "gone")  # so that it is put back
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({name: rng.uniform(1, 9, 600) for name in ("width", "height", "other")})
    frame["area"] = np.log(frame["width"] / frame["height"]) + 0.02 * rng.normal(size=600)
    folder = tmp_path / "areas"
    folder.mkdir()
    frame[:400].to_csv(folder / "train.csv", index=False)
    frame[400:].drop(columns="area").to_csv(folder / "test.csv", index=False)
    frame[400:][["area"]].to_csv(folder / "labels.csv", index=False)
    (folder / "meta.json").write_text(json.dumps({"target": "area", "task": "regression"}))
    found = list(measure(folder, 400, 120, ["make=ratios", "select=mi", "encode=onehot:nowhere"]))
    assert [(one.family, one.steps) for one in found] == [
        (name, steps) for name in FAMILIES for steps in ("make=ratios", "select=mi", "all kept")
    ], "a step that cannot be used is left out"
    for ratios in (one for one in found if one.steps == "make=ratios"):
        assert (ratios.sign, ratios.kept) == ("better", True)
        assert ratios.low <= ratios.gain <= ratios.high


def test_the_summary_counts_tables() -> None:
    gains = [
        Gain(table, name, "make=ratios", 1.0, gain, gain - 0.1, gain + 0.1, table == "a")
        for table, gain in (("a", 0.5), ("b", 0.0))
        for name in FAMILIES
    ]
    assert summary(gains).splitlines()[2:] == ["| make=ratios | 1 / 1 / 0 | 1 / 1 / 0 | a |"]
