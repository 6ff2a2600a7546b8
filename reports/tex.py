"""Text as LaTeX that pdfTeX sets, whatever it holds; characters of other scripts are drawn (`reports.glyphs`)."""

from __future__ import annotations

import re
import unicodedata

from reports.glyphs import Outline, outline
from reports.shaping import leftwards, lines, pieces, shaped
from reports.visible import visible

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "'": "'",
    "`": r"\textasciigrave{}",
    # Behind a line's end or an item these would begin an argument.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    "\u00a0": "~",
    "\u202f": r"\,",
    "−": r"\ensuremath{-}",
    "≤": r"\ensuremath{\le}",
    "≥": r"\ensuremath{\ge}",
    "≠": r"\ensuremath{\ne}",
    "≈": r"\ensuremath{\approx}",
    "→": r"\ensuremath{\to}",
    "←": r"\ensuremath{\leftarrow}",
    "∞": r"\ensuremath{\infty}",
    "²": r"\ensuremath{^2}",
    "³": r"\ensuremath{^3}",
    "μ": r"\ensuremath{\mu}",
    "…": r"\ldots{}",
}
_LETTERS = "ĂăĄąĆćČčĎďĐđĘęĚěĞğİıĹĺĽľŁłŃńŇňŐőŒœŔŕŘřŚśŞşŠšŢţŤťŮůŰűŸŹźŻżŽž"
_MARKS = "–—‘’“”„«»†‡•€£¥§©®°±×÷µ¿¡·¶"
_NAMED = (
    *("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "nu", "xi", "pi", "rho"),
    *("sigma", "tau", "upsilon", "phi", "chi", "psi", "omega"),
)
_CAPITALS = ["Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Phi", "Psi", "Omega"]
_GREEK = dict(zip("αβγδεζηθικλνξπρστυφχψωΓΔΘΛΞΠΣΦΨΩ", [*_NAMED, *_CAPITALS], strict=True))
_KNOWN = frozenset({*map(chr, range(0x20, 0x7F)), *map(chr, range(0xC0, 0x100)), *_LETTERS, *_MARKS})
_VARIANTS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")
"""Marks that choose between two looks of the character before."""
_PARTS = re.compile(r"[^_\-./:,;=()|\\]+[_\-./:,;=()|\\]*|[_\-./:,;=()|\\]+")
LONG_PHRASE = 24
LONG_WORD = 14
"""Words beyond it may be broken after every few characters, so that no name of a column runs into the margin."""
MOST_CHARS = 20_000


_OPENING = re.compile(r"(?<![^\s(\[{])'(?=[^\s'])")
"""A straight quotation mark that begins what it quotes."""


def escape(text: str, most: int = MOST_CHARS) -> str:
    """`text` as LaTeX that shows it as it is, in one paragraph.

    pdfTeX with the T1 fonts has the letters of Latin scripts. Greek goes through mathematics, what decomposes into known characters is
    decomposed, what a font of this machine has is drawn, and every other character stands as its code point, such as U+4E2D.
    """
    shown = " ".join(_composed(text).split())
    shown = shown if len(shown) <= most else shown[: most - 1] + "…"
    return _set(_OPENING.sub("‘", shown))


def typed(text: str) -> str:
    """A line for a shell as LaTeX: what is copied from the page is what is to be typed, straight quotation marks too."""
    return _set(" ".join(_composed(text).split())).replace("'", r"\textquotesingle{}")


def _set(text: str) -> str:
    return "".join(_phrase(part.text) if part.shaped else _plain(part.text) for part in pieces(text))


def drawn(text: str) -> Outline | None:
    """What a character or a shaped phrase looks like where it is drawn."""
    return outline(text) or shaped(text) if len(text) == 1 else shaped(text)


def unsettable(text: str) -> bool:
    """Whether some character of `text` stands as its code point."""
    return r"\code{U+" in escape(text)


def _composed(text: str) -> str:
    """What is seen of `text`, marks united with their letters where Unicode has such a letter."""
    return _VARIANTS.sub("", unicodedata.normalize("NFC", visible(text)))


def _plain(text: str) -> str:
    return " ".join(_word(word) for word in text.split(" "))


def _phrase(text: str) -> str:
    """A shaped piece. One from right to left that is too long for a box stands in lines of its own, since what follows is further left."""
    parts = lines(text, LONG_PHRASE if leftwards(text) else LONG_WORD)
    if any(drawn(part) is None for part in parts):
        return _plain(text)
    ends = "\\hfil\\penalty-10000{}" if leftwards(text) else r"\allowbreak{}"
    return ends.join(_glyph(part) for part in parts)


def _glyph(text: str) -> str:
    return rf"\glyph{{{text.encode('utf-16-be').hex().upper()}}}"


def _word(word: str) -> str:
    if len(word) <= LONG_WORD:
        return _run(word)
    return r"\allowbreak{}".join(_run(part) for part in _PARTS.findall(word))


def _run(part: str) -> str:
    """Characters that stay together, as far as none of them can end a line and there are not too many."""
    pieces = []
    for number, character in enumerate(part, 1):
        pieces.append(_character(character))
        alone = "U+" in pieces[-1] or unicodedata.east_asian_width(character) in "WF"
        if number < len(part) and (alone or (len(part) > LONG_WORD and number % 8 == 0)):
            pieces.append(r"\allowbreak{}")
    return "".join(pieces)


def _character(character: str) -> str:
    if character in _SPECIAL:
        return _SPECIAL[character]
    if character in _KNOWN:
        # Of two hyphens or commas TeX would make one other character.
        return f"{character}{{}}" if character in "-,?!" else character
    if character in _GREEK:
        return rf"\ensuremath{{\{_GREEK[character]}}}"
    plain = unicodedata.normalize("NFKD", character)
    if plain != character and all(one in _KNOWN for one in plain):
        return "".join(map(_character, plain))
    if outline(character) is not None:
        return _glyph(character)
    return rf"\code{{U+{ord(character):04X}}}"


def spoken(text: str) -> list[str]:
    """Paragraphs of prose, each as LaTeX."""
    return [escape(part) for part in re.split(r"\n\s*\n", text) if part.strip()]
