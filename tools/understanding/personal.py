"""Personal data in a table: found by patterns whose values are checked, and masked where the user asks for it.

Patterns alone take every long number for a card: what has a check digit or a structure is held against it (Luhn's sum of cards, ISO 7064 of
IBANs, the numbers that the US never issued, addresses that Python's `ipaddress` reads). Names of people have no such mark, so they count
only in columns that are named for them. No value is told.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from tools.understanding.findings import Personal

if TYPE_CHECKING:
    import pandas as pd

LOOKED_AT = 1000
LEAST_SHARE = 0.02
"""Share of a column's values that must hold personal data before the column is named: texts may hold a stray one."""
MOST_CHARS = 2000
SURE = 0.85
"""Confidence from which a match counts by itself."""

_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,62})\.)+[A-Za-z]{2,24}(?![\w-])")
_CARD = re.compile(r"(?<![\d.])(?:\d[ -]?){12,18}\d(?![\d.])")
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])")
_SSN = re.compile(r"(?<![\d-])(\d{3})-(\d{2})-(\d{4})(?![\d-])")
_IP4 = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")
_IP6 = re.compile(r"(?<![\w:])(?:[0-9A-Fa-f]{1,4}:){2,7}[0-9A-Fa-f:]*[0-9A-Fa-f](?![\w:])")
_MAC = re.compile(r"(?<![\w:-])(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}(?![\w:-])")
_PHONE = re.compile(
    # With the sign and code of a country digits are grouped in any way; without them, in groups of two to four.
    r"(?<![\w+])\+\d{1,3}(?:[ -]\(?\d{1,10}\)?){1,6}(?![\w.-])"
    r"|(?<![\w+.])(?:\+\d{1,3}[ .-]?)?(?:\(\d{1,4}\)[ .-]?)?\d{2,4}(?:[ .-]\d{2,4}){1,4}(?![\w.])|(?<![\w+])\+\d{8,15}(?!\d)"
)
_DATE = re.compile(r"(?:1[89]|20|21)\d{2}([-. ])\d{1,2}\1\d{1,2}(?!\d)|\d{1,2}([-. ])\d{1,2}\2(?:1[89]|20|21)\d{2}(?!\d)")
_STREET = re.compile(
    r"\b\d{1,5}[A-Za-z]?\s+(?:[A-Z][\w.']*\s+){1,4}(?:St|Street|Ave|Avenue|Rd|Road|Blvd|Boulevard|Lane|Ln|Drive|Dr|Court|Ct|Way|Place|Pl)\b"
    r"|\b[A-ZÄÖÜ][\wäöüß.-]*(?:straße|strasse|str\.|gasse|weg|platz|allee)\s+\d{1,4}\s?[a-z]?\b"
)

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
        re.compile(r"(^|[\W_])(ssn|social[\W_]security|passport|national[\W_]id|tax[\W_]id|driver'?s?[\W_]licen[cs]e)", re.I),
    ),
    ("account", re.compile(r"(^|[\W_])(iban|account[\W_]?(no|number|nr)|credit[\W_]?card|card[\W_]?(no|number))", re.I)),
)
"""What a column's name says it holds. It counts where its values are of such a shape."""
_PERSON = re.compile(r"[A-ZÀ-Þ][\w'’.-]+(?:[ ,]+[A-ZÀ-Þ][\w'’.-]*){0,4}", re.UNICODE)


def luhn(text: str) -> bool:
    """Whether the digits of a text have Luhn's sum, as numbers of cards do."""
    digits = [int(sign) for sign in text if sign.isdigit()]
    doubled = [digit * 2 - 9 * (digit > 4) if place % 2 else digit for place, digit in enumerate(reversed(digits))]
    return 13 <= len(digits) <= 19 and len(set(digits)) > 1 and sum(doubled) % 10 == 0


def iban(text: str) -> bool:
    """Whether a text has the check digits of an IBAN (ISO 7064, modulo 97)."""
    plain = text.replace(" ", "").upper()
    if not 15 <= len(plain) <= 34 or not plain.isalnum():
        return False
    return int("".join(str(int(sign, 36)) for sign in plain[4:] + plain[:4])) % 97 == 1


def _card(text: str) -> bool:
    return text.lstrip()[0] in "23456" and luhn(text)


def _social(text: str) -> bool:
    """Whether a number may have been issued: no area 000, 666 or from 900 on, no group 00, no serial 0000."""
    area, group, serial = text.split("-")
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"


