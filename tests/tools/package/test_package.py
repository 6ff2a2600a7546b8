"""A package: what is in it, what it takes, and that one file that is another makes all of it refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from team.cli import main
from team.errors import UsageError
from team.predict import predict
from tests.hosting import Hosting
from tests.packaged import packaged
from tools.package.drift import Baseline, Histogram
from tools.package.inputs import Inputs
from tools.package.interchange import EQUAL, Formats, difference, predict_onnx
from tools.package.manifest import PackageDamaged, read_learnt, read_manifest, verify
from tools.package.standalone import load

PENGUINS = Path(__file__).parents[3] / "evals" / "data" / "penguins.csv"


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Hosting:
    return packaged(tmp_path_factory.mktemp("runs"), "sklearn:breast_cancer", "target")


@pytest.fixture(scope="module")
def penguins(tmp_path_factory: pytest.TempPathFactory) -> Hosting:
    return packaged(tmp_path_factory.mktemp("runs"), PENGUINS, "Sex", "tree")


def test_a_package_holds_what_serving_needs_with_the_hash_of_each_file(numbers: Hosting) -> None:
    folder = numbers.run.model
    manifest = verify(folder)
    assert {path.name for path in folder.iterdir()} == {*manifest.names, "package.json"}
    assert {"pipeline.skops", "model.onnx", "inputs.json", "drift.json", "formats.json", "requirements.lock", "predict.py"} <= set(
        manifest.names
    )
    assert (manifest.task, manifest.target, manifest.candidate) == ("binary", "target", "linear-1")
    assert manifest.rows == 569
    assert "scikit-learn==" in (folder / "requirements.lock").read_text()


def test_skops_and_onnx_say_what_the_pipeline_says(numbers: Hosting) -> None:
    folder = numbers.run.model
    formats = read_learnt(folder, "formats.json", Formats)
    assert [one.made for one in formats.formats] == [True, True], formats.told
    rows = pd.read_parquet(numbers.run.data / "all.parquet")
    model = load(folder)
    assert difference(model.predict_table(rows), predict_onnx(folder / "model.onnx", rows, model)) <= EQUAL
    odd = rows.assign(**{rows.columns[0]: None})
    assert difference(model.predict_table(odd), predict_onnx(folder / "model.onnx", odd, model)) <= EQUAL


def test_a_finished_run_is_exported_later_and_left_as_it_is(numbers: Hosting, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def call(target: str, *options: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["export", str(numbers.run.path), "-o", str(tmp_path / target), "--sandbox", "unsafe-local", *options])
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    numbers.run.events.touch()  # what tells a run directory from any other folder
    before = {path.name: path.read_bytes() for path in numbers.run.model.iterdir()}
    code, out, err = call("made", "--format", "onnx,joblib", "--json")
    assert code == 0, err
    files = {file["format"]: file for file in json.loads(out)["files"]}
    assert set(files) == {"onnx", "joblib"}
    assert files["onnx"]["told"].startswith(f"equal to the pipeline within {EQUAL:g} on 500 rows")
    assert {path.name for path in (tmp_path / "made").iterdir()} == {"model.onnx", "pipeline.joblib", "inputs.json", "requirements.lock"}
    rows, model = pd.read_parquet(numbers.run.data / "all.parquet"), load(numbers.run.model)
    assert difference(model.predict_table(rows), predict_onnx(tmp_path / "made" / "model.onnx", rows, model)) <= EQUAL
    assert {path.name: path.read_bytes() for path in numbers.run.model.iterdir()} == before

    for target, options, code, said in (
        ("made", [], 2, "is there already"),
        ("no/folder", [], 2, "there is no folder"),
        ("other", ["--format", "pmml"], 2, "--format pmml: expected joblib, skops, onnx"),
        ("other", ["--time", "soon"], 2, "--time soon: expected a duration"),
        (
            "other",
            ["--format", "joblib,skops", "--time", "0.001s"],
            1,
            "cannot be had as skops: writing and checking it was not done in",
        ),
    ):
        found = call(target, *options)
        assert found[:2] == (code, ""), found
        assert said in found[2]
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_writing_them_imports_no_library_that_the_model_does_without(numbers: Hosting, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    code = f"""
import sys
from pathlib import Path
import pandas as pd
from tools.package.interchange import write_formats
from tools.package.standalone import load
rows = pd.read_parquet({str(numbers.run.data / "all.parquet")!r})
written = write_formats(Path({str(tmp_path)!r}), load(Path({str(numbers.run.model)!r})), rows)
print([one.made for one in written.formats], "torch" in sys.modules)
import torch.nn
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240)
    assert (done.stdout, done.returncode) == ("[True, True] False\n", 0), done.stderr


def test_onnx_reads_dates_categories_and_gaps_as_the_pipeline_does(penguins: Hosting) -> None:
    """What it cannot hold is said: see test_onnx.py."""
    formats = {one.name: one for one in read_learnt(penguins.run.model, "formats.json", Formats).formats}
    assert formats["onnx"].made, formats["onnx"].why
    assert formats["onnx"].rows_checked == 333
    assert "model.onnx" in verify(penguins.run.model).names


