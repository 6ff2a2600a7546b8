from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tools.understanding.order import groups, moments_columns


def visits(alike: bool) -> pd.DataFrame:
    """Five visits each of eighty patients, whose outcome is the patient's own, or anybody's."""
    rng = np.random.default_rng(0)
    patient = np.repeat(np.arange(80) * 7 + 3, 5)
    outcome = rng.integers(0, 2, 80).repeat(5) if alike else rng.integers(0, 2, 400)
    return pd.DataFrame({"patient_id": patient, "dose": rng.normal(size=400), "outcome": outcome})


def test_rows_that_belong_together_are_found_by_name_and_by_the_target() -> None:
    found = groups(visits(alike=True), "outcome")
    assert [(one.column, one.kind, one.sure) for one in found] == [("patient_id", "group", True)]
    assert "5.0 rows a value; the target is more alike within its values" in found[0].reasons


@pytest.mark.parametrize(
    ("name", "sure"),
    [("patient", True), ("Individual ID", True), ("store_id", True), ("employee_position", None), ("company", None), ("product_id", False)],
)
def test_what_a_name_says_of_those_whom_rows_are_about(name: str, sure: bool | None) -> None:
    """None: no group at all. A model meets a position, a company or a product again."""
    found = groups(visits(alike=True).rename(columns={"patient_id": name}), "outcome")
    assert [one.sure for one in found] == ([] if sure is None else [sure])


def test_a_key_within_which_the_target_is_anybodys_is_told_but_decides_nothing() -> None:
    found = groups(visits(alike=False), "outcome")
    assert [one.sure for one in found] == [False]


def test_an_identifier_of_rows_groups_none() -> None:
    frame = visits(alike=True).assign(patient_id=np.arange(400))
    assert groups(frame, "outcome") == []


def test_time_counts_where_the_target_hangs_together_in_it() -> None:
    rng = np.random.default_rng(0)
    when = pd.date_range("2024-01-01", periods=300, freq="D")
    walk = pd.DataFrame({"day": when.astype(str), "price": rng.normal(size=300).cumsum()})
    noise = walk.assign(price=rng.normal(size=300))
    for recorded in (walk, walk[::-1]):
        assert [(one.column, one.sure) for one in moments_columns(recorded, "price")] == [("day", True)]
    assert [(one.column, one.sure) for one in moments_columns(noise, "price")] == [("day", False)]
    (shuffled,) = moments_columns(walk.iloc[rng.permutation(300)], "price")
    assert not shuffled.sure, "who shuffled the rows takes them for exchangeable"
    assert shuffled.reasons.endswith("the target is alike from one moment to the next; the rows lie in no order of it, as if shuffled")
    gaps = walk.assign(day=walk["day"].mask(rng.random(300) < 0.1))
    assert moments_columns(gaps, "price") == []
