"""Text whose letters change shape with their neighbours, or run from right to left, as outlines: shaped by HarfBuzz, drawn by a font.

A phrase from right to left is drawn as one, with the numbers and signs within it, in the order that Unicode's bidirectional algorithm
(UAX #9) gives them in a line that runs from left to right.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from reports import glyphs

if TYPE_CHECKING:
    import uharfbuzz

_LEFTWARDS = ((0x0590, 0x08FF), (0xFB1D, 0xFDFF), (0xFE70, 0xFEFC), (0x10800, 0x10FFF), (0x1E800, 0x1EFFF))
"""Code points of scripts that run from right to left."""


def _among(ranges: Iterable[tuple[int, int]]) -> str:
    return "".join(f"{chr(low)}-{chr(high)}" for low, high in ranges)


_R, _SHAPED = _among(_LEFTWARDS), _among(glyphs.SHAPED)
_BETWEEN = r"\s!-/:-@\[-`{-~–"
_PHRASE = re.compile(rf"[{_R}]+(?:[\d{_BETWEEN}]*[{_R}\d]+)*|[{_SHAPED}]+")
"""From a letter that runs to the left to the last letter or number before one that does not; or shaped letters side by side."""
_NUMBER = re.compile(r"(\d+(?:[.,:/]\d+)*)")
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_BEFORE_THEIR_CONSONANT = frozenset("เแโใไ" + "ເແໂໃໄ")
_VIRAMA = 9
"""The combining class of signs that join the consonants around them."""


class Piece(NamedTuple):
    """A part of a text; one that is `shaped` is drawn as a whole."""

    text: str
    shaped: bool


def pieces(text: str) -> list[Piece]:
    """A text in parts, which are the text again one behind the other."""
    found, at = [], 0
    while (match := _PHRASE.search(text, at)) is not None:
        end = match.end() + _closes(match[0], text[match.end() : match.end() + 1])
        found += [Piece(text[at : match.start()], False), Piece(text[match.start() : end], True)]
        at = end
    return [piece for piece in [*found, Piece(text[at:], False)] if piece.text]


def leftwards(text: str) -> bool:
    """Whether a shaped piece runs from right to left."""
    return any(low <= ord(text[0]) <= high for low, high in _LEFTWARDS)


def lines(text: str, most: int) -> list[str]:
    """A shaped piece in parts of about `most` characters at most, between which a line may end."""
    if leftwards(text):
        parts = re.findall(r"\S+\s*", text)
    else:
        starts = [place for place in range(1, len(text)) if _begins(text, place)]
        parts = [text[a:b] for a, b in zip([0, *starts], [*starts, len(text)], strict=True)]
    made = [""]
    for part in parts:
        made = [*made, part] if made[-1] and len(made[-1].rstrip()) + len(part.rstrip()) > most else [*made[:-1], made[-1] + part]
    return [line.rstrip() for line in made]


@functools.cache
def shaped(text: str) -> glyphs.Outline | None:
    """What a phrase looks like; None where no font of this machine has all of it, or HarfBuzz is not installed."""
    try:
        import uharfbuzz  # noqa: F401
    except ImportError:
        return None
    return next((drawn for path in glyphs.fonts() if (drawn := _drawn(path, text)) is not None), None)


def _drawn(path: Path, text: str) -> glyphs.Outline | None:
    if not all(character.isspace() or ord(character) in glyphs.characters(path) for character in text):
        return None
    font, scale = _font(path)
    parts: list[str] = []
    x = 0
    for run, to_left in _runs(text):
        placed = _placed(font, run, to_left=to_left)
        if placed is None:
            return None
        for glyph, dx, dy, advance in placed:
            font.draw_glyph_with_pen(glyph, glyphs.PathPen(parts, scale, x + dx, dy))
            x += advance
    width = round(scale * x)
    return glyphs.Outline(width, " ".join([*parts, "f"])) if parts and width > 0 else None


def seen(text: str) -> list[str]:
    """What programs read of a phrase, piece by piece from left to right, as they expect it of a PDF: they turn what runs to the left."""
    return [part for run, to_left in _runs(text) for part in (reversed(run) if to_left else [run])]


def _runs(text: str) -> list[tuple[str, bool]]:
    """Parts of a phrase as they stand from left to right, and whether they run to the left: numbers do not in either case."""
    if not leftwards(text):
        return [(text, False)]
    return [(run, _NUMBER.fullmatch(run) is None) for run in reversed(_NUMBER.split(text)) if run]


def _placed(font: Any, run: str, *, to_left: bool) -> list[tuple[int, int, int, int]] | None:
    """Glyphs from left to right with how far they stand off and advance, in units of the font; None where it lacks one."""
    import uharfbuzz as hb

    buffer = hb.Buffer()
    buffer.add_str(run)
    buffer.guess_segment_properties()
    buffer.direction = "rtl" if to_left else "ltr"
    hb.shape(font, buffer)
    if any(info.codepoint == 0 for info in buffer.glyph_infos):
        return None
    return [
        (info.codepoint, place.x_offset, place.y_offset, place.x_advance)
        for info, place in zip(buffer.glyph_infos, buffer.glyph_positions, strict=True)
    ]


@functools.cache
def _font(path: Path) -> tuple[uharfbuzz.Font, float]:
    import uharfbuzz as hb

    face = hb.Face(hb.Blob.from_file_path(str(path)))
    return hb.Font(face), glyphs.UNITS / face.upem


def _closes(phrase: str, following: str) -> bool:
    """Whether what follows closes a bracket that was opened within the phrase."""
    opened = [character for character in phrase if character in _CLOSING]
    closed = [character for character in phrase if character in _CLOSING.values()]
    return len(opened) > len(closed) and following == _CLOSING[opened[-1]]


def _begins(text: str, place: int) -> bool:
    """Whether a letter begins a group of its own: no mark, and not bound to the letter before."""
    before = text[place - 1]
    return (
        unicodedata.category(text[place])[0] != "M" and unicodedata.combining(before) != _VIRAMA and before not in _BEFORE_THEIR_CONSONANT
    )
