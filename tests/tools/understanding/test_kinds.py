from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from tools.columns import infer_schema
from tools.understanding.kinds import named_like_a_key, read_column

N = 200
RNG = np.random.default_rng(0)
COLUMNS: dict[str, tuple[object, str]] = {
    "weight": (RNG.normal(size=N), "numeric"),
    "items": (RNG.integers(0, 500, N), "numeric"),
    "colour": (RNG.choice(["red", "green", "blue"], N), "categorical"),
    "severity": (RNG.choice(["mild", "moderate", "severe"], N), "ordered"),
    "stars": (RNG.integers(1, 6, N), "ordered"),
    "age group": (RNG.choice(["0-9", "10-19", "20-29", "30+"], N), "ordered"),
    "paid": (RNG.integers(0, 2, N), "boolean"),
    "smoker": (RNG.choice(["yes", "no"], N), "boolean"),
    "when": (pd.date_range("2024-01-01", periods=N).astype(str), "datetime"),
    "day": (pd.date_range("2024-01-01", periods=N).strftime("%Y%m%d").astype(int), "datetime"),
    "created_at": (1_700_000_000 + RNG.integers(0, 10**7, N), "datetime"),
    "note": ([f"the {a} dog ate {b} shoes" for a, b in RNG.integers(0, 10**6, (N, 2))], "text"),
    "customer_id": (RNG.permutation(N) + 1000, "identifier"),
    "token": ([f"{a:032x}" for a in RNG.integers(0, 2**60, N)], "identifier"),
    "one": (np.ones(N), "constant"),
    "void": (np.full(N, np.nan), "constant"),
    "tags": ([";".join(RNG.choice(["a", "b", "c", "d"], 3)) for _ in range(N)], "list"),
    "boxes": (["[1, 2]" if a else "[3]" for a in RNG.integers(0, 2, N)], "list"),
    "lat": (RNG.uniform(45, 55, N), "geographic"),
    "position": ([f"{a:.4f}, {b:.4f}" for a, b in RNG.uniform(40, 60, (N, 2))], "geographic"),
    "shape": ([json.dumps({"type": "Point", "coordinates": [a, b]}) for a, b in RNG.uniform(0, 60, (N, 2))], "geographic"),
    "zip code": ([f"{a:05d}" for a in RNG.integers(500, 99999, N)], "geographic"),
    "order_state": (RNG.choice(["open", "closed"], N), "categorical"),
    "education": (RNG.choice(["High School", "Bachelor's", "Master's", "PhD"], N), "ordered"),
    "month": (RNG.choice(["Jan", "Feb", "March", "April", "May"], N), "ordered"),
    "struck": (RNG.choice(["1", "2-10", "11-100", "Over 100"], N), "ordered"),
    "bin": (RNG.choice(["(0.0, 10.0]", "(10.0, 20.0]", "(20.0, 30.0]"], N), "ordered"),
    "final grade": (RNG.choice(["A", "B", "C", "D"], N), "ordered"),
    "children": (RNG.poisson(1.2, N).clip(0, 5), "numeric"),
    "sale month": (RNG.integers(1, 13, N), "ordered"),
    "Yr.Sold": (RNG.integers(2006, 2011, N), "ordered"),
    "sex code": (RNG.integers(1, 3, N), "categorical"),
    "opens": ([f"{a:02d}:{b:02d}" for a, b in zip(RNG.integers(0, 24, N), RNG.integers(0, 60, N), strict=True)], "datetime"),
    "userid": (RNG.integers(0, 50, N), "identifier"),
    "country": (RNG.choice(["France", "Peru", "Ghana"], N), "geographic"),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_each_kind_is_known_with_a_reason(name: str) -> None:
    values, kind = COLUMNS[name]
    frame = pd.DataFrame({name: values})
    found = read_column(name, frame[name], infer_schema(frame, None).columns[0].kind)
    assert found.kind == kind, found
    assert 0 < found.confidence <= 1
    assert found.reasons


def test_what_is_named_like_a_key_is_one_and_a_word_that_ends_so_is_none() -> None:
    assert all(map(named_like_a_key, ["id", "ID", "customer_id", "orderID", "Individual ID", "row-key", "rownames", "userid"]))
    assert not any(map(named_like_a_key, ["paid", "valid", "width", "liquid", "monkey"]))
