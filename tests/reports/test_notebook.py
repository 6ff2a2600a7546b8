"""The notebook holds what was executed, is valid, and executes again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import nbformat
import pytest

from reports.notebook import PROGRESS_MIME, write_notebook
from reports.plots import RESULT_MIME
from team.rundir import RunDir
from tests.reports.written import Written, finished, png
from tools import show

HOSTILE = "<script>alert(1)</script> [x](javascript:alert(2)) ![i](http://a.b/c.png) `rm -rf /` $\\href{x}{y}$ # *b*"


def read(path: Path) -> Any:
    notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    return notebook


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    return finished(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def notebook(run: RunDir) -> Any:
    return read(write_notebook(run.path))


def test_it_is_valid_and_says_how_to_execute_it(run: RunDir, notebook: Any) -> None:
    assert (notebook.nbformat, notebook.metadata.kernelspec.name) == (4, "python3")
    first, last = notebook.cells[0].source, notebook.cells[-1].source
    assert first.startswith("# Predicting Sex")
    assert f"cd runs/{run.name}\nrm -rf replay\njupyter nbconvert --to notebook --execute notebook.ipynb" in first
    assert "**0.9777** (95% interval 0.9483 to 0.9973)" in last
    assert "looked at once" in last


def test_cells_are_the_executed_ones_in_order_without_predictions(notebook: Any) -> None:
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.metadata.mlteam.tool for cell in code] == ["profile_table", "train", "evaluate"]
    assert code[1].source == "from tools.training import train"
    assert code[1].metadata.mlteam == {"call": "call3", "tool": "train", "role": "engineer", "stage": "train", "seconds": 0.5}


def test_words_and_stages_stand_before_the_cells(notebook: Any) -> None:
    sources = [cell.source for cell in notebook.cells]
    at = sources.index("from tools.eda import profile_table")
    assert sources[at - 1] == "## Analyse\n\n**Data scientist:** What is Mass?"
    assert sources[at + 1] == "**Data scientist:** Mass is strong."


def test_outputs_are_kept_but_for_what_only_the_host_reads(notebook: Any) -> None:
    train = next(cell for cell in notebook.cells if cell.get("source") == "from tools.training import train")
    assert [output.output_type for output in train.outputs] == ["stream", "display_data"]
    assert set(train.outputs[1].data) == {"text/plain", "text/html"}
    mimes = {mime for cell in notebook.cells for output in cell.get("outputs", []) for mime in output.get("data", {})}
    assert mimes == {"text/plain", "text/html", "image/png"}


def test_the_private_types_are_those_that_the_tools_use() -> None:
    assert (PROGRESS_MIME, RESULT_MIME) == (show.PROGRESS_MIME, show.RESULT_MIME)


def test_the_same_run_gives_the_same_bytes_and_ids(run: RunDir, notebook: Any, tmp_path: Path) -> None:
    first = run.notebook.read_bytes()
    shutil.copytree(run.path, tmp_path / run.name)
    assert write_notebook(tmp_path / run.name).read_bytes() == first
    ids = [cell.id for cell in notebook.cells]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    ("status", "tags"), [("error", ["raises-exception"]), ("timeout", ["raises-exception", "skip-execution"]), ("ok", None)]
)
def test_cells_that_failed_are_tagged(tmp_path: Path, status: str, tags: list[str] | None) -> None:
    with Written(tmp_path) as w:
        w.start()
        w.turn("engineer", "train")
        call = w.call("engineer", "run_python", {"code": "1/0"}, status=status)
        error = {"output_type": "error", "ename": "ZeroDivisionError", "evalue": "division by zero", "traceback": ["Traceback"]}
        w.cell(call, "run_python", "1/0", status=status, outputs=[error])
    cell = next(c for c in read(write_notebook(w.run.path)).cells if c.cell_type == "code")
    assert cell.metadata.get("tags") == tags
    assert cell.outputs[0].ename == "ZeroDivisionError"


def test_results_of_last_lines_are_numbered_as_their_cell(tmp_path: Path) -> None:
    with Written(tmp_path) as w:
        w.start()
        result = {"output_type": "execute_result", "data": {"text/plain": "2"}, "metadata": {}, "execution_count": 9}
        w.cell("free", "run_python", "1 + 1", outputs=[result])
    cell = next(c for c in read(write_notebook(w.run.path)).cells if c.cell_type == "code")
    assert cell.execution_count == cell.outputs[0].execution_count == 1


def test_hostile_text_is_neither_markdown_nor_html(tmp_path: Path) -> None:
    convert = pytest.importorskip("nbconvert.filters.markdown_mistune").markdown2html_mistune
    run = finished(tmp_path, name=HOSTILE, target=HOSTILE, source=HOSTILE)
    for cell in read(write_notebook(run.path)).cells:
        if cell.cell_type == "markdown":
            html = convert(cell.source)
            for harm in ("<script", "<a ", "<img", "<em>", "$\\href", "onerror="):
                assert harm not in html.replace('<a class="anchor-link"', "")
            assert "<code>rm" not in html


def test_html_of_kernels_is_cut_down_and_broken_images_go(tmp_path: Path) -> None:
    with Written(tmp_path) as w:
        w.start()
        html = "<table onclick='x()'><tr><td>1<script>alert(1)</script></td></tr></table>"
        bad = {
            "output_type": "display_data",
            "data": {"text/html": html, "image/png": "bm90IGFuIGltYWdl", "text/plain": "t"},
            "metadata": {},
        }
        svg = {"output_type": "display_data", "data": {"image/svg+xml": "<svg onload='x()'/>"}, "metadata": {}}
        w.cell("free", "run_python", "show()", outputs=[bad, svg], images=[png()])
    outputs = next(c for c in read(write_notebook(w.run.path)).cells if c.cell_type == "code").outputs
    assert outputs[0].data == {"text/plain": "t", "text/html": "<table><tr><td>1</td></tr></table>"}
    assert [set(output.data) for output in outputs[1:]] == [{"text/plain", "image/png"}]


def test_a_run_without_cells(tmp_path: Path) -> None:
    with Written(tmp_path) as w:
        w.start(target=None)
    cells = read(write_notebook(w.run.path)).cells
    assert [cell.id for cell in cells] == ["opening", "closing"]
    assert "No candidate was scored." in cells[-1].source


def test_it_executes_from_top_to_bottom_and_writes_to_replay(tmp_path: Path) -> None:
    nbclient = pytest.importorskip("nbclient")
    with Written(tmp_path) as w:
        w.start()
        w.turn("engineer", "train")
        code = "from tools.workspace import workspace\nfrom pathlib import Path\nprint(workspace().work.name, workspace().data.is_dir())"
        w.cell(w.call("engineer", "run_python", {"code": code}), "run_python", code)
        w.cell(w.call("engineer", "run_python", {"code": "1/0"}, status="error"), "run_python", "1/0", status="error")
        w.cell(w.call("engineer", "run_python", {"code": "x"}, status="died"), "run_python", "import os; os._exit(1)", status="died")
        w.cell(w.call("engineer", "run_python", {"code": "print(2)"}), "run_python", "print(2)")
    notebook = read(write_notebook(w.run.path))
    nbclient.NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(w.run.path)}}).execute()
    code_cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code_cells[0].outputs[0].text == "replay True\n"
    assert code_cells[1].outputs[0].ename == "ZeroDivisionError"
    assert code_cells[3].outputs[0].text == "2\n"


def test_it_is_json_that_ends_with_a_newline(run: RunDir) -> None:
    text = write_notebook(run.path).read_text(encoding="utf-8")
    assert text.endswith("}\n")
    assert json.loads(text)["metadata"]["mlteam"] == {"run": run.name}
