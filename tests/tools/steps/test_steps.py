"""Steps as a preparation uses them: what they learn, of which rows, and what a model makes of raw rows with them."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

from tests.tools.conftest import Open
from tools.contract import TableSchema
from tools.families import family
from tools.families.setting import FitContext
from tools.lineage import lineage_of
from tools.preparation import OWN, Preparer, load_preparation, prepare
from tools.preparers import fit_prepared, learn, transform
from tools.problem import Problem, load_problem
from tools.spec import ToolRefused
from tools.steps import WAYS, every, in_order, make_step
from tools.steps.base import columns_of

ROWS = 120


def table(rows: int = ROWS, seed: int = 0) -> pd.DataFrame:
    """Every kind of column in the dtypes of a schema, with gaps and a tail."""
    rng = np.random.default_rng(seed)
    when = pd.Series(pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 700 * 24, rows), unit="h")).astype("datetime64[ns]")
    frame = pd.DataFrame(
        {
            "width": rng.gamma(2.0, size=rows),
            "height": np.exp(2 * rng.normal(size=rows)),
            "count": rng.integers(0, 40, rows).astype(float),
            "shop": rng.choice(["north", "south", "east", "west"], rows).astype(object),
            "size": rng.choice(["low", "medium", "high"], rows).astype(object),
            "code": np.array([f"k{i % 37}" for i in rng.permutation(rows)], dtype=object),
            "when": when,
            "paid": when + pd.Timedelta(days=3),
            "note": np.array([f"the parcel {rng.choice(['broke', 'came', 'went'])} on day {i}" for i in range(rows)], dtype=object),
        }
    )
    gaps = rng.random(rows) < 0.15
    for name in ("width", "shop", "when"):
        frame[name] = frame[name].where(~gaps)
        frame[name] = frame[name].astype(object).where(frame[name].notna(), None) if name == "shop" else frame[name]
    return frame


def truth(frame: pd.DataFrame) -> np.ndarray:
    product = frame["height"] / (1 + frame["count"]) + (frame["size"] == "high")
    return (product > product.quantile(0.7)).to_numpy().astype(np.int64)


def used(spec: str) -> Preparer:
    return Preparer(name=spec, package=OWN, cross_fit=False, reads="codes")


SPECS = [spec if spec != "impute=interpolate" else "impute=interpolate:paid" for spec in every()]
BEFORE = {"resample=smote": ["impute=simple", "encode=dates", "encode=strings:note"], "resample=tomek": ["impute=simple", "encode=dates"]}
BEFORE["resample=tomek"] += ["encode=onehot", "encode=strings:note"]


def chain(spec: str) -> list[Preparer]:
    return [used(each) for each in in_order([*BEFORE.get(spec, []), spec])]


@pytest.mark.parametrize("spec", SPECS)
def test_a_fit_knows_its_own_rows_alone_and_takes_raw_rows(spec: str) -> None:
    frame, later = table(), table(60, seed=1)
    y = truth(frame)
    learnt = learn(chain(spec), frame, y, 0)
    schema = TableSchema(columns=columns_of(learnt.X))
    made = transform(learnt.steps, later, schema)
    assert list(made.columns) == list(learnt.X.columns)
    assert len(made) == 60, "no row that is to be predicted goes or comes"
    # Rows that it has not learned from say nothing about each other: alone, backwards, or beside poison they become the same.
    poisoned = later.assign(width=1e12, height=-1e12, shop="poison", note="poison", when=pd.Timestamp("1999-01-01"))
    beside = transform(learnt.steps, pd.concat([later, poisoned], ignore_index=True), schema).iloc[:60]
    pd.testing.assert_frame_equal(made, beside)
    backwards = transform(learnt.steps, later.iloc[::-1], schema).iloc[::-1].reset_index(drop=True)
    pd.testing.assert_frame_equal(made, backwards)
    found = lineage_of(learnt.steps, list(frame.columns))
    assert found is not None
    assert list(found.prepared) == list(made.columns)
    assert all(sources and set(sources) <= set(frame.columns) for sources in found.prepared.values()), "each traces to raw columns"
    # And it is the same again after a journey through a file.
    pd.testing.assert_frame_equal(made, transform(pickle.loads(pickle.dumps(learnt.steps)), later, schema))


@pytest.mark.parametrize(
    ("spec", "name"),
    [("encode=target", "code: mean of target"), ("encode=ordinal:code", "code"), ("make=aggregates:code", "x: mean by code")],
)
def test_no_row_of_a_fit_sees_in_itself_what_was_read_from_it(spec: str, name: str) -> None:
    """A category of which every row has its own tells the target of training rows wholly, if it is not cross-fitted."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"code": [f"k{i}" for i in range(200)], "x": rng.normal(size=200)}).astype({"code": object})
    y = rng.integers(0, 2, 200)
    step = make_step(spec, "codes", 0)
    shown = step.fit_transform(frame, y)[name].fillna(0).to_numpy()
    against = frame["x"].to_numpy() if spec.startswith("make") else y
    assert shown.std() == 0 or abs(np.corrcoef(shown, against)[0, 1]) < 0.35
    naive = step.transform(frame)[name].to_numpy()
    assert abs(np.corrcoef(naive, against)[0, 1]) > 0.8, "which it would, were it not cross-fitted"


