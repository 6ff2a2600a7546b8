"""Models that were trained before: real loads and real forward passes, from checkpoints of the packages' own making with random weights."""

from __future__ import annotations

import importlib.util
import pickle
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tools.conftest import Open
from tools.crossval import setting_for
from tools.families import FOUNDATION, family, weights
from tools.families.setting import FitContext, Setting
from tools.preparation import choose_columns
from tools.problem import Problem, load_problem
from tools.training import train

Made = Callable[[str], Path]


def write_tabicl(folder: Path) -> None:
    import torch
    from tabicl._model.tabicl import TabICL

    small = {"embed_dim": 16, "col_num_blocks": 1, "col_nhead": 2, "col_num_inds": 4, "row_num_blocks": 1, "row_nhead": 2}
    small |= {"row_num_cls": 2, "icl_num_blocks": 1, "icl_nhead": 2}
    torch.manual_seed(0)
    for kind, classes in (("classifier", 10), ("regressor", 0)):
        config = {**small, "max_classes": classes, "num_quantiles": 19}
        torch.save({"config": config, "state_dict": TabICL(**config).state_dict()}, folder / f"tabicl-{kind}-v2.ckpt")


def write_tabpfn(folder: Path) -> None:
    import torch
    from tabpfn.architectures import ARCHITECTURES

    torch.manual_seed(0)
    architecture = ARCHITECTURES["tabpfn_v2"]
    for kind, classes in (("classifier", 10), ("regressor", 0)):
        config, _ = architecture.parse_config({"emsize": 32, "nhead": 2, "nlayers": 2, "max_num_classes": classes, "num_buckets": 50})
        state = architecture.get_architecture(config).state_dict()
        if kind == "regressor":
            state["criterion.borders"] = torch.linspace(-4, 4, 51)
            state["criterion.losses_per_bucket"] = torch.zeros(50)
        torch.save({"state_dict": state, "config": asdict(config), "architecture_name": "tabpfn_v2"}, folder / f"tabpfn-v2-{kind}.ckpt")


WRITERS = {"tabicl": write_tabicl, "tabpfn": write_tabpfn}


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    """Writes checkpoints of a family into a folder that the kernel is told of."""

    def write(name: str) -> Path:
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed: pip install 'mlteam[foundation]'")
        folder = tmp_path / "weights"
        folder.mkdir()
        WRITERS[name](folder)
        monkeypatch.setenv(weights.VARIABLE, str(folder))
        return folder

    return write


def opened(open_workspace: Open, table: str) -> tuple[Problem, Setting]:
    problem = load_problem(open_workspace(table))
    return problem, setting_for(problem, choose_columns(problem, name="default", drop=[], text=True, dates=True))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("table", ["breast_cancer", "wine", "diabetes", "mixed"])
@pytest.mark.parametrize("name", FOUNDATION)
def test_a_checkpoint_is_loaded_and_reads_a_table(made: Made, open_workspace: Open, name: str, table: str) -> None:
    made(name)
    problem, setting = opened(open_workspace, table)
    found: Any = family(name)
    assert found.unsuited(setting) is None
    X, y = problem.X.head(120), problem.y[:120]
    fitted = found.fit(X, y, None, None, found.default(setting)[0], setting, FitContext())
    predictions = fitted.predict(problem.X.tail(30))
    assert np.isfinite(predictions).all()
    assert predictions.shape == ((30, problem.n_classes) if problem.n_classes else (30,))
    if problem.n_classes:
        assert np.allclose(predictions.sum(axis=1), 1)
    stored = pickle.dumps(fitted)
    assert np.allclose(pickle.loads(stored).predict(problem.X.tail(30)), predictions, atol=1e-5)
    again = found.fit(X, y, None, None, found.default(setting)[0], setting, FitContext())
    assert np.allclose(again.predict(problem.X.tail(30)), predictions, atol=1e-5)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FOUNDATION)
def test_a_model_on_file_says_which_checkpoint_it_misses(
    made: Made, open_workspace: Open, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    from tools.families.foundation import WeightsMissing

    made(name)
    problem, setting = opened(open_workspace, "diabetes")
    found: Any = family(name)
    stored = pickle.dumps(found.fit(problem.X.head(80), problem.y[:80], None, None, {}, setting, FitContext()))
    monkeypatch.delenv(weights.VARIABLE)
    with pytest.raises(WeightsMissing, match=rf"weights of {name} are expected as a file {name}.*--weights"):
        pickle.loads(stored).predict(problem.X.head(3))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FOUNDATION)
def test_a_search_estimates_the_time_and_fits_or_steps_aside(made: Made, open_workspace: Open, name: str) -> None:
    made(name)
    open_workspace("wine")
    found = train([name], time_s=300)
    assert [candidate.family for candidate in found.candidates] == [name]
    assert found.degraded == []


@pytest.mark.parametrize("name", FOUNDATION)
def test_tables_beyond_what_the_documentation_names_are_left_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    from tools.families.foundation import FAMILIES

    monkeypatch.setenv(weights.VARIABLE, str(tmp_path))
    for kind in ("classifier", "regressor"):
        (tmp_path / f"{name}-v2-{kind}.ckpt").touch()
        (tmp_path / f"{name}-{kind}-v2.ckpt").touch()
    found = FAMILIES[name]
    setting = Setting(columns=[], n_rows=500, n_classes=2, metric="log_loss")
    assert found.unsuited(setting) is None
    assert "rows as the most" in str(found.unsuited(replace(setting, n_rows=200_000)))
    assert ("classes as the most" in str(found.unsuited(replace(setting, n_classes=11)))) == (name == "tabpfn")


def test_checkpoints_are_found_by_name_and_only_as_files(tmp_path: Path) -> None:
    assert weights.at_hand(None) == []
    assert weights.at_hand(tmp_path) == []
    (tmp_path / "tabicl-classifier-v1.ckpt").touch()
    (tmp_path / "tabicl-classifier-v2.ckpt").touch()
    (tmp_path / "tabicl-regressor-v2.ckpt").mkdir()
    (tmp_path / "tabpfn-v2-classifier.ckpt.part").touch()
    assert weights.at_hand(tmp_path) == ["tabicl"]
    assert weights.checkpoint("tabicl", "classifier", tmp_path) == tmp_path / "tabicl-classifier-v2.ckpt"
    assert weights.checkpoint("tabicl", "regressor", tmp_path) is None


@pytest.mark.parametrize("name", FOUNDATION)
def test_without_weights_a_search_says_where_they_are_expected(open_workspace: Open, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv(weights.VARIABLE, raising=False)
    open_workspace("wine")
    told = train([name], time_s=60).skipped[0].reason
    assert "mlteam[foundation]" in told or f"the weights of {name} are expected as a file" in told
