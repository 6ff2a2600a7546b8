"""Scripts that are shaped or run from right to left: drawn phrase by phrase, in their order, and read back as what they are."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from reports.glyphs import Outline, glyphs_pdf
from reports.manuscript import Manuscript
from reports.shaping import pieces, seen, shaped
from reports.tex import escape, unsettable
from reports.typesetting import missing_programs, typeset

pytest.importorskip("uharfbuzz", reason="there is no uharfbuzz: pip install 'mlteam[paper]'")
NEEDS_FREEFONT = pytest.mark.skipif(shaped("आयु") is None, reason="no font here has Devanagari: apt-get install fonts-freefont-otf")


@pytest.mark.parametrize(
    ("text", "phrases"),
    [
        ("rooms, عدد الغرف, end", ["عدد الغرف"]),
        ("גיל 25 שנים is 30", ["גיל 25 שנים"]),
        ("الطول (متر) m", ["الطول (متر)"]),
        ("السعر (USD)", ["السعر"]),
        ("עדד_2 x", ["עדד_2"]),
        ("आयु वर्ष", ["आयु", "वर्ष"]),
        ("plain Пол 中文", []),
    ],
)
def test_a_phrase_is_what_stands_between_letters_of_the_other_direction(text: str, phrases: list[str]) -> None:
    found = pieces(text)
    assert [piece.text for piece in found if piece.shaped] == phrases
    assert "".join(piece.text for piece in found) == text


def test_words_and_signs_stand_from_right_to_left_and_numbers_do_not_within() -> None:
    assert "".join(seen("גיל 25.5 שנה")) == "הנש 25.5 ליג"
    assert seen("आयु") == ["आयु"]


def drawn(text: str) -> Outline:
    one = shaped(text)
    assert one is not None
    return one


def begins(one: Outline, right: int = 0) -> set[tuple[int, int]]:
    """Where contours begin, in steps that rounding does not cross often, after a move to the right."""
    return {(round((int(x) + right) / 5), round(int(y) / 5)) for x, y in re.findall(r"(-?\d+) (-?\d+) m", one.path)}


def test_letters_join_their_neighbours_and_each_stands_left_of_the_one_before() -> None:
    assert drawn("بب").width < 2 * drawn("ب").width, "a letter that joins the next one is shorter than one that ends a word"
    first, both = drawn("ا"), drawn("اب")
    assert begins(first, both.width - first.width) <= begins(both)
    assert not begins(first) <= begins(both)


@NEEDS_FREEFONT
def test_consonants_are_united_and_signs_stand_where_they_belong() -> None:
    assert drawn("क्ष").width < drawn("क").width + drawn("ष").width, "one sign for two consonants"
    alone, signed = drawn("क"), drawn("कि")
    assert begins(alone, signed.width - alone.width) & begins(signed), "the vowel sign stands before its consonant"


@NEEDS_FREEFONT
@pytest.mark.latex
@pytest.mark.skipif(bool(missing_programs()) or shutil.which("pdftotext") is None, reason="there is no LaTeX, or no pdftotext")
def test_what_is_set_can_be_searched_and_copied(tmp_path: Path) -> None:
    paper = Manuscript("Prices of מחיר הדירה", "1 May 2026")
    paper.say("Rooms عدد الغرف and age גיל 25 שנים.")
    paper.table("Columns", (0.4, 0.3, 0), ["column", "kind", "n"], [["السعر", "क्षेत्रफल", "1"], ["ราคาบ้าน", "עמודה", "قيمة"]])
    text, drawn = paper.tex()
    (tmp_path / "paper" / "figures").mkdir(parents=True)
    (tmp_path / "paper" / "paper.tex").write_text(text, encoding="utf-8")
    (tmp_path / "paper" / "figures" / "glyphs.pdf").write_bytes(glyphs_pdf(drawn))
    assert typeset(tmp_path / "paper", tmp_path / "paper.pdf", 0) <= 5
    read = subprocess.run(["pdftotext", tmp_path / "paper.pdf", "-"], capture_output=True, text=True, timeout=60, check=True).stdout
    plain = re.sub("[\u202a-\u202e]", "", read)
    for name in ("מחיר הדירה", "عدد الغرف", "السعر", "क्षेत्रफल", "ราคาบ้าน", "עמודה", "قيمة"):
        assert name in plain, name
    assert "U+" not in plain


def test_what_no_font_has_stands_as_its_code_points() -> None:
    assert escape("\U000108f5") == r"\code{U+108F5}"
    assert unsettable("\U000108f5")
    assert not unsettable("שלום")
