"""The data page: sentences from facts, and the rows in a frame that reaches nothing."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pandas as pd
import pytest

from reports import pages
from reports.exploration import compose, write_exploration
from reports.facts import read_facts
from reports.ledger import Ledger, UnbackedFigure, read_ledger
from team.documents import DOCUMENTS, ON_DEMAND, rebuild
from team.errors import MlteamError
from tests.reports.written import finished
from tools.columns import infer_schema

HOSTILE = "</iframe><script>parent.document.title='taken'</script>"


def test_the_page_holds_the_rows_in_a_frame_without_rights(tmp_path: Path) -> None:
    run = finished(tmp_path)
    with pytest.raises(MlteamError, match="training rows of this run are gone"):
        write_exploration(run.path)
    rows = pd.DataFrame({"Mass": range(60), "Depth": [HOSTILE, "deep"] * 30, "Sex": ["MALE", "FEMALE"] * 30})
    rows.to_parquet(run.data / "train.parquet")
    (run.data / "schema.json").write_text(infer_schema(rows, "Sex").model_dump_json())
    assert rebuild(run, "data").paths == [run.reports / "data.html"]
    page = (run.reports / "data.html").read_text()
    before, frame = page.split("<iframe", 1)
    assert 'sandbox="allow-scripts"' in frame.split("srcdoc", 1)[0]
    assert "allow-same-origin" not in page
    assert "default-src 'none'" in before
    outside = before + frame.split('"></iframe>', 1)[1]
    assert outside.count("<script>") == outside.count(f"<script>{pages.stylesheet('plots.js', 'report.js')}</script>") == 1
    assert outside.count("<script ") == 2 + outside.count('class="plot"'), "Plotly, the theme and a figure each are data"
    assert "by principal components" in before
    assert page.count("</iframe>") == 1, "what the table holds ends no frame"
    inside = unescape(re.search(r'srcdoc="([^"]*)"', page)[1])  # type: ignore[index]  # it is there
    assert "skrub" in inside
    assert HOSTILE not in inside
    assert "60 of 60 training rows, 3 of 3 columns" in page


def test_a_figure_that_is_on_no_record_ends_the_build_and_is_named(tmp_path: Path) -> None:
    run = finished(tmp_path)
    rows = pd.DataFrame({"Mass": range(60), "Depth": ["flat", "deep"] * 30, "Sex": ["MALE", "FEMALE"] * 30})
    facts, schema = read_facts(run.path), infer_schema(rows, "Sex")
    assert "60 of 60 training rows" in compose(facts, read_ledger(run.path), rows, schema)
    with pytest.raises(UnbackedFigure, match=r"the data page states '.*', which nothing on record backs"):
        compose(facts, Ledger([]), rows, schema)


def test_it_is_written_where_it_is_named_alone() -> None:
    assert set(ON_DEMAND) == {"data"} <= set(DOCUMENTS)
