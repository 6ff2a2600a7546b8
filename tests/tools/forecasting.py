"""Series to test forecasts with, sealed by the real host, and read back as the problem that the kernel has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tests.hosting import Hosting
from tools.intake import fetch_data
from tools.problem import Problem, load_problem
from tools.sealing import ContractSealed, seal_holdout
from tools.workspace import Workspace

AIRLINE = Path(__file__).parents[2] / "evals" / "data" / "airline.csv"
MACRO = AIRLINE.with_name("us_macro.csv")


def stores(days: int = 120) -> pd.DataFrame:
    """Two stores with two items each, in no order: a week's rhythm, a promotion known ahead, a count of visitors that is not."""
    rng = np.random.default_rng(0)
    parts = []
    for number, (store, item) in enumerate([(1, "tea"), (1, "jam"), (2, "tea"), (2, "jam")]):
        when = pd.date_range("2024-01-01", periods=days, freq="D")
        promo, visitors = rng.integers(2, size=days), rng.poisson(50, days)
        rhythm = 1 + 0.4 * np.sin(2 * np.pi * np.arange(days) / 7) + 0.5 * promo
        sales = (30 + 10 * number) * rhythm + 1.5 * (visitors - 50) + rng.normal(0, 1, days)
        parts.append(pd.DataFrame({"date": when, "store": store, "item": item, "promo": promo, "visitors": visitors, "sales": sales}))
    return pd.concat(parts).sample(frac=1, random_state=1, ignore_index=True)


def opened(tmp_path: Path, table: Path | pd.DataFrame, **settings: Any) -> tuple[Hosting, ContractSealed]:
    """A run whose contract is sealed."""
    if isinstance(table, pd.DataFrame):
        path = tmp_path / "series.csv"
        table.to_csv(path, index=False)
        table = path
    h = Hosting(tmp_path / "runs", table, **settings)
    fetch_data(h.host)
    return h, seal_holdout(h.host)


def problem_of(h: Hosting) -> Problem:
    return load_problem(Workspace(h.run.data, h.run.work))
