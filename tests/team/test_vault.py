"""The vault: one contract, one look, nothing scored that breaks the schema, nothing opened too early."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from team.errors import MlteamError
from tests.hosting import Hosting
from tools.intake import fetch_data
from tools.predictions import PredictionError, write_predictions
from tools.problem import encode_target
from tools.sealing import seal_holdout
from tools.spec import InputRefused


@pytest.fixture
def sealed(tmp_path: Path) -> Hosting:
    h = Hosting(tmp_path / "runs", "sklearn:breast_cancer", target="target")
    fetch_data(h.host)
    seal_holdout(h.host)
    return h


def truth(h: Hosting, table: str) -> np.ndarray:
    path = h.run.data / "train.parquet" if table == "train" else h.run.vault / "holdout_labels.parquet"
    return encode_target(pd.read_parquet(path), h.vault.contract)


def handed_over(h: Hosting, probability: np.ndarray, name: str = "c") -> Path:
    path = h.run.work / "predictions" / f"{name}.parquet"
    write_predictions(path, h.vault.contract, np.column_stack([1 - probability, probability]))
    return path


def test_the_score_is_the_metric_of_the_file_against_the_labels(sealed: Hosting) -> None:
    from sklearn.metrics import roc_auc_score

    labels = truth(sealed, "holdout")
    guesses = np.clip(labels * 0.4 + np.random.default_rng(0).uniform(size=len(labels)) * 0.6, 0, 1)
    interval, looks = sealed.vault.score_holdout("c", handed_over(sealed, guesses))
    assert interval.score == pytest.approx(roc_auc_score(labels, guesses))
    assert interval.low <= interval.score <= interval.high
    assert looks == 1
    assert [look.candidate for look in sealed.vault.looks] == ["c"]


def test_the_holdout_is_looked_at_once(sealed: Hosting) -> None:
    rows = sealed.vault.contract.rows_holdout
    path = handed_over(sealed, np.full(rows, 0.5))
    first = sealed.vault.score_holdout("c", path)
    with pytest.raises(MlteamError, match="not looked at again"):
        sealed.vault.score_holdout("another", path)
    assert sealed.vault.score_holdout("c", path) == first, "the same once more, as after a kill between look and telling, is no look"
    with pytest.raises(MlteamError, match="not looked at again"):
        sealed.vault.score_holdout("c", handed_over(sealed, np.full(rows, 0.4)))
    assert len(sealed.vault.looks) == 1


def test_a_file_that_breaks_the_schema_is_no_look(sealed: Hosting) -> None:
    rows = sealed.vault.contract.rows_holdout
    short = handed_over(sealed, np.full(rows - 1, 0.5))
    with pytest.raises(PredictionError, match=f"expected {rows}"):
        sealed.vault.score_holdout("c", short)
    outside = sealed.run.path.parent / "elsewhere.parquet"
    handed_over(sealed, np.full(rows, 0.5), "real").rename(outside)
    link = sealed.run.work / "predictions" / "linked.parquet"
    link.symlink_to(outside)
    with pytest.raises(PredictionError):
        sealed.vault.score_holdout("linked", link)
    assert sealed.vault.looks == []


def test_rows_are_given_out_for_the_refit_only_after_the_final_score(sealed: Hosting) -> None:
    with pytest.raises(MlteamError, match="stays sealed"):
        sealed.vault.open()
    assert not (sealed.run.data / "all.parquet").exists()
    sealed.vault.score_holdout("c", handed_over(sealed, np.full(sealed.vault.contract.rows_holdout, 0.5)))
    assert sealed.vault.open() == 569
    rows = pd.read_parquet(sealed.run.data / "all.parquet")
    assert rows["target"].value_counts().to_dict() == {"1": 357, "0": 212}


def test_what_was_scored_is_kept_and_reading_it_is_no_look(sealed: Hosting) -> None:
    guesses = np.random.default_rng(0).uniform(size=sealed.vault.contract.rows_holdout)
    path = handed_over(sealed, guesses)
    with pytest.raises(MlteamError, match="holdout stays sealed"):
        sealed.vault.scored()
    interval, _ = sealed.vault.score_holdout("c", path)
    handed_over(sealed, truth(sealed, "holdout").astype(float))  # a kernel that knows the labels by now
    kept = sealed.vault.scored()
    assert (kept.candidate, kept.score) == ("c", interval.score)
    assert np.allclose(kept.predictions[:, 1], guesses)
    assert np.array_equal(kept.labels, truth(sealed, "holdout"))
    assert len(sealed.vault.looks) == 1


def test_predictions_that_are_not_those_of_the_ledger_are_refused(sealed: Hosting) -> None:
    rows = sealed.vault.contract.rows_holdout
    sealed.vault.score_holdout("c", handed_over(sealed, np.random.default_rng(0).uniform(size=rows)))
    kept = sealed.run.vault / "scored.parquet"
    perfect = truth(sealed, "holdout").astype(float)
    write_predictions(kept, sealed.vault.contract, np.column_stack([1 - perfect, perfect]))
    with pytest.raises(MlteamError, match=r"score 1, the ledger says 0\."):
        sealed.vault.scored()
    kept.write_bytes(b"PAR1")
    with pytest.raises(MlteamError, match="damaged"):
        sealed.vault.scored()
    (sealed.run.vault / "holdout_labels.parquet").rename(sealed.run.vault / "elsewhere")
    with pytest.raises(MlteamError, match="damaged"):
        sealed.vault.scored()
    kept.unlink()
    with pytest.raises(MlteamError, match="did not keep the predictions"):
        sealed.vault.scored()


def test_out_of_fold_scores_use_the_hosts_own_folds(sealed: Hosting) -> None:
    labels = truth(sealed, "train")
    perfect = labels.astype(float)
    path = sealed.run.work / "oof.parquet"
    write_predictions(path, sealed.vault.contract, np.column_stack([1 - perfect, perfect]), fold=np.zeros(len(labels), dtype=int))
    found = sealed.vault.out_of_fold.score(path)
    pooled, by_fold = found.score, found.fold_scores
    assert pooled == 1.0
    assert by_fold == [1.0] * sealed.vault.contract.folds


def test_the_holdout_is_scored_by_the_decision_and_stays_so(tmp_path: Path) -> None:
    h = Hosting(tmp_path / "runs", "sklearn:breast_cancer", target="target", metric="balanced_accuracy")
    fetch_data(h.host)
    seal_holdout(h.host)
    positive = truth(h, "holdout").astype(float)
    shy = 0.1 + 0.2 * positive  # never above a half, and above 0.2 where it should be
    path = handed_over(h, shy)
    interval, _ = h.vault.score_holdout("c", path, decision=[1.0, 4.0])
    assert interval.score == 1.0
    assert h.vault.looks[-1].decision == [1.0, 4.0]
    again = h.vault.scored()
    assert again.score == 1.0
    assert (again.predictions.argmax(axis=1) == positive).all()


def test_out_of_fold_predictions_are_decided_fold_by_fold(tmp_path: Path) -> None:
    h = Hosting(tmp_path / "runs", "sklearn:breast_cancer", target="target", metric="f1")
    fetch_data(h.host)
    seal_holdout(h.host)
    labels = truth(h, "train").astype(float)
    shy = 0.1 + 0.2 * labels
    path = h.run.work / "oof.parquet"
    write_predictions(path, h.vault.contract, np.column_stack([1 - shy, shy]), fold=np.zeros(len(labels), dtype=int))
    found = h.vault.out_of_fold.score(path)
    assert found.score == 1.0
    assert found.decision[0] == 1.0
    assert 2.4 < found.decision[1] < 9


def test_whole_groups_are_resampled_where_groups_split_the_rows(tmp_path: Path) -> None:
    """Rows of a group share their luck here, so few groups tell less than their many rows seem to."""
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(60), 20)
    luck = rng.normal(size=60)[group]
    price = luck + 0.1 * rng.normal(size=len(group))
    frame = pd.DataFrame({"house": [f"h{g}" for g in group], "x": rng.normal(size=len(group)), "price": price})
    frame.to_csv(tmp_path / "houses.csv", index=False)
    found = {}
    for by in ("house", None):
        h = Hosting(tmp_path / "runs" / str(by), tmp_path / "houses.csv", target="price", group=by, metric="mae")
        fetch_data(h.host)
        seal_holdout(h.host)
        path = h.run.work / "predictions" / "c.parquet"
        write_predictions(path, h.vault.contract, np.zeros(h.vault.contract.rows_holdout))
        found[by], _ = h.vault.score_holdout("c", path)
        assert h.vault.score_holdout("c", path)[0] == found[by]
    assert found["house"].groups == 12
    assert found[None].groups is None
    assert found["house"].std_error > 2 * found[None].std_error


def test_one_group_in_the_holdout_leaves_an_interval_over_rows(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"g": np.repeat(list("abcd"), 30), "x": rng.normal(size=120), "y": rng.normal(size=120)})
    frame.to_csv(tmp_path / "t.csv", index=False)
    h = Hosting(tmp_path / "runs", tmp_path / "t.csv", target="y", group="g", folds=3)
    fetch_data(h.host)
    seal_holdout(h.host)
    assert pd.read_parquet(h.run.data / "holdout.parquet")["g"].nunique() == 1
    path = h.run.work / "predictions" / "c.parquet"
    write_predictions(path, h.vault.contract, np.zeros(h.vault.contract.rows_holdout))
    assert h.vault.score_holdout("c", path)[0].groups is None


def _narrowed(tmp_path: Path, **settings: object) -> Hosting:
    """A run whose table has a column of texts, with the contract sealed."""
    rng = np.random.default_rng(0)
    texts = [f"the {'quick' if i % 2 else 'slow'} fox number {i} jumps over dog {i % 7} again and again" for i in range(120)]
    frame = pd.DataFrame({"age": rng.normal(size=120), "area": rng.normal(size=120), "notes": texts, "sex": ["f", "m"] * 60})
    frame["y"] = (frame["age"] > 0).map({True: "yes", False: "no"})
    frame.to_csv(tmp_path / "t.csv", index=False)
    hosting = Hosting(tmp_path / "runs", tmp_path / "t.csv", target="y", **settings)
    fetch_data(hosting.host)
    seal_holdout(hosting.host)
    return hosting


def _shown(hosting: Hosting) -> set[str]:
    """Every column that a file of the sandbox's data folder holds."""
    tables = [set(pd.read_parquet(path).columns) for path in hosting.run.data.glob("*.parquet")]
    return set().union(*tables)


