"""The registry: versions, aliases, what loads from it, and that nothing becomes champion without a test or a word."""

from __future__ import annotations

import json
import multiprocessing
import shutil
import signal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from team.errors import MlteamError, UsageError
from team.registering import register
from team.rundir import RunDir
from tests.hosting import Hosting
from tests.packaged import packaged
from tests.striking_store import register_struck
from tests.team.scored import scored
from tools.package.inputs import Inputs
from tools.package.manifest import read_learnt, read_manifest, verify
from tools.package.mlflow_model import example_of
from tools.package.standalone import load
from tools.registry import EXPERIMENT, Registry, embedded_registry
from tools.serving.rows import request_model


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Hosting:
    return packaged(tmp_path_factory.mktemp("released"), "sklearn:breast_cancer", "target", "tree")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs with an embedded registry, which takes seconds to be made."""
    return tmp_path_factory.mktemp("runs")


def competitor(home: Path, released: Hosting, noise: float, **settings: object) -> RunDir:
    """A run with a final score of its own, and a package: what decides is what was scored, whatever model lies in it."""
    run = scored(home, noise=noise, **settings)  # type: ignore[arg-type]  # settings of a run
    renamed = RunDir(run.path.rename(home / f"noise-{noise:g}-{len(list(home.glob('noise-*')))}"))
    shutil.copytree(released.run.model, renamed.model)
    manifest = read_manifest(renamed.model).model_copy(update={"run": renamed.name})
    (renamed.model / "package.json").write_text(manifest.model_dump_json())
    return renamed


@pytest.mark.slow
def test_a_model_becomes_champion_by_a_paired_test_or_a_word(home: Path, released: Hosting) -> None:
    first = competitor(home, released, 1.2)
    done = register(first, name="m")
    assert (done.version, done.alias, done.why) == ("1", "champion", "there was no champion to beat")
    assert register(first, name="m").version == "1", "the same package is the same version"

    worse = register(competitor(home, released, 1.5), name="m")
    assert (worse.version, worse.alias, worse.champion) == ("2", "challenger", "1")
    better = register(competitor(home, released, 0.3), name="m")
    assert (better.version, better.alias) == ("3", "champion")
    assert better.why.startswith("B is better by")
    assert "over rows, p" in better.why
    twin = register(competitor(home, released, 0.31), name="m")
    assert (twin.alias, "no difference beyond chance" in twin.why) == ("challenger", True)
    other = register(competitor(home, released, 0.1, seed=5), name="m")
    assert (other.alias, other.why.startswith("it cannot be tested against the champion")) == ("challenger", True)
    told = register(RunDir(home / twin_name(home, twin.version)), name="m", word="the clinic asked for it")
    assert (told.version, told.alias, told.why) == (twin.version, "champion", "by a person's word: the clinic asked for it")

    store = Registry(f"sqlite:///{home / 'registry.db'}")
    assert [version.version for version in store.versions("m")] == ["5", "4", "3", "2", "1"]
    champion, challenger = store.by_alias("m", "champion"), store.by_alias("m", "challenger")
    assert champion is not None
    assert challenger is not None
    assert (champion.version, challenger.version) == ("4", "5")


def twin_name(home: Path, version: str) -> str:
    store = Registry(f"sqlite:///{home / 'registry.db'}")
    return next(one.run for one in store.versions("m") if one.version == version)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*Any type hint is inferred:UserWarning")
def test_what_is_registered_loads_with_pyfunc_and_says_what_the_package_says(home: Path, released: Hosting) -> None:
    import mlflow.pyfunc

    run = RunDir(Path(shutil.copytree(released.run.path, home / "loaded")))
    done = register_alone(run, home)
    mlflow.set_tracking_uri(f"sqlite:///{home / 'registry.db'}")
    mlflow.set_registry_uri(f"sqlite:///{home / 'registry.db'}")
    model = mlflow.pyfunc.load_model(f"models:/{done}@champion")
    rows = pd.read_parquet(run.data / "all.parquet").drop(columns=["target"])
    said = model.predict(rows)
    assert list(said.columns) == ["prediction", "proba_0", "proba_1"]
    assert said[["proba_0", "proba_1"]].to_numpy().tolist() == load(run.model).predict_table(rows).tolist()
    assert model.metadata.signature is not None
    assert model.predict(model.input_example).shape == (1, 3)


def register_alone(run: RunDir, home: Path) -> str:
    """Register without a final score, as there is none in the log of a run that was made without a team."""
    contract = run.read_contract()
    assert contract is not None
    with embedded_registry(home / "registry.db", home / "registry") as store:
        store.promote(store.register("alone", run.model, contract, {}), "a test", None)
    return "alone"


MOMENTS = {
    "before the name is there": "INSERT INTO registered_models ",
    "before the run that holds the files": "INSERT INTO runs ",
    "between two files": "pipeline.joblib",
    "before the files are known to be whole": "UPDATE runs SET … FINISHED",
    "before the version": "INSERT INTO model_versions ",
    "within the version": "INSERT INTO model_version_tags … mlteam.package",
    "before the reason": "INSERT INTO model_version_tags … mlteam.promoted",
    "between reason and alias": "UPDATE registered_model_aliases SET",
    "before it is told": "nothing is so called",
}


@pytest.fixture(scope="module")
def rivals(home: Path, released: Hosting) -> tuple[RunDir, RunDir]:
    """Two runs, the second of which beats the first."""
    return competitor(home, released, 1.4), competitor(home, released, 0.4)


def killed(run: RunDir, moment: str, name: str, word: str | None = None) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.striking_store", "mlflow.pyfunc", "mlflow.tracking"])
    process = context.Process(target=register_struck, args=(str(run.path), moment, name, word))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL


def holders(home: Path, name: str) -> list[Any]:
    """MLflow's runs that hold the files of a model's versions."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{home / 'registry.db'}")
    found = client.search_runs([client.get_experiment_by_name(EXPERIMENT).experiment_id], max_results=1000)
    return [run for run in found if run.data.tags["mlteam.model"] == name]


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
def test_whoever_is_killed_while_registering_finishes_it_the_next_time(home: Path, rivals: tuple[RunDir, RunDir], moment: str) -> None:
    first, better = rivals
    name = moment.replace(" ", "-")
    if moment != "before the name is there":
        register(first, name=name)
    killed(better, MOMENTS[moment], name)
    if moment == "before the name is there":
        register(first, name=name)
    done = register(better, name=name)
    assert (done.version, done.alias, done.champion) == ("2", "champion", "1")
    assert done.why.startswith("B is better by")
    assert register(better, name=name) == done, "typed once more it tells the same"

    store = Registry(f"sqlite:///{home / 'registry.db'}")
    assert [version.run for version in store.versions(name)] == [better.name, first.name]
    assert (store.by_alias(name, "champion"), store.by_alias(name, "challenger")) == (store.versions(name)[0], None)
    assert [run.info.status for run in holders(home, name)] == ["FINISHED", "FINISHED"]
    for run in holders(home, name):
        verify(Path(run.info.artifact_uri.removeprefix("file://")) / "model" / "data" / "model")


