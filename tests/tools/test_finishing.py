from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import tools.formats.parts
import tools.model
from tests.tools.conftest import TABLES, Open
from tools.candidates import load_oof
from tools.conformal import calibrate
from tools.constraints import Constraints
from tools.finishing import finish, predict_rows
from tools.problem import load_problem
from tools.spec import ToolRefused
from tools.training import train


def open_all(space: object) -> pd.DataFrame:
    """What the host gives after the final score; here the training rows stand for all."""
    frame = pd.read_parquet(space.data / "train.parquet")  # type: ignore[attr-defined]
    frame.to_parquet(space.data / "all.parquet", index=False)  # type: ignore[attr-defined]
    return frame


@pytest.mark.parametrize("table", sorted(TABLES))
def test_a_saved_model_predicts_rows_in_order(open_workspace: Open, tmp_path: Path, table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    space = open_workspace(table)
    train(["linear"], time_s=30)
    frame = open_all(space)
    assert finish("linear-1", time_s=30).rows == len(frame)
    described = json.loads((space.model / "model.json").read_text())
    assert described["contract"] == json.loads(space.contract.model_dump_json())
    assert described["members"][0]["family"] == "linear"
    rows, target = frame.head(20), space.contract.target
    rows.to_csv(tmp_path / "rows.csv", index=False)
    made = predict_rows(str(space.model), str(tmp_path / "rows.csv"), str(tmp_path / "out.csv"))
    out = pd.read_csv(tmp_path / "out.csv", dtype={"prediction": object}, keep_default_na=False)
    assert made.rows == len(out) == 20
    columns = [] if space.contract.predicts == "values" else space.contract.prediction_columns
    assert list(out.columns) == ["prediction", *columns]
    if space.contract.quantiles:
        assert np.allclose(out["prediction"].astype(float), out["q_0.5"])
        assert (np.diff(out[columns], axis=1) >= 0).all()
    elif columns:
        assert np.allclose(out[columns].sum(axis=1), 1) or space.contract.predicts == "labels"
        assert set(filter(None, ";".join(out["prediction"]).split(";"))) <= set(space.contract.classes)
    rows.iloc[::-1].drop(columns=[target]).to_csv(tmp_path / "back.csv", index=False)
    predict_rows(str(space.model), str(tmp_path / "back.csv"), str(tmp_path / "back_out.csv"))
    back = pd.read_csv(tmp_path / "back_out.csv", dtype={"prediction": object}, keep_default_na=False)
    pd.testing.assert_frame_equal(back.iloc[::-1].reset_index(drop=True), out)
    monkeypatch.setattr(tools.model, "BATCH_ROWS", 7)
    holes = frame.head(60).copy()
    holes.iloc[20:40, ::3] = None
    holes.to_parquet(tmp_path / "rows.parquet", index=False)
    holes.to_csv(tmp_path / "rows.csv", index=False)
    holes.to_json(tmp_path / "rows.jsonl", orient="records", lines=True)
    for suffix in ("csv", "parquet", "jsonl"):
        with monkeypatch.context() as usual:
            found = []
            for least in (tools.formats.parts.STREAM_FROM, 1):
                for name in ("STREAM_FROM", "PACKED_FROM"):
                    usual.setattr(tools.formats.parts, name, least)
                made = predict_rows(str(space.model), str(tmp_path / f"rows.{suffix}"), str(tmp_path / "out.csv"))
                found.append((made, (tmp_path / "out.csv").read_bytes()))
        assert found[0] == found[1], "in a stream it is what it is of a table in memory"
        assert found[0][0].rows == 60
    assert not [*tmp_path.glob(".*")], "nothing stays beside the predictions"


def test_low_and_high_stand_beside_a_value(open_workspace: Open, tmp_path: Path) -> None:
    space = open_workspace("diabetes")
    train(["linear"], time_s=30)
    rows = open_all(space).head(30)
    finish("linear-1", time_s=30)
    rows.to_csv(tmp_path / "rows.csv", index=False)
    arguments = (str(space.model), str(tmp_path / "rows.csv"), str(tmp_path / "out.csv"))
    with pytest.raises(ToolRefused, match="holds no intervals"):
        predict_rows(*arguments, interval=0.9)
    problem = load_problem(space)
    calibration = calibrate("linear-1", problem.y, load_oof(space, "linear-1", problem), problem.folds, whole=False)
    (space.model / "intervals.json").write_text(calibration.model_dump_json())
    assert predict_rows(*arguments, interval=0.9).columns == ["prediction", "low", "high"]
    out = pd.read_csv(tmp_path / "out.csv")
    assert ((out["low"] < out["prediction"]) & (out["prediction"] < out["high"])).all()
    assert predict_rows(*arguments).columns == ["prediction"]


def test_the_class_is_called_by_the_decision_and_the_probabilities_stay(open_workspace: Open, tmp_path: Path) -> None:
    space = open_workspace("breast_cancer")
    train(["linear"], time_s=30)
    path = space.candidates / "linear-1" / "candidate.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "decision": [1.0, 50.0]}))
    frame = open_all(space)
    finish("linear-1", time_s=30)
    assert json.loads((space.model / "model.json").read_text())["decision"] == [1.0, 50.0]
    frame.to_csv(tmp_path / "rows.csv", index=False)

    def predicted(decision: list[float] | None) -> pd.DataFrame:
        predict_rows(str(space.model), str(tmp_path / "rows.csv"), str(tmp_path / "out.csv"), decision)
        return pd.read_csv(tmp_path / "out.csv")

    own, plain = predicted(None), predicted([])
    pd.testing.assert_frame_equal(own.drop(columns="prediction"), plain.drop(columns="prediction"))
    assert ((own["prediction"] == "malignant") == (own["proba_malignant"] > 1 / 51)).all()
    assert (own["prediction"] == "malignant").sum() > (plain["prediction"] == "malignant").sum()


def test_a_saved_model_gives_calibrated_probabilities(open_workspace: Open, tmp_path: Path) -> None:
    space = open_workspace("breast_cancer")
    train(["linear"], time_s=30)
    frame = open_all(space)
    frame.to_csv(tmp_path / "rows.csv", index=False)
    path, found = space.candidates / "linear-1" / "candidate.json", {}
    for scale in (1.0, 0.5):
        calibration = {"kind": "temperature", "scale": scale}
        path.write_text(json.dumps({**json.loads(path.read_text()), "calibration": calibration}))
        finish("linear-1", time_s=30)
        predict_rows(str(space.model), str(tmp_path / "rows.csv"), str(tmp_path / "out.csv"))
        found[scale] = pd.read_csv(tmp_path / "out.csv")["proba_malignant"].to_numpy()
    assert json.loads((space.model / "model.json").read_text())["members"][0]["calibration"]["scale"] == 0.5
    odds = {scale: np.log(p / (1 - p)) for scale, p in found.items()}
    usual = np.abs(odds[1.0]) < 10
    assert np.allclose(odds[0.5][usual], 0.5 * odds[1.0][usual])


def test_a_header_alone_gives_a_header(open_workspace: Open, tmp_path: Path) -> None:
    space = open_workspace("breast_cancer")
    train(["linear"], time_s=30)
    frame = open_all(space)
    finish("linear-1", time_s=30)
    frame.head(0).to_csv(tmp_path / "rows.csv", index=False)
    assert predict_rows(str(space.model), str(tmp_path / "rows.csv"), str(tmp_path / "out.csv")).rows == 0
    assert (tmp_path / "out.csv").read_text() == "prediction,proba_benign,proba_malignant\n"


def test_refusals(open_workspace: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    space = open_workspace("wine")
    with pytest.raises(ToolRefused, match="open_holdout first"):
        finish("linear-1")
    with pytest.raises(ToolRefused, match="no saved model"):
        predict_rows(str(tmp_path), "rows.csv", "out.csv")
    train(["linear"], time_s=30)
    open_all(space)
    finish("linear-1", time_s=30)
    (tmp_path / "rows.csv").write_text("alcohl\n1\n")
    names, *_ = open_all(space).drop(columns=space.contract.target).to_csv(index=False).splitlines()
    fields = "1," * names.count(",") + "1"
    whole = tools.formats.parts.STREAM_FROM
    for least in (whole, 1):
        monkeypatch.setattr(tools.formats.parts, "STREAM_FROM", least)
        monkeypatch.setattr(tools.formats.parts, "PACKED_FROM", least)
        (tmp_path / "rows.csv").write_text("alcohl\n1\n")
        with pytest.raises(ToolRefused, match=r"'alcohol' \(the table has 'alcohl'\)"):
            predict_rows(str(space.model), str(tmp_path / "rows.csv"), str(tmp_path / "out.csv"))
        (tmp_path / "rows.csv").write_text(f"{names}\n{fields}\n{fields},1,1\n")
        with pytest.raises(ToolRefused, match=r"line 3 has [0-9]+ fields"):
            predict_rows(str(space.model), str(tmp_path / "rows.csv"), str(tmp_path / "out.csv"))
        (tmp_path / "rows.csv").write_text(f"{names}\n{fields}\n{fields}\nmany{fields[1:]}\n")
        made = predict_rows(str(space.model), str(tmp_path / "rows.csv"), str(tmp_path / "good.csv"))
        assert made.rows == 3
        assert made.notes == [f"{names.partition(',')[0]!r} holds numbers; 1 values that are none count as missing: 'many'."]
    assert not (tmp_path / "out.csv").exists(), "nothing is left half written"
    assert not [*tmp_path.glob(".*")]


def test_the_model_that_was_scored_stays_where_the_host_has_yet_to_measure_the_refit(open_workspace: Open) -> None:
    space = open_workspace("diabetes", constraints=Constraints(max_latency_ms=60_000))
    train(["linear"], time_s=60)
    open_all(space)
    scored = space.fitted / "linear-1"
    scored.mkdir(parents=True)
    finish("linear-1", time_s=60)
    assert scored.is_dir()
    path = space.data / "contract.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "constraints": {}}))
    finish("linear-1", time_s=60)
    assert not scored.exists()
