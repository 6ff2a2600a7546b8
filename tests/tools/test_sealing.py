"""Fetch and seal through the real host: what the sandbox may see, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.hosting import Hosting
from tools.intake import fetch_data
from tools.problem import encode_target
from tools.sealing import seal_holdout
from tools.spec import InputRefused, ToolRefused


def frame(rows: int = 100) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {"age": rng.normal(40, 9, rows), "town": rng.choice(["Ulm", "Bonn"], rows), "left": rng.choice(["no", "yes"], rows, p=[0.7, 0.3])}
    )


def hosting(tmp_path: Path, table: pd.DataFrame | str | None = None, **settings: Any) -> Hosting:
    path = tmp_path / "people.csv"
    tmp_path.mkdir(exist_ok=True)
    path.parent.mkdir(exist_ok=True)
    if isinstance(table, str):
        path.write_text(table)
    else:
        (frame() if table is None else table).to_csv(path, index=False)
    return Hosting(tmp_path / "runs", path, **settings)


def sealed(h: Hosting) -> None:
    fetch_data(h.host)
    seal_holdout(h.host)


def test_a_metric_that_the_target_makes_undefined_is_refused(tmp_path: Path) -> None:
    table = pd.DataFrame({"x": range(60), "y": [0.0, 1.5, 2.5] * 20})
    with pytest.raises(InputRefused, match=r"metric 'mape' does not serve here"):
        sealed(hosting(tmp_path, table, target="y", metric="mape"))


def test_what_the_sandbox_sees_holds_no_holdout_label(tmp_path: Path) -> None:
    h = hosting(tmp_path, target="left")
    fetched = fetch_data(h.host)
    assert (fetched.rows, fetched.columns) == (100, 3)
    sealed = seal_holdout(h.host)
    assert (sealed.task, sealed.metric, sealed.direction, sealed.positive) == ("binary", "roc_auc", "maximize", "yes")
    assert sealed.classes == ["no", "yes"]
    train, holdout = pd.read_parquet(h.run.data / "train.parquet"), pd.read_parquet(h.run.data / "holdout.parquet")
    assert (len(train), len(holdout)) == (sealed.rows_train, sealed.rows_holdout) == (80, 20)
    assert list(holdout.columns) == ["age", "town"]
    assert sorted(p.name for p in h.run.data.iterdir()) == ["contract.json", "holdout.parquet", "schema.json", "train.parquet"]
    labels = pd.read_parquet(h.run.vault / "holdout_labels.parquet")
    assert sorted([*train["left"], *labels["left"]]) == sorted(frame()["left"])
    assert json.loads(h.run.contract.read_text()) == json.loads((h.run.data / "contract.json").read_text())


def test_rows_without_a_target_are_left_out_and_counted(tmp_path: Path) -> None:
    table = frame()
    table.loc[:9, "left"] = None
    h = hosting(tmp_path, table, target="left")
    fetch_data(h.host)
    sealed = seal_holdout(h.host)
    assert (sealed.rows_without_target, sealed.rows_train + sealed.rows_holdout) == (10, 90)


def test_numeric_classes_are_ordered_by_value_and_written_without_a_point(tmp_path: Path) -> None:
    h = hosting(tmp_path, pd.DataFrame({"x": [i % 7 for i in range(220)], "y": [float(i % 11) for i in range(220)]}), target="y")
    fetch_data(h.host)
    assert seal_holdout(h.host).classes == [str(i) for i in range(11)]


def test_the_contract_is_fixed_once(tmp_path: Path) -> None:
    h = hosting(tmp_path, target="left")
    with pytest.raises(ToolRefused, match="call fetch_data first"):
        seal_holdout(h.host)
    fetch_data(h.host)
    seal_holdout(h.host)
    with pytest.raises(ToolRefused, match="sealed already"):
        seal_holdout(h.host)


def test_a_role_cannot_change_what_the_user_fixed(tmp_path: Path) -> None:
    h = hosting(tmp_path, target="left", metric="f1")
    with pytest.raises(ToolRefused, match="only the user's own source"):
        fetch_data(h.host, source="/etc/passwd")
    fetch_data(h.host)
    with pytest.raises(ToolRefused, match="user fixed target='left'"):
        seal_holdout(h.host, target="town")
    with pytest.raises(ToolRefused, match="user fixed metric='f1'"):
        seal_holdout(h.host, metric="accuracy")


TASKS = {
    "whole": [0, 1, 1, 2, 3] * 20,
    "broken": [0, 1, 2, 3, 2.5] * 20,
    "negative": [0, 1, -2, 3, 2] * 20,
    "word": ["a", "b", "c", "d", "e"] * 20,
    "pair": [0, 1, 0, 0, 1] * 20,
}


@pytest.mark.parametrize(
    ("target", "task", "message"),
    [
        ("broken", "count", r"target 'broken' has 20 values that are no counts, such as 2\.5; expected whole numbers of 0 and more"),
        ("negative", "count", r"target 'negative' has 20 values that are no counts, such as -2"),
        ("word", "count", r"target 'word' is text \('a'\), expected numbers for counts"),
        ("word", "regression", r"target 'word' is text \('a'\), expected numbers for regression"),
        ("word", "binary", r"target 'word' has 5 classes, expected two.*--task multiclass"),
        ("pair", "multiclass", r"target 'pair' has two classes, expected three or more.*--task binary"),
    ],
)
def test_a_target_that_does_not_fit_the_task_is_refused(tmp_path: Path, target: str, task: str, message: str) -> None:
    with pytest.raises(InputRefused, match=message):
        sealed(hosting(tmp_path, frame().assign(**TASKS), target=target, task=task))


def test_the_user_settles_the_task_and_counts_are_never_inferred(tmp_path: Path) -> None:
    found = {}
    for task in (None, "regression", "count"):
        h = hosting(tmp_path / str(task), frame().assign(**TASKS), target="whole", task=task)
        sealed(h)
        contract = h.vault.contract
        found[task] = (contract.task, contract.predicts, contract.metric, contract.prediction_columns, contract.split.kind)
    assert found["regression"] == ("regression", "values", "rmse", ["prediction"], "random")
    assert found["count"] == ("count", "values", "poisson_deviance", ["prediction"], "random")
    assert found[None][:2] == ("multiclass", "classes")
    h = hosting(tmp_path / "role", frame().assign(**TASKS), target="whole", task="count")
    fetch_data(h.host)
    with pytest.raises(ToolRefused, match="user fixed task='count'; it cannot be 'regression'"):
        seal_holdout(h.host, task="regression")


@pytest.mark.parametrize(
    ("target", "settings", "message"),
    [
        ("word", {}, r"labels a, b, c, d, e, whose order is not known.*--classes low,mid,high"),
        ("word", {"classes": "e,d,c,b"}, r"--classes e,d,c,b: expected every class of target 'word' once; it lacks 'a'"),
        ("word", {"classes": "e,d,c,b,x"}, r"no row has 'x' and it lacks 'a'"),
        ("word", {"classes": "e,d,c,b,a,a"}, r"a class stands there twice"),
        ("word", {"classes": "a,b,c,d,e", "task": "multiclass"}, r"this task is multiclass. Leave one of the two out"),
        ("whole", {"classes": "0,1,2,3", "task": "count"}, r"this task is count. Leave one of the two out"),
        ("pair", {}, r"two classes, expected three or more for an ordinal task"),
    ],
)
def test_an_order_that_is_not_known_or_does_not_fit_is_refused(tmp_path: Path, target: str, settings: dict[str, str], message: str) -> None:
    with pytest.raises(InputRefused, match=message):
        sealed(hosting(tmp_path, frame().assign(**TASKS), target=target, **{"task": "ordinal", **settings}))


def test_ordinal_classes_stand_in_the_order_of_numbers_or_the_users(tmp_path: Path) -> None:
    h = hosting(tmp_path / "numbers", frame().assign(**TASKS), target="whole", task="ordinal")
    sealed(h)
    assert (h.vault.contract.classes, h.vault.contract.metric) == (["0", "1", "2", "3"], "qwk")
    h = hosting(tmp_path / "words", frame().assign(**TASKS), target="word", classes="e, c,a,b,d")  # whose order says the task
    sealed(h)
    assert h.vault.contract.classes == ["e", "c", "a", "b", "d"]
    assert h.vault.contract.predicts == "classes"


def test_quantiles_make_the_task_and_have_the_median_among_them(tmp_path: Path) -> None:
    for name, settings, levels in (
        ("levels", {"quantiles": "0.9,0.05"}, [0.05, 0.5, 0.9]),
        ("task", {"task": "quantile"}, [0.1, 0.5, 0.9]),
        ("file", {"quantiles": [0.25], "task": "quantile"}, [0.25, 0.5]),
    ):
        h = hosting(tmp_path / name, frame().assign(**TASKS), target="whole", **settings)
        sealed(h)
        contract = h.vault.contract
        assert contract.quantiles == levels
        assert (contract.task, contract.predicts, contract.metric, contract.direction) == ("quantile", "quantiles", "pinball", "minimize")
        assert contract.prediction_columns == [f"q_{level:g}" for level in levels]
        assert contract.median == levels.index(0.5)


@pytest.mark.parametrize(
    ("target", "settings", "message"),
    [
        ("word", {}, r"target 'word' is text \('a'\), expected numbers for quantiles"),
        ("whole", {"task": "multiclass"}, r"--quantiles are predicted of numbers by --task quantile, and this task is multiclass"),
        ("whole", {"task": "count"}, r"this task is count. Leave one of the two out"),
        ("whole", {"metric": "rmse"}, r"metric 'rmse' is for .*Choose one of: mae, pinball, crps"),
        ("whole", {"monotone": "left:+"}, r"--monotone cannot be kept by quantiles"),
    ],
)
def test_quantiles_of_what_has_none_are_refused(tmp_path: Path, target: str, settings: dict[str, str], message: str) -> None:
    with pytest.raises(InputRefused, match=message):
        sealed(hosting(tmp_path, frame().assign(**TASKS), target=target, quantiles="0.1,0.9", **settings))


LABELS = {"up": [0, 1] * 50, "red": [True, False, False, False] * 25, "odd": [1, 0, 1, 2, 1] * 20, "rare": [1] + [0] * 99}


@pytest.mark.parametrize(
    ("target", "settings", "message"),
    [
        ("up,odd", {}, r"label column 'odd' holds '2', expected 0 and 1 alone"),
        ("up,town", {}, r"label column 'town' holds '(Ulm|Bonn)', expected 0 and 1 alone"),
        ("up,rare", {}, r"label column 'rare' is 1 in 1 of 100 rows; expected 2 of both at least"),
        ("up,up", {}, r"a column stands there twice"),
        ("up,red", {"task": "binary"}, r"names 2 columns, which only --task multilabel predicts; this task is binary"),
        ("up", {"task": "multilabel"}, r"target 'up' is no list of columns; expected the names of several 0/1 columns"),
        ("up,nowhere", {"task": "multilabel"}, r"target 'up,nowhere' names 'nowhere', which is no column; expected the names of several"),
        ("up,blue", {}, r"target 'up,blue' is not in the table"),
    ],
)
def test_labels_that_are_none_are_refused(tmp_path: Path, target: str, settings: dict[str, str], message: str) -> None:
    with pytest.raises(InputRefused, match=message):
        sealed(hosting(tmp_path, frame().assign(**LABELS), target=target, **settings))


def test_all_label_columns_are_sealed(tmp_path: Path) -> None:
    table = frame().assign(**LABELS).drop(columns=["odd", "rare"])
    table.loc[5, "up"] = None
    h = hosting(tmp_path, table, target="up, red")
    fetch_data(h.host)
    result = seal_holdout(h.host)
    assert (result.task, result.metric, result.classes, result.rows_without_target) == ("multilabel", "average_precision", ["up", "red"], 1)
    contract = h.vault.contract
    assert contract.predicts == "labels"
    assert contract.prediction_columns == ["proba_up", "proba_red"]
    assert contract.features == ["age", "town", "left"]
    assert list(pd.read_parquet(h.run.data / "holdout.parquet").columns) == contract.features
    train, kept = pd.read_parquet(h.run.data / "train.parquet"), pd.read_parquet(h.run.vault / "holdout_labels.parquet")
    assert sorted(train.columns) == sorted([*contract.features, contract.target])
    labels = h.vault.rows.labels()
    assert labels.shape == (contract.rows_train, 2)
    whole = np.concatenate([labels, encode_target(kept, contract)])
    assert whole.sum(axis=0).tolist() == [table["up"].sum(), table["red"][table["up"].notna()].sum()]


def test_a_role_that_names_no_target_is_told_the_columns(tmp_path: Path) -> None:
    h = hosting(tmp_path)
    fetch_data(h.host)
    with pytest.raises(ToolRefused, match=r"name the target\. Columns: age, town, left"):
        seal_holdout(h.host)
    with pytest.raises(ToolRefused, match=r"target 'lft' is not in the table\. Nearest: left"):
        seal_holdout(h.host, target="lft")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target": "lft"}, "target 'lft' is not in the table. Nearest: left"),
        ({"target": "LEFT"}, "Nearest: left"),
        ({"target": "left", "metric": "rmse"}, "rmse"),
        ({"target": "left", "group": "house"}, "group column 'house' is not in the table"),
        ({"target": "left", "group": "town", "time_column": "age"}, "cannot be combined"),
    ],
)
def test_what_the_user_got_wrong_ends_as_bad_input(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    h = hosting(tmp_path, **settings)
    fetch_data(h.host)
    with pytest.raises(InputRefused, match=message):
        seal_holdout(h.host)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("a,b\n", "header|no rows"),
        ("a,a,b\n1,2,3\n", "duplicate|twice|more than once"),
        ("y\n" + "1\n2\n" * 20, "no column beside"),
        ("a,b,y\n" + ",,u\n,,v\n" * 20, r"no column is left to learn from \(a: all missing; b: all missing\)\. Bring a table"),
        ("a,y\n" + "".join(f"id{i},{'uv'[i % 2]}\n" for i in range(40)), "a: identifier-like: a different value in every row"),
    ],
)
def test_tables_that_cannot_be_read_or_learnt_from(tmp_path: Path, text: str, message: str) -> None:
    h = hosting(tmp_path, text, target="y")
    with pytest.raises(InputRefused, match=message):
        sealed(h)


def test_a_binary_file_is_named_as_the_user_named_it(tmp_path: Path) -> None:
    h = hosting(tmp_path, target="left")
    Path(h.settings.source).write_bytes(b"PK\x03\x04" + bytes(200))
    with pytest.raises(InputRefused, match=r"people\.csv"):
        fetch_data(h.host)


def test_labels_are_compared_without_the_blanks_around_them(tmp_path: Path) -> None:
    table = frame()
    table["left"] = [f"{label} " if i % 2 else label for i, label in enumerate(table["left"])]
    h = hosting(tmp_path, table, target="left")
    sealed(h)
    assert h.vault.contract.classes == ["no", "yes"]
    table["left"] = ["yes", "yes "] * 50
    with pytest.raises(InputRefused, match="one value only"):
        sealed(hosting(tmp_path, table, target="left"))


def test_the_latest_rows_are_the_holdout_when_the_day_comes_first(tmp_path: Path) -> None:
    days = pd.date_range("2024-01-01", periods=200)
    table = pd.DataFrame({"when": days.strftime("%d/%m/%Y"), "x": range(200), "y": np.arange(200) + 0.5}).sample(frac=1, random_state=0)
    h = hosting(tmp_path, table, target="y", time_column="when")
    sealed(h)
    train = pd.read_parquet(h.run.data / "train.parquet")
    assert train["y"].max() == 159.5
    assert h.vault.contract.split.day_first


@pytest.mark.parametrize(
    ("column", "settings"),
    [
        ([0, 1] * 50, {"group": "by"}),
        ([0] * 50 + [1] * 50, {"time_column": "by"}),
        (list(range(3)) * 33 + [0], {"group": "by", "target": "same"}),
    ],
    ids=["two groups", "two moments", "groups of one class"],
)
def test_columns_that_leave_nothing_to_cross_validate_are_refused(tmp_path: Path, column: list[int], settings: dict[str, Any]) -> None:
    table = frame().assign(by=column, same=[["a", "b", "c"][i] for i in column] if max(column) == 2 else "a")
    with pytest.raises(InputRefused, match=r"'by'|--group"):
        sealed(hosting(tmp_path, table, **{"target": "left", **settings}))


def test_dates_and_names_are_no_targets(tmp_path: Path) -> None:
    names = frame().assign(who=[f"person {i}" for i in range(100)])
    with pytest.raises(InputRefused, match="a different value in every row"):
        sealed(hosting(tmp_path, names, target="who"))


def test_semicolons_and_decimal_commas(tmp_path: Path) -> None:
    h = hosting(tmp_path, "x;y;town\n" + "".join(f"{i},5;{1000 + i},25;Ulm {i % 3}\n" for i in range(60)), target="y")
    sealed(h)
    assert h.vault.contract.task == "regression"
    assert pd.read_parquet(h.run.data / "train.parquet")["x"].dtype == "float64"


def survivors(rows: int = 120) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"age": rng.normal(60, 9, rows), "days": rng.integers(0, 900, rows), "status": rng.choice([1, 2], rows, p=[0.7, 0.3])}
    )
    frame.loc[[3, 4], "status"] = None
    frame.loc[5, "days"] = None
    return frame


def test_a_time_with_its_event_is_sealed_as_survival(tmp_path: Path) -> None:
    h = hosting(tmp_path, survivors(), target="days", event="status")
    fetch_data(h.host)
    found = seal_holdout(h.host)
    assert (found.task, found.metric, found.split, found.event, found.features) == ("survival", "c_index", "stratified", "status", 1)
    assert found.rows_without_target == 3
    train, holdout = pd.read_parquet(h.run.data / "train.parquet"), pd.read_parquet(h.run.data / "holdout.parquet")
    labels = pd.read_parquet(h.run.vault / "holdout_labels.parquet")
    assert list(holdout.columns) == ["age"]
    assert list(labels.columns) == ["days", "status"]
    assert set(train["status"]) == {0.0, 1.0}, "of R's 1 and 2 the larger one is the event"
    assert abs(train["status"].mean() - labels["status"].mean()) < 0.02


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"target": "days", "task": "survival"}, "name it with --event"),
        ({"target": "days", "event": "statsu"}, "event column 'statsu' is not in the table. Nearest: status"),
        ({"target": "days", "event": "age"}, "different values"),
        ({"target": "days", "event": "days"}, "target and event are both 'days'"),
        ({"target": "days", "event": "status", "task": "regression"}, "a regression task has none"),
        ({"target": "days", "event": "status", "metric": "rmse"}, "this task is survival. Choose one of: c_index"),
    ],
)
def test_what_is_no_survival_is_refused(tmp_path: Path, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(InputRefused, match=said):
        sealed(hosting(tmp_path, survivors(), **settings))


def test_times_below_zero_and_tables_without_events_are_refused(tmp_path: Path) -> None:
    table = survivors()
    with pytest.raises(InputRefused, match=r"holds -\d+; times until an event are 0 or more"):
        sealed(hosting(tmp_path / "a", table.assign(days=-table["days"]), target="days", event="status"))
    with pytest.raises(InputRefused, match=r"'status' has 0 events among 119 rows"):
        sealed(hosting(tmp_path / "b", table.assign(status=0), target="days", event="status"))


def test_personal_data_is_masked_before_a_sandbox_sees_a_row(tmp_path: Path) -> None:
    table = frame().assign(mail=[f"ann{i}@example.org" for i in range(100)], note=["nothing"] * 99 + ["write to bob@example.org"])
    sealed(h := hosting(tmp_path, table, target="left", mask_pii=True))
    seen = pd.concat([pd.read_parquet(h.run.data / f"{name}.parquet") for name in ("train", "holdout")])
    assert set(seen["mail"]) == {"<email>"}
    assert not any(b"@example.org" in path.read_bytes() for path in h.run.data.iterdir())
    assert "write to <email>" in set(seen["note"])
    assert "Personal data was masked: 'mail' (email)." in json.loads(h.run.manifest.read_text())["notes"]


def test_a_target_that_nobody_named_is_guessed_and_problem_and_metric_have_reasons(tmp_path: Path) -> None:
    h = hosting(tmp_path, frame().assign(note=[f"row number {i} of a hundred" for i in range(100)]))
    fetched = fetch_data(h.host)
    assert fetched.targets[0].column == "left" or fetched.targets[0].confidence < 0.6
    assert not any("Ulm" in one.reasons for one in fetched.targets)
    why = seal_holdout(h.host, target="left").why
    assert why[0] == "the target holds 2 words, so the problem is binary"
    assert why[1].startswith("roc_auc is recommended: ")


def test_rows_that_belong_together_are_named_before_the_split(tmp_path: Path) -> None:
    left = np.random.default_rng(0).choice(["no", "yes"], 60).repeat(5)
    table = frame(300).assign(customer_id=np.repeat(np.arange(60) * 3 + 7, 5), left=left)
    found = fetch_data(hosting(tmp_path, table, target="left").host)
    assert [(one.column, one.kind, one.confidence >= 0.8) for one in found.orderings] == [("customer_id", "group", True)]
    assert found.targets == []
    kept_from = fetch_data(hosting(tmp_path / "again", table, target="left", forbid="customer_id").host)
    assert kept_from.orderings == [], "no split is offered that what the user forbids would refuse"
