from __future__ import annotations

from reports.findings import Lineage, MadeColumn
from reports.lineage_graph import MOST_NODES, lineage_svg


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


def test_many_columns_are_counted_and_none_is_no_graph() -> None:
    made = tuple(MadeColumn(column=f"c{k}", step=0, sources=("a",)) for k in range(MOST_NODES + 6))
    wide = Lineage(raw=("a",), steps=("encode=onehot",), made=made, prepared={one.column: ("a",) for one in made})
    assert "and 6 more" in str(lineage_svg(wide))
    assert str(lineage_svg(Lineage(raw=("a",), steps=("select=mi",), made=(), prepared={"a": ("a",)}))) == ""
