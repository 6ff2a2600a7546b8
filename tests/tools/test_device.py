from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from tests.tools.conftest import Open
from tools import device
from tools.contract import Column
from tools.crossval import evaluate_candidate, setting_for
from tools.deadline import Deadline
from tools.device import Place, asked, place, visible
from tools.families import FamilyUnavailable, catboost, family, xgboost
from tools.families.base import Family
from tools.families.boosting import FEWEST_ITERATIONS, affordable
from tools.families.fitted import Constant, Raw
from tools.families.setting import FitContext, Params, Setting

if TYPE_CHECKING:
    import optuna

COLUMNS = [Column(name="x", kind="numeric", missing=0, unique=40)]


class OnCuda(Family):
    """Has a fit on a graphics processor, on which what `fails` says goes wrong."""

    name, cuda, cuda_rows = "on_cuda", True, 1000
    fails: Exception | None = None
    lacks: str | None = None

    def no_cuda(self, setting: Setting) -> str | None:
        return self.lacks

    def default(self, setting: Setting) -> list[Params]:
        return [{}]

    def space(self, trial: optuna.Trial, setting: Setting) -> Params:
        return {}

    def _fit(self, X: pd.DataFrame, y: Any, valid: Any, params: Params, setting: Setting, context: FitContext) -> Raw:
        if setting.device == "cuda" and self.fails:
            raise self.fails
        return Raw(Constant(np.asarray(float(setting.device == "cuda"))))


def setting(**more: Any) -> Setting:
    return Setting(columns=COLUMNS, **{"n_rows": 40, "n_classes": 0, "metric": "rmse", **more})


