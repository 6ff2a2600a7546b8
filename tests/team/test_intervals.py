"""Intervals are measured by the host, after the look, and the package holds what was measured."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from team.after_the_look import kept_intervals, measure_intervals
from team.errors import MlteamError, UsageError
from team.predict import predict
from team.vault import Vault
from tests.hosting import Hosting
from tests.team.scored import predictions, scored
from tools.conformal import Conformal
from tools.intake import fetch_data
from tools.packaging import INTERVALS_FILE, package_model
from tools.predictions import write_predictions
from tools.sealing import seal_holdout


def test_the_host_measures_after_the_look_and_takes_none(tmp_path: Path) -> None:
    run = scored(tmp_path, noise=0.3, source="sklearn:diabetes")
    vault = Vault(run)
    found = {each.level: each for each in measure_intervals(run, vault)}
    assert set(found) == {0.5, 0.8, 0.9, 0.95}
    assert found[0.9].n == vault.contract.rows_holdout
    assert [found[level].share for level in (0.5, 0.9)] == pytest.approx([0.5, 0.9], abs=0.12)
    assert found[0.5].width < found[0.9].width < found[0.95].width
    assert len(vault.looks) == 1
    calibration = kept_intervals(run)
    assert calibration is not None
    assert (calibration.candidate, calibration.rows) == ("linear-1", vault.contract.rows_train)
    kept = vault.scored()
    low, high = calibration.interval(kept.predictions, 0.9)
    assert found[0.9].inside == ((kept.labels >= low) & (kept.labels <= high)).sum()


def test_of_quantiles_the_pairs_are_measured_and_nothing_is_learnt(tmp_path: Path) -> None:
    run = scored(tmp_path, noise=0.3, source="sklearn:diabetes", quantiles="0.05,0.25,0.75,0.95")
    vault = Vault(run)
    narrow, wide = measure_intervals(run, vault)
    kept = vault.scored()
    assert (narrow.level, wide.level, wide.n) == (0.5, 0.9, vault.contract.rows_holdout)
    assert wide.inside == ((kept.labels >= kept.predictions[:, 0]) & (kept.labels <= kept.predictions[:, 4])).sum()
    assert narrow.width < wide.width
    assert kept_intervals(run) is None
    assert len(vault.looks) == 1


def test_there_are_none_for_classes_before_the_look_and_without_the_predictions(tmp_path: Path) -> None:
    classes = scored(tmp_path / "a", noise=0.5)
    assert measure_intervals(classes, Vault(classes)) == []
    early = scored(tmp_path / "b", noise=0.5, source="sklearn:diabetes", ended="interrupted")
    with pytest.raises(MlteamError, match="no final score"):
        measure_intervals(early, Vault(early))
    run = scored(tmp_path / "c", noise=0.5, source="sklearn:diabetes")
    (run.work / "candidates" / "linear-1" / "oof.parquet").unlink()
    assert measure_intervals(run, Vault(run)) == []
    assert kept_intervals(run) is None


def test_whoever_spoils_the_residuals_after_is_shown_by_the_coverage(tmp_path: Path) -> None:
    run = scored(tmp_path, noise=0.5, source="sklearn:diabetes")
    vault = Vault(run)
    write_predictions(run.work / "candidates" / "linear-1" / "oof.parquet", vault.contract, vault.rows.labels() + 0.001)
    assert measure_intervals(run, vault)[-1].share < 0.1


def test_predict_refuses_intervals_that_are_not_there(tmp_path: Path) -> None:
    run, rows = scored(tmp_path, noise=0.5, source="sklearn:diabetes"), tmp_path / "rows.csv"
    rows.write_text("age\n1\n")
    run.model.mkdir()
    (run.model / "model.json").write_text("{}")
    with pytest.raises(UsageError, match=r"--interval 0\.9: run .* has no intervals; they are made for regression, counts and forecasts"):
        predict(run, rows, tmp_path / "out.csv", interval=0.9)
    measure_intervals(run, Vault(run))
    (run.model / INTERVALS_FILE).write_text((run.vault / "intervals.json").read_text())
    with pytest.raises(UsageError, match=r"--interval 90: expected a share between 0 and 1"):
        predict(run, rows, tmp_path / "out.csv", interval=90)
    with pytest.raises(UsageError, match=r"--interval 0\.9999 needs \d+ out-of-fold residuals"):
        predict(run, rows, tmp_path / "out.csv", interval=0.9999)
    (run.model / INTERVALS_FILE).write_text("[" * 1000)
    with pytest.raises(UsageError, match="cannot be read"):
        predict(run, rows, tmp_path / "out.csv", interval=0.9)


def test_a_package_holds_the_intervals_that_were_measured(tmp_path: Path) -> None:
    h = Hosting(tmp_path / "runs", "sklearn:diabetes", target="target")
    fetch_data(h.host)
    seal_holdout(h.host)
    name, contract = "c", h.vault.contract
    write_predictions(h.run.work / "candidates" / name / "oof.parquet", contract, predictions(h, "train", 0.4))
    path = h.run.work / "predictions" / f"{name}.parquet"
    write_predictions(path, contract, predictions(h, "holdout", 0.4))
    h.vault.score_holdout(name, path)
    h.host.measure_intervals()
    model = h.run.work / "model"
    model.mkdir()
    (model / "pipeline.joblib").write_bytes(b"a model")
    (model / "model.json").write_text(json.dumps({"candidate": name, "contract": json.loads(h.run.contract.read_text())}))
    (model / INTERVALS_FILE).write_text("what the kernel would have the package hold")
    h.state = h.state.model_copy(update={"refitted": name})
    packaged = {file.name: file.sha256 for file in package_model(h.host).files}
    content = (h.run.model / INTERVALS_FILE).read_bytes()
    assert Conformal.model_validate_json(content) == h.host.kept_intervals()
    assert packaged[INTERVALS_FILE] == hashlib.sha256(content).hexdigest()