def test_what_they_make() -> None:
    frame = pd.DataFrame({"a": [1.0, np.nan, 3.0, 100.0] + [2.0 + i / 20 for i in range(16)], "s": ["x", None] * 10, "t": np.arange(20.0)})
    y = np.arange(20) % 2
    simple = make_step("impute=simple", "codes", 0).fit_transform(frame, y)
    assert simple["a"].iloc[1] == np.nanmedian(frame["a"])
    assert set(simple["s"]) == {"x", "missing"}
    assert list(make_step("impute=indicator", "codes", 0).fit_transform(frame, y)["a is missing"])[:3] == [0, 1, 0]
    along = make_step("impute=interpolate:t", "codes", 0).fit_transform(frame, y)
    assert along["a"].iloc[1] == 2.0
    clipped = make_step("outliers=clip", "codes", 0).fit_transform(frame, y)
    assert clipped["a"].max() < 10
    assert make_step("outliers=flag", "codes", 0).fit_transform(frame, y)["a is outlying"].sum() == 1
    kept, left = make_step("outliers=drop", "numbers", 0).fit_resample(frame, y.astype(float))
    assert (len(kept), len(left), kept["a"].max() < 10) == (19, 19, True)
    hot = make_step("encode=onehot", "codes", 0).fit_transform(frame, y)
    assert list(hot["s = x"]) == [1, 0] * 10


def test_neighbours_and_the_other_columns_fill_better_than_the_median() -> None:
    rng = np.random.default_rng(1)
    one = rng.normal(size=300)
    whole = pd.DataFrame({"one": one, "two": 2 * one + 0.1 * rng.normal(size=300), "three": rng.normal(size=300)})
    gaps = rng.random(300) < 0.2
    frame = whole.assign(two=whole["two"].where(~gaps))
    error = {}
    for way in ("simple", "knn", "iterative"):
        filled = make_step(f"impute={way}", "none", 0).fit_transform(frame)
        error[way] = float((filled["two"] - whole["two"])[gaps].abs().mean())
    assert error["iterative"] < 0.5 * error["knn"] < 0.5 * error["simple"]


def test_the_order_of_levels_is_that_of_words_numbers_or_the_target() -> None:
    sized = pd.DataFrame({"c": np.array(["high", "low", "medium"], dtype=object)})
    assert make_step("encode=ordinal", "none", 0).fit(sized).transform(sized)["c"].tolist() == [1.0, 0.0, 0.5]
    frame = pd.DataFrame({"c": np.repeat(np.array(["red", "green", "blue"], dtype=object), 40)})
    step = make_step("encode=ordinal", "numbers", 0).fit(frame, np.repeat([2.0, 9.0, 5.0], 40))
    assert step.transform(frame.iloc[[0, 40, 80]])["c"].tolist() == [0.0, 1.0, 0.5]


def test_columns_are_made_of_pairs_that_tell_more_together_and_of_no_others() -> None:
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(rng.uniform(1, 5, (400, 5)), columns=list("abcde"))
    ratio = make_step("make=ratios", "numbers", 0).fit(frame, (frame["a"] / frame["b"]).to_numpy())
    assert "a / b" in ratio.made_
    product = make_step("make=interactions", "numbers", 0).fit(frame, ((frame["c"] - 3) * (frame["d"] - 3)).to_numpy())
    assert "c · d" in product.made_
    for way in ("ratios", "interactions"):
        assert not make_step(f"make={way}", "numbers", 0).fit(frame, rng.normal(size=400)).made_


