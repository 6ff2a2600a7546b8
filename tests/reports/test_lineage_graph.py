from __future__ import annotations

from pathlib import Path

from reports.html import write_report
from reports.lineage_graph import MOST_NODES, lineage_svg
from reports.table_findings import Lineage, MadeColumn
from tests.reports.test_html import Page
from tests.reports.written import Written


def lineage(name: str = "when") -> Lineage:
    made = (
        MadeColumn(column="gap", step=0, sources=(name, "paid")),
        MadeColumn(column="gap", step=1, sources=("gap",)),
    )
    return Lineage(
        raw=(name, "paid", "size"), steps=("make=dates", "scale=power"), made=made, prepared={"gap": (name, "paid"), "size": ("size",)}
    )


def test_every_step_has_a_layer_and_every_column_its_sources() -> None:
    drawn = str(lineage_svg(lineage()))
    assert drawn.count("<path") == 3
    assert [drawn.count(f">{text}</text>") for text in ("raw columns", "make=dates", "scale=power", "gap", "when")] == [1, 1, 1, 2, 1]
    assert drawn.count('class="seen"') == 1, "the last of them is what models see"
    assert ">size<" not in drawn, "a column that passes by is no part of it"


def test_names_of_columns_are_text() -> None:
    drawn = str(lineage_svg(lineage('<script>alert(1)</script>"')))
    assert "<script" not in drawn
    assert "&lt;script&gt;" in drawn
    assert "evil name" in str(lineage_svg(lineage("\x1b]52;c;x\x07evil\u202e name"))), "and what acts on whoever shows it is left out"
    assert not {"\x1b", "\x07", "\u202e"} & set(str(lineage_svg(lineage("\x1b]52;c;x\x07evil\u202e name"))))


def test_many_columns_are_counted_and_none_is_no_graph() -> None:
    made = tuple(MadeColumn(column=f"c{k}", step=0, sources=("a",)) for k in range(MOST_NODES + 6))
    wide = Lineage(raw=("a",), steps=("encode=onehot",), made=made, prepared={one.column: ("a",) for one in made})
    assert "and 6 more" in str(lineage_svg(wide))
    assert str(lineage_svg(Lineage(raw=(), steps=(), made=(), prepared={}))) == ""


def test_without_a_step_that_makes_columns_the_raw_ones_are_what_models_see() -> None:
    drawn = str(lineage_svg(Lineage(raw=("a", "b"), steps=("select=mi",), made=(), prepared={"a": ("a",)})))
    assert [drawn.count(f">{text}</text>") for text in ("raw columns", "what models see", "a", "b")] == [1, 1, 2, 0]
    assert drawn.count("<path") == 1


def test_the_report_draws_it_and_tells_what_was_tried(tmp_path: Path) -> None:
    name = '<script>alert(1)</script>"'
    with Written(tmp_path) as w:
        w.start()
        w.seal()
        w.call("data_scientist", "profile_table", {}, {"rows": 344, "columns": 3})
        w.turn("engineer", "prepare")
        tried = {"step": "make=dates", "score": 0.9123, "gain": 0.0321, "std_error": 0.004, "margin": 0.012, "p": 0.01, "kept": True}
        refused = {**tried, "step": "make=aggregates", "score": None, "kept": False, "why": "there is no column of categories"}
        found = {"steps": ["make=dates"], "tried": [tried, refused], "family": "lightgbm", "metric": "roc_auc", "before": 0.8802}
        w.call("engineer", "try_steps", {"time_s": 9}, found)
        made = {"name": "prepared", "columns_in": 3, "columns_used": 3, "features_out": 5, "dropped": [], "steps": ["make=dates"]}
        w.call("engineer", "prepare", {"name": "prepared", "steps": ["make=dates"]}, made)
        (w.run.work / "lineage").mkdir(parents=True)
        (w.run.work / "lineage" / "prepared.json").write_text(lineage(name).model_dump_json())
    page = Page(write_report(w.run.path))
    text = " ".join(page.text.split())
    assert "Fitted inside each fold, on its training rows alone: make=dates." in text
    steps = text.partition("Steps that were tried")[2].partition("The search")[0][:1000]
    assert "there is no column of categories" in steps
    assert "0.912" in steps
    assert [attrs["class"] for tag, attrs in page.elements if tag == "svg" and "lineage" in attrs.get("class", "")] == ["lineage"]
    assert name in page.text, "a name is text, whatever it looks like"
    assert page.open == []
    # What the sandbox wrote need be no lineage at all.
    for written in ("{", '{"raw": 1}', "[" * 100_000):
        (w.run.work / "lineage" / "prepared.json").write_text(written)
        assert not any(tag == "svg" and attrs.get("class") == "lineage" for tag, attrs in Page(write_report(w.run.path)).elements)
