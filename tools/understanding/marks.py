"""What in a text is personal by its own shape: mail addresses, cards, accounts, national numbers, telephones, machines, streets.

A pattern proposes and a library decides, since long numbers are mostly nobody's: email-validator reads addresses, python-stdnum holds
numbers against their check digits, phonenumbers knows the numbering plans, `ipaddress` of Python reads internet addresses. Each is imported
at its first candidate. Patterns alone decide where no library knows better: streets, and Britain's insurance number, which has no
check digit.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tools.understanding import telephones
from tools.understanding.national_numbers import SPELLINGS, valid

Span = tuple[int, int, bool]
"""Where a candidate begins and ends in a text, and whether it passes its check."""
SURE = 0.85
"""Confidence from which a match counts by itself."""


@dataclass(frozen=True)
class Mark:
    """A kind of personal data that a text shows by itself."""

    kind: str
    find: Callable[[str], Iterator[Span]]
    confidence: float
    """How sure one candidate that passes its check is."""
    evidence: float = 0
    """Decimal digits that its check is worth, of numbers that states give."""

    def masked(self, text: str) -> str:
        """The text with each candidate that passes replaced by the kind, such as `<email>`."""
        for start, end, passes in reversed(list(self.find(text))):
            if passes:
                text = f"{text[:start]}<{self.kind}>{text[end:]}"
        return text


def _by(pattern: str, check: Callable[[str], bool], needs: str = "") -> Callable[[str], Iterator[Span]]:
    """A finder of what a pattern matches; texts without `needs` are not searched."""
    compiled = re.compile(pattern)

    def find(text: str) -> Iterator[Span]:
        if needs in text:
            yield from ((match.start(), match.end(), check(match[0])) for match in compiled.finditer(text))

    return find


def _email(text: str) -> bool:
    """Whether an address is one by its syntax (RFC 5322 and 6531); no name is looked up.

    Names that the internet reserves, such as `.local`, are refused by the library and still somebody's: the ending is none of its business.
    """
    from email_validator import EmailNotValidError, validate_email

    try:
        validate_email(f"{text}.org", check_deliverability=False)
    except EmailNotValidError:
        return False
    return True


def _card(text: str) -> bool:
    """Whether digits have Luhn's sum and are not all the same."""
    from stdnum import luhn

    digits = re.sub(r"\D", "", text)
    return len(set(digits)) > 1 and bool(luhn.is_valid(digits))


def _machine(text: str) -> bool:
    """Whether a text is an internet address that somebody may have: not a version such as 1.2.0.0 or 4.18.22.1, nor a loopback."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return False
    if found.is_loopback or found.is_unspecified:
        return False
    # Of addresses with a first part below ten, one in sixteen has no part of three digits; versions have hardly any.
    return found.version == 6 or not (text.endswith(".0.0") or (text[1] == "." and max(found.packed) < 100))


_ISSUED = (
    # Numbers of issuers (ISO/IEC 7812) and their lengths, which python-stdnum does not have: American Express and Diners, JCB, Mastercard,
    # Discover and UnionPay, Maestro, Visa.
    r"(?:3[47]\d{2}[ -]?\d{6}[ -]?\d{5}|3(?:0[0-59]|[689]\d)\d[ -]?\d{6}[ -]?\d{4}|35\d{2}(?:[ -]?\d{4}){3}"
    r"|(?:5[0-9]|2[2-7]|6[0-9])\d{2}(?:[ -]?\d{4}){3}(?:[ -]?\d{1,3})?|4\d{3}(?:[ -]?\d{4}){3}(?:[ -]?\d{3})?|4\d{12})"
)
_STREET = (
    r"\b\d{1,5}[A-Za-z]?\s+(?:[A-Z][\w.']*\s+){1,4}(?:St|Street|Ave|Avenue|Rd|Road|Blvd|Boulevard|Lane|Ln|Drive|Dr|Court|Ct|Way|Place|Pl)\b"
    r"|\b[A-ZÄÖÜ][\wäöüß.-]*(?:straße|strasse|str\.|gasse|weg|platz|allee)\s+\d{1,4}\s?[a-z]?\b"
)
_INSURANCE = re.compile(r"(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z][\d ]+[A-D]")
"""Of Britain's National Insurance: letters that are given out, and the four endings."""


def _always(_: str) -> bool:
    return True


MARKS: tuple[Mark, ...] = (
    Mark("email", _by(r"(?<![\w.+-])\w[\w.+%&'-]{0,63}@(?:[^\W_](?:[\w-]{0,62})\.)+[^\W\d_]{2,24}(?![\w-])", _email, "@"), 0.98),
    Mark("card", _by(rf"(?<![\d.-]){_ISSUED}(?![\d.-])", _card), 0.95),
    Mark(
        "IBAN",
        _by(
            r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])",
            lambda text: valid("iban", text),
        ),
        0.99,
    ),
    *(
        Mark(one.kind, _by(rf"(?<![\w.-])(?:{one.spelled})(?![\w-]|\.\d)", one.passes), one.spelled_confidence, one.evidence)
        for one in SPELLINGS
    ),
    Mark(
        "UK national insurance number",
        _by(r"(?<![\w-])[A-Z]{2} ?\d{2} ?\d{2} ?\d{2} ?[A-Z](?![\w-])", lambda text: _INSURANCE.fullmatch(text) is not None),
        0.85,
    ),
    Mark("IP address", _by(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])", _machine, "."), 0.9),
    Mark("IP address", _by(r"(?<![\w:])(?:[0-9A-Fa-f]{1,4}:){2,7}[0-9A-Fa-f:]*[0-9A-Fa-f](?![\w:])", _machine, ":"), 0.9),
    Mark("MAC address", _by(r"(?<![\w:-])(?:[0-9A-Fa-f]{2}([:-]))(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}(?![\w:-])", _always), 0.9),
    Mark("phone", telephones.international, 0.9),
    Mark("phone", telephones.grouped, 0.6),
    Mark("address", _by(_STREET, _always), 0.75),
)
"""Earlier ones are masked first."""
