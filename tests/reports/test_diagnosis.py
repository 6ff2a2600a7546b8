"""How a candidate errs is worked out from its predictions, by the host, and from nothing else."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata
from sklearn.metrics import confusion_matrix, f1_score, roc_auc_score

from reports.class_errors import _over, curve_of
from reports.diagnosis import diagnose
from reports.error_charts import error_charts
from reports.error_facts import Diagnosis
from reports.facts import read_facts
from reports.figures import compact
from reports.html import write_report
from team.rundir import RunDir
from tests.reports.written import Written, contract, evaluation, finished, predicted
from tools.constraints import Constraints
from tools.contract import Contract, Split
from tools.predictions import write_predictions
from tools.survival import signed_times, survival_curve


def kept(run: RunDir, fixed: Contract, table: pd.DataFrame, predictions: np.ndarray) -> None:
    """Training rows and out-of-fold predictions, as a run has them."""
    run.data.mkdir(exist_ok=True)
    table.to_parquet(run.data / "train.parquet")
    path = run.work / "candidates" / "lightgbm-1" / "oof.parquet"
    write_predictions(path, fixed, predictions, np.arange(len(table)) % fixed.folds)


def diagnosed(run: RunDir) -> Diagnosis:
    found = diagnose(run, read_facts(run.path))
    assert found is not None
    return found


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunDir, Diagnosis, np.ndarray, np.ndarray]:
    run = finished(tmp_path_factory.mktemp("runs"))
    truth, proba = predicted(run, contract())
    return run, diagnosed(run), truth, proba


def test_classes_are_counted_as_they_are_called(classes: tuple[RunDir, Diagnosis, np.ndarray, np.ndarray]) -> None:
    _, found, truth, proba = classes
    assert found.confusion == tuple(map(tuple, confusion_matrix(truth, proba[:, 1] > 0.5)))
    half = next(step for step in found.steps if step.threshold == 0.5)
    assert (half.rejected, half.false_alarms, half.missed, half.found) == tuple(confusion_matrix(truth, proba[:, 1] > 0.5).ravel())
    assert found.roc[0].area == pytest.approx(roc_auc_score(truth, proba[:, 1]))
    assert all(low <= y <= high for low, y, high in zip(found.roc[0].low, found.roc[0].y, found.roc[0].high, strict=True))
    assert sum(one.n for one in found.calibration) == found.rows == 266


def test_the_worst_rows_are_those_whose_truth_was_thought_least_likely(
    classes: tuple[RunDir, Diagnosis, np.ndarray, np.ndarray],
) -> None:
    _, found, truth, proba = classes
    told = proba[np.arange(len(truth)), truth]
    assert [one.row for one in found.worst] == np.argsort(told)[:10].tolist()
    assert found.worst[0].loss == pytest.approx(-np.log(told.min()))
    assert [name for name, _ in found.worst[0].values] == ["Mass", "Depth"]


def test_the_file_that_it_rests_on_is_named_by_its_hash(classes: tuple[RunDir, Diagnosis, np.ndarray, np.ndarray]) -> None:
    run, found, *_ = classes
    assert hashlib.sha256((run.path / found.source).read_bytes()).hexdigest() == found.sha256


def test_values_have_residuals_and_their_quantiles(tmp_path: Path) -> None:
    with Written(tmp_path) as w:
        w.start()
        fixed = w.seal(task="regression", metric="rmse", direction="minimize", classes=[], positive=None, target="Weight")
        w.add(w.score("lightgbm-1", "lightgbm", "train", [1.0, 2.0]))
    truth, values = predicted(w.run, fixed)
    found = diagnosed(w.run)
    assert found.residual_std == pytest.approx(float((truth - values).std()))
    assert found.worst[0].row == int(np.abs(truth - values).argmax())
    middle = min(found.quantiles, key=lambda one: abs(one.normal))
    assert abs(middle.residual) < 0.2
    titles = [chart.title for chart in error_charts(read_facts(w.run.path), found)]
    assert titles == ["Predicted and actual", "Residuals", "Q-Q plot of the residuals"]


def test_labels_are_counted_each_by_itself(tmp_path: Path) -> None:
    names = ["red", "green", "blue"]
    with Written(tmp_path) as w:
        w.start()
        fixed = w.seal(task="multilabel", metric="average_precision", classes=names, positive=None, target="Colours")
        w.add(w.score("lightgbm-1", "lightgbm", "train", [0.9, 0.8]))
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(fixed.rows_train, 3)) - [0.0, 1.0, 9.0]  # nothing is blue
    truth, proba = signal + rng.normal(size=signal.shape) > 0, 1 / (1 + np.exp(-2 * signal))
    told = [";".join(np.array(names)[row]) for row in truth]
    kept(w.run, fixed, pd.DataFrame({"Mass": signal[:, 0], "Depth": "deep", "Colours": told}), proba)
    found = diagnosed(w.run)
    assert [one.label for one in found.labels] == names
    green = found.labels[1]
    assert (green.rejected, green.false_alarms, green.missed, green.found) == tuple(
        confusion_matrix(truth[:, 1], proba[:, 1] >= 0.5).ravel()
    )
    assert green.f1 == pytest.approx(f1_score(truth[:, 1], proba[:, 1] >= 0.5))
    blue = found.labels[2]
    assert (blue.recall, blue.precision, blue.average_precision) == (None, None, None)
    assert [curve.label for curve in found.roc] == names[:2]
    assert found.worst[0].row == int(((proba - truth) ** 2).sum(axis=1).argmax())
    titles = [chart.title for chart in error_charts(read_facts(w.run.path), found)]
    assert titles[:3] == ["Calls of each label", "Precision and recall of each label", "How well rows are ranked by each label"]
    assert "withheld" not in write_report(w.run.path).read_text()


def test_times_are_told_by_thirds_of_the_risk(tmp_path: Path) -> None:
    with Written(tmp_path) as w:
        w.start()
        fixed = w.seal(task="survival", metric="c_index", classes=[], positive=None, target="days", event="dead")
        w.add(w.score("lightgbm-1", "lightgbm", "train", [0.7, 0.8]))
    rng = np.random.default_rng(0)
    signal = rng.normal(size=fixed.rows_train)
    died, left = rng.exponential(100 * np.exp(-signal)), rng.exponential(200, len(signal))
    frame = pd.DataFrame({"Mass": signal, "Depth": "deep", "days": np.minimum(died, left), "dead": (died <= left).astype(int)})
    kept(w.run, fixed, frame, rankdata(signal) / (len(signal) + 1))
    found = diagnosed(w.run)
    low, middle, high = found.risk_groups
    assert low.rows + middle.rows + high.rows == fixed.rows_train
    assert low.events + middle.events + high.events == frame["dead"].sum()
    assert all(a >= b >= c for a, b, c in zip(low.observed, middle.observed, high.observed, strict=True))
    # What is said is made of the very risk that times were drawn by, so the truth lies within most intervals.
    inside = [a <= b <= c for one in found.risk_groups for a, b, c in zip(one.low, one.said, one.high, strict=True)]
    assert np.mean(inside) > 0.8
    assert sum(one.n for one in found.calibration) == fixed.rows_train
    assert found.moment is not None
    assert abs(np.interp(found.moment, *survival_curve(signed_times(frame["days"].to_numpy(), frame["dead"].to_numpy()))) - 0.5) < 0.01
    titles = [chart.title for chart in error_charts(read_facts(w.run.path), found)]
    assert titles == ["Without the event by predicted risk", f"Calibration at {compact(found.moment)}"]
    assert "withheld" not in write_report(w.run.path).read_text()


def test_groups_of_a_sensitive_column_are_told_apart(tmp_path: Path) -> None:
    with Written(tmp_path) as w:
        w.start()
        fixed = w.seal(constraints=Constraints(sensitive="Depth"))
        w.add(w.score("lightgbm-1", "lightgbm", "train", [0.9, 0.8]))
    truth, proba = predicted(w.run, fixed)
    found = {one.name: one for one in diagnosed(w.run).groups}
    deep = proba[:, 1] > 0.5
    assert set(found) == {"deep", "flat"}
    assert found["deep"].rows == int(deep.sum())
    assert found["deep"].error == pytest.approx(float((truth[deep] == 0).mean()))
    # Rows of four patients are none, however many they are.
    path = w.run.data / "train.parquet"
    table = pd.read_parquet(path)
    table.assign(patient=np.where(deep, np.arange(len(table)) % 4, np.arange(len(table)))).to_parquet(path)
    by_patient = Split(kind="group", column="patient", holdout_fraction=0.2, seed=0)
    w.run.contract.write_text(fixed.model_copy(update={"split": by_patient}).model_dump_json())
    assert [one.name for one in diagnosed(w.run).groups] == ["flat"]


@pytest.mark.parametrize("damage", ["gone", "cut", "link"])
def test_predictions_that_cannot_be_believed_are_none(tmp_path: Path, damage: str) -> None:
    run = finished(tmp_path)
    predicted(run, contract())
    path = run.work / "candidates" / "lightgbm-1" / "oof.parquet"
    content = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(content[:-40])
    elif damage == "link":
        (tmp_path / "elsewhere.parquet").write_bytes(content)
        path.symlink_to(tmp_path / "elsewhere.parquet")
    assert diagnose(run, read_facts(run.path)) is None


def test_without_importance_the_worst_rows_have_no_columns(tmp_path: Path) -> None:
    with Written(tmp_path) as w:
        w.start()
        fixed = w.seal()
        w.add(w.score("lightgbm-1", "lightgbm", "train", [0.9, 0.8]))
        w.turn("engineer", "select")
        w.call("engineer", "evaluate", {}, {**evaluation(), "importance": []})
    predicted(w.run, fixed)
    assert diagnosed(w.run).worst[0].values == ()


@pytest.mark.parametrize("levels", [1, 4, 1000])
def test_the_area_under_a_drawn_curve_is_the_area_that_is_told(levels: int) -> None:
    """Also of few probabilities: of one alone precision is the share of positive rows wherever the curve is, and no line down to it."""
    rng = np.random.default_rng(levels)
    happened = rng.random(800) < 0.3
    said = np.round((0.3 * happened + rng.random(800)) * levels) / levels if levels > 1 else np.full(800, 0.3)
    folds = np.zeros(800, dtype=int)
    found = curve_of("yes", happened, said, folds, roc=False)
    steps = _over(np.linspace(0, 1, 20_001), happened, said, roc=False)
    assert steps.mean() == pytest.approx(found.area, abs=2e-3)
    assert np.mean(found.y) == pytest.approx(found.area, abs=0.05)
    if levels == 1:
        assert set(found.y) == {happened.mean()}
    found = curve_of("yes", happened, said, folds, roc=True)
    assert np.trapezoid(found.y, found.x) == pytest.approx(found.area, abs=0.01)
