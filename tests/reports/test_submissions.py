"""A candidate written as code: one cell of the notebook that holds it whole, shows what was recorded and does it again."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import nbformat
import pytest

from reports.facts import read_facts
from reports.notebook import write_notebook
from team.events import KernelChanged, RoundEnded
from tests.reports.written import Written

CODE = 'from sklearn.linear_model import Ridge\n\n\ndef make_model():\n    """A ridge."""\n    return Ridge()\n'
RESULT = {"candidate": {"name": "mine", "family": "code", "score": 0.7}, "fold_scores": [0.6, 0.8], "metric": "r2", "seconds": 3.0}


def written(out: Path, code: str, *, status: str = "ok", result: dict[str, Any] | None = RESULT, text: str = "") -> list[Any]:
    """The notebook of a run whose engineer submitted `code`, which was fitted on two folds, between two other cells."""
    with Written(out) as w:
        w.start()
        w.turn("engineer", "train")
        w.cell(w.call("engineer", "run_python", {"code": "1"}), "run_python", "1")
        arguments = {"name": "mine", "code": code, "time_s": 120.0}
        call = w.call("engineer", "submit_candidate", arguments, result, why="A ridge may do.", status=status, text=text)
        for fold in (1, 2):
            stream = {"output_type": "stream", "name": "stdout", "text": f"printed in fold {fold}\n"}
            w.cell(call, "predict_fold", "show(predict_fold())", outputs=[stream], result={"rows": 60, "fit_seconds": 0.5})
        w.cell(w.call("engineer", "run_python", {"code": "2"}), "run_python", "2")
    notebook = nbformat.read(write_notebook(w.run.path), as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    return list(notebook.cells)


def coded(cells: list[Any]) -> list[Any]:
    return [cell for cell in cells if cell.cell_type == "code"]


def test_the_folds_of_a_candidate_are_one_cell_at_their_place(tmp_path: Path) -> None:
    cells = written(tmp_path, CODE)
    before, mine, after = coded(cells)
    assert (before.source, after.source) == ("1", "2")
    assert mine.source == (
        "from tools.show import show\nfrom tools.submission import cross_validate\n\n"
        f"code = r'''{CODE}'''\n\nshow(cross_validate('mine', code))"
    )
    assert mine.metadata.mlteam.tool == "submit_candidate"
    assert "tags" not in mine.metadata
    assert [output.text for output in mine.outputs[:2]] == ["printed in fold 1\n", "printed in fold 2\n"]
    assert "score=0.7" in mine.outputs[2].data["text/plain"]
    words = cells[cells.index(mine) - 1].source
    assert "**Engineer:** A ridge may do." in words
    assert "ran in 2 fresh sandboxes, one a fold" in words
    assert "but for code that was scored in sandboxes of its own, as is told there" in cells[0].source


def test_the_report_tells_the_sandboxes_apart_and_counts_the_round(tmp_path: Path) -> None:
    with Written(tmp_path) as w:
        w.start()
        w.turn("engineer", "optimise")
        started = [KernelChanged(change="started", facts={"sandbox": "bubblewrap", "fold": fold}) for fold in (1, 2)]
        w.call("engineer", "submit_candidate", {"name": "mine", "code": CODE}, RESULT, between=[*started])
        w.add(RoundEnded(round=1, gain=0.1, noise=0.01))
    facts = read_facts(w.run.path)
    assert [record.text for record in facts.turns[0].calls[0].records] == [
        "kernel started for fold 1 (bubblewrap)",
        "kernel started for fold 2 (bubblewrap)",
    ]
    assert facts.rounds[0].families == ("code",)


def test_a_candidate_that_failed_is_shown_and_not_executed_again(tmp_path: Path) -> None:
    mine = coded(written(tmp_path, CODE, status="error", result=None, text="fold 2 of 5 failed: no"))[1]
    assert mine.metadata.tags == ["raises-exception", "skip-execution"]
    assert mine.outputs[-1].text == "fold 2 of 5 failed: no"


@pytest.mark.parametrize(
    "code",
    [
        CODE,
        "x = r'\\d'\nmake_model = None\\",
        "x = '''text'''\n",
        "x = 'ends in a quote'",
        "''' + __import__('os').getcwd() + '''",
        "a\r\nb\rc\ttab \x0c ü \u2028 🙂",
        "'''\n" * 20,
    ],
)
def test_the_cell_holds_the_code_to_the_letter(tmp_path: Path, code: str) -> None:
    source = coded(written(tmp_path, code))[1].source
    assigned = next(node for node in ast.parse(source).body if isinstance(node, ast.Assign))
    assert ast.literal_eval(assigned.value) == code
    assert len([node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]) == 2, "show and cross_validate"
