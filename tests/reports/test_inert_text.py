"""Text from outside does nothing, in Markdown and in HTML."""

from __future__ import annotations

import pytest

from reports.markdown import escape, paragraphs
from reports.safe_html import sanitise
from reports.visible import visible


@pytest.mark.parametrize(
    "text", ["# title", "- item", "+ item", "1. item", "2) item", "> quote", "=====", "```", "    code", "| a | b |", ": note"]
)
def test_no_line_starts_a_block(text: str) -> None:
    pytest.importorskip("nbconvert")
    from nbconvert.filters.markdown_mistune import markdown2html_mistune

    html = markdown2html_mistune(f"before\n\n{escape(text)}\n\nafter")
    assert [tag for tag in ("<h", "<ul", "<ol", "<blockquote", "<pre", "<table", "<dl") if tag in html] == []
    assert html.count("<p>") == 3


def test_plain_words_stay_as_they_are() -> None:
    assert escape("lightgbm-1 0.9712 ± 0.0056, roc_auc: better (by 2%).") == "lightgbm-1 0.9712 ± 0.0056, roc_auc: better (by 2%)."


def test_paragraphs_are_kept() -> None:
    assert paragraphs("a\nb\n\n \nc *d*") == "a b\n\nc &#42;d&#42;"


def test_unseen_characters_go() -> None:
    assert visible("a\u202eb\u2066\U000e0041c\ufeff\x00\x1b[1m\ttab\nline") == "abc[1m\ttab\nline"


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<b>x</b>", "<b>x</b>"),
        ("<table class='a' onload=x><tr><td colspan=2 rowspan='1;'>1</td></tr></table>", '<table><tr><td colspan="2">1</td></tr></table>'),
        ("a<script>alert(1)</script>b", "ab"),
        ("a<style>td{}</style>b<svg><b>c</b></svg>d", "abd"),
        ("<img src=x onerror=y>", ""),
        ("<a href='javascript:x'>text</a>", "text"),
        ("&lt;script&gt;", "&lt;script&gt;"),
        ("<b><i>x", "<b><i>x</i></b>"),
        ("<b><i>x</b>y", "<b><i>x</i></b>y"),
        ("x</table></b>", "x"),
        ("a<script>b", "a"),
        ("<br><br/>", "<br><br>"),
        ("<!-- c --><?php x ?><b>y</b>", "<b>y</b>"),
    ],
)
def test_html_is_cut_down_to_tables_and_text(html: str, expected: str) -> None:
    assert sanitise(html) == expected
