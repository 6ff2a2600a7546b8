"""Every family as ONNX: the same predictions on real rows and on rows with gaps and categories that nobody has seen, or a plain reason."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.hosting import Hosting
from tools.calibration import Calibration
from tools.candidates import Candidate
from tools.contract import Contract
from tools.crossval import setting_for
from tools.deadline import Deadline
from tools.families import family
from tools.families.setting import FitContext
from tools.intake import fetch_data
from tools.model import FittedMember, FittedModel
from tools.package.interchange import EQUAL, NotPossible, difference, predict_onnx, write_formats
from tools.package.onnx_model import build
from tools.preparation import Preparation, every_column
from tools.problem import Problem, load_problem
from tools.sealing import seal_holdout
from tools.stack import Stack
from tools.stacking import refit_stack
from tools.workspace import Workspace

ROWS, ITERATIONS = 240, 4
WISHED = {"classes": "kind", "values": "price", "two": "sold"}
PLAIN = ("text", "when", "code")
"""Columns that only some families can read in ONNX."""


def table() -> pd.DataFrame:
    """Rows with gaps, numbers, a truth value, dates, few and many categories and a text."""
    rng = np.random.default_rng(0)
    size, shape = rng.gamma(3, 2, ROWS), rng.integers(0, 3, ROWS)
    frame = pd.DataFrame(
        {
            "size": size,
            "age": rng.integers(0, 90, ROWS).astype(float),
            "shape": np.array(["round", "flat", "long"])[shape],
            "code": [f"c{number % 17}" for number in rng.integers(0, 60, ROWS)],
            "new": rng.random(ROWS) < 0.5,
            "when": (pd.Timestamp("1968-02-27 23:59") + pd.to_timedelta(rng.integers(0, 24_000, ROWS) * 1.37, unit="D")).astype(str),
            "text": [f"the {word} lies {number} steps from here" for word, number in zip(shape, rng.integers(0, 9999, ROWS), strict=True)],
        }
    )
    frame["price"] = np.exp(1 + 0.2 * size + 0.3 * shape + rng.normal(0, 0.1, ROWS))
    frame["kind"] = np.array(["a", "b", "c"])[np.clip(shape + (size > 7), 0, 2)]
    frame["sold"] = np.where(size + rng.normal(0, 1, ROWS) > 6, "yes", "no")
    for name in ("age", "shape", "size"):
        frame.loc[rng.random(ROWS) < 0.1, name] = None
    return frame


@pytest.fixture(scope="module")
def problems(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Problem]:
    """The same rows with three targets."""
    made = {}
    for kind, target in WISHED.items():
        folder = tmp_path_factory.mktemp(kind)
        columns = [name for name in table().columns if name not in set(WISHED.values()) - {target}]
        table()[columns].to_csv(folder / "rows.csv", index=False)
        h = Hosting(folder, folder / "rows.csv", target=target, folds=2)
        fetch_data(h.host)
        seal_holdout(h.host)
        made[kind] = load_problem(Workspace(h.run.data, h.run.work))
    return made


def member(
    problem: Problem,
    name: str,
    drop: tuple[str, ...] = ("text",),
    calibration: Calibration | None = None,
    iterations: int = ITERATIONS,
    **other: Any,
) -> FittedMember:
    """A candidate of a family, fitted in a few iterations on the columns that are left, with other parameters than the default ones."""
    whole = every_column(problem.schema)
    preparation: Preparation = whole.model_copy(update={"columns": [one for one in whole.columns if one.name not in drop]})
    setting = replace(setting_for(problem, preparation), threads=1)
    learner = family(name)
    context = FitContext(deadline=Deadline(600), iterations=iterations if learner.iterative else None)
    params = dict(learner.default(setting)[0]) | other
    params |= {"n_estimators": 20} if "n_estimators" in params else {}
    X = problem.X[[column.name for column in preparation.columns]]
    fitted = learner.fit(X, problem.y, None, None, params, setting, context)
    contract: Contract = problem.contract
    record = Candidate(
        name=f"{name}-1",
        family=name,
        params={},
        preparation="raw",
        metric=contract.metric,
        score=0.5,
        std_error=0.1,
        fold_scores=[0.5, 0.5],
        n_folds=2,
        fit_seconds=0.1,
        predict_ms_per_row=0.1,
        calibration=calibration,
    )
    return FittedMember(record, preparation, 1.0, [fitted])


def model_of(problem: Problem, *members: FittedMember, **facts: Any) -> FittedModel:
    weighed = [replace(one, weight=1 / len(members)) for one in members]
    return FittedModel(problem.contract, problem.schema, weighed, problem.n_rows, **facts)


def apart(model: FittedModel, folder: Path) -> float:
    """How far ONNX and the model are apart, on the rows and on some with gaps and unknown categories."""
    rows = table()
    odd = rows.head(40).copy()
    for place, name in enumerate(["size", "age", "shape", "code", "when"]):
        odd[name] = odd[name].astype(object)
        odd.loc[odd.index % 5 == place, name] = None
    odd.loc[odd.index % 7 == 3, ["shape", "code"]] = "never seen"
    levels = {name: sorted(rows[name].dropna().unique()) for name in ("shape", "code")}
    (folder / "model.onnx").write_bytes(build(model, levels).SerializeToString())
    return max(difference(model.predict_table(part), predict_onnx(folder / "model.onnx", part, model)) for part in (rows, odd, odd.head(1)))


TREES = ("tree", "random_forest", "extra_trees", "lightgbm", "xgboost")
NETWORKS = ("mlp", "realmlp", "tabm")


@pytest.mark.parametrize("kind", WISHED)
@pytest.mark.parametrize("name", [*TREES, "knn"])
def test_trees_boosters_and_neighbours_read_all_but_text(problems: dict[str, Problem], tmp_path: Path, name: str, kind: str) -> None:
    assert apart(model_of(problems[kind], member(problems[kind], name)), tmp_path) <= EQUAL


@pytest.mark.parametrize(("name", "kind"), [("mlp", "values"), *((name, "two") for name in NETWORKS)])
def test_networks_too(problems: dict[str, Problem], tmp_path: Path, name: str, kind: str) -> None:
    assert apart(model_of(problems[kind], member(problems[kind], name)), tmp_path) <= EQUAL


@pytest.mark.parametrize("kind", WISHED)
def test_linear_models_read_numbers_and_categories(problems: dict[str, Problem], tmp_path: Path, kind: str) -> None:
    assert apart(model_of(problems[kind], member(problems[kind], "linear", drop=("text", "when"))), tmp_path) <= EQUAL


@pytest.mark.parametrize("kind", WISHED)
def test_catboost_by_its_own_exporter_where_all_columns_are_numbers(problems: dict[str, Problem], tmp_path: Path, kind: str) -> None:
    assert apart(model_of(problems[kind], member(problems[kind], "catboost", drop=("text", "shape", "code"))), tmp_path) <= EQUAL


@pytest.mark.parametrize("one_hot", [2, 10], ids=["by statistics", "few levels by hash"])
@pytest.mark.parametrize("kind", WISHED)
def test_catboost_reads_categories_where_it_does_not_combine_columns(
    problems: dict[str, Problem], tmp_path: Path, kind: str, one_hot: int
) -> None:
    learnt = member(problems[kind], "catboost", iterations=60, one_hot_max_size=one_hot, max_ctr_complexity=1)
    model = model_of(problems[kind], learnt)
    levels = [model.predict_table(table().head(1).assign(shape=shape)).tolist() for shape in ("round", "flat", "long", "never seen")]
    assert len({str(said) for said in levels}) > 1, "the categories have a say"
    assert apart(model, tmp_path) <= EQUAL


def test_catboost_without_any_number(problems: dict[str, Problem], tmp_path: Path) -> None:
    learnt = member(problems["two"], "catboost", ("text", "size", "age", "new", "when"), iterations=30, max_ctr_complexity=1)
    assert apart(model_of(problems["two"], learnt), tmp_path) <= EQUAL


def test_columns_that_catboost_combines_are_said_plainly(problems: dict[str, Problem]) -> None:
    learnt = member(problems["two"], "catboost", iterations=200, one_hot_max_size=2, max_ctr_complexity=3)
    with pytest.raises(NotPossible, match=r"member 'catboost-1' splits by columns that CatBoost combines \(.*'(shape|code)'"):
        build(model_of(problems["two"], learnt), {"shape": ["round"], "code": ["c1"]})


@pytest.mark.parametrize(
    "calibration",
    [
        Calibration(kind="temperature", scale=0.7, spread=0.01),
        Calibration(kind="sigmoid", scale=1.3, shift=(0.2, -0.1)),
        Calibration(kind="isotonic", knots=((0.0, 0.05), (0.3, 0.2), (0.6, 0.7), (1.0, 0.9))),
    ],
)
def test_an_ensemble_with_a_second_layer_and_calibrations(problems: dict[str, Problem], tmp_path: Path, calibration: Calibration) -> None:
    problem = problems["two"]
    members = [member(problem, "tree", calibration=calibration), member(problem, "linear", drop=PLAIN), member(problem, "lightgbm")]
    said = np.stack([one.predict(problem.X) for one in members])
    params = {"learning_rate": 0.1, "num_leaves": 4, "min_data_in_leaf": 5, "log_target": False}
    inputs = [one.candidate.name for one in members]
    stack = refit_stack(Stack(inputs=inputs, family="lightgbm", params=params, share=0.4, iterations=5), said, problem)
    assert apart(model_of(problem, *members, stack=stack, calibration=calibration), tmp_path) <= EQUAL


@pytest.mark.parametrize(
    ("name", "drop", "why"),
    [
        ("lightgbm", (), "reads the text of column 'text', whose n-grams ONNX cannot count"),
        ("linear", ("text",), "reads column 'when' as text or as a date"),
        ("catboost", (), "reads the text of column 'text', whose n-grams ONNX cannot count"),
        ("dummy", (), "member 'dummy-1' is a Constant, which has no counterpart in ONNX"),
    ],
)
def test_what_has_no_counterpart_is_said_plainly(problems: dict[str, Problem], name: str, drop: tuple[str, ...], why: str) -> None:
    with pytest.raises(NotPossible) as told:
        build(model_of(problems["two"], member(problems["two"], name, drop)))
    assert why in str(told.value)


def test_members_that_cannot_be_had_are_found_before_others_are_written(problems: dict[str, Problem]) -> None:
    problem = problems["two"]
    with pytest.raises(NotPossible, match="member 'dummy-1' is a Constant"):
        build(model_of(problem, member(problem, "linear", ("text",)), member(problem, "dummy")))


def test_a_format_that_is_not_written_in_its_time_is_done_without(problems: dict[str, Problem], tmp_path: Path) -> None:
    problem = problems["two"]
    found = write_formats(tmp_path, model_of(problem, member(problem, "random_forest")), problem.X.head(50), most_s=0.001)
    assert [(one.made, one.why) for one in found.formats] == [
        (False, "writing and checking it was not done in 0.001 s; a longer --time gives it longer, that of `mlteam export` too")
    ] * 2
    assert list(tmp_path.iterdir()) == []


def test_a_file_larger_than_the_contract_allows_is_done_without(problems: dict[str, Problem], tmp_path: Path) -> None:
    problem = problems["two"]
    model = model_of(problem, member(problem, "knn", drop=PLAIN))
    constraints = problem.contract.constraints.model_copy(update={"max_size_mb": 0.001})
    model.contract = problem.contract.model_copy(update={"constraints": constraints})
    found = write_formats(tmp_path, model, problem.X.head(50), most_s=60, names=["onnx"])
    assert [one.name for one in found.formats] == ["onnx"]
    assert re.fullmatch(r"its file takes [0-9.]+ MB, where the contract allows 0.001 MB", found.formats[0].why)
    assert list(tmp_path.iterdir()) == []