@pytest.fixture
def with_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of device files in the place of /dev."""
    (tmp_path / "nvidia0").touch()
    (tmp_path / "nvidiactl").touch()
    monkeypatch.setattr(device, "FOLDER", tmp_path)


def test_device_files_of_processors_are_found_and_no_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "FOLDER", tmp_path)
    assert visible() == []
    for name in ("nvidia0", "nvidia11", "nvidiactl", "nvidia-uvm", "dri", "null"):
        (tmp_path / name).touch()
    assert [path.name for path in visible()] == ["nvidia0", "nvidia11"]


def test_what_the_kernel_was_told_is_read_from_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(device.VARIABLE, raising=False)
    assert asked() == "auto"
    for told, means in (("cuda", "cuda"), ("cpu", "cpu"), ("auto", "auto"), ("tpu", "auto")):
        monkeypatch.setenv(device.VARIABLE, told)
        assert asked() == means


def test_auto_takes_a_visible_processor_where_there_are_rows_enough(with_gpu: None) -> None:
    assert place(OnCuda(), setting(device="auto")) == Place("cpu")
    assert place(OnCuda(), setting(device="auto", n_rows=1000)) == Place("cuda")
    assert place(OnCuda(), setting(device="cuda")) == Place("cuda")
    assert place(OnCuda(), setting(device="cpu", n_rows=1000)) == Place("cpu")
    assert place(family("linear"), setting(device="cuda")) == Place("cpu"), "it never could, so nothing is told"


def test_why_a_family_stays_on_the_processor_is_told_only_where_cuda_was_asked_for(with_gpu: None) -> None:
    lacking = OnCuda()
    lacking.lacks = "a build without CUDA"
    assert place(lacking, setting(device="cuda")) == Place("cpu", "a build without CUDA")
    assert place(lacking, setting(device="auto", n_rows=5000)) == Place("cpu")


def test_no_processor_is_visible_on_an_empty_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "FOLDER", tmp_path)
    assert place(OnCuda(), setting(device="cuda")) == Place("cpu", "no graphics processor is visible here")
    assert place(OnCuda(), setting(device="auto", n_rows=5000)) == Place("cpu")


def test_a_fit_for_which_the_graphics_processor_has_no_memory_is_made_on_the_processor_and_says_so(with_gpu: None) -> None:
    X, y = pd.DataFrame({"x": np.arange(40.0)}), np.arange(40.0)
    one = OnCuda()
    fitted = one.fit(X, y, None, None, {}, setting(device="cuda"), FitContext())
    assert (fitted.device, fitted.off_cuda, fitted.predict(X)[0]) == ("cuda", "", 1.0)
    one.fails = RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore of it")
    fitted = one.fit(X, y, None, None, {}, setting(device="cuda"), FitContext())
    assert (fitted.device, fitted.predict(X)[0]) == ("cpu", 0.0)
    assert fitted.off_cuda == "the graphics processor had no memory for it (CUDA out of memory. Tried to allocate 2.00 GiB.)"
    one.fails = RuntimeError("an illegal instruction")
    with pytest.raises(RuntimeError, match="illegal"):
        one.fit(X, y, None, None, {}, setting(device="cuda"), FitContext())


def test_each_label_says_where_it_was_fitted(with_gpu: None) -> None:
    X, y = pd.DataFrame({"x": np.arange(40.0)}), np.tile([[0, 1], [1, 0]], (20, 1))
    check = X.head(9), y[:9]
    shape = setting(device="cuda", n_classes=2, labels=2, predicts="labels", metric="f1_macro")
    one = OnCuda()
    assert one.fit(X, y, *check, {}, shape, FitContext()).device == "cuda"
    one.fails = MemoryError("out of memory")
    fitted = one.fit(X, y, None, None, {}, shape, FitContext())
    assert (fitted.device, "no memory" in fitted.off_cuda) == ("cpu", True)


def test_xgboost_is_told_the_device() -> None:
    assert xgboost._fixed(setting(device="cuda"), FitContext())["device"] == "cuda"
    assert xgboost._fixed(setting(device="cpu"), FitContext())["device"] == "cpu"


def test_catboost_is_told_the_device_and_draws_rows_as_it_can_there() -> None:
    there = catboost._fixed(setting(device="cuda"), FitContext())
    assert (there["task_type"], there["bootstrap_type"]) == ("GPU", "Bernoulli")
    here = catboost._fixed(setting(device="cpu"), FitContext())
    assert ("task_type" in here, here["bootstrap_type"]) == (False, "MVS")


def test_every_configuration_of_catboost_is_one_that_its_build_for_graphics_processors_takes() -> None:
    """Without a driver the library refuses to train, but only after it has looked at its options."""
    from catboost import CatBoostClassifier, CatBoostError
    from catboost.utils import get_gpu_device_count

    if get_gpu_device_count():
        pytest.skip("there is a graphics processor: it would train")
    X, y = np.random.default_rng(0).normal(size=(60, 2)), np.tile([0, 1], 30)
    shape = setting(device="cuda", n_classes=2, metric="roc_auc")
    for params in catboost.CatBoost().default(shape):
        del params["log_target"]
        made = CatBoostClassifier(**params, **catboost._fixed(shape, FitContext(iterations=2)))
        with pytest.raises(CatBoostError, match=r"cuda_base|cuda_manager"):
            made.fit(X, y)
    with pytest.raises(CatBoostError, match="monotone_constraints is unimplemented"):
        CatBoostClassifier(monotone_constraints=[1, 0], **catboost._fixed(shape, FitContext(iterations=2))).fit(X, y)
    assert "monotone" in str(catboost.CatBoost().no_cuda(setting(monotone={"x": 1})))


def test_a_fit_that_cannot_be_stopped_gets_the_iterations_that_its_time_has_room_for() -> None:
    assert affordable(1000, pace=0.01, seconds=5) == 500
    assert affordable(1000, pace=0.01, seconds=float("inf")) == 1000
    assert affordable(1000, pace=1.0, seconds=0) == FEWEST_ITERATIONS
    assert affordable(10, pace=1.0, seconds=0) == 10


def test_builds_without_cuda_say_so_with_the_command_that_helps() -> None:
    import xgboost as library

    if library.build_info().get("USE_CUDA"):
        assert family("xgboost").no_cuda(setting()) is None
    else:
        assert "pip install xgboost" in str(family("xgboost").no_cuda(setting()))


def test_the_network_moves_to_a_device_and_back_without_changing(open_workspace: Open) -> None:
    try:
        mlp: Any = family("mlp")
    except FamilyUnavailable as reason:
        pytest.skip(str(reason))
    import torch

    from tools.problem import load_problem

    assert (mlp.no_cuda(setting()) is None) == torch.cuda.is_available()
    problem = load_problem(open_workspace("diabetes"))
    params = {**mlp.default(setting())[0], "epochs": 3}
    shape = replace(setting(), columns=problem.schema.columns, n_rows=problem.n_rows)
    fitted = mlp.fit(problem.X, problem.y, None, None, params, shape, FitContext())
    assert {parameter.device.type for parameter in fitted.predictor.network.parameters()} == {"cpu"}
    assert np.allclose(pickle.loads(pickle.dumps(fitted)).predict(problem.X), fitted.predict(problem.X))


def test_a_candidate_records_what_it_was_fitted_on(open_workspace: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    from tools.candidates import CandidateSpec, facts
    from tools.preparation import choose_columns
    from tools.problem import load_problem

    monkeypatch.setenv(device.VARIABLE, "cuda")
    problem = load_problem(open_workspace("diabetes"))
    preparation = choose_columns(problem, name="default", drop=[], text=True, dates=True)
    assert setting_for(problem, preparation).device == "cuda"
    params = family("tree").default(setting_for(problem, preparation))[0]
    spec = CandidateSpec(name="tree-1", family="tree", params=params, preparation="default")
    made = evaluate_candidate(spec, problem, preparation, Deadline(60))
    assert (made.candidate.device, facts(made.candidate).device, made.off_cuda) == ("cpu", "cpu", "")
