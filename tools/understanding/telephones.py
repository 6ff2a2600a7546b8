"""Telephone numbers by the numbering plans of phonenumbers: with the code of a country, or as one region writes them at home."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

_GROUPED = re.compile(
    r"(?<![\w+.])[(+]?\d{1,7}\)?(?:(?: ?\(\d{1,5}\) ?|[ ./-]{1,3})\d{1,7}){1,6}(?![\w.]|[-/]\w)|(?<![\w+])\+\d{8,15}(?!\d)"
)
"""Digits in groups, however they are parted."""
_DATE = re.compile(r"(?:1[89]|20|21)\d{2}([-./ ])\d{1,2}\1\d{1,2}(?!\d)|\d{1,2}([-./ ])\d{1,2}\2(?:1[89]|20|21)\d{2}(?!\d)")
_THOUSANDS = re.compile(r"\d{1,3}(?:\.\d{3})+")
_AMERICAN = re.compile(r"(?:\+?1[ .-]?)?(?:\([2-9]\d\d\) ?|[2-9]\d\d[ .-])[2-9]\d\d[ .-]\d{4}")
"""The shape of the North American plan. Numbers that are made up have it with codes that nobody was given, such as 555."""
_LOOKED_AT = 30
ENOUGH = 0.8
"""Share of candidates that must be numbers of one region."""


def international(text: str) -> Iterator[tuple[int, int, bool]]:
    """Numbers with the code of a country that its plan allows: begin, end, True."""
    if "+" not in text:
        return
    from phonenumbers import Leniency, PhoneNumberMatcher

    for match in PhoneNumberMatcher(text, None, leniency=Leniency.VALID):
        yield match.start, match.end, True


def grouped(text: str) -> Iterator[tuple[int, int, bool]]:
    """Digits in groups that are as many as a number has, and no date or amount: begin, end, whether they may be one.

    Seven digits with the code of a small country, nine without one: shorter ones are parts, dates and prices too often.
    """
    for match in _GROUPED.finditer(text):
        digits = sum(sign.isdigit() for sign in match[0])
        likely = (7 if match[0].startswith("+") else 9) <= digits <= 15 and not _DATE.match(match[0])
        yield match.start(), match.end(), likely and not _THOUSANDS.fullmatch(match[0])


def at_home(texts: Sequence[str]) -> bool:
    """Whether numbers in texts are those of one region as it groups them, or all of the shape of North America's.

    One number is valid in many of the 245 regions, so the grouping must be a region's own, and the same region's for four in five of up to
    thirty different texts.
    """
    found = [text[start:end] for text in texts[: 2 * _LOOKED_AT] for start, end, likely in grouped(text) if likely][:_LOOKED_AT]
    if not found:
        return False
    if sum(bool(_AMERICAN.fullmatch(one)) or one.startswith("+") for one in found) >= ENOUGH * len(found):
        return True
    from phonenumbers import SUPPORTED_REGIONS

    few = found[:: max(1, len(found) // 5)][:5]
    # Most regions fall at five numbers, which is all that there is time for.
    regions = [region for region in sorted(SUPPORTED_REGIONS) if _of(region, few) >= ENOUGH * len(few)]
    return any(_of(region, found) >= ENOUGH * len(found) for region in regions)


def _of(region: str, numbers: Sequence[str]) -> int:
    """How many of the texts are numbers of a region, grouped as it groups them."""
    from phonenumbers import Leniency, PhoneNumberMatcher

    return sum(
        any(match.raw_string == number for match in PhoneNumberMatcher(number, region, leniency=Leniency.STRICT_GROUPING))
        for number in numbers
    )
