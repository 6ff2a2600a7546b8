"""Words and ranges of numbers whose order everybody knows: which scale a column's values are of, and how they lie on it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

_NEITHER = "neutral|neither|undecided|neither agree nor disagree|neither satisfied nor dissatisfied|no opinion"
SCALES = tuple(
    {word: place for place, words in enumerate(scale) for word in words.split("|")}
    for scale in (
        (
            "very low|lowest",
            "low|lower",
            "medium|mid|middle|moderate|normal|average",
            "high|higher",
            "very high|highest",
            "critical|urgent",
        ),
        (
            "none|no",
            "minimal",
            "slight|trace",
            "mild|light|minor",
            "moderate|medium",
            "serious|heavy|major",
            "severe",
            "critical|extreme",
            "fatal",
        ),
        (
            "never",
            "almost never",
            "rarely",
            "seldom",
            "occasionally",
            "sometimes",
            "often",
            "frequently",
            "usually",
            "almost always",
            "always",
        ),
        (
            *("terrible|awful", "very bad", "bad", "very poor", "poor", "below average", "fair", "acceptable|ok|okay|regular"),
            *("average|typical", "above average", "good", "very good", "great", "premium", "excellent|outstanding", "very excellent"),
            "ideal|perfect",
        ),
        ("po", "fa", "ta", "gd", "ex"),
        (
            *("xxxs", "xxs", "xs|extra small|tiny|very small", "s|small", "m|medium|mid", "l|large|big", "xl|extra large|very large|huge"),
            *("xxl|2xl", "xxxl|3xl"),
        ),
        (
            "strongly disagree",
            "disagree",
            "somewhat disagree|slightly disagree",
            _NEITHER,
            "somewhat agree|slightly agree",
            "agree",
            "strongly agree",
        ),
        (
            *(
                "extremely dissatisfied",
                "very dissatisfied|very unsatisfied",
                "dissatisfied|unsatisfied",
                "somewhat dissatisfied",
                _NEITHER,
            ),
            *("somewhat satisfied", "satisfied", "very satisfied", "extremely satisfied"),
        ),
        (
            "impossible",
            "very unlikely|extremely unlikely",
            "unlikely",
            "possible|neutral",
            "likely",
            "very likely|extremely likely",
            "certain",
        ),
        ("unimportant|not important", "slightly important", "important|moderately important", "very important", "extremely important"),
        (
            "first|1st",
            "second|2nd",
            "third|3rd",
            "fourth|4th",
            "fifth|5th",
            "sixth|6th",
            "seventh|7th",
            "eighth|8th",
            "ninth|9th",
            "tenth|10th",
        ),
        ("beginner|novice", "elementary|basic", "intermediate", "advanced|proficient", "expert|master"),
        (
            "intern|trainee",
            "entry|entry level",
            "junior",
            "mid|middle|mid level|intermediate",
            "senior",
            "lead|principal",
            "executive|director",
        ),
        (
            *("illiterate|no formal education|preschool", "1st 4th", "5th 6th", "7th 8th", "primary|primary school|elementary school"),
            *("middle school|lower secondary", "9th", "10th", "11th", "12th", "secondary|secondary school|high school|hs grad|hs"),
            *("some college", "vocational|assoc voc", "associate|assoc acdm", "bachelor|undergraduate|college", "graduate school"),
            *("master|postgraduate", "prof school", "doctorate|doctoral|phd"),
        ),
        (
            "infant|baby",
            "toddler",
            "child|kid",
            "teenager|teen|adolescent|youth",
            "young adult|young",
            "adult|middle aged",
            "senior|elderly|old",
        ),
        ("monday|mon", "tuesday|tue|tues", "wednesday|wed", "thursday|thu|thur|thurs", "friday|fri", "saturday|sat", "sunday|sun"),
        (
            *("january|jan", "february|feb", "march|mar", "april|apr", "may", "june|jun", "july|jul", "august|aug", "september|sep|sept"),
            *("october|oct", "november|nov", "december|dec"),
        ),
        ("bronze", "silver", "gold", "platinum", "diamond"),
        ("free", "basic", "standard", "plus", "premium", "pro|professional", "enterprise"),
        ("freezing", "cold", "cool", "mild", "warm", "hot"),
        ("very slow", "slow", "medium|normal|moderate|average", "fast", "very fast"),
        ("hourly", "daily", "weekly", "biweekly|fortnightly", "monthly", "quarterly", "yearly|annually|annual"),
        ("down|decrease|decreased|decreasing|falling", "steady|stable|same|unchanged|no change", "up|increase|increased|increasing|rising"),
        ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x"),
    )
)
"""Each scale's words with their places, from its lower to its upper end; words that mean the same stand together."""
FEWEST_WORDS = 3
"""Words of a scale that a column must hold to be one of it: two can be of many."""