@pytest.mark.slow
def test_a_champion_by_a_word_is_no_challenger_when_it_is_killed_in_between(home: Path, rivals: tuple[RunDir, RunDir]) -> None:
    worse, first = rivals
    register(first, name="word")
    assert register(worse, name="word").alias == "challenger"
    killed(worse, "DELETE FROM registered_model_aliases", "word", "the clinic asked for it")
    store = Registry(f"sqlite:///{home / 'registry.db'}")
    assert store.by_alias("word", "champion") == store.by_alias("word", "challenger")
    done = register(worse, name="word", word="the clinic asked for it")
    assert (done.version, done.alias, done.champion, done.why) == ("2", "champion", "1", "by a person's word: the clinic asked for it")
    assert store.by_alias("word", "challenger") is None


@pytest.mark.slow
def test_a_registry_whose_maker_is_killed_is_made_by_the_next(tmp_path: Path, released: Hosting) -> None:
    run = competitor(tmp_path, released, 0.9)
    killed(run, "CREATE TABLE registered_models", "m")
    assert not (tmp_path / "registry.db").exists()
    assert register(run, name="m").version == "1"
    assert not list(tmp_path.glob(".registry.db*"))


def test_the_example_is_a_row_that_the_model_takes_and_no_row_of_the_data(released: Hosting) -> None:
    inputs = read_learnt(released.run.model, "inputs.json", Inputs)
    example = example_of(inputs)
    request_model(inputs, 10).model_validate({"row": example})
    rows = json.loads(pd.read_parquet(released.run.data / "all.parquet").to_json(orient="records"))
    assert not any(all(row[name] == value for name, value in example.items()) for row in rows)


def test_what_cannot_be_registered_is_told(tmp_path: Path, released: Hosting) -> None:
    bare = scored(tmp_path, noise=0.8)
    with pytest.raises(UsageError, match="has no packaged model"):
        register(bare)
    run = competitor(tmp_path, released, 0.9)
    with pytest.raises(UsageError, match=r"--name 'a/b'"):
        register(run, name="a/b")
    with pytest.raises(UsageError, match=r"--registry: 'nowhere' is no address"):
        register(run, registry="nowhere")
    (run.model / "model.json").write_text("{}")
    with pytest.raises(MlteamError, match=r"is not registered: model\.json is not the file that was packaged"):
        register(run)
