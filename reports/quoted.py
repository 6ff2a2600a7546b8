"""Figures in prose: which digits state a number, and how exactly."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_NUMBER = re.compile(
    r"(?<![\w.])(?<![A-Za-z_]-)(?P<bound>[<>]\s?)?(?P<whole>\d{1,3}(?:[,\u202f\u00a0]\d{3})+|\d+)(?P<part>\.\d+)?(?P<power>[eE][-+−]?\d+)?"
    r"(?P<cent>\s?(?:%|per\s?cent\b|percentage points?\b))?(?P<tail>[A-Za-z_]\w*)?"
)
_MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
_NO_FIGURES = re.compile(
    r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?Z?)?"
    rf"|\b\d{{1,2}} (?:{_MONTHS})(?: \d{{4}})?(?:, \d\d:\d\d UTC)?|\b(?:{_MONTHS}) \d{{1,2}}(?:, \d{{4}})?"
    r"|\b(?:[Ss]ection|[Tt]able|[Ff]igure|[Ee]quation|[Ee]vent|[Aa]ppendix) \d+(?:\.\d+)*"
    r"|\b(?:[Ss]ections|[Tt]ables|[Ff]igures|[Ee]quations|[Ee]vents) \d+(?:\.\d+)*(?:(?:,| and| to) \d+(?:\.\d+)*)*(?![-\d])"
    r"|\b0\.5 is chance\b|\b0 is (?:no separation|chance)\b|\b1 (?:the most|is the same groups)\b"
)
"""Dates, references within a document, and the ends of scales that the playbook explains."""
_RANGE_OF_CENTS = re.compile(r"\s?(?:–|-|to|and)\s?\d+(?:\.\d+)?\s?(?:%|per\s?cent\b)")
"""What follows the first of two numbers that are both per cent."""
_DURATION = re.compile(r"(?<![\w.])(?:(\d+) h(?: (\d+) min)?|(\d+) min(?: (\d+) s)?)(?!\w)")
"""As `figures.duration` writes one of a minute and more."""
_SMALL = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_WORTH = {word: value for value, word in enumerate(_SMALL.split())} | {word: 10 * tens for tens, word in enumerate(_TENS.split(), 2)}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 1_000_000}
_DIGIT, _WORD, _SCALE = "|".join(_SMALL.split()[:10]), "|".join([*_WORTH, *_SCALES]), "|".join(_SCALES)
_SPELLED = re.compile(
    rf"(?<![\w-])(?P<whole>(?:{_WORD})(?:(?:(?<=hundred)\s+and\s+|(?<=thousand)\s+and\s+|(?<=million)\s+and\s+|[\s-])(?:{_WORD}))*)\b"
    rf"(?P<part>\s+point(?:\s+(?:{_DIGIT})\b)+)?(?P<cent>\s?(?:%|per\s?cent\b|percentage points?\b))?",
    re.IGNORECASE,
)
"""A number in words, as `ninety-eight point five per cent`."""
MOST_SPELLED = 10
"""Whole numbers up to it are counts as every text has them, and are not read where they are written in words."""
_SIZES = {"kB": 1e3, "MB": 1e6, "GB": 1e9}
_ORDINALS = frozenset({"st", "nd", "rd", "th"})


class Figure(NamedTuple):
    """A number as it stands in a text. `half` is half a unit of its last digit: what rounding may have taken away."""

    text: str
    value: float
    half: float
    per_cent: bool
    unit: float = 1.0
    """Of a size in kB, MB or GB: how many bytes that is."""

    def readings(self) -> Iterator[tuple[float, float]]:
        """Value and tolerance, of per cent also as the share that they are of one, of sizes also in bytes."""
        if self.per_cent:
            yield self.value / 100, self.half / 100
        yield self.value, self.half
        if self.unit != 1.0:
            yield self.value * self.unit, self.half * self.unit


def names_in(texts: Iterable[str]) -> re.Pattern[str] | None:
    """What finds the names with digits or numbers in words among `texts`, the longest first; None where there are none."""
    named = {text for text in texts if (any(map(str.isdigit, text)) and any(map(str.isalpha, text))) or (_SPELLED.search(text))}
    found = sorted(named, key=lambda t: (-len(t), t))
    return re.compile("|".join(rf"(?<!\w){re.escape(name)}(?!\w)" for name in found[:20_000])) if found else None


def figures(text: str, names: re.Pattern[str] | None = None) -> list[Figure]:
    """The numbers that `text` states, in their order. Digits within names, dates and references state none.

    Signs are passed over, since a text says "0.02 worse" as well as −0.02; so are bounds such as "<0.001". Numbers in words are read
    where they are more than ten, have decimals, or are per cent.
    """
    for pattern in (_NO_FIGURES, names):
        if pattern is not None:
            text = pattern.sub(lambda found: "\x00" * len(found[0]), text)
    found = []
    for match in _DURATION.finditer(text):
        hours, minutes, alone, seconds = (int(part or 0) for part in match.groups())
        half = 0.5 if match[3] is not None else 30.0
        found.append(Figure(match[0], 3600.0 * hours + 60.0 * (minutes + alone) + seconds, half, False))
    text = _DURATION.sub(lambda one: "\x00" * len(one[0]), text)
    found += [one for match in _SPELLED.finditer(text) if (one := _spelled(match)) is not None]
    for match in _NUMBER.finditer(text):
        if match["bound"] or match["tail"] in _ORDINALS:
            continue
        mantissa = float(re.sub(r"[,\u202f\u00a0]", "", match["whole"]) + (match["part"] or ""))
        power = int((match["power"] or "e0")[1:].replace("−", "-"))
        decimals = len(match["part"] or ".") - 1
        shown = match[0] if not match["tail"] else match[0][: -len(match["tail"])]
        if abs(power) < 300:
            cent = match["cent"] is not None or _RANGE_OF_CENTS.match(text, match.end()) is not None
            unit = _SIZES.get(text[match.end() :].lstrip(" \u202f\u00a0")[:2], 1.0)
            found.append(Figure(shown.strip(), mantissa * 10.0**power, 0.5 * 10.0 ** (power - decimals), cent, unit))
    return found


def _spelled(match: re.Match[str]) -> Figure | None:
    """A number in words; None for the small ones that every text counts with."""
    total, current = 0, 0
    for word in re.split(r"[\s-]+", match["whole"].lower()):
        if word in _WORTH:
            current += _WORTH[word]
        elif word == "hundred":
            current = max(1, current) * 100
        elif word in _SCALES:
            total, current = total + max(1, current) * _SCALES[word], 0
    decimals = [_WORTH[word] for word in (match["part"] or "").lower().split()[1:]]
    if total + current <= MOST_SPELLED and not decimals and not match["cent"]:
        return None
    value = total + current + sum(digit / 10**place for place, digit in enumerate(decimals, 1))
    return Figure(match[0].strip(), value, 0.5 / 10 ** len(decimals), match["cent"] is not None)
