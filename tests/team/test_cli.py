"""The command line with bad input: one message, the right exit code, and nothing left behind."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pexpect
import pytest

from team.cli import main
from tests.team.scored import nested, scored
from tools import device

Invoke = Callable[..., tuple[int, str, str]]

GOOD = "a,b,y\n" + "".join(f"{i},{i % 7},{'yes' if i % 3 else 'no'}\n" for i in range(60))


@pytest.fixture
def invoke(capsys: pytest.CaptureFixture[str]) -> Invoke:
    def call(*arguments: str | Path) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(a) for a in arguments])
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return call


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


BAD_TABLES = {
    "empty file": ("", [], "empty"),
    "header only": ("a,b,y\n", [], "header|no rows"),
    "missing target": (GOOD, ["--target", "yy"], r"target 'yy' is not in the table. Nearest: y"),
    "one value": ("a,y\n" + "1,2\n" * 30, [], r"target 'y' has one value only"),
    "all-missing target": ("a,y\n" + "1,\n" * 30, [], r"target 'y' is missing in every row"),
    "fewer rows than folds": ("a,y\n1,2\n3,4\n5,9\n", [], r"3 rows with a target for 5 folds"),
    "duplicate columns": ("a,a,y\n" + "1,2,3\n" * 30, [], r"duplicate|more than once|twice"),
    "a zip named .csv": (b"PK\x03\x04" + bytes(500), [], r"zip"),
    "binary rubbish": (bytes(range(256)) * 20, [], r"binary|NUL|text"),
    "unknown metric": (GOOD, ["--metric", "rok_auc"], r"rok_auc.*roc_auc.*--metric"),
    "metric of another task": (GOOD, ["--metric", "rmse"], r"rmse.*(binary|regression)"),
    "zero time": (GOOD, ["--time", "0s"], r"time=0.0.*--time"),
    "negative time": (GOOD, ["--time", "-3m"], r"time=-180.0.*--time"),
    "no duration": (GOOD, ["--time", "soon"], r"'soon'.*60s, 10m or 1h"),
    "unknown device": (GOOD, ["--device", "gpu"], r"device='gpu'.*'cuda'.*--device"),
    "unknown sandbox": (GOOD, ["--sandbox", "dokcer"], r"'dokcer'.*bubblewrap"),
    "unknown model": (GOOD, ["--model", "gtp-5"], r"'gtp-5' is unknown; expected playbook"),
    "unknown option": (GOOD, ["--tmie", "3m"], r"--tmie"),
}


@pytest.mark.parametrize("name", BAD_TABLES)
def test_bad_input_is_told_once_and_leaves_nothing(invoke: Invoke, tmp_path: Path, name: str) -> None:
    content, options, message = BAD_TABLES[name]
    source = write(tmp_path / "data.csv", content)
    target = [] if "--target" in options else ["--target", "y"]
    code, out, err = invoke("run", source, *target, "--time", "30s", "--out", tmp_path / "runs", *options)
    assert code == 2, err
    assert out == ""

    last = err.strip().splitlines()[-1]
    assert re.search(message, last), err
    assert "Traceback" not in err
    assert err.count("mlteam: ") == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nothing.csv", "no such file"),
        (".", "is a directory without files"),
        ("http://127.0.0.1:9/x.csv", "cannot fetch"),
        ("sklearn:irs", "not bundled"),
    ],
)
def test_bad_sources(invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, message: str) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = invoke("run", source, "--target", "y")
    assert (code, "Traceback" in err) == (2, False)
    assert message in err
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_output_folder(invoke: Invoke, tmp_path: Path) -> None:
    source = write(tmp_path / "data.csv", GOOD)
    blocked = write(tmp_path / "blocked", "a file, not a folder")
    code, _, err = invoke("run", source, "--target", "y", "--out", blocked / "runs")
    assert code == 2
    assert "cannot write to output folder" in err


def test_a_graphics_processor_that_is_not_there(invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "FOLDER", tmp_path)
    code, out, err = invoke("run", write(tmp_path / "t.csv", GOOD), "--device", "cuda", "--out", tmp_path / "runs")
    assert (code, out, (tmp_path / "runs").exists()) == (4, "", False)
    assert re.search(r"device='cuda': this machine shows no graphics processor \(looked for .*--device auto", err)


def test_weights_that_are_not_there_are_told_before_anything_starts(invoke: Invoke, tmp_path: Path) -> None:
    table, out = write(tmp_path / "t.csv", GOOD), tmp_path / "runs"
    code, _, err = invoke("run", table, "--families", "tabpfn", "--out", out)
    assert code == 4
    assert re.search(r"families='tabpfn': .*expected as a file tabpfn\*classifier\*.*no folder is named by --weights", err)
    code, _, err = invoke("run", table, "--weights", tmp_path / "nowhere", "--out", out)
    assert code == 2
    assert re.search(r"weights='.*nowhere' is no folder.*--weights DIR", err)
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "tabicl-classifier.bin").touch()
    code, _, err = invoke("run", table, "--weights", empty, "--out", out)
    assert code == 2
    assert re.search(r"weights='.*empty' holds no checkpoint; expected files named tabicl-classifier\*\.ckpt.*--weights DIR", err)
    assert not out.exists()


def test_families_whose_library_is_not_installed_are_told_before_anything_starts(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for library in ("pyod", "tabpfn"):
        monkeypatch.setitem(sys.modules, library, None)
    out = tmp_path / "runs"
    code, _, err = invoke("run", write(tmp_path / "t.csv", GOOD), "--families", "ecod", "--sandbox", "unsafe-local", "--out", out)
    assert code == 4
    assert "families='ecod': pyod is not installed; `pip install 'mlteam[anomaly]'` adds the family 'ecod'. Install it" in err
    (tmp_path / "tabpfn-v2-classifier.ckpt").touch()
    code, _, err = invoke("run", write(tmp_path / "t.csv", GOOD), "--weights", tmp_path, "--sandbox", "unsafe-local", "--out", out)
    assert code == 4
    assert "weights='tabpfn': tabpfn is not installed" in err
    assert not out.exists()


def test_unknown_settings_keys(invoke: Invoke, tmp_path: Path) -> None:
    source = write(tmp_path / "data.csv", GOOD)
    config = write(tmp_path / "mlteam.yaml", "tarjet: y\n")
    code, _, err = invoke("run", source, "--config", config, "--out", tmp_path / "runs")
    assert code == 2
    assert "unknown setting 'tarjet'. Did you mean 'target'" in err


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk(invoke: Invoke, tmp_path: Path) -> None:
    source = write(tmp_path / "data.csv", GOOD)
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    try:
        code, _, err = invoke("run", source, "--target", "y", "--out", disk / "runs")
        assert code == 2
        assert "MiB free" in err or "no room for more" in err
        assert not (disk / "runs").exists()
    finally:
        subprocess.run(["umount", disk], check=True)


def test_runs_show_and_predict_without_any_run(invoke: Invoke, tmp_path: Path) -> None:
    rows = write(tmp_path / "rows.csv", "a\n1\n")
    assert invoke("runs", "--out", tmp_path)[:2] == (
        0,
        f"no runs in {str(tmp_path)!r} yet. `mlteam run FILE.csv --target COLUMN` makes one.\n",
    )
    for arguments in (["show"], ["predict", "last", rows, "-o", tmp_path / "p.csv"]):
        code, _, err = invoke(*arguments, "--out", tmp_path)
        assert code == 2
        assert "'last' is no run directory" in err


def test_compare_prints_text_json_and_a_page(invoke: Invoke, tmp_path: Path) -> None:
    names = [scored(tmp_path, noise=noise).name for noise in (0.3, 1.5)]
    code, out, err = invoke("compare", *names, "--out", tmp_path, "--html", tmp_path / "page.html")
    assert (code, err) == (0, f"page written to {tmp_path / 'page.html'}\n")
    assert "A is better by" in out
    assert "A is better by" in (tmp_path / "page.html").read_text()
    code, out, _ = invoke("compare", *names, "--out", tmp_path, "--json")
    document = json.loads(out)
    assert (code, document["comparable"], document["pairs"][0]["better"]) == (0, True, "A")


def test_compare_shows_what_it_can_when_scores_cannot_be_compared(invoke: Invoke, tmp_path: Path) -> None:
    names = [scored(tmp_path, noise=0.4, seed=seed).name for seed in (0, 1)]
    code, out, err = invoke("compare", *names, "--out", tmp_path, "--json")
    assert code == 2
    assert json.loads(out)["why"] == ["seed of the split: 0 in A; 1 in B"]
    assert err.count("mlteam: ") == 1
    assert "cannot be compared. seed of the split: 0 in A; 1 in B." in err
    code, out, _ = invoke("compare", *names, "--out", tmp_path)
    assert code == 2
    assert "Scores: not comparable" in out


def test_compare_refuses_what_is_no_comparison(invoke: Invoke, tmp_path: Path) -> None:
    name = scored(tmp_path, noise=0.4).name
    for arguments, message in (
        ([name], "expected two at least"),
        ([name, name], "named twice"),
        ([name, "nothing"], "'nothing' is no run directory"),
        ([name, scored(tmp_path, noise=1.0).name, "--html", tmp_path], "is a directory, expected a file name"),
        ([name, scored(tmp_path, noise=1.0).name, "--html", tmp_path / "no" / "page.html"], "cannot write"),
    ):
        code, out, err = invoke("compare", *arguments, "--out", tmp_path)
        assert (code, out, "Traceback" in err) == (2, "", False)
        assert message in err


def test_runs_lists_the_newest_first_also_as_json(invoke: Invoke, tmp_path: Path) -> None:
    first, second = (scored(tmp_path, noise=0.4, ended=ended) for ended in ("done", "interrupted"))
    code, out, _ = invoke("runs", "--out", tmp_path)
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[1:3]] == [second.name, first.name]
    entries = json.loads(invoke("runs", "--out", tmp_path, "--json")[1])
    assert [(entry["name"], entry["state"]) for entry in entries] == [(second.name, "interrupted"), (first.name, "done")]
    assert entries[1]["holdout"]["looks"] == 1


def test_clean_asks_and_says_what_to_type_where_it_cannot(invoke: Invoke, tmp_path: Path) -> None:
    run = scored(tmp_path, noise=0.4, ended="interrupted")
    arguments = ("clean", "--out", tmp_path, "--keep", "0")
    code, out, err = invoke(*arguments)
    assert (code, out) == (2, "")
    assert "there is no terminal to ask on. Add --yes, or look first with --dry-run" in err
    assert invoke(*arguments, "--yes", "--dry-run")[0] == 2
    code, out, _ = invoke(*arguments, "--dry-run")
    assert (code, "would free" in out, run.path.exists()) == (0, True, True)
    code, out, _ = invoke(*arguments, "--yes", "--json")
    document = json.loads(out)
    assert (code, document["done"], document["runs"][0]["action"], run.path.exists()) == (0, True, "remove", False)
    assert document["bytes"] == document["runs"][0]["parts"][0]["bytes"] > 0
    code, out, _ = invoke(*arguments)
    assert (code, out) == (0, "nothing to remove\n"), "with nothing to remove there is nothing to ask"


def test_clean_says_what_it_could_not_remove(invoke: Invoke, tmp_path: Path) -> None:
    run = scored(tmp_path, noise=0.4, ended="interrupted")
    with nested(run.work):
        code, out, err = invoke("clean", "--out", tmp_path, "--keep", "0", "--yes")
    assert (code, "Traceback" in err) == (1, False)
    assert f"left   {run.name}: " in out
    assert "not everything could be removed" in err


@pytest.mark.parametrize(("answer", "goes"), [("n", False), ("y", True)])
def test_clean_asks_in_a_terminal(tmp_path: Path, answer: str, goes: bool) -> None:
    run = scored(tmp_path, noise=0.4, ended="interrupted")
    process = pexpect.spawn(
        sys.executable, ["-m", "team.cli", "clean", "--out", str(tmp_path), "--keep", "0"], encoding="utf-8", timeout=60
    )
    process.expect("would free")
    process.expect("Remove this")
    process.sendline(answer)
    process.expect("freed" if goes else "nothing was removed")
    process.expect(pexpect.EOF)
    process.close()
    assert (process.exitstatus, run.path.exists()) == (0, not goes)


def test_help_names_every_command(invoke: Invoke) -> None:
    code, out, _ = invoke("--help")
    assert code == 0
    for command in (
        "run", "resume", "fork", "predict", "show", "runs", "clean", "compare", "report", "track", "doctor", "tools", "sandbox",
    ):  # fmt: skip
        assert f"\n  {command} " in out


def test_doctor_and_tools_print_json(invoke: Invoke) -> None:
    code, out, _ = invoke("doctor", "--json")
    assert code in (0, 4)
    assert {c["name"] for c in json.loads(out)} >= {"python", "disk", "sandbox bubblewrap", "sandbox unsafe-local"}
    code, out, _ = invoke("tools", "--json")
    schemas = {t["name"]: t for t in json.loads(out)}
    assert code == 0
    assert schemas["seal_holdout"]["where"] == "host"
    assert "ctx" not in schemas["seal_holdout"]["parameters"]["properties"]
    assert schemas["tune"]["roles"] == ["engineer"]


def test_doctor_names_the_keys_that_are_set_and_never_shows_one(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-very-secret")
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-or-very-secret")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://very-secret/v1")
    _, out, err = invoke("doctor", "--json")
    keys = {c["name"]: c["works"] for c in json.loads(out)}
    assert (keys["OPENAI_API_KEY"], keys["ANTHROPIC_API_KEY"], keys["OPENROUTER_API_KEY"], keys["OPENAI_BASE_URL"]) == (
        False,
        True,
        True,
        True,
    )
    assert "very-secret" not in out + err


def test_compressed_tables_are_read(invoke: Invoke, tmp_path: Path) -> None:
    source = tmp_path / "data.csv.gz"
    source.write_bytes(gzip.compress(b"a,y\n" + b"1,2\n" * 30))
    _, _, err = invoke("run", source, "--target", "y", "--out", tmp_path / "runs")
    assert "one value only" in err
