"""Series to test forecasts with, and problems made of them without a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

AIRLINE = Path(__file__).parents[2] / "evals" / "data" / "airline.csv"
MACRO = AIRLINE.with_name("us_macro.csv")


def stores(days: int = 120, seed: int = 0) -> pd.DataFrame:
    """Two stores with two items each: a week's rhythm, a promotion known ahead, and a count of visitors that is not."""
    rng = np.random.default_rng(seed)
    parts = []
    for number, (store, item) in enumerate([(1, "tea"), (1, "jam"), (2, "tea"), (2, "jam")]):
        when = pd.date_range("2024-01-01", periods=days, freq="D")
        promo = rng.integers(2, size=days)
        visitors = rng.poisson(50, days)
        sales = (20 + 10 * number) * (1 + 0.4 * np.sin(2 * np.pi * np.arange(days) / 7) + 0.5 * promo) + rng.normal(0, 1, days)
        parts.append(pd.DataFrame({"date": when, "store": store, "item": item, "promo": promo, "visitors": visitors, "sales": sales}))
    return pd.concat(parts, ignore_index=True).sample(frac=1, random_state=1, ignore_index=True)
