"""Charts within a page: their JSON ends no element, all that they say is claimed, and what is on no record is not drawn."""

from __future__ import annotations

import json
import math

import plotly.graph_objects as go
import pytest

from reports.plotly_figures import PLACED_X, Bar, Mark, Scale, Series, bars, document, plane
from reports.plotly_page import MOST_VALUES, Chart, claims, figure_json, library, sources, without

HOSTILE = "</script><!--<script>\u2028\u2029&\"' \N{GRINNING FACE} ]]>"


def chart(*marks: Mark, **changes: bool) -> Chart:
    return Chart("Title", "", plane([Series("rows", marks, **changes)], Scale("Across"), Scale("Up")), "Label with 7 rows")


def test_text_of_the_data_ends_no_element_and_comes_back_as_it_was() -> None:
    figure = document(go.Figure(go.Scatter(x=[1], y=[2], hovertext=[HOSTILE], name="\ud800 alone")))
    text = str(figure_json(Chart("", "", figure, "")))
    assert text.isascii()
    assert not set(text) & set("<>&'")
    assert json.loads(text) == figure
    assert json.loads(text)["data"][0]["hovertext"] == [HOSTILE]


def test_the_same_figure_is_the_same_text_without_plotlys_own_theme() -> None:
    one, other = (str(figure_json(chart(Mark(1.0, 2.0, "a"), Mark(math.nan, 2.0), Mark(3.0, math.inf)))) for _ in range(2))
    assert one == other
    assert json.loads(one)["data"][0]["x"] == [1.0], "a place that is none is not drawn"
    assert "template" not in json.loads(one)["layout"]


def test_words_and_numbers_are_claimed_and_so_are_the_ends_of_bars() -> None:
    said = claims(chart(Mark(1.5, 0.25, "one of 9", low=0.125, high=0.5), Mark(2.5, 0.75, "two", low=0.5, high=1.0)))
    assert {"Label with 7 rows", "Across", "Up", "one of 9", "two"} <= set(said)
    assert {"1.5", "2.5", "0.25", "0.75", "0.125", "0.5", "1"} <= set(said)
    banded = claims(chart(Mark(1.5, 0.25, low=0.125, high=0.5), Mark(2.5, 0.75, low=0.0625, high=1.0), band=True))
    assert {"0.125", "0.0625"} <= set(banded)
    even = claims(Chart("", "", bars({"importance": [Bar("Mass", 0.25, "0.250", "Mass: 0.250", error=0.03125)]}, Scale("Worth")), ""))
    assert {"Mass", "0.25", "0.250", "0.03125"} <= set(even)


def test_a_place_in_an_order_is_no_figure_of_the_record() -> None:
    figure = document(go.Figure(go.Scatter(x=[1, 2, 77], y=[0.5, 0.25, 0.125], meta=PLACED_X)))
    said = claims(Chart("", "", figure, ""))
    assert "0.125" in said
    assert "77" not in said


def test_coordinates_of_parallel_axes_are_figures_where_no_text_stands_for_them() -> None:
    dimensions = [{"label": "leaves", "values": [31, 63]}, {"label": "rate", "values": [-3, -1.5], "tickvals": [-3], "ticktext": ["0.001"]}]
    parallel = Chart("", "", document(go.Figure(go.Parcoords(dimensions=dimensions, customdata=["a trial", "another"]))), "")
    said = claims(parallel)
    assert {"31", "63", "0.001", "a trial"} <= set(said)
    assert "-1.5" not in said
    left = without(parallel, frozenset({"63", "a trial"})).figure["data"][0]
    assert left["dimensions"][0]["values"] == [31, None]
    assert left["dimensions"][1]["values"] == [-3, -1.5]
    assert left["customdata"] == ["withheld", None]
    assert sources([parallel])[1:] == ["'unsafe-eval'"], "regl compiles"


def test_what_is_on_no_record_is_neither_told_nor_drawn() -> None:
    whole = chart(Mark(1.5, 0.25, "one", low=0.125, high=0.5), Mark(2.5, 0.75, "two", low=0.5, high=1.0))
    left = without(whole, frozenset({"0.75", "one", "Label with 7 rows"}))
    (trace,) = left.figure["data"]
    assert (trace["x"], trace["y"], trace["hovertext"]) == ([1.5, None], [0.25, None], ["withheld", None])
    assert trace["error_y"]["array"] == [0.25, None]
    assert left.label == "withheld"
    assert without(whole, frozenset()) == whole


@pytest.mark.parametrize(("count", "shown"), [(0, 0), (MOST_VALUES, MOST_VALUES), (MOST_VALUES + 1, 31), (400, 58)])
def test_the_table_tells_of_so_many_marks_evenly(count: int, shown: int) -> None:
    made = chart(*(Mark(k, k, f"mark {k}") for k in range(count)))
    assert len(made.values) == shown
    assert len(made.told) == count


def test_a_page_without_a_chart_carries_no_plotly() -> None:
    assert library([]) == ""
    assert sources([]) == []
    one = chart(Mark(1.0, 2.0))
    assert len(sources([one])) == 1
    assert library([one]) == library([one])
    assert library([one]).count("<script ") == 2