def test_inputs_are_the_columns_with_types_and_ranges(penguins: Hosting) -> None:
    inputs = {one.name: one for one in read_learnt(penguins.run.model, "inputs.json", Inputs).columns}
    table = pd.read_csv(PENGUINS)
    assert "Sex" not in inputs
    assert (inputs["Region"].required, inputs["Region"].categories) == (False, None), "the same in every row, so no model uses it"
    island, mass = inputs["Island"], inputs["Body Mass (g)"]
    assert (island.kind, island.categories) == ("categorical", sorted(table["Island"].unique()))
    known = table.dropna(subset=["Sex"])["Body Mass (g)"]
    assert (mass.kind, mass.low, mass.high, mass.whole) == ("numeric", known.min(), known.max(), True)
    assert mass.accepted == (known.min() - (known.max() - known.min()), known.max() + (known.max() - known.min()))


def test_rows_that_a_model_learnt_from_have_not_drifted_and_others_have(penguins: Hosting) -> None:
    from tools.columns import coerce
    from tools.contract import TableSchema

    baseline = read_learnt(penguins.run.model, "drift.json", Baseline)
    schema = TableSchema.model_validate_json((penguins.run.data / "schema.json").read_text())
    rows = coerce(pd.read_parquet(penguins.run.data / "all.parquet"), schema)

    def distance(table: pd.DataFrame, column: str) -> float:
        histogram = baseline.columns[column]
        counts = [0] * len(histogram.shares)
        for place in histogram.places(table[column]):
            counts[place] += 1
        return histogram.distance(counts)

    for column in baseline.columns:
        assert sum(baseline.columns[column].shares) == pytest.approx(1)
        assert distance(rows, column) == pytest.approx(0, abs=1e-12)
    heavy = rows.assign(**{"Body Mass (g)": rows["Body Mass (g)"] * 1.3, "Island": "Dream"})
    assert distance(heavy, "Body Mass (g)") > 0.25
    assert distance(heavy, "Island") > 0.25


def test_a_value_on_an_edge_is_in_the_bin_above_and_a_missing_one_in_the_last() -> None:
    histogram = Histogram(edges=[1.0, 2.0], shares=[0.0] * 4)
    values = pd.Series([0.5, 1.0, 1.5, 2.0, float("inf"), float("-inf"), float("nan")])
    assert histogram.places(values) == [0, 1, 1, 2, 2, 0, 3]
    assert Histogram(edges=[], shares=[0.0] * 2).places(pd.Series([float("nan"), 3.0])) == [1, 0]


@pytest.mark.parametrize("name", ["pipeline.joblib", "model.json", "inputs.json", "predict.py"])
def test_a_file_that_is_another_is_refused_before_anything_is_loaded(numbers: Hosting, tmp_path: Path, name: str) -> None:
    folder = Path(shutil.copytree(numbers.run.model, tmp_path / "model"))
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(PackageDamaged, match=f"{name} is not the file that was packaged: its hash differs"):
        load(folder)


@pytest.mark.parametrize(
    "document", ["", "[]", '{"run": "r", "files": []}', '{"run": "r", "files": [{"name": "../x", "bytes": 1, "sha256": ""}]}']
)
def test_a_manifest_that_is_none_is_refused(tmp_path: Path, document: str) -> None:
    (tmp_path / "package.json").write_text(document)
    with pytest.raises(PackageDamaged, match=r"package\.json"):
        read_manifest(tmp_path)


def test_a_link_out_of_the_package_is_not_followed(numbers: Hosting, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(numbers.run.model, tmp_path / "model"))
    (folder / "pipeline.joblib").rename(tmp_path / "elsewhere")
    (folder / "pipeline.joblib").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PackageDamaged, match="a symbolic link, which is not followed"):
        verify(folder)


def test_predict_py_predicts_as_the_command_does(penguins: Hosting, tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours.csv", tmp_path / "theirs.csv"
    assert predict(penguins.run, PENGUINS, ours, sandbox="unsafe-local") == 344
    words = [sys.executable, str(penguins.run.model / "predict.py"), str(PENGUINS), "-o", str(theirs)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, env={"PYTHONPATH": str(PENGUINS.parents[2]), "PATH": ""})
    assert done.returncode == 0, done.stderr
    assert theirs.read_text() == ours.read_text()


def test_the_command_refuses_a_package_of_another_hash(numbers: Hosting, tmp_path: Path) -> None:
    run = type(numbers.run)(Path(shutil.copytree(numbers.run.path, tmp_path / "run")))
    described = json.loads((run.model / "package.json").read_text())
    described["files"][0]["sha256"] = "0" * 64
    (run.model / "package.json").write_text(json.dumps(described))
    with pytest.raises(UsageError, match=r"its hash differs\. Run the team again"):
        predict(run, PENGUINS, tmp_path / "out.csv", sandbox="unsafe-local")