_AMOUNT = r"[$€£]?\s*-?\d[\d,]*(?:\.\d+)?\s*[km%]?"
_BELOW, _ABOVE = r"<=?|≤|under|below|less than|up to|at most", r">=?|≥|over|above|more than|at least"
_RANGE = re.compile(
    rf"[\[(]?\s*(?P<low>{_AMOUNT})\s*(?:-|–|to|,|\.\.|and)\s*{_AMOUNT}\s*[\])]?"
    rf"|(?:{_BELOW})\s*(?P<below>{_AMOUNT})|(?P<most>{_AMOUNT})\s*(?:or|and) (?:less|under|fewer|below|younger)"
    rf"|(?:{_ABOVE})\s*(?P<above>{_AMOUNT})|(?P<least>{_AMOUNT})\s*(?:\+|(?:or|and) (?:more|over|above|older|up))"
)
_NUMBERED = re.compile(r"(?:[a-z]{2,10} )?[<>≤≥~$€£\s]*(-?\d+(?:\.\d+)?)")
"""`5 rooms`, `grade 3`, `3rd`; `k17` is a name."""


def scale_of(words: Iterable[str], fewest: int = FEWEST_WORDS) -> list[str] | None:
    """The words in their order where all of them are of one known scale, no two of one place, and at least `fewest`."""
    given = list(dict.fromkeys(words))
    if len(given) < fewest:
        return None
    plain = [_plain(word) for word in given]
    for spelt in (plain, _without_common(plain)):
        for scale in SCALES:
            places = [scale.get(word, -1) for word in spelt]
            # Of letters alone `i`, `v` and `x` are no numerals.
            if min(places) >= 0 and len(set(places)) == len(places) and ("i" not in scale or "ii" in spelt):
                return [word for _, word in sorted(zip(places, given, strict=True))]
    return None


def are_ranges(texts: Iterable[str]) -> bool:
    """Whether texts are ranges of numbers, as `18-25`, `[0, 10)`, `over 100` and `60+` are, with single numbers among them or not."""
    found = [_place(text.strip().lower()) for text in texts]
    known = [each for each in found if each is not None]
    return FEWEST_WORDS <= len(known) == len(found) and any(is_range for _, is_range in known)


def natural_order(levels: Iterable[Any]) -> list[str] | None:
    """Levels in the order that their own words or numbers give them, or None where they give none."""
    words = {str(level): str(level).strip().lower() for level in levels}
    if len(words) < 2 or len(set(words.values())) < len(words):
        return None
    if order := scale_of(words.values(), fewest=2):
        return sorted(words, key=lambda level: order.index(words[level]))
    places = {level: found[0] for level, text in words.items() if (found := _place(text))}
    if len(places) < len(words):
        matched = {level: _NUMBERED.match(text) for level, text in words.items()}
        places = {level: (float(found[1]), 0) for level, found in matched.items() if found}
    if len(places) < len(words) or len(set(places.values())) < len(places):
        return None
    return sorted(words, key=lambda level: places[level])


def _place(text: str) -> tuple[tuple[float, int], bool] | None:
    """Where a range of numbers begins, what is below a number before it and what is above behind, and whether it is one."""
    if re.fullmatch(_AMOUNT, text):
        return (_value(text), 0), False
    if (found := _RANGE.fullmatch(text)) is None:
        return None
    name = str(found.lastgroup)
    return (_value(found[name]), -1 if name in ("below", "most") else 1 if name in ("above", "least") else 0), True


def _value(text: str) -> float:
    digits = re.sub(r"[^\d.\-]", "", text).rstrip(".")
    return float(digits) * {"k": 1e3, "m": 1e6}.get(text.strip()[-1], 1.0)


def _plain(word: str) -> str:
    """A word as scales have it: `Bachelor's degree` is `bachelor`, `HS-grad` is `hs grad`."""
    text = re.sub(r"[\W_]+", " ", re.sub(r"['’]", "", word.lower())).strip()
    text = re.sub(r" (degree|priority|level)$", "", text) or text
    return re.sub(r"^(bachelor|master|associate)s$", r"\1", text)


def _without_common(words: list[str]) -> list[str]:
    """Words without the one that all of them begin or end with: `low risk` and `high risk`, `stage i` and `stage ii`."""
    parts = [word.split() for word in words]
    if min(map(len, parts)) > 1:
        if len({part[0] for part in parts}) == 1:
            return [" ".join(part[1:]) for part in parts]
        if len({part[-1] for part in parts}) == 1:
            return [" ".join(part[:-1]) for part in parts]
    return words
