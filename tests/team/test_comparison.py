"""Runs compared: what may be tested, on what, and what the tests say."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from team.comparison import compare
from team.comparison_view import parts, print_comparison
from team.errors import MlteamError, UsageError
from team.rundir import RunDir
from team.vault import Vault
from tests.reports.written import finished
from tests.team.scored import scored
from tools.comparing import corrected_resampled_t, delong
from tools.predictions import read_predictions, write_predictions


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    return scored(tmp_path_factory.mktemp("runs"), noise=0.4, family="linear")


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    return scored(tmp_path_factory.mktemp("runs"), noise=1.5, family="tree")


def shown(*runs: RunDir) -> str:
    text = io.StringIO()
    print_comparison(compare(runs), text)
    return text.getvalue()


def test_the_tests_are_those_of_the_fold_scores_and_of_the_scored_predictions(good: RunDir, bad: RunDir) -> None:
    found = compare([good, bad])
    assert (found.comparable, found.why, found.metric, found.target) == (True, (), "roc_auc", "target")
    (pair,) = found.pairs
    tests = {test.test: test for test in pair.tests}
    assert set(tests) == {"corrected_t", "wilcoxon", "bootstrap", "delong"}
    by_hand = corrected_resampled_t(found.runs[0].winner.fold_scores, found.runs[1].winner.fold_scores, 1 / 7)
    assert tests["corrected_t"].p == by_hand.p
    mine, other = Vault(good).scored(), Vault(bad).scored()
    by_hand = delong(mine.labels, mine.predictions[:, 1], other.predictions[:, 1])
    assert (tests["delong"].p, tests["delong"].difference) == (by_hand.p, by_hand.difference)
    assert tests["delong"].difference == pytest.approx(found.runs[0].holdout.score - found.runs[1].holdout.score)
    assert (pair.decisive, pair.better) == ("delong", "A")
    assert "A is better by" in pair.verdict


def test_quantiles_are_compared_at_the_same_levels_alone(tmp_path: Path) -> None:
    asked = {"source": "sklearn:diabetes", "quantiles": "0.1,0.9"}
    good, bad = scored(tmp_path / "a", noise=0.3, **asked), scored(tmp_path / "b", noise=1.5, family="tree", **asked)
    found = compare([good, bad])
    (pair,) = found.pairs
    tests = {test.test: test for test in pair.tests}
    assert (found.metric, pair.better, set(tests)) == ("pinball", "A", {"corrected_t", "wilcoxon", "bootstrap"})
    assert tests["bootstrap"].difference == pytest.approx(found.runs[0].holdout.score - found.runs[1].holdout.score)
    others = scored(tmp_path / "c", noise=0.3, **{**asked, "quantiles": "0.05,0.9"})
    found = compare([good, others])
    assert (found.comparable, found.pairs) == (False, ())
    assert "quantiles: 0.1, 0.5, 0.9 in A; 0.05, 0.5, 0.9 in B" in found.why[0]


def test_no_look_is_made(good: RunDir, bad: RunDir) -> None:
    before = [(run.vault / "ledger.jsonl").read_bytes() for run in (good, bad)]
    compare([good, bad])
    assert before == [(run.vault / "ledger.jsonl").read_bytes() for run in (good, bad)]


def test_the_order_of_the_runs_turns_the_differences_round(good: RunDir, bad: RunDir) -> None:
    (pair,), (turned,) = compare([good, bad]).pairs, compare([bad, good]).pairs
    assert [test.difference for test in pair.tests] == pytest.approx([-test.difference for test in turned.tests])
    assert (pair.better, turned.better) == ("A", "B")


def test_lower_is_better_for_a_loss(tmp_path: Path) -> None:
    runs = [scored(tmp_path, noise=noise, source="sklearn:diabetes") for noise in (1.0, 0.3)]
    (pair,) = compare(runs).pairs
    assert pair.better == "B"
    assert all(test.difference > 0 for test in pair.tests)
    assert {test.test for test in pair.tests} == {"corrected_t", "wilcoxon", "bootstrap"}


def test_accuracy_is_judged_by_mcnemar(tmp_path: Path) -> None:
    runs = [scored(tmp_path, noise=noise, source="sklearn:wine", metric="accuracy") for noise in (0.1, 3.0)]
    (pair,) = compare(runs).pairs
    mcnemar = next(test for test in pair.tests if test.test == "mcnemar")
    assert (pair.decisive, pair.better) == ("mcnemar", "A")
    mine, other = (side.holdout.score for side in compare(runs).runs)
    assert mcnemar.difference == pytest.approx(mine - other)


def test_another_metric_is_not_judged_by_mcnemar(tmp_path: Path) -> None:
    (pair,) = compare([scored(tmp_path, noise=noise, metric="balanced_accuracy") for noise in (0.3, 1.5)]).pairs
    assert pair.decisive == "bootstrap"
    assert "mcnemar" in {test.test for test in pair.tests}


def test_repeats_do_not_make_the_training_sets_of_folds_larger(tmp_path: Path) -> None:
    """Fifteen scores of five folds, three times dealt: each fit learns from four fifths of the rows, as with one dealing."""
    found = compare([scored(tmp_path, noise=noise, folds=5, repeats=3) for noise in (0.6, 0.8)])
    (pair,) = found.pairs
    test = next(test for test in pair.tests if test.test == "corrected_t")
    scores = [side.winner.fold_scores for side in found.runs]
    assert [len(each) for each in scores] == [15, 15]
    assert test.p == corrected_resampled_t(*scores, 1 / 4).p > corrected_resampled_t(*scores, 1 / 14).p


def test_rows_of_a_group_are_not_taken_for_independent(tmp_path: Path) -> None:
    rng, n = np.random.default_rng(0), 400
    table = tmp_path / "visits.csv"
    columns = {"patient": rng.integers(40, size=n), "x": rng.normal(size=n), "target": rng.integers(2, size=n)}
    pd.DataFrame(columns).to_csv(table, index=False)
    runs = [scored(tmp_path / "runs", noise=noise, source=str(table), group="patient") for noise in (0.4, 1.5)]
    (pair,) = compare(runs).pairs
    over_rows = [test for test in pair.tests if test.over == "rows"]
    assert [(test.test, test.note) for test in over_rows] == [("bootstrap", "8 groups were drawn whole")]
    assert (pair.decisive, pair.better) == ("bootstrap", "A")
    assert pair.untested == (
        "over holdout rows: rows of one group are alike, so whole groups are drawn, and no test takes rows one by one",
    )


def test_p_values_are_corrected_over_the_pairs(good: RunDir, bad: RunDir, tmp_path: Path) -> None:
    found = compare([good, bad, scored(tmp_path, noise=0.9, family="mlp")])
    assert [(pair.first, pair.second) for pair in found.pairs] == [("A", "B"), ("A", "C"), ("B", "C")]
    for kind in ("corrected_t", "wilcoxon", "bootstrap", "delong"):
        tests = [test for pair in found.pairs for test in pair.tests if test.test == kind]
        assert min(test.p_holm for test in tests) == pytest.approx(min(1, 3 * min(test.p for test in tests)))
        assert all(test.p <= test.p_holm for test in tests)
    assert any("Holm" in note for note in found.notes)


def test_a_run_without_a_final_score_is_compared_over_folds_alone(good: RunDir, tmp_path: Path) -> None:
    found = compare([good, scored(tmp_path, noise=1.5, ended="interrupted")])
    (pair,) = found.pairs
    assert {test.over for test in pair.tests} == {"folds"}
    assert any("holdout stays sealed" in why for why in pair.untested)
    assert pair.decisive == "corrected_t"


def test_other_folds_are_compared_over_rows_alone(good: RunDir, tmp_path: Path) -> None:
    found = compare([good, scored(tmp_path, noise=1.5, folds=4)])
    (pair,) = found.pairs
    assert found.comparable
    assert {test.over for test in pair.tests} == {"rows"}
    assert any("different folds" in why for why in pair.untested)


def test_folds_in_order_of_time_are_tested_by_wilcoxon_alone(tmp_path: Path) -> None:
    table = tmp_path / "sales.csv"
    table.write_text("day,x,target\n" + "".join(f"2024-{1 + i // 28:02}-{1 + i % 28:02},{i % 7},{i % 13}\n" for i in range(300)))
    runs = [scored(tmp_path / "runs", noise=noise, source=str(table), time_column="day") for noise in (0.2, 0.9)]
    (pair,) = compare(runs).pairs
    assert [test.test for test in pair.tests] == ["wilcoxon", "bootstrap"]
    assert any("order of time" in why for why in pair.untested)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"seed": 1}, "seed of the split: 0 in A; 1 in B"),
        ({"metric": "log_loss"}, "metric: roc_auc in A; log_loss in B"),
        ({"holdout": 0.3}, "share of the holdout: 0.2 in A; 0.3 in B"),
        ({"source": "sklearn:wine"}, "data (SHA-256): "),
    ],
)
def test_what_differs_is_said_and_nothing_is_tested(good: RunDir, tmp_path: Path, changes: dict, why: str) -> None:
    found = compare([good, scored(tmp_path, noise=0.4, **changes)])
    assert not found.comparable
    assert found.pairs == ()
    assert any(why in reason for reason in found.why), found.why
    text = shown(good, scored(tmp_path, noise=0.4, **changes))
    assert "Scores: not comparable" in text
    assert "Cost" in text
    assert "Settings that differ" in text


def test_a_run_without_a_contract_is_not_comparable(good: RunDir, bad: RunDir, tmp_path: Path) -> None:
    run = scored(tmp_path, noise=0.4)
    run.contract.unlink()
    assert compare([good, run, bad]).why == ("no contract was sealed in B",)


def test_rows_that_differ_under_one_contract_are_noticed(good: RunDir, tmp_path: Path) -> None:
    other = scored(tmp_path, noise=0.5)
    vault = Vault(other)
    labels = pd.read_parquet(other.vault / "holdout_labels.parquet")
    values = read_predictions(other.vault / "scored.parquet", vault.contract, len(labels))
    order = np.random.default_rng(0).permutation(len(labels))
    labels.iloc[order].reset_index(drop=True).to_parquet(other.vault / "holdout_labels.parquet", index=False)
    write_predictions(other.vault / "scored.parquet", vault.contract, values[order])
    (pair,) = compare([good, other]).pairs
    assert {test.over for test in pair.tests} == {"folds"}
    assert any("labels differ" in why for why in pair.untested)


def test_two_different_runs_are_needed(good: RunDir, bad: RunDir) -> None:
    with pytest.raises(UsageError, match="expected two at least"):
        compare([good])
    with pytest.raises(UsageError, match="named twice"):
        compare([good, bad, RunDir(bad.path)])


def test_a_damaged_run_is_named(good: RunDir, tmp_path: Path) -> None:
    run = scored(tmp_path, noise=0.4)
    manifest = run.manifest.read_text()
    run.manifest.write_text("{")
    with pytest.raises(MlteamError, match=f"run '{run.name}' cannot be read"):
        compare([good, run])
    run.manifest.write_text(manifest)
    run.events.write_text('{"kind": "nonsense"}\n')
    with pytest.raises(MlteamError, match=r"events\.jsonl, line 1"):
        compare([good, run])


def test_what_each_did_stands_in_the_text(good: RunDir, bad: RunDir) -> None:
    text = shown(good, bad)
    for part in ("Paired tests", "A is better by", "DeLong's test", "linear-1", "tree-1", "Parameters", "Versions that differ", "2.tree"):
        assert part in text
    assert "sealed" not in text


def test_the_text_fits_a_narrow_terminal_and_leaves_nothing_out(tmp_path: Path, good: RunDir, bad: RunDir) -> None:
    text = io.StringIO()
    console = Console(file=text, width=80, highlight=False)
    for part in parts(compare([good, bad, *(scored(tmp_path, noise=0.2 * k) for k in range(2, 6))]), 80):
        console.print(part)
    lines = text.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in text.getvalue()
    assert sum("no difference" in line or "is better by" in line for line in lines) == 15


def test_text_from_data_is_inert_in_a_terminal(tmp_path: Path) -> None:
    hostile = "\x1b[31m[bold]red[/bold]\x1b]0;title\x07 \u202etxet"
    text = shown(*(finished(tmp_path, name=hostile, goal=f"{hostile} {k}") for k in range(2)))
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "[bold]red[/bold]" in text


def test_the_document_is_json_also_with_what_json_lacks(good: RunDir, tmp_path: Path) -> None:
    run = scored(tmp_path, noise=0.4)
    path = run.work / "candidates" / "linear-1" / "candidate.json"
    path.write_text(path.read_text().replace('"C":0.4', '"C":NaN'))
    document = json.loads(compare([good, run]).model_dump_json(), parse_constant=lambda name: pytest.fail(name))
    assert document["runs"][1]["winner"]["params"] == {"C": None}
    assert list(document) == [
        "schema_version", "comparable", "why", "task", "target", "metric", "direction", "runs", "settings", "versions", "parameters",
        "candidates", "pairs", "notes",
    ]  # fmt: skip
