"""Characters of other scripts: drawn from a font where one has them, and never where a letter alone would be wrong."""

from __future__ import annotations

import pytest

from reports.glyphs import bundled, font_of, glyphs_pdf, outline


@pytest.mark.parametrize("character", ["П", "ж", "→", "😀", "∑"])
def test_what_the_bundled_font_has_is_drawn_from_it(character: str) -> None:
    assert font_of(character) == bundled()
    drawn = outline(character)
    assert drawn is not None
    assert drawn.width > 0
    assert drawn.path.endswith(" f")


@pytest.mark.parametrize("character", ["ש", "ا", "अ", "\u0378", "\ue000", "\u0301"])
def test_what_is_shaped_runs_to_the_left_or_is_no_character_is_not(character: str) -> None:
    assert outline(character) is None


def test_they_are_pages_of_one_pdf_which_is_the_same_each_time() -> None:
    outlines = [one for one in map(outline, "Пж😀") if one is not None]
    made = glyphs_pdf(outlines)
    assert made == glyphs_pdf(outlines)
    assert made.startswith(b"%PDF-1.4")
    assert made.count(b"/Type/Page/") == 3
    start = int(made.rsplit(b"startxref\n", 1)[1].split(b"\n")[0])
    assert made[start:].startswith(b"xref\n0 9\n")
    for number, line in enumerate(made[start:].splitlines()[3:11], 1):
        assert made[int(line[:10]) :].startswith(b"%d 0 obj" % number)
