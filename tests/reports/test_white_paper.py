"""The white paper: what it says is on record, no text of the data breaks it, and LaTeX sets it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from reports.facts import read_facts
from reports.glyphs import outline
from reports.ledger import UnbackedFigure, read_ledger
from reports.references import ENTRIES, cited
from reports.tex import escape, typed
from reports.white_paper import compose, write_paper
from team.events import ToolReturned
from team.log import EventLog
from tests.reports.written import examined, finished, profile

HOSTILE = 'a_b%c&d#e$ \\input{/etc/passwd} ^^41 {x} ~ "q" `u` 😀 \u0378 שלום 中文 Ünï αβ≤3 Пол -- ' + "w" * 60


def test_no_character_of_a_text_is_markup() -> None:
    assert escape("a_b%c&d#e$") == r"a\_b\%c\&d\#e\$"
    assert escape("\\input{x}") == r"\textbackslash{}input\{x\}"
    assert escape("\u0378 ﬁ ש") == r"\code{U+0378} fi \glyph{05E9}", "no character, a ligature, and a letter that is shaped"
    assert escape("Пол😀") == r"\glyph{041F}\glyph{043E}\glyph{043B}\glyph{D83DDE00}", "drawn from the font that matplotlib brings"
    assert escape("[a]*") == "{[}a{]}{*}", "no argument of what stands before"
    assert "\u202e" not in escape("a\u202eb")
    assert escape("--") == "-{}-{}"
    assert escape("'it's' ('b')") == "‘it's' (‘b')", "marks that open are turned"
    assert typed("--x 'a b'") == r"-{}-{}x \textquotesingle{}a b\textquotesingle{}", "what is copied can be typed"
    assert escape("cross-validation") == r"cross-{}\allowbreak{}validation", "no word is broken that is not too long by itself"


@pytest.mark.parametrize("make", [finished, examined])
def test_its_numbers_are_on_record_and_the_same_run_gives_the_same_bytes(tmp_path: Path, make: object) -> None:
    run = make(tmp_path, name=HOSTILE)  # type: ignore[operator]
    first = compose(read_facts(run.path), read_ledger(run.path))
    again = compose(read_facts(run.path), read_ledger(run.path))
    assert first == again
    assert r"\section{Results}" in first[0]
    assert ("code points in Unicode" in first[0]) == (make is finished), "only where a table has such a character"


def test_prose_with_a_figure_that_is_not_on_record_ends_the_build(tmp_path: Path) -> None:
    run = finished(tmp_path)
    run.sections.write_text(json.dumps({"abstract": "It reaches 0.9123 on unseen rows."}))
    with pytest.raises(UnbackedFigure, match=r"the white paper states '0\.9123'"):
        compose(read_facts(run.path), read_ledger(run.path))


def test_it_tells_with_what_the_model_was_fitted_what_each_part_brought_and_what_the_gates_say(tmp_path: Path) -> None:
    from tools.candidates import Candidate
    from tools.understanding.findings import Gate, Grade

    run = finished(tmp_path)
    log = EventLog(run.events)
    gates = [Gate(gate="single feature", verdict="fail", evidence="'a_b' alone has ROC AUC 0.997.").model_dump()]
    grades = [Grade(aspect="completeness", grade=83, why="83.7% of values are there").model_dump()]
    found = {**profile(), "gates": gates, "scorecard": grades}
    tried = {"step": "impute=knn", "score": 0.9, "gain": 0.0123, "std_error": 0.0045, "margin": 0.0078, "kept": True}
    steps = {"steps": ["impute=knn"], "tried": [tried], "family": "lightgbm", "metric": "roc_auc", "before": 0.8877}
    for call, (tool, result) in enumerate({"profile_table": found, "try_steps": steps}.items()):
        log.append(ToolReturned(call=str(call), tool=tool, status="ok", seconds=1.0, search_seconds=0.0, result=result, text=""))
    log.close()
    params = {"learning_rate": 0.0317, "num_leaves": 47, "grow_policy": "a_b"}
    known = {"name": "lightgbm-1", "family": "lightgbm", "params": params, "preparation": "default", "metric": "roc_auc"}
    fit = {"score": 0.97, "std_error": 0.01, "fold_scores": [0.97], "n_folds": 1, "fit_seconds": 1.0, "predict_ms_per_row": 0.1}
    folder = run.work / "candidates" / "lightgbm-1"
    folder.mkdir(parents=True)
    (folder / "candidate.json").write_text(Candidate(**known, **fit, members=[]).model_dump_json())
    text, _ = compose(read_facts(run.path), read_ledger(run.path))
    for told in (
        "0.0317",
        "a\\_b",
        "83.7\\%",
        "0.997",
        "impute=knn & 0.0123 & 0.0045 & 0.0078 & kept",
        "baselines alone & linear-{}1 & 0.9600",
        "Nothing was fitted anew without them",
        "Mass & 0.1600",
        r"\room{16\baselineskip}\section{Experiments}",
    ):
        assert told in text, told
    assert r"\baselineskip}\section{Methods}" not in text, "text stays with its heading by itself"


def test_every_method_that_is_cited_has_an_entry_and_no_other_is(tmp_path: Path) -> None:
    run = examined(tmp_path)
    facts = read_facts(run.path)
    text, _ = compose(facts, read_ledger(run.path))
    named = {key for keys in re.findall(r"\\citep\{([^}]*)\}", text) for key in keys.split(",")}
    assert {"corrected_t", "holm", "delong", "nested", "lightgbm"} <= named <= set(cited(facts)) <= set(ENTRIES)
    assert "catboost" not in named
    for told in ("Mass & 0.1234 & 0.0987 – 0.1481", "Depth & 0.4567 & 0.4111 – 0.5023", "loses in ROC AUC when it is fitted again"):
        assert told in text, told


def test_every_family_whose_method_is_named_has_its_entry_and_methods_of_the_table_are_cited_where_they_ran(tmp_path: Path) -> None:
    from reports.references import OF_FAMILY
    from tools.families import learners
    from tools.understanding.findings import Dependence, Missingness

    assert {key for keys in OF_FAMILY.values() for key in keys} <= set(ENTRIES)
    tasks = ("binary", "regression", "forecast", "survival", "cluster", "anomaly", "ordinal", "quantile")
    assert set(OF_FAMILY) - {"ensemble"} <= {family for task in tasks for family in learners(task)}  # type: ignore[arg-type]
    run = finished(tmp_path)
    tested = {"tested": 2, "statistic": 1.0, "degrees": 1, "p_value": 0.3}
    missing = Missingness.model_validate({"columns": 1, "complete_rows": 0.9, "patterns": [], "verdict": "may be random", **tested})
    dependent = Dependence(by="", lag1=0.0, p_value=0.4, dependent=False)
    found = {**profile(), "missingness": missing.model_dump(), "dependence": dependent.model_dump()}
    log = EventLog(run.events)
    log.append(ToolReturned(call="p", tool="profile_table", status="ok", seconds=1.0, search_seconds=0.0, result=found, text=""))
    log.close()
    text, _ = compose(read_facts(run.path), read_ledger(run.path))
    assert r"tell of gaps and dependence of rows on each other~\citep{little,ljung_box}" in text
    assert {"isolation", "lilliefors"} & set(cited(read_facts(run.path))) == set()


def test_without_latex_the_text_is_written_and_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = finished(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    paper = write_paper(run.path)
    assert paper.pdf is None
    assert "apt-get install" in paper.problem
    assert paper.tex.read_text().startswith(r"\documentclass")
    assert (paper.tex.parent / "figures" / "candidates.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.latex
@pytest.mark.slow
def test_latex_sets_what_data_holds_without_text_in_the_margin(tmp_path: Path) -> None:
    run = finished(tmp_path, name=HOSTILE)
    paper = write_paper(run.path)
    assert paper.pdf is not None, paper.problem
    assert paper.overfull_pt <= 5
    first = paper.pdf.read_bytes()
    assert write_paper(run.path).pdf == paper.pdf
    assert paper.pdf.read_bytes() == first
    if shutil.which("pdftotext"):
        text = subprocess.run(["pdftotext", "-layout", paper.pdf, "-"], capture_output=True, text=True, timeout=60, check=True).stdout
        assert "0.9777" in text
        assert "a_b%c&d#e$" in text
        assert "Пол" in text
        assert "שלום" in text
        assert ("中文" in text) == (outline("中") is not None)
        assert "References" in text
        assert "root:" not in text
        assert "??" not in text


@pytest.mark.latex
def test_a_text_that_is_no_latex_is_told_by_its_first_complaint(tmp_path: Path) -> None:
    from reports.typesetting import TypesettingFailed, typeset

    (tmp_path / "paper").mkdir()
    (tmp_path / "paper" / "paper.tex").write_text("\\documentclass{article}\\begin{document}\\undefinedthing\\end{document}")
    with pytest.raises(TypesettingFailed, match="Undefined control sequence"):
        typeset(tmp_path / "paper", tmp_path / "paper.pdf", 0)
    for hole in (r"\input{/etc/passwd}", r"\immediate\write18{touch here}\input{here}"):
        (tmp_path / "paper" / "paper.tex").write_text(f"\\documentclass{{article}}\\begin{{document}}{hole}\\end{{document}}")
        with pytest.raises(TypesettingFailed, match=r"not found|Emergency stop"):
            typeset(tmp_path / "paper", tmp_path / "paper.pdf", 0)
