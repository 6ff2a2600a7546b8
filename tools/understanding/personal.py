"""Personal data in a table: found in what values are and in what columns are called, and masked where the user asks for it.

What a text shows by itself is in `marks`, and columns of bare national numbers in `national_numbers`. Names of people have no such mark, so
they count only in columns that are named for them. No value is told.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tools.understanding import telephones
from tools.understanding.findings import Personal
from tools.understanding.marks import MARKS, SURE, Mark
from tools.understanding.national_numbers import ENOUGH, LEAST_EVIDENCE, national_column

if TYPE_CHECKING:
    import pandas as pd

LOOKED_AT = 1000
LEAST_SHARE = 0.02
"""Share of a column's values that must hold personal data before the column is named: texts may hold a stray one."""
LEAST_VALID = 0.5
"""Share of a column's candidates that must pass their check: of numbers at random, every tenth has Luhn's sum."""
MOST_CHARS = 2000

NAMED: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "name",
        re.compile(
            r"(^|[\W_])(first|last|given|family|full|middle|maiden|patient|customer|employee)[\W_]?names?([\W_]|$)|^(sur|fore)?names?$",
            re.I,
        ),
    ),
    ("phone", re.compile(r"(^|[\W_])(phone|telephone|tel|mobile|cell|fax)([\W_]?(no|number|nr))?([\W_]|$)", re.I)),
    ("address", re.compile(r"(^|[\W_])(street|address|addr)([\W_]?\d)?([\W_]|$)", re.I)),
    ("date of birth", re.compile(r"(^|[\W_])(dob|birth[\W_]?(date|day)|date[\W_]of[\W_]birth|born)([\W_]|$)", re.I)),
    (
        "national number",
        re.compile(
            r"(^|[\W_])(ssn|social[\W_]?security|passport|national[\W_]?(id|number)|tax[\W_]?(id|number)|driver'?s?[\W_]?licen[cs]e)"
            r"|(^|[\W_])(nhs|nino|insurance|cpf|curp|pesel|bsn|nir|aadhaa?r|pps|sin|tfn|dni|nie|cnic|codice[\W_]fiscale|personnummer"
            r"|steuer[\W_]?id|idnr|ahv)([\W_]?(id|no|nr|number))?$",
            re.I,
        ),
    ),
    ("account", re.compile(r"(^|[\W_])(iban|account[\W_]?(no|number|nr)|credit[\W_]?card|card[\W_]?(no|number))", re.I)),
)
"""What a column's name says it holds. It counts where its values are of such a shape."""
CARD = next(mark for mark in MARKS if mark.kind == "card")
ITS_VALUES, CHECK_DIGITS = "its values", "the check digits of its values"


def personal(frame: pd.DataFrame) -> list[Personal]:
    """Columns that hold personal data, the surest first; of each the commonest kind."""
    found = [one for name in map(str, frame.columns) if (one := personal_column(name, frame[name])) is not None]
    return sorted(found, key=lambda one: -one.confidence)


