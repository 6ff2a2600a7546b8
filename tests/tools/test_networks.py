"""What the networks share, and what is RealMLP's and TabM's own."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.tools.conftest import Open
from tools.crossval import setting_for
from tools.deadline import Deadline, DeadlineReached, TooSlow
from tools.families import NETWORKS, FamilyUnavailable, family, load_libraries
from tools.families.setting import FitContext, Params, Setting
from tools.preparation import choose_columns
from tools.problem import Problem, load_problem
from tools.training import train

torch = pytest.importorskip("torch")

from tools.families.mlp import MOST_WAVED_BITS  # noqa: E402


@pytest.fixture(params=NETWORKS)
def network(request: pytest.FixtureRequest) -> Any:
    try:
        return family(request.param)
    except FamilyUnavailable as reason:
        pytest.skip(str(reason))


def small(found: Any, setting: Setting) -> Params:
    params = found.default(setting)[0]
    return {**params, "epochs": 3} | {key: value for key, value in {"hidden": 16, "members": 4, "width": 16}.items() if key in params}


def opened(open_workspace: Open, table: str) -> tuple[Problem, Setting]:
    problem = load_problem(open_workspace(table))
    return problem, setting_for(problem, choose_columns(problem, name="default", drop=[], text=True, dates=True))


def test_a_probe_times_a_few_steps_and_makes_no_model(open_workspace: Open, network: Any) -> None:
    problem, setting = opened(open_workspace, "diabetes")
    X, y = problem.X, problem.y
    fitted = network.fit(X, y, X.head(50), y[:50], small(network, setting), setting, FitContext(probe=True))
    assert fitted.iterations == 0
    assert fitted.pace > 0


def test_a_probe_ends_soon_when_its_time_is_over(open_workspace: Open, network: Any) -> None:
    from tools.families.network_training import LEAST_PROBED, Run

    _, setting = opened(open_workspace, "diabetes")
    run = Run(network, torch.nn.Identity(), "identity", setting, {}, FitContext(deadline=Deadline(0)))
    made: list[int] = []
    assert run._probe(made.append, 10, None) >= 0
    assert len(made) == 1 + LEAST_PROBED


def test_a_network_without_time_for_its_epochs_is_not_begun(network: Any) -> None:
    setting = Setting(columns=[], n_rows=500, n_classes=0, metric="rmse")
    params = network.default(setting)[0]
    assert network.paced(params, pace=0.1, seconds=1000, setting=setting) == params
    assert network.paced(params, pace=1.0, seconds=100, setting=setting)["epochs"] == min(90, params["epochs"])
    with pytest.raises(TooSlow, match=r"an epoch takes about 5 s here: 9 epochs a fold are possible, at least"):
        network.paced(params, pace=5.0, seconds=50, setting=setting)
    assert issubclass(TooSlow, DeadlineReached)


def test_a_search_tells_of_a_network_that_stepped_aside_and_counts_it_for_no_loss(open_workspace: Open) -> None:
    rng = np.random.default_rng(0)
    open_workspace(pd.DataFrame(rng.normal(size=(40_000, 5)), columns=list("abcdy")), "y", "regression")
    load_libraries(["realmlp"])
    found = train(["realmlp"], time_s=12)
    assert found.candidates == []
    assert "epochs a fold are possible" in found.skipped[0].reason
    assert found.degraded == []


def test_fits_in_threads_are_those_of_a_single_one(open_workspace: Open, network: Any) -> None:
    problem, setting = opened(open_workspace, "mixed")
    params = small(network, setting)

    def fit(seed: int) -> np.ndarray:
        return network.fit(problem.X, problem.y, None, None, params, setting, FitContext(seed=seed)).predict(problem.X)

    alone = [fit(seed) for seed in (0, 1)]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(fit, (0, 1)))
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))
    assert not np.allclose(alone[0], alone[1])


def test_a_refit_ends_where_early_stopping_did(open_workspace: Open, network: Any) -> None:
    problem, setting = opened(open_workspace, "diabetes")
    params, X, y = small(network, setting), problem.X, problem.y
    stopped = network.fit(X, y, X, y, params, setting, FitContext())
    again = network.fit(X, y, None, None, params, setting, FitContext(iterations=stopped.iterations))
    assert np.allclose(stopped.predict(X), again.predict(X))


def test_wide_tables_are_predicted_in_batches_that_memory_bears() -> None:
    from tools.families.mlp import Perceptrons
    from tools.families.network import BATCH_NUMBERS, predicted

    made = Perceptrons(600, [], [8], 2, 0.0, 0.2, 0).eval()
    numbers, codes = torch.randn(1500, 600), torch.empty(1500, 0, dtype=torch.int64)
    taken: list[int] = []
    made.register_forward_pre_hook(lambda _, given: taken.append(len(given[0])))
    found = predicted(made, numbers, codes, "softmax")
    assert sum(taken) == 1500
    assert max(taken) * made.members * 600 <= BATCH_NUMBERS
    with torch.no_grad():
        assert torch.allclose(found, made(numbers, codes).softmax(dim=2).mean(dim=0), atol=1e-6)


@pytest.mark.parametrize(("columns", "waved", "epochs"), [(MOST_WAVED_BITS, MOST_WAVED_BITS + 1, 1), (MOST_WAVED_BITS + 1, 1, 40)])
def test_very_many_columns_of_two_values_get_no_waves(open_workspace: Open, columns: int, waved: int, epochs: int) -> None:
    rng = np.random.default_rng(0)
    bits = pd.DataFrame(rng.integers(0, 2, (300, columns))).add_prefix("bit ")
    target = bits["bit 0"] ^ (rng.random(300) < 0.05)
    table = bits.assign(size=rng.normal(size=300), y=target)
    problem = load_problem(open_workspace(table, "y", "binary"))
    setting = setting_for(problem, choose_columns(problem, name="default", drop=[], text=True, dates=True))
    params = {**family("mlp").default(setting)[0], "epochs": epochs}
    fitted = family("mlp").fit(problem.X, problem.y, None, None, params, setting, FitContext())
    network = fitted.predictor.network
    assert len(network.waved) == waved
    assert network.frequencies.shape[1] == waved
    said = fitted.predict(problem.X)
    assert pickle.loads(pickle.dumps(fitted)).predict(problem.X) == pytest.approx(said)
    if epochs > 1:
        assert ((said[:, 1] > 0.5) == problem.y).mean() > 0.9, "bits are learnt from"


def test_schedules_are_those_of_the_paper() -> None:
    from tools.families.network_training import coslog4
    from tools.families.realmlp import flat_cos

    ends = [(2**cycle - 1) / 15 for cycle in range(5)]
    assert [coslog4(end) for end in ends] == pytest.approx([0.0] * 5, abs=1e-9)
    assert coslog4((2**0.5 - 1) / 15) == pytest.approx(1.0)
    assert [flat_cos(at) for at in (0.0, 0.49, 0.75, 1.0)] == pytest.approx([1.0, 1.0, 0.5, 0.0], abs=1e-9)


def test_realmlp_begins_with_neurons_that_spread_by_one_and_turn_within_the_data() -> None:
    from tools.families.realmlp import RealMLPNetwork

    generator = torch.Generator().manual_seed(0)
    numbers, codes = torch.randn(500, 3, generator=generator), torch.randint(0, 4, (500, 1), generator=generator)
    made = RealMLPNetwork(3, [3], [32, 32], 2, False, 0.0, 0.1, seed=0)
    made.settle(numbers, codes)
    with torch.no_grad():
        first = made._embedded(numbers, codes) @ made.weights[0] / made.weights[0].shape[0] ** 0.5
    assert first.std(dim=0, correction=0).numpy() == pytest.approx(np.ones(32), rel=1e-4)
    kinks = -made.biases[0].detach()
    assert (kinks >= first.min(dim=0).values).all()
    assert (kinks <= first.max(dim=0).values).all()


def test_realmlp_gives_each_kind_of_parameter_its_rate_and_no_bias_a_decay() -> None:
    from tools.families.realmlp import FACTORS, RealMLPNetwork

    realmlp: Any = family("realmlp")
    params = realmlp.default(Setting(columns=[], n_rows=500, n_classes=2, metric="accuracy"))[0]
    made = RealMLPNetwork(2, [20], [8], 2, False, 0.15, 0.1, seed=0)
    groups = realmlp.groups(made, params)
    assert sorted(group["factor"] for group in groups) == sorted(FACTORS.values())
    assert sum(len(group["params"]) for group in groups) == len(list(made.parameters()))
    optimizer = torch.optim.AdamW(groups, lr=0.1, weight_decay=params["weight_decay"])
    realmlp.step(made, optimizer, 1.0, params)
    assert (made.share, {group["weight_decay"] for group in optimizer.param_groups}) == (0.0, {0.0})
    realmlp.step(made, optimizer, 0.1, params)
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.0, params["weight_decay"]}


def test_labels_are_smoothed_for_metrics_of_called_classes_alone() -> None:
    realmlp: Any = family("realmlp")
    setting = Setting(columns=[], n_rows=500, n_classes=2, metric="accuracy")
    assert realmlp.default(setting)[0]["label_smoothing"] == 0.1
    assert realmlp.default(replace(setting, metric="log_loss"))[0]["label_smoothing"] == 0.0


def test_tabm_leaves_very_wide_categories_to_others(open_workspace: Open) -> None:
    try:
        tabm: Any = family("tabm")
    except FamilyUnavailable as reason:
        pytest.skip(str(reason))
    problem, setting = opened(open_workspace, "mixed")
    assert tabm.unsuited(setting) is None
    wide = [replace_unique(column, 5000) if column.kind == "categorical" else column for column in setting.columns]
    assert "levels together" in str(tabm.unsuited(replace(setting, columns=wide)))
    fitted = tabm.fit(problem.X, problem.y, None, None, small(tabm, setting), setting, FitContext())
    assert len(pickle.dumps(fitted)) < 5_000_000


def replace_unique(column: Any, unique: int) -> Any:
    return column.model_copy(update={"unique": unique})
