"""What the ablation bench leaves out where, and what it makes of pairs of runs."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from evals.ablation import FAMILIES, NOTHING, PARTS, concerns, contestant, metric_of, planned, summarised, words
from evals.ablation_table import table, worth
from evals.quality import OURS, Bench
from evals.results import Result, Results
from team.settings import load_settings
from tools.contract import Column, ColumnKind, TableSchema
from tools.omissions import INSTEAD

DIRECTIONS = {"roc_auc": "maximize", "rmse": "minimize"}


def result(part: str, name: str, score: float | None, metric: str = "rmse", seed: int = 0) -> Result:
    return Result(contestant(part) if part else OURS, name, metric, 20.0, seed, score, 30.0 + len(part))


def column(name: str, kind: ColumnKind, unique: int = 3) -> Column:
    return Column(name=name, kind=kind, missing=0.0, unique=unique)


def test_every_part_is_a_setting_of_a_run() -> None:
    for part in PARTS:
        for word in words(contestant(part)):
            assert load_settings({"source": "a.csv", "without": word.removeprefix("--without=")}).constraints.without == (part,)
    assert words(OURS) == words(contestant(NOTHING)) == []


def test_a_part_is_measured_where_it_can_matter() -> None:
    plain = TableSchema(columns=[column("a", "numeric"), column("b", "categorical", 4)])
    rich = TableSchema(columns=[column("t", "text"), column("d", "datetime"), column("c", "categorical", 40)])
    on_plain = {part for part in PARTS if concerns(part, "binary", "roc_auc", plain)}
    assert on_plain == {*PARTS} - {
        *("texts", "text_reading", "date_parts", "target_means", "calibration", "decision", "class_weights"),
        *("ordered_linear", "ordered_lightgbm"),
    }
    assert {"texts", "text_reading", "date_parts", "target_means"} <= {p for p in PARTS if concerns(p, "regression", "rmse", rich)}
    assert concerns("calibration", "multiclass", "log_loss", plain)
    assert metric_of("decision", {"task": "binary", "metric": "roc_auc"}) == "balanced_accuracy"
    assert concerns("decision", "binary", "balanced_accuracy", plain)
    assert metric_of("decision", {"task": "regression", "metric": "rmse"}) == "rmse"
    assert concerns("ordered_linear", "ordinal", "qwk", plain)


def test_runs_with_everything_come_first_and_once_a_metric(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "small"
    folder.mkdir(parents=True)
    (folder / "train.csv").write_text("a,b,y\n" + "".join(f"{i},{'uv'[i % 2]},{['no', 'yes'][i % 2]}\n" for i in range(40)))
    (folder / "meta.json").write_text(json.dumps({"target": "y", "task": "binary", "metric": "roc_auc"}))
    found = list(planned(Bench(tmp_path), ["small"], ["ensemble", "decision", "date_parts", "mlp"]))
    assert found == [
        ("small", "roc_auc", OURS),
        ("small", "roc_auc", contestant("ensemble")),
        ("small", "roc_auc", contestant("mlp")),
        ("small", "balanced_accuracy", OURS),
        ("small", "balanced_accuracy", contestant("decision")),
    ]


def test_twice_the_error_and_half_of_it_cancel_out() -> None:
    pairs = [(result("", "one", 1.0), result("p", "one", 2.0)), (result("", "two", 1.0), result("p", "two", 0.5))]
    found = worth("p", "", pairs, DIRECTIONS)
    assert found.change == pytest.approx(0)
    assert (found.tables, found.pairs, found.worse, found.better) == (2, 2, 1, 1)
    assert found.by_table == {"one": pytest.approx(1.0), "two": pytest.approx(-0.5)}
    assert (found.low, found.high) == (pytest.approx(-0.5), pytest.approx(1.0))
    assert found.seconds == 1.0


def test_a_score_that_is_maximised_is_an_error_below_one() -> None:
    found = worth("p", "", [(result("", "one", 0.9, "roc_auc"), result("p", "one", 0.8, "roc_auc"))], DIRECTIONS)
    assert found.change == pytest.approx(1.0)
    assert found.low is None


def test_a_table_counts_once_however_many_seeds_it_has() -> None:
    many = [(result("", "one", 1.0, seed=s), result("p", "one", 1.1, seed=s)) for s in range(4)]
    found = worth("p", "", [*many, (result("", "two", 1.0), result("p", "two", 1.0 / 1.1))], DIRECTIONS)
    assert found.change == pytest.approx(0)


def test_no_part_is_found_in_noise_of_equal_runs() -> None:
    pairs = [
        (result("", f"t{i}", 1.0, seed=s), result("p", f"t{i}", 1.0 + 0.01 * math.sin(7 * i + 3 * s), seed=s))
        for i in range(12)
        for s in range(3)
    ]
    found = worth("p", "", pairs, DIRECTIONS)
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0 < found.high


def test_what_failed_is_told(tmp_path: Path) -> None:
    results = Results(tmp_path / "ablation.jsonl")
    for one in (result("", "one", 1.0), result("texts", "one", None), result("mlp", "one", 1.2), result("", "two", 1.0)):
        results.add(one)
    found = summarised(results, ["one", "two"], ["texts", "mlp", "knn"], 20.0, [0])
    assert [one.part for one in found] == ["mlp", "texts", "knn"]
    lines = table(found).splitlines()
    assert lines[2] == "| mlp | the time goes to the other families | +20.0 % |  | 1, 0 | 1 | +3 |"
    assert lines[3] == f"| texts | {INSTEAD['texts']} | failed | | | | |"
    assert lines[4].endswith("| no table that it matters to | | | | |")


def test_results_survive_a_bench_that_was_broken_off(tmp_path: Path) -> None:
    path = tmp_path / "ablation.jsonl"
    for one in (result("", "one", 1.0), result("mlp", "one", 1.2)):
        Results(path).add(one)
    path.write_text(path.read_text() + '{"contestant": "mlte')
    again = Results(path)
    assert [one.score for one in again] == [1.0, 1.2]
    again.add(result("mlp", "one", 1.3))
    assert [one.score for one in Results(path)] == [1.0, 1.3]
    assert result("mlp", "one", None).key in Results(path)


def test_the_families_are_those_of_tables() -> None:
    assert {"mlp", "catboost", "knn", "sparse_linear"} <= set(FAMILIES)
    assert not {"dummy", "theta"} & set(FAMILIES)