def personal_column(name: str, values: pd.Series) -> Personal | None:
    """What personal data a column holds, or None."""
    from pandas.api import types

    named = next((kind for kind, pattern in NAMED if pattern.search(name)), None)
    present = values.dropna()
    if present.empty or types.is_bool_dtype(values.dtype):
        return None
    if types.is_datetime64_any_dtype(values.dtype):
        return Personal(column=name[:80], kind=named, share=1.0, confidence=0.9, why="its name") if named == "date of birth" else None
    if types.is_numeric_dtype(values.dtype):
        return _numbers(name, named, present)
    texts = present.iloc[:: max(1, len(present) // LOOKED_AT)].astype(str).str.slice(0, MOST_CHARS)
    known = {str(text): float(share) for text, share in texts.value_counts(normalize=True).items()}
    if (found := national_column(list(known), named == "national number")) is not None:
        kind, share, confidence = found
        return Personal(column=name[:80], kind=kind, share=share, confidence=confidence, why=CHECK_DIGITS)
    seen = [one for mark in MARKS if (one := _seen(mark, known)).share >= LEAST_SHARE and not one.by_chance]
    for one in sorted(seen, key=lambda one: (-one.share * one.confidence, one.mark.kind)):
        kind = one.mark.kind
        # A weak pattern in few values is a chance hit, unless the name says the same, and parts may be numbered like phones in many.
        if one.confidence >= SURE or kind == named or (one.share >= 0.8 and (kind != "phone" or telephones.at_home(list(known)))):
            surer = 0.95 if kind == named else one.confidence
            why = "its name and its values" if kind == named else ITS_VALUES
            return Personal(column=name[:80], kind=kind, share=round(one.share, 4), confidence=surer, why=why)
    if named is not None and (share := _shaped(named, texts.drop_duplicates())) >= 0.5:
        return Personal(column=name[:80], kind=named, share=round(share, 4), confidence=0.7, why="its name and the shape of its values")
    return None


@dataclass(frozen=True)
class _Seen:
    """How often a mark stands in the texts of a column."""

    mark: Mark
    share: float
    """Of values, that hold one that passes its check."""
    candidates: int
    passing: int
    """In different values."""

    @property
    def by_chance(self) -> bool:
        return self.passing < LEAST_VALID * self.candidates

    @property
    def confidence(self) -> float:
        """That of the mark, or sure where check digits hold in so many values that chance is ruled out."""
        proven = self.passing * self.mark.evidence >= LEAST_EVIDENCE and self.passing >= ENOUGH * self.candidates
        return max(self.mark.confidence, SURE) if proven else self.mark.confidence


def _seen(mark: Mark, known: Mapping[str, float]) -> _Seen:
    share, candidates, passing = 0.0, 0, 0
    for text, of_values in known.items():
        found = [passes for *_, passes in mark.find(text)]
        candidates += len(found)
        passing += sum(found)
        share += of_values * any(found)
    return _Seen(mark, share, candidates, passing)


def _numbers(name: str, named: str | None, present: pd.Series) -> Personal | None:
    """What a column of numbers holds: they have check digits, or a name that fits their length, and no other shape."""
    whole = present[(present % 1 == 0) & (present >= 1e6) & (present < 1e18)]
    if len(whole) >= ENOUGH * len(present):
        different = whole.drop_duplicates()
        texts = [str(int(number)) for number in different.iloc[:: max(1, len(different) // LOOKED_AT)]]
        card = _seen(CARD, dict.fromkeys(texts, 1 / len(texts)))
        if card.share >= ENOUGH and card.passing >= LEAST_EVIDENCE:
            return Personal(column=name[:80], kind=CARD.kind, share=round(card.share, 4), confidence=CARD.confidence, why=CHECK_DIGITS)
        if (found := national_column(texts, named == "national number")) is not None:
            kind, share, confidence = found
            return Personal(column=name[:80], kind=kind, share=share, confidence=confidence, why=CHECK_DIGITS)
    long = named in ("phone", "account", "national number") and float((abs(present) >= 1e7).mean()) > 0.5
    return Personal(column=name[:80], kind=str(named), share=1.0, confidence=0.7, why="its name and its length") if long else None


_SHAPES = {
    "name": r"[A-ZÀ-Þ][\w'’.-]+(?:[ ,]+[A-ZÀ-Þ][\w'’.-]*){0,4}",
    "phone": r"(?=(?:\D*\d){6})[+(]?\d[\d ()./-]{5,22}(?: ?(?:x|ext\.?) ?\d{1,6})?",
    "address": r"(?s:.*\d.*[A-Za-z].*|.*[A-Za-z].*\d.*)",
    "national number": r"(?=(?:\D*\d){5})[A-Z0-9][A-Z0-9 ./-]{4,24}",
    "account": r"(?=(?:\D*\d){6})[A-Z0-9][A-Z0-9 ./-]{5,34}",
}


def _shaped(kind: str, texts: pd.Series) -> float:
    """Share of values of the shape that a name of the column promises, of columns that do not repeat a few words."""
    if kind == "date of birth":
        return float(texts.str.contains(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}").mean())
    return float(texts.str.strip().str.fullmatch(_SHAPES[kind]).mean()) if len(texts) >= 10 else 0.0


def masked(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[Personal]]:
    """The table with personal data replaced by what it is, such as `<email>`, and the columns that were found to hold some.

    Of texts the matches go, those that are sure in every text column, since a stray one is personal as well; a column that is personal by
    its name or by the check digits of its values goes whole, into one value.
    """
    from pandas.api import types

    changed, found = {}, []
    for name in map(str, frame.columns):
        values, one = frame[name], personal_column(name, frame[name])
        plain = types.is_numeric_dtype(values.dtype) or types.is_datetime64_any_dtype(values.dtype)
        if one is not None:
            found.append(one)
        if one is not None and (one.why != ITS_VALUES or plain):
            changed[name] = values.astype(object).where(values.isna(), f"<{one.kind}>")
        elif not plain:
            # What a column holds comes first: Danes and Swedes hyphenate alike.
            marks = sorted(MARKS, key=lambda mark: mark.kind != one.kind) if one is not None else _sure_ones(values)
            texts = {value: masked_text(str(value), marks) for value in values.dropna().unique()}
            if any(text != str(value) for value, text in texts.items()):
                changed[name] = values.astype(object).map(texts, na_action="ignore")
    return frame.assign(**changed), sorted(found, key=lambda one: -one.confidence)


def _sure_ones(values: pd.Series) -> list[Mark]:
    """Marks that count by themselves, but for those whose check most candidates of a column fail, so that the others pass by chance."""
    known = dict.fromkeys((str(value)[:MOST_CHARS] for value in values.dropna().unique()[:LOOKED_AT]), 0.0)
    return [mark for mark in MARKS if mark.confidence >= SURE and not _seen(mark, known).by_chance]


def masked_text(text: str, marks: Sequence[Mark] = MARKS) -> str:
    """A text in which whatever has one of the marks, and passes its check, is replaced by its kind."""
    for mark in marks:
        text = mark.masked(text)
    return text