def test_columns_that_constraints_take_away_are_in_no_file_that_the_sandbox_sees(tmp_path: Path) -> None:
    hosting = _narrowed(tmp_path, constraint=["never use column area, no text columns"])
    assert _shown(hosting) == {"age", "sex", "y"}
    assert hosting.vault.contract.features == ["age", "sex"]
    for path in hosting.run.data.iterdir():
        assert b"jumps over" not in path.read_bytes()


def test_a_sensitive_column_that_is_no_feature_stays_with_the_host(tmp_path: Path) -> None:
    hosting = _narrowed(tmp_path, forbid="sex", sensitive="sex")
    assert "sex" not in _shown(hosting)
    assert hosting.vault.rows.sensitive().isin(["f", "m"]).sum() == 96


def test_a_view_is_narrowed_later_and_again_without_touching_a_file_that_a_fork_shares(tmp_path: Path) -> None:
    hosting = _narrowed(tmp_path)
    shared = tmp_path / "shared.parquet"
    shared.hardlink_to(hosting.run.data / "train.parquet")
    constraints = hosting.vault.contract.constraints.model_copy(update={"no_text": True, "forbid": ("area",)})
    assert hosting.vault.narrow(constraints) == ["area", "notes"]
    assert hosting.vault.narrow(constraints) == []
    assert _shown(hosting) == {"age", "sex", "y"}
    assert "area" in pd.read_parquet(shared)
    assert hosting.vault.rows.labels().shape == (96,)


def test_what_leaves_nothing_to_learn_from_is_refused(tmp_path: Path) -> None:
    hosting = _narrowed(tmp_path)
    everything = hosting.vault.contract.constraints.model_copy(update={"forbid": ("age", "area", "notes", "sex")})
    with pytest.raises(InputRefused, match="constraints take every column away"):
        hosting.vault.narrow(everything)
    assert _shown(hosting) == {"age", "area", "notes", "sex", "y"}


def test_a_seal_that_was_cut_off_is_made_again_with_the_same_rows(tmp_path: Path) -> None:
    h = Hosting(tmp_path / "runs", "sklearn:breast_cancer", target="target")
    fetch_data(h.host)
    seal_holdout(h.host)
    contract, labels = h.run.contract.read_bytes(), (h.run.vault / "holdout_labels.parquet").read_bytes()
    h.vault.take_back()
    assert not h.vault.sealed
    seal_holdout(h.host)
    assert h.run.contract.read_bytes() == contract
    assert (h.run.vault / "holdout_labels.parquet").read_bytes() == labels
