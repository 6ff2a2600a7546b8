"""Settings: layers, durations, and refusals that name what is wrong."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from team.errors import UsageError
from team.roles import NAMES
from team.sandbox_settings import BubblewrapSandbox
from team.settings import load_settings, read_settings


@pytest.mark.parametrize(("text", "seconds"), [("60s", 60), ("10m", 600), ("1.5h", 5400), ("45", 45), (30, 30)])
def test_durations(text: str | int, seconds: float) -> None:
    assert load_settings({"source": "a.csv", "time": text}).time == seconds


def test_layers_command_line_over_environment_over_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "mlteam.yaml"
    config.write_text("time: 1m\nseed: 1\nfolds: 3\n")
    monkeypatch.setenv("MLTEAM_SEED", "2")
    monkeypatch.setenv("MLTEAM_TIME", "2m")
    settings = load_settings({"source": "a.csv", "time": "3m", "metric": None}, config)
    assert (settings.time, settings.seed, settings.folds) == (180, 2, 3)


def test_the_settled_settings_read_back_the_same(tmp_path: Path) -> None:
    settings = load_settings({"source": "a.csv", "target": "y", "time": "90s", "sandbox": "bubblewrap"})
    assert isinstance(settings.sandbox, BubblewrapSandbox)
    path = tmp_path / "settings.yaml"
    path.write_text(settings.to_yaml())
    assert load_settings({}, path) == settings


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"time": "0s"}, "time=0.0: .*greater than or equal to 1.*--time"),
        ({"time": "-5s"}, "time=-5.0: .*greater than or equal to 1"),
        ({"target": ""}, "target='': .*at least 1 character.*--target"),
        ({"time": "soon"}, "time='soon': expected a duration such as 60s, 10m or 1h"),
        ({"sandbox": "dokcer"}, "sandbox='dokcer': expected auto, docker, bubblewrap or unsafe-local"),
        ({"trget": "y"}, "unknown setting 'trget'. Did you mean 'target'"),
        ({"sandbox": {"kind": "auto", "memry_mb": 1}}, "unknown setting 'sandbox.memry_mb'. Did you mean 'sandbox.memory_mb'"),
        ({"folds": 1}, "folds=1: .*--folds"),
        ({"time_column": 3}, "--time-column"),
        ({"monotone": "age"}, r"monotone='age': 'age': expected COLUMN:\+ or COLUMN:-.*--monotone"),
        ({"families": "lightgmb"}, "no family 'lightgmb'; did you mean 'lightgbm'.*--families"),
        ({"quantiles": "0.1,1.5"}, "quantiles='0.1,1.5': '1.5' is no level; expected levels between 0 and 1.*--quantiles"),
        ({"quantiles": [0.1, 0.1]}, "0.1 stands there twice"),
        ({"models": {"enginer": "playbook"}}, "unknown setting 'models.enginer'. Did you mean 'models.engineer'"),
        ({"prices": {"openai:m": {"input": -1, "output": 1}}}, "prices.openai:m.input=-1"),
        ({"max_latency_ms": 0}, "max_latency_ms=0: .*--max-latency-ms"),
        ({"constraint": ["paint it blue"]}, "not understood: 'paint', 'blue'.*--constraint"),
        ({"constraint": ["linear models only"], "families": "lightgbm"}, "no family is left.*--constraint"),
        ({"constraint": ["CPU only"], "device": "cuda"}, "CPU only: not both.*--constraint"),
        ({"constraint": [{"kind": "memry"}]}, "constraint: .*'memry'"),
        ({"forbid": ""}, "forbid='': expected names with commas between them.*--forbid"),
        ({"families": " , "}, "families=' , ': expected names.*--families"),
        ({"monotone": ""}, "monotone='': expected names.*--monotone"),
        ({"monotone": "a:+", "preparers": "scale=power"}, "--preparers would hide how the prediction follows 'a', which is bound"),
        ({"forbid": "a", "monotone": "a:+"}, "column 'a' is never to be used, and the prediction is to rise or fall with it"),
        ({"approval": "sometimes"}, "approval.default='sometimes': .*'never', 'always' or 'outside-only'.*--approval"),
    ],
)
def test_refusals_name_value_and_remedy(given: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_settings({"source": "a.csv", **given})


def test_a_role_may_have_a_model_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "mlteam.yaml"
    config.write_text("model: openai:all@http://localhost/v1\nmodels: {engineer: 'anthropic:x,playbook'}\n")
    monkeypatch.setenv("MLTEAM_MODELS__CRITIC", "playbook")
    settings = load_settings({"source": "a.csv"}, config)
    assert {role: settings.model_of(role) for role in NAMES} == {
        **dict.fromkeys(NAMES, "openai:all@http://localhost/v1"),
        "engineer": "anthropic:x,playbook",
        "critic": "playbook",
    }
    assert not settings.playbook_alone
    assert load_settings({"source": "a.csv"}).all_models == ["playbook"]
    path = tmp_path / "settings.yaml"
    path.write_text(settings.to_yaml())
    assert read_settings(path) == settings


def test_prices_are_found_by_the_name_of_the_model(tmp_path: Path) -> None:
    config = tmp_path / "mlteam.yaml"
    config.write_text("prices: {'openai:m': {input: 1.25, output: 10}}\n")
    settings = load_settings({"source": "a.csv"}, config)
    price = settings.price_of("openai:m@https://host/v1")
    assert price is not None
    assert price.of(1_000_000, 100_000) == Decimal("2.25")
    assert settings.price_of("openai:other") is None
    path = tmp_path / "settings.yaml"
    path.write_text(settings.to_yaml())
    assert read_settings(path).price_of("openai:m") == price


def test_constraints_are_read_from_text_and_from_lists(tmp_path: Path) -> None:
    typed = load_settings({"source": "a.csv", "monotone": "age:+,price:-", "forbid": 'name,"a, b"', "families": "linear,tree"})
    config = tmp_path / "mlteam.yaml"
    config.write_text("monotone: {age: +, price: -}\nforbid: [name, 'a, b']\nfamilies: [linear, tree]\n")
    written = load_settings({"source": "a.csv"}, config)
    assert typed.constraints == written.constraints
    assert typed.constraints.monotone == {"age": 1, "price": -1}
    assert typed.constraints.forbid == ("name", "a, b")
    assert not load_settings({"source": "a.csv"}).constraints.binding
    config.write_text("monotone: {}\nforbid: []\nfamilies: []\nclasses: [1, 2.5, high]\n")
    emptied = load_settings({"source": "a.csv"}, config)
    assert not emptied.constraints.binding
    assert emptied.classes == ["1", "2.5", "high"]


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        load_settings({"source": "a.csv", "time": "0s", "folds": 99})
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(("text", "message"), [("- a\n", "holds list"), ("a: [", "is not YAML"), (None, "cannot read")])
def test_a_settings_file_that_is_none(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "s.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match=message):
        load_settings({"source": "a.csv"}, path)


def test_a_misspelt_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLTEAM_METRC", "f1")
    with pytest.raises(UsageError, match=r"unknown environment variable MLTEAM_METRC\. Did you mean MLTEAM_METRIC"):
        load_settings({"source": "a.csv"})


def test_limits_of_the_sandbox_and_its_kind_come_from_different_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLTEAM_SANDBOX__MEMORY_MB", "2000")
    assert load_settings({"source": "a.csv"}).sandbox.memory_mb == 2000
    sandbox = load_settings({"source": "a.csv", "sandbox": "bubblewrap"}).sandbox
    assert (sandbox.kind, sandbox.memory_mb) == ("bubblewrap", 2000)


@pytest.mark.parametrize(
    ("given", "settled"),
    [
        ({}, "http://mlflow.example:5000"),
        ({"tracker": "http://other:5000/"}, "http://other:5000"),
        ({"tracker": "none"}, None),
        ({"tracker": "wandb, mlflow,http://Other:5000/"}, "wandb,mlflow,http://other:5000"),
        ({"tracker": ["tensorboard", "http://other:5000"]}, "tensorboard,http://other:5000"),
    ],
)
def test_the_tracker_is_what_mlflow_would_use_where_nothing_else_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: dict[str, Any], settled: str | None
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://MLflow.example:5000/")
    settings = load_settings({"source": "a.csv", **given})
    assert settings.tracker == settled
    path = tmp_path / "settings.yaml"
    path.write_text(settings.to_yaml())
    assert load_settings({}, path).tracker == settled, "a resumed run keeps what was settled"


@pytest.mark.parametrize("elsewhere", ["databricks", "sqlite:///mlflow.db", "file:///mlruns", ""])
def test_a_store_of_mlflow_that_is_no_server_is_left_alone(monkeypatch: pytest.MonkeyPatch, elsewhere: str) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", elsewhere)
    assert load_settings({"source": "a.csv"}).tracker is None


@pytest.mark.parametrize("variable", ["MLTEAM_TRACKER", "MLFLOW_TRACKING_URI"])
def test_a_tracker_with_a_password_is_refused_and_not_repeated(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "http://ann:s3cr3t-word@host:5000")
    with pytest.raises(UsageError, match=r"tracker: an address with a user name, a password .* set MLFLOW_TRACKING_USERNAME") as refused:
        load_settings({"source": "a.csv"})
    assert "s3cr3t" not in str(refused.value)
    assert load_settings({"source": "a.csv", "tracker": "none"}).tracker is None


def test_names_come_as_a_list_or_with_commas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text("preparers: [ratios, lags]\n")
    assert load_settings({"source": "a.csv"}, config).preparers == ["ratios", "lags"]
    monkeypatch.setenv("MLTEAM_PREPARERS", "ratios, lags")
    assert load_settings({"source": "a.csv"}).preparers == ["ratios", "lags"]
    assert load_settings({"source": "a.csv", "preparers": "bins"}).preparers == ["bins"]
    steps = "bins, impute=interpolate:when,shop,encode=hashing:city, street,scale=power"
    found = load_settings({"source": "a.csv", "preparers": steps}).preparers
    assert found == ["bins", "impute=interpolate:when,shop", "encode=hashing:city,street", "scale=power"]


def test_objectives_begin_with_the_score() -> None:
    assert load_settings({"source": "a.csv"}).objectives == ["score"]
    assert load_settings({"source": "a.csv", "objectives": "score, latency"}).objectives == ["score", "latency"]
    with pytest.raises(UsageError, match=r"^objectives='speed': .*Change --objectives, or"):
        load_settings({"source": "a.csv", "objectives": "score,speed"})
    with pytest.raises(UsageError, match="objectives='latency': expected score first"):
        load_settings({"source": "a.csv", "objectives": "latency"})
    with pytest.raises(UsageError, match="'score', 'latency', 'size' or 'fairness'"):
        load_settings({"source": "a.csv", "objectives": "score,beauty"})
    assert load_settings({"source": "a.csv", "objectives": "score,fairness", "sensitive": "sex"}).objectives == ["score", "fairness"]
    with pytest.raises(UsageError, match="fairness needs a sensitive column; name one with --sensitive COLUMN"):
        load_settings({"source": "a.csv", "objectives": "score,fairness"})
    with pytest.raises(UsageError, match=r"pruner='hyperband' ends trials by the score alone, .*leave --pruner out"):
        load_settings({"source": "a.csv", "objectives": "score,latency", "pruner": "hyperband"})


def test_sentences_and_options_are_one_list(tmp_path: Path) -> None:
    said = load_settings({"source": "a.csv", "constraint": ["never use column name; at most 5 ms per row", "CPU only, no more than 2 GB"]})
    options = load_settings(
        {"source": "a.csv", "forbid": "name", "max_latency_ms": 5, "device": "cpu", "sandbox": {"kind": "auto", "memory_mb": 2048}}
    )
    assert said.constraints == options.constraints
    assert (said.fitted_on, said.memory_mb) == (options.fitted_on, options.memory_mb) == ("cpu", 2048)
    assert sorted(one.told for one in said.limits) == sorted(one.told for one in options.limits)
    both = load_settings({"source": "a.csv", "forbid": "name,age", "constraint": ["never use column name", "at most 5 ms per row"]})
    assert (both.constraints.forbid, len(both.limits)) == (("name", "age"), 3)
    path = tmp_path / "settings.yaml"
    path.write_text(both.to_yaml())
    assert read_settings(path) == both


def test_a_policy_is_a_word_or_a_mapping(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings({"source": "a.csv"}).approval.asks("track_run", outside=True)
    assert not load_settings({"source": "a.csv"}).approval.asks("train", outside=False)
    assert not load_settings({"source": "a.csv", "approval": "never"}).approval.asks("track_run", outside=True)
    one = load_settings({"source": "a.csv", "approval": {"tools": {"train": "always", "track_run": "never"}}}).approval
    assert (one.asks("train", outside=False), one.asks("track_run", outside=True)) == (True, False)
    monkeypatch.setenv("MLTEAM_APPROVAL", "always")
    assert load_settings({"source": "a.csv"}).approval.default == "always"


@pytest.mark.parametrize(
    ("said", "captures"), [("", True), ("true", True), ("SPAN_ONLY", True), ("false", False), ("NO_CONTENT", False), ("EVENT_ONLY", False)]
)
def test_the_convention_says_whether_content_is_captured_where_no_setting_does(
    said: str, captures: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", said)
    assert load_settings({"source": "rows.csv"}).capture_content is captures
    assert load_settings({"source": "rows.csv", "capture_content": not captures}).capture_content is not captures
    monkeypatch.setenv("MLTEAM_CAPTURE_CONTENT", str(not captures).lower())
    assert load_settings({"source": "rows.csv"}).capture_content is not captures


def test_a_metric_stands_in_the_settings_by_its_usual_name() -> None:
    assert load_settings({"source": "a.csv", "metric": "PR AUC"}).metric == "average_precision"
    assert load_settings({"source": "a.csv", "metric": "no-such"}).metric == "no-such"
