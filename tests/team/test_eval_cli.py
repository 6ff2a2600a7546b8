"""`mlteam eval compare` and `mlteam eval site` as they are typed: documents on stdout, exit codes, and one message for bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from evals.attempts import Attempt
from team.cli import main
from tests.evals.attempted import field, grid, kept

Invoke = Callable[..., tuple[int, str, str]]


@pytest.fixture
def invoke(capsys: pytest.CaptureFixture[str]) -> Invoke:
    def call(*words: str | Path) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["eval", *map(str, words)])
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return call


def worse(rows: list[Attempt], by: float) -> list[Attempt]:
    """The first task of `strong` lost `by`, give or take what seeds do."""
    lost = [row for row in rows if row.task == "task00" and row.system == "strong"]
    return [row.model_copy(update={"score": (row.score or 0) - by + 0.001 * row.seed}) if row in lost else row for row in rows]


def test_a_regression_is_exit_code_1_and_named(tmp_path: Path, invoke: Invoke) -> None:
    old, new = kept(tmp_path / "old", field(3)), kept(tmp_path / "new", worse(field(3), 0.2))
    code, out, err = invoke("compare", old, new)
    assert code == 1
    assert any(line.startswith("worse  strong  task00  ROC AUC (max)") for line in out.splitlines())
    assert f"mlteam: 1 got worse from '{old}' to '{new}': strong on task00." in err
    code, out, err = invoke("compare", new, old, "--json")
    document = json.loads(out)
    assert (code, err) == (0, "")
    assert (document["better"], document["worse"], document["schema_version"]) == (1, 0, 1)
    assert [(one["system"], one["task"]) for one in document["tasks"] if one["verdict"] == "better"] == [("strong", "task00")]
    assert invoke("compare", old, new, "--systems", "weak,dummy")[0] == 0


def test_the_same_eval_is_no_regression(tmp_path: Path, invoke: Invoke) -> None:
    folder = kept(tmp_path / "eval", field(3))
    code, out, _ = invoke("compare", folder, folder / "attempts.jsonl")
    assert code == 0
    assert "No task changed beyond noise." in out


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gone", r"attempts.jsonl' is not there, expected the rows of an eval"),
        ("empty", r"holds no attempt"),
        ("newer", r"was written by a newer mlteam: schema 9"),
        ("broken", r"line 1, is no attempt"),
        ("other", r"no attempt in common: one has a on classic within 60 s; one has a on classic within 7 s. Make both with one suite"),
    ],
)
def test_bad_input_is_one_message_and_exit_code_2(tmp_path: Path, invoke: Invoke, name: str, said: str) -> None:
    good = kept(tmp_path / "good", grid({"t": {"a": [0.9]}}))
    for made, text in (("empty", ""), ("newer", '{"schema_version": 9}\n'), ("broken", "{}\n")):
        (tmp_path / made).mkdir()
        (tmp_path / made / "attempts.jsonl").write_text(text)
    kept(tmp_path / "other", grid({"t": {"a": [0.9]}}, budget_s=7.0))
    code, out, err = invoke("compare", good, tmp_path / name)
    assert (code, out) == (2, "")
    assert said in err
    assert len(err.strip().splitlines()) == 1


def test_terminal_codes_of_names_do_not_reach_the_terminal(tmp_path: Path, invoke: Invoke) -> None:
    folder = kept(tmp_path, grid({"t\x1b[31m": {"a\x1b]0;x\x07": [0.9, None]}}))
    for words in (["compare", folder, folder], ["compare", folder, folder, "--json"]):
        assert "\x1b" not in "".join(map(str, invoke(*words)))


def test_pages_are_written_again_from_the_rows(tmp_path: Path, invoke: Invoke) -> None:
    folder = kept(tmp_path / "eval", field(2, seeds=1))
    code, out, _ = invoke("site", folder)
    assert (code, out.strip()) == (0, str(folder / "site" / "index.html"))
    assert (folder / "site" / "index.html").is_file()
    assert (folder / "attempts.parquet").is_file()
    assert invoke("site", tmp_path / "gone")[0] == 2
