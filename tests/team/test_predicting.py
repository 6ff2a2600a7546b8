"""`mlteam predict` reads rows as they are spelt, and where nothing is said as the run's source was read."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from team.cli import main
from team.run import start
from team.rundir import RunDir
from team.settings import load_settings
from tests.tools.formats.test_adapters import workbook

pytestmark = pytest.mark.slow
Predict = Callable[..., tuple[int, str, "list[float]"]]
TOWNS = ("Köln", "Zürich", "Nîmes")


def number(value: float) -> str:
    return f"{value:,.2f}".replace(",", " ").replace(".", ",").replace(" ", ".")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """Trained on text of cp1252 with semicolons and decimal commas, in which `1.234` is more than a thousand."""
    folder = tmp_path_factory.mktemp("runs")
    rows = "".join(
        f"{TOWNS[i % 3]};{number(i / 7)};1.{37 * i % 900:03};{('007', 'A12')[i % 2]};{number(10 * (i % 3) + (37 * i % 900) / 10)}\n"
        for i in range(120)
    )
    (folder / "preise.csv").write_bytes(f"# aus der Datenbank\nStadt;Länge;Menge;Platz;Preis\n{rows}".encode("cp1252"))
    asked = {"source": str(folder / "preise.csv"), "target": "Preis", "out": folder, "time": "60s", "trials": 0, "families": "linear"}
    return RunDir(Path(start(load_settings({**asked, "sandbox": {"kind": "unsafe-local", "cpus": 1}}))["run"]))


@pytest.fixture
def predicted(run: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Predict:
    def call(name: str, content: bytes | None = None, options: str = "") -> tuple[int, str, list[float]]:
        if content is not None:
            (tmp_path / name).write_bytes(content)
        output = tmp_path / "out.csv"
        output.unlink(missing_ok=True)
        with pytest.raises(SystemExit) as ended:
            main(["predict", str(run.path), f"{tmp_path / name}{options}", "-o", str(output), "--sandbox", "unsafe-local"])
        err = capsys.readouterr().err
        return int(ended.value.code or 0), err, pd.read_csv(output)["prediction"].tolist() if output.exists() else []

    return call


PLAIN = b"Stadt,L\xc3\xa4nge,Menge,Platz\nK\xc3\xb6ln,1.5,1234,007\n"


def test_how_a_source_was_read_is_on_record_and_in_the_package(run: RunDir) -> None:
    dialect = {"encoding": "cp1252", "delimiter": ";", "header": "first", "decimal": ",", "texts": ["Stadt", "Platz"]}
    assert json.loads(run.manifest.read_text())["dialect"] == dialect
    assert dialect.items() <= json.loads((run.model / "package.json").read_text())["dialect"].items()


def test_rows_are_read_as_the_source_was_and_else_guessed_anew(predicted: Predict) -> None:
    code, err, truth = predicted("points.csv", PLAIN)
    assert (code, len(truth)) == (0, 1)
    assert "Not read as the data that the model has learnt from" in err
    assert "guessed anew: delimiter comma, decimal '.'." in err
    code, err, found = predicted("row.csv", "Stadt;Länge;Menge;Platz\nKöln;1,5;1.234;007\n".encode("cp1252"))
    assert (code, found) == (0, truth)
    assert "Read as the data that the model has learnt from: encoding 'cp1252', delimiter semicolon, decimal ','." in err


def test_a_row_that_tells_nothing_is_read_as_the_source_was(predicted: Predict) -> None:
    # Nothing in it says that its dot parts thousands, nor that 007 is no number.
    bare = predicted("bare.csv", "Stadt;Länge;Menge;Platz\nKöln;2;1.234;007\n".encode())[2]
    assert bare == predicted("whole.csv", "Stadt,Länge,Menge,Platz\nKöln,2,1234,007\n".encode())[2]
    assert bare != predicted("bare.csv", None, "#decimal=point")[2], "what is asked for holds"


def test_options_behind_rows_choose_sheets_keys_and_delimiters(predicted: Predict, tmp_path: Path) -> None:
    _, _, truth = predicted("points.csv", PLAIN)
    row = {"Stadt": "Köln", "Länge": 1.5, "Menge": 1234, "Platz": "007"}
    workbook(tmp_path / "book.xlsx", notes=[["note", "by", "at", "of", "to"]] * 9, rows=[list(row), list(row.values())])
    assert predicted("book.xlsx", None, "#sheet=rows")[::2] == (0, truth)
    document = json.dumps({"old": [{"x": 1}] * 3, "new": [row]}).encode()
    assert predicted("rows.json", document, "#key=new")[::2] == (0, truth)
    odd = "# by hand\nStadt^Länge^Menge^Platz\nKöln^1,5^1234^007\n".encode("cp850")
    assert predicted("odd.txt", odd, "#delimiter=^&encoding=cp850&decimal=comma")[::2] == (0, truth)
    for name, options, told in (
        ("book.xlsx", "#sheet=2024", r"there is no sheet '2024'; sheets: 'notes', 'rows'"),
        ("points.csv", "#encoding=klingon", r"encoding='klingon' is unknown; expected one such as utf-8"),
        ("points.csv", "#delimiter=ab", r"delimiter='ab' parts no fields; expected comma"),
        ("points.csv", "#encodng=x", r"'encodng=x' is no option; expected one of #sha256="),
        ("nowhere.csv", "", "no such file"),
    ):
        code, err, found = predicted(name, None, options)
        assert (code, found) == (2, []), options
        assert told in err
        assert err.count("mlteam:") == 1, err
        assert name in err


def test_the_package_alone_reads_rows_the_same_way(run: RunDir, predicted: Predict, tmp_path: Path) -> None:
    _, _, truth = predicted("row.csv", "Stadt;Länge;Menge;Platz\nKöln;2;1.234;007\n".encode("cp1252"))
    path = str(Path(__file__).parents[2])
    words = [sys.executable, str(run.model / "predict.py"), str(tmp_path / "row.csv"), "-o", str(tmp_path / "alone.csv")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, env={"PYTHONPATH": path, "PATH": ""})
    assert done.returncode == 0, done.stderr
    assert "Read as the data that the model has learnt from" in done.stderr
    assert pd.read_csv(tmp_path / "alone.csv")["prediction"].tolist() == truth