@pytest.mark.parametrize("way", WAYS["select"])
def test_selection_keeps_what_tells_and_drops_most_noise(way: str) -> None:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(rng.normal(size=(300, 8)), columns=[f"n{i}" for i in range(8)])
    y = (frame["n0"] + frame["n1"] + 0.3 * rng.normal(size=300) > 0).to_numpy().astype(np.int64)
    kept = set(make_step(f"select={way}", "codes", 0).fit_transform(frame, y).columns)
    assert {"n0", "n1"} <= kept
    assert len(kept) <= 6


@pytest.mark.parametrize(("way", "counts"), [("over", (90, 90)), ("under", (30, 30)), ("smote", (90, 90))])
def test_classes_are_evened_out_for_the_fit_alone(way: str, counts: tuple[int, int]) -> None:
    if way == "smote":
        pytest.importorskip("imblearn")
    rng = np.random.default_rng(4)
    frame, y = pd.DataFrame(rng.normal(size=(120, 3)), columns=list("abc")), np.repeat([0, 1], [90, 30])
    step = make_step(f"resample={way}", "codes", 0)
    rows, labels = step.fit_resample(frame, y)
    assert tuple(np.bincount(labels)) == counts
    assert len(rows) == len(labels)
    pd.testing.assert_frame_equal(step.transform(frame), frame)


def opened(open_workspace: Open, name: str, *steps: str) -> tuple[Problem, object]:
    space = open_workspace(name)
    prepare("made", steps=list(steps))
    problem = load_problem(space)
    return problem, load_preparation(space, "made", problem)


def test_a_model_with_steps_takes_raw_rows_and_tells_importance_of_raw_columns(open_workspace: Open) -> None:
    problem, preparation = opened(open_workspace, "mixed", "encode=hashing", "scale=power", "impute=knn", "make=dates", "outliers=clip")
    assert [p.name for p in preparation.preparers] == ["outliers=clip", "impute=knn", "make=dates", "encode=hashing", "scale=power"]
    from tools.crossval import setting_for

    model, setting = family("lightgbm"), setting_for(problem, preparation)
    X = problem.X[[column.name for column in preparation.columns]]
    fitted = fit_prepared(
        model, preparation.preparers, X, problem.y, None, None, model.default(setting)[0], setting, FitContext(iterations=5)
    )
    before = fitted.predict(X)
    assert np.allclose(pickle.loads(pickle.dumps(fitted)).predict(X), before)
    assert before.shape == (len(X), 3)
    assert set(fitted.importance) == set(X.columns)
    assert sum(fitted.importance.values()) == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["diabetes", "shapes", "ink", "bands", "grades"])
def test_every_kind_of_target_goes_with_steps(open_workspace: Open, name: str) -> None:
    steps = ["impute=simple", "scale=robust"] + ([] if name == "shapes" else ["select=l1", "make=ratios"])
    _, preparation = opened(open_workspace, name, *steps)
    assert preparation.made
    assert len(preparation.preparers) == len(steps)


def test_survival_takes_steps_that_read_what_its_signed_times_say(open_workspace: Open) -> None:
    from tests.tools.conftest import lifetimes

    open_workspace(lifetimes(), "time", "survival", event="died")
    assert "site: mean of target" in prepare("made", steps=["encode=target"]).made


def test_refusals(open_workspace: Open) -> None:
    open_workspace("diabetes")
    for steps, told in (
        (["impute=kn"], "nearest is 'impute=knn'.*resample=over"),
        (["encode=target:nowhere"], "step 'encode=target:nowhere': no column 'nowhere'"),
        (["resample=smote"], "nothing here is predicted in classes"),
        (["impute=interpolate"], "needs the column that orders the rows"),
        (["make=aggregates"], "name a key"),
    ):
        with pytest.raises(ToolRefused, match=told):
            prepare("made", steps=steps)


def test_labels_are_no_one_number_that_a_step_could_read(open_workspace: Open) -> None:
    open_workspace("shapes")
    with pytest.raises(ToolRefused, match="one number a row"):
        prepare("made", steps=["select=mi"])
