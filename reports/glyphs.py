"""Characters that pdfTeX has no letter for, as outlines of the fonts of this machine: one page of a PDF each.

So Cyrillic, Chinese or an emoji stands in the paper as what it is, and the paper is still set by pdfTeX, which can execute nothing. The
first font is DejaVu Sans, which comes with matplotlib; then those that are installed, in an order that does not depend on the machine. A
script whose letters change shape with their neighbours, or run from right to left, is not drawn letter by letter, which would be wrong, but
phrase by phrase (`reports.shaping`).
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fontTools.pens.basePen import BasePen

if TYPE_CHECKING:
    from fontTools.ttLib import TTFont

FALL, RISE = 0.45, 1.2
"""Below and above the line that letters stand on, in em: the height of a page."""
PREFERRED = ("droidsansfallback", "notosanscjk", "wqy", "notosans-", "symbola", "freesans", "freeserif", "unifont")
"""Beginnings of names of font files, those with many scripts first."""
SHAPED = (
    (0x0590, 0x109F),
    (0x1100, 0x11FF),
    (0x1700, 0x1CFF),
    (0xA800, 0xABFF),
    (0xFB1D, 0xFDFF),
    (0xFE70, 0xFEFC),
    (0x10800, 0x11FFF),
    (0x1E800, 0x1EFFF),
)
"""Code points of scripts that are shaped or run from right to left: Hebrew, Arabic, those of India and South East Asia, single jamo."""
MOST_FONTS = 400
UNITS = 1000


class Outline(NamedTuple):
    """A character or a phrase as a path of PDF operators, in thousandths of an em."""

    width: int
    path: str


@functools.cache
def outline(character: str) -> Outline | None:
    """What `character` looks like; None where no font has it, or it cannot stand for itself."""
    path = font_of(character)
    font = None if path is None else _font(path)
    return None if font is None else _drawn(font, font.getBestCmap()[ord(character)])


@functools.cache
def font_of(character: str) -> Path | None:
    """The first font that has `character`; None where none has, or where it cannot stand for itself."""
    if unicodedata.category(character)[0] not in "LNPS" or any(low <= ord(character) <= high for low, high in SHAPED):
        return None
    return font_with(character)


@functools.cache
def font_with(character: str) -> Path | None:
    """The first font that has `character`, for programs that shape letters themselves; None where none has."""
    return next((path for path in fonts() if ord(character) in characters(path)), None)


def fonts() -> tuple[Path, ...]:
    """Fonts in the order in which they are asked."""
    return (bundled(), *_installed())


@functools.cache
def characters(path: Path) -> frozenset[int]:
    font = _font(path)
    return frozenset() if font is None else frozenset(font.getBestCmap() or {})


def glyphs_pdf(drawn: Sequence[Outline]) -> bytes:
    """A PDF with one page for each outline; the same outlines give the same bytes."""
    kids = " ".join(f"{3 + 2 * number} 0 R" for number in range(len(drawn)))
    objects = ["<</Type/Catalog/Pages 2 0 R>>", f"<</Type/Pages/Count {len(drawn)}/Kids[{kids}]>>"]
    for number, one in enumerate(drawn):
        box = f"0 {-FALL * UNITS:g} {one.width} {RISE * UNITS:g}"
        objects.append(f"<</Type/Page/Parent 2 0 R/MediaBox[{box}]/Resources<<>>/Contents {4 + 2 * number} 0 R>>")
        objects.append(f"<</Length {len(one.path)}>>stream\n{one.path}\nendstream")
    text, places = "%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(text))
        text += f"{number} 0 obj\n{content}\nendobj\n"
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    start, size = len(text), len(objects) + 1
    text += f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer<</Size {size}/Root 1 0 R>>\nstartxref\n{start}\n%%EOF\n"
    return text.encode("ascii")


class PathPen(BasePen):  # type: ignore[misc]  # fontTools has no types
    """Writes what a font draws as operators of PDF.

    Args:
        parts: gets them.
        scale: thousandths of an em to a unit of the font.
        x: how far to the right in units of the font.
        y: how far up.
    """

    def __init__(self, parts: list[str], scale: float, x: float = 0, y: float = 0, glyphs: Any = None) -> None:
        super().__init__(glyphs)
        self._parts, self._scale, self._x, self._y = parts, scale, x, y

    def _at(self, *points: tuple[float, float]) -> str:
        return " ".join(f"{round(self._scale * (x + self._x))} {round(self._scale * (y + self._y))}" for x, y in points)

    def _moveTo(self, point: Any) -> None:
        self._parts.append(f"{self._at(point)} m")

    def _lineTo(self, point: Any) -> None:
        self._parts.append(f"{self._at(point)} l")

    def _curveToOne(self, one: Any, other: Any, point: Any) -> None:
        self._parts.append(f"{self._at(one, other, point)} c")

    def _closePath(self) -> None:
        self._parts.append("h")


def _drawn(font: TTFont, name: str) -> Outline | None:
    glyphs = font.getGlyphSet()
    scale = UNITS / font["head"].unitsPerEm
    parts: list[str] = []
    try:
        glyphs[name].draw(PathPen(parts, scale, glyphs=glyphs))
        width = round(scale * glyphs[name].width)
    except Exception:  # a damaged font of the machine: whatever it raises, the next character is tried
        return None
    return Outline(width, " ".join([*parts, "f"])) if parts and width > 0 else None


@functools.cache
def _font(path: Path) -> TTFont | None:
    from fontTools.ttLib import TTFont, TTLibError

    try:
        return TTFont(path, fontNumber=0, lazy=True)
    except (TTLibError, OSError, ValueError):
        return None


def bundled() -> Path:
    """DejaVu Sans as matplotlib brings it."""
    import matplotlib as mpl

    return Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"


@functools.cache
def _installed() -> tuple[Path, ...]:
    """Fonts of this machine, upright ones of regular weight first."""
    from matplotlib.font_manager import findSystemFonts

    def rank(path: Path) -> tuple[int, bool, str]:
        name = path.name.lower()
        known = next((place for place, start in enumerate(PREFERRED) if name.startswith(start)), len(PREFERRED))
        return known, any(word in name for word in ("bold", "italic", "oblique")), name

    return tuple(sorted(map(Path, findSystemFonts()), key=rank)[:MOST_FONTS])