def _address(text: str) -> bool:
    """Whether a text is an internet address that somebody may have: not one of versions such as 1.2.0.0, nor a loopback."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not (found.is_loopback or found.is_unspecified) and (found.version == 6 or not text.endswith(".0.0"))


def _phone(text: str) -> bool:
    """Whether digits are as many as a telephone number has (seven with the code of a small country), and no date such as 2024-01-31."""
    digits = sum(sign.isdigit() for sign in text)
    return (7 if text.lstrip().startswith("+") else 9) <= digits <= 15 and not _DATE.match(text.strip())


PATTERNS: tuple[tuple[str, re.Pattern[str], Callable[[str], bool], float], ...] = (
    ("email", _EMAIL, lambda _: True, 0.98),
    ("card", _CARD, _card, 0.95),
    ("IBAN", _IBAN, iban, 0.99),
    ("US social security number", _SSN, _social, 0.85),
    ("IP address", _IP4, _address, 0.9),
    ("IP address", _IP6, _address, 0.9),
    ("MAC address", _MAC, lambda _: True, 0.9),
    ("phone", _PHONE, _phone, 0.6),
    ("address", _STREET, lambda _: True, 0.75),
)
"""What stands in a text, its pattern, what a match must pass, and how sure it then is. Earlier ones are masked first."""


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
        # Numbers have no shape to hold a name against; a card or a telephone number has many digits.
        long = named in ("phone", "account", "national number") and float((abs(present) >= 1e7).mean()) > 0.5
        return Personal(column=name[:80], kind=str(named), share=1.0, confidence=0.7, why="its name and its length") if long else None
    texts = present.iloc[:: max(1, len(present) // LOOKED_AT)].astype(str).str.slice(0, MOST_CHARS)
    known = texts.value_counts(normalize=True)
    shares: dict[str, tuple[float, float]] = {}
    for kind, pattern, valid, confidence in PATTERNS:
        hits = sum(share for text, share in known.items() if any(valid(match[0]) for match in pattern.finditer(str(text))))
        if hits >= LEAST_SHARE:
            shares.setdefault(kind, (float(hits), confidence))
    if shares:
        kind, (share, confidence) = max(shares.items(), key=lambda pair: (pair[1][0] * pair[1][1], pair[0]))
        # A weak pattern in few values is a chance hit, unless the name says the same.
        if confidence >= SURE or kind == named or share >= 0.8:
            surer = 0.95 if kind == named else confidence
            why = "its name and its values" if kind == named else "its values"
            return Personal(column=name[:80], kind=kind, share=round(share, 4), confidence=surer, why=why)
    if named in ("name", "address", "date of birth") and (share := _shaped(named, texts.drop_duplicates())) >= 0.5:
        return Personal(column=name[:80], kind=named, share=round(share, 4), confidence=0.7, why="its name and the shape of its values")
    return None


def _shaped(kind: str, texts: pd.Series) -> float:
    """Share of values of the shape that a name of the column promises, of columns that do not repeat a few words."""
    if kind == "date of birth":
        return float(texts.str.contains(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}").mean())
    if len(texts) < 10:
        return 0.0
    pattern = _PERSON if kind == "name" else re.compile(r".*\d.*[A-Za-z].*|.*[A-Za-z].*\d.*", re.S)
    return float(texts.str.strip().str.fullmatch(pattern).mean())


def masked(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[Personal]]:
    """The table with personal data replaced by what it is, such as `<email>`, and the columns that were found to hold some.

    Of texts the matches go, those that are sure in every text column, since a stray one is personal as well; a column that is personal by
    its name goes whole, into one value.
    """
    from pandas.api import types

    changed, found = {}, []
    for name in map(str, frame.columns):
        values, one = frame[name], personal_column(name, frame[name])
        plain = types.is_numeric_dtype(values.dtype) or types.is_datetime64_any_dtype(values.dtype)
        if one is not None:
            found.append(one)
        if one is not None and (one.why != "its values" or plain):
            changed[name] = values.astype(object).where(values.isna(), f"<{one.kind}>")
        elif not plain:
            least = 0.0 if one is not None else SURE
            texts = {value: masked_text(str(value), least) for value in values.dropna().unique()}
            if any(text != str(value) for value, text in texts.items()):
                changed[name] = values.astype(object).map(texts, na_action="ignore")
    return frame.assign(**changed), sorted(found, key=lambda one: -one.confidence)


def masked_text(text: str, least: float = 0.0) -> str:
    """A text in which each match of a pattern that passes its check is replaced by its kind; of patterns that are at least so sure."""
    for kind, pattern, valid, confidence in PATTERNS:
        if confidence >= least:
            text = pattern.sub(_replacer(kind, valid), text)
    return text


def _replacer(kind: str, valid: Callable[[str], bool]) -> Callable[[re.Match[str]], str]:
    return lambda match: f"<{kind}>" if valid(match[0]) else match[0]
