"""`mlteam publish` over real run directories: which files make which commit, and what a person is told."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from team.cli import main
from team.publishing import plan_of
from team.rundir import RunDir
from tests.packaged import packaged
from tests.team.scored import scored


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A run with a final score, and a package beside it."""
    made = scored(tmp_path_factory.mktemp("runs"), noise=0.8)
    package = packaged(tmp_path_factory.mktemp("packages"), "sklearn:breast_cancer", "target", "tree").run.model
    shutil.copytree(package, made.model)
    return made


def printed(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def test_what_was_learnt_is_committed_and_data_by_their_hashes(run: RunDir) -> None:
    prepared, trained, evaluated = (sorted(part.files) for part in plan_of(run).parts)
    root = f"experiments/{run.name}"
    assert f"{root}/contract.json" in prepared
    assert f"{root}/data.sha256" in prepared
    assert f"{root}/model/model.json" in trained
    assert f"{root}/model/package.json" in evaluated
    names = [*prepared, *trained, *evaluated]
    assert not [name for name in names if name.endswith((".parquet", ".csv", ".joblib", ".skops", ".onnx", ".ipynb"))]
    hashes = plan_of(run).parts[0].files[f"{root}/data.sha256"].decode()
    checked = subprocess.run(["sha256sum", "-c"], input=hashes, cwd=run.path, capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0, checked.stdout


def test_the_command_commits_into_the_run_directory_and_says_where(run: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = RunDir(Path(shutil.copytree(run.path, tmp_path / run.name)))
    code, out, _ = printed(capsys, "publish", copy.path, "--tag", "v0.1.0", "--json")
    told = json.loads(out)
    assert (code, told["branch"], len(told["commits"])) == (0, f"exp/{run.name}", 3)
    message = subprocess.run(["git", "show", "-s", "--format=%B", "v0.1.0^{commit}"], cwd=copy.path / "git", capture_output=True, text=True)
    assert f"Run: {run.name}\nScore: roc_auc 0." in message.stdout
    code, out, err = printed(capsys, "publish", copy.path)
    assert (code, out) == (1, "")
    assert "is there already" in err


@pytest.fixture
def dvc() -> str:
    """The real program, which brings packages of versions of its own: it is at home in an environment beside this one."""
    if (program := shutil.which("dvc")) is None:
        pytest.skip("dvc is not installed. Type: python -m venv DIR && DIR/bin/pip install dvc, and put DIR/bin on the PATH")
    return program


def test_data_are_named_for_dvc_where_it_is_installed_and_go_into_the_cache_of_a_repository_that_has_one(
    run: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str], dvc: str
) -> None:
    lab = tmp_path / "lab"
    lab.mkdir()
    for words in (
        ["git", "init", "--quiet"],
        [dvc, "init", "--quiet"],
        ["git", "-c", "user.name=Ann", "-c", "user.email=a@b", "commit", "-qm", "Begin"],
    ):
        subprocess.run(words, cwd=lab, check=True, timeout=600)
    before = {path: path.read_bytes() for path in run.data.glob("*.parquet")}
    code, _, err = printed(capsys, "publish", run.path, "--repo", lab)
    assert (code, err) == (0, "")
    subprocess.run(["git", "checkout", "--quiet", f"exp/{run.name}"], cwd=lab, check=True, timeout=60)
    folder = lab / "experiments" / run.name / "data"
    assert {path.name for path in folder.iterdir()} == {".gitignore", "schema.json", *(f"{path.name}.dvc" for path in before)}
    subprocess.run([dvc, "checkout", "--quiet"], cwd=lab, check=True, timeout=600)
    for path, content in before.items():
        assert (folder / path.name).read_bytes() == content
        assert path.read_bytes() == content
    status = subprocess.run(["git", "status", "--porcelain"], cwd=lab, capture_output=True, text=True, timeout=60)
    assert status.stdout == "", "no table is Git's"


def test_without_dvc_the_hashes_are_all(run: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for program in ("git", "sha256sum"):
        (tmp_path / program).symlink_to(str(shutil.which(program)))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not [name for name in plan_of(run).parts[0].files if name.endswith(".dvc")]


def test_a_dvc_that_does_not_work_is_told_and_nothing_is_committed(
    run: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "bin" / "dvc"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\necho 'no module named dvc' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{broken.parent}:{os.environ['PATH']}")
    copy = RunDir(Path(shutil.copytree(run.path, tmp_path / run.name)))
    code, _, err = printed(capsys, "publish", copy.path)
    assert (code, "dvc init failed: no module named dvc. Mend it, or take dvc off the PATH" in err) == (1, True)
    assert not (copy.path / "git").exists()


def test_a_secret_in_a_file_of_the_run_stops_it(run: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = RunDir(Path(shutil.copytree(run.path, tmp_path / run.name)))
    copy.settings.write_text("source: data.csv\npassword: " + "hunter22hunter22\n")
    code, _, err = printed(capsys, "publish", copy.path)
    assert (code, "settings.yaml, line 2: a password that is set" in err, "hunter22" in err) == (1, True, False)


def test_what_cannot_be_published_is_told(
    run: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GITHUB_TOKEN", "GH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    code, _, err = printed(capsys, "publish", run.path, "--pull-request")
    assert (code, "--pull-request needs --push REMOTE" in err) == (2, True)
    code, _, err = printed(capsys, "publish", run.path, "--repo", tmp_path)
    assert (code, "is no Git repository. Type: git init" in err) == (1, True)
    code, _, err = printed(capsys, "publish", run.path, "--push", "https://github.com/ann/lab", "--pull-request")
    assert (code, "GITHUB_TOKEN and GH_TOKEN are not set" in err) == (4, True)
    bare = scored(tmp_path / "runs", noise=0.8, ended="interrupted")
    code, _, err = printed(capsys, "publish", bare.path)
    assert (code, "is not released: it lacks a final score or a package" in err) == (2, True)
