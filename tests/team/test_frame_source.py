"""A DataFrame as a source: what becomes of its index, what is refused, and that it can be fetched when the frame is gone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from reports.commands import run_command
from reports.facts import read_facts
from team.errors import UsageError
from team.frame_source import flattened, frame_source, is_frame
from tests.hosting import Hosting
from tools.intake import fetch_data
from tools.sources import fetch
from tools.spec import InputRefused


def frame() -> pd.DataFrame:
    return pd.DataFrame({"x": [1.5, None, 3.0], "kind": pd.Categorical(["a", "b", "a"]), "y": ["no", "yes", "no"]})


def test_a_frame_is_told_from_a_path() -> None:
    assert is_frame(frame())
    assert is_frame(pa.table({"x": [1]}))
    assert not is_frame("data.csv")
    assert not is_frame(Path("data.csv"))


def test_an_index_without_a_name_is_left_out_and_a_named_one_is_a_column() -> None:
    assert list(flattened(frame().set_axis([7, 8, 9])).columns) == ["x", "kind", "y"]
    named = flattened(frame().set_axis(pd.Index(["p", "q", "r"], name="patient")))
    assert list(named.columns) == ["patient", "x", "kind", "y"]
    assert list(named["patient"]) == ["p", "q", "r"]
    levels = pd.MultiIndex.from_tuples([("s", 1), ("s", 2), ("t", 1)], names=["store", "week"])
    assert list(flattened(frame().set_axis(levels)).columns) == ["store", "week", "x", "kind", "y"]


def test_a_frame_is_not_changed() -> None:
    given = frame().set_axis(pd.Index([1, 2, 3], name="id"))
    before = given.copy()
    frame_source(given)
    pd.testing.assert_frame_equal(given, before)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (pd.DataFrame(), "nothing to learn from"),
        (frame().iloc[:0], "0 rows"),
        (pd.DataFrame(np.ones((2, 2)), columns=["a", "a"]), "two columns named 'a'"),
        (frame().set_axis(pd.Index([1, 2, 3], name="x")), "two columns named 'x'"),
        (pd.DataFrame({"mixed": [1, "two", {3}]}), "cannot be written as Parquet"),
        (pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", "b"), ("a", "c")])), "several levels"),
    ],
)
def test_what_is_no_table_is_refused_and_said(given: pd.DataFrame, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        frame_source(given)


def test_the_run_fetches_it_from_its_vault_as_often_as_it_likes(tmp_path: Path) -> None:
    source = frame_source(frame(), "my table")
    assert source.source.startswith("frame:my-table#sha256=")
    assert frame_source(frame(), "my table") == source, "the same table has the same name"
    h = Hosting(tmp_path, source.source, target="y")
    source.put(h.run.vault)
    first, again = fetch_data(h.host), fetch_data(h.host)
    assert first == again
    assert (first.rows, [column.name for column in first.table]) == (3, ["x", "kind", "y"])


def test_another_table_in_its_place_is_refused(tmp_path: Path) -> None:
    frame_source(frame().iloc[::-1]).put(tmp_path)
    with pytest.raises(InputRefused, match="not what was expected"):
        fetch(frame_source(frame()).source, tmp_path)


@pytest.mark.parametrize("source", ["frame:x", "frame:x#sha256=" + "0" * 64])
def test_a_frame_that_is_not_there_says_what_to_do(tmp_path: Path, source: str) -> None:
    with pytest.raises(InputRefused, match="Give it to `run` again"):
        fetch(source, tmp_path)


def test_the_command_that_repeats_the_run_names_the_file(tmp_path: Path) -> None:
    h = Hosting(tmp_path, "sklearn:iris", target="target")
    facts = read_facts(h.run.path).model_copy(update={"settings": {"source": frame_source(frame()).source}})
    assert run_command(facts) == f"mlteam run {facts.folder}/vault/frame.parquet"
