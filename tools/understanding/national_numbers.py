"""Numbers that states give to persons, by the check digits and structures that python-stdnum knows of some fifty of them.

One check digit lets every tenth number pass. So a column of bare digits is taken for such numbers by all its values together, and only
where numbers of books, goods and firms do not pass as well; one number in a text is taken for such where it is spelled as nothing else is.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class National:
    """A kind of number, the module of python-stdnum that checks it, and how it looks."""

    kind: str
    module: str
    lengths: tuple[int, ...]
    """Signs without blanks, dots, slashes and hyphens."""
    evidence: float
    """Decimal digits that the check is worth: of random texts of its shape it lets one in `10 ** evidence` pass. 0: it has none, so that it
    counts only as it is spelled."""
    spelled: str = ""
    """A pattern of how it is written where that alone tells it from other numbers."""

    def passes(self, text: str) -> bool:
        return valid(self.module, text)

    @property
    def spelled_confidence(self) -> float:
        """How sure one number in a text is. The American hyphens alone are nobody else's."""
        return 0.85 if self.evidence >= 1.8 or self.module == "us.ssn" else 0.75


NATIONAL: tuple[National, ...] = (
    National("US social security number", "us.ssn", (9,), 0, r"\d{3}-\d{2}-\d{4}"),
    National("US taxpayer number", "us.itin", (9,), 0, r"9\d{2}-\d{2}-\d{4}"),
    National("Austrian insurance number", "at.vnr", (10,), 1, r"\d{4} (?:0[1-9]|[12]\d|3[01])(?:0[1-9]|1[0-2])\d{2}"),
    National("Australian tax number", "au.tfn", (9,), 1),
    National("Belgian national number", "be.nn", (11,), 2.4, r"\d{2}\.\d{2}\.\d{2}-\d{3}\.\d{2}"),
    National("Brazilian CPF", "br.cpf", (11,), 2, r"\d{3}\.\d{3}\.\d{3}-\d{2}"),
    National("Bulgarian EGN", "bg.egn", (10,), 2),
    National("Canadian insurance number", "ca.sin", (9,), 1),
    National("Chilean RUT", "cl.rut", (8, 9), 1, r"\d{1,2}\.\d{3}\.\d{3}-[\dKk]"),
    National("Chinese identity number", "cn.ric", (18,), 3, r"[1-8]\d{5}(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dX]"),
    National("Croatian OIB", "hr.oib", (11,), 1),
    National("Czech or Slovak birth number", "cz.rc", (10,), 1.6, r"\d{2}[01235678]\d[0-3]\d/\d{4}"),
    National("Danish CPR", "dk.cpr", (10,), 0, r"[0-3]\d[01]\d{3}-\d{4}"),
    National("Dominican cedula", "do.cedula", (11,), 1, r"\d{3}-\d{7}-\d"),
    National("Dutch BSN", "nl.bsn", (9,), 1),
    National("Ecuadorian identity number", "ec.ci", (10,), 1.6),
    National("Estonian or Lithuanian personal code", "ee.ik", (11,), 2.3),
    National("Finnish identity code", "fi.hetu", (11, 10), 3, r"[0-3]\d[01]\d{3}[-+A-FU-Y]\d{3}[0-9A-FHJ-NPR-Y]"),
    National("French NIR", "fr.nir", (15,), 1.8, r"[12] ?\d{2} ?\d{2} ?\d[\dAB] ?\d{3} ?\d{3} ?\d{2}"),
    National("German tax number", "de.idnr", (11,), 2.3),
    National("Greek AMKA", "gr.amka", (11,), 2.2),
    National("Icelandic kennitala", "is_.kennitala", (10,), 2.8, r"[0-7]\d[01]\d{3}-\d{4}"),
    National("Indian Aadhaar", "in_.aadhaar", (12,), 1, r"[2-9]\d{3} \d{4} \d{4}"),
    National("Indian PAN", "in_.pan", (10,), 0, r"[A-Z]{3}P[A-Z]\d{4}[A-Z]"),
    National("Irish PPS number", "ie.pps", (8, 9), 1.3, r"\d{7}[A-W][ABWTX]?"),
    National("Israeli identity number", "il.idnr", (9,), 1),
    National(
        "Italian codice fiscale", "it.codicefiscale", (16,), 1.8, r"[A-Z]{6}[\dL-NP-V]{2}[A-EHLMPR-T][\dL-NP-V]{2}[A-Z][\dL-NP-V]{3}[A-Z]"
    ),
    National("Korean resident number", "kr.rrn", (13,), 2.3, r"\d{2}[01]\d[0-3]\d-[0-9]\d{6}"),
    National("Malaysian NRIC", "my.nric", (12,), 0, r"\d{2}[01]\d[0-3]\d-\d{2}-\d{4}"),
    National("Mexican CURP", "mx.curp", (18,), 3, r"[A-Z]{4}\d{6}[HMX][A-Z]{5}[A-Z\d]\d"),
    National("Norwegian birth number", "no.fodselsnummer", (11,), 3),
    National("Pakistani CNIC", "pk.cnic", (13,), 0, r"\d{5}-\d{7}-\d"),
    National("Polish PESEL", "pl.pesel", (11,), 1.6),
    National("Portuguese citizen number", "pt.cc", (12,), 1, r"\d{8} \d [A-Z\d]{2}\d"),
    National("Romanian CNP", "ro.cnp", (13,), 2.6),
    National("Russian INN", "ru.inn", (12,), 2),
    National("Salvadoran NIT", "sv.nit", (14,), 1.3, r"\d{4}-\d{6}-\d{3}-\d"),
    National("South African identity number", "za.idnr", (13,), 2.8),
    National("Spanish DNI", "es.dni", (9,), 1.3, r"\d{8}-?[A-HJ-NP-TV-Z]"),
    National("Spanish NIE", "es.nie", (9,), 1.3, r"[XYZ]-?\d{7}-?[A-HJ-NP-TV-Z]"),
    National("Swedish personal number", "se.personnummer", (10, 12), 2.2, r"(?:\d{2})?\d{2}[01]\d[0-9]\d[-+]\d{4}"),
    National("Swiss AHV number", "ch.ssn", (13,), 1, r"756\.\d{4}\.\d{4}\.\d{2}"),
    National("Thai identity number", "th.pin", (13,), 1, r"\d-\d{4}-\d{5}-\d{2}-\d"),
    National("Turkish identity number", "tr.tckimlik", (11,), 2),
    National("UK NHS number", "gb.nhs", (10,), 1, r"[4679]\d{2}[ -]\d{3}[ -]\d{4}"),
    National("Ukrainian taxpayer number", "ua.rntrc", (10,), 1),
    National("number of the former Yugoslavia", "si.emso", (13,), 2.3),
)
SPELLINGS = tuple(one for one in NATIONAL if one.spelled)
NOBODYS = (
    *(
        "isbn",
        "issn",
        "ean",
        "isin",
        "cusip",
        "imo",
        "casrn",
        "fr.siren",
        "fr.siret",
        "us.rtn",
        "br.cnpj",
        "pl.nip",
        "pl.regon",
        "no.orgnr",
    ),
    *("se.orgnr", "gr.vat", "de.vat", "au.acn", "rs.pib", "ch.uid", "vn.mst", "lv.pvn"),
)
"""Modules for books, goods, ships and firms, whose check digits are of the same kinds."""
ENOUGH = 0.9
"""Share of a column's different values that must pass."""
LEAST_EVIDENCE = 8
"""Decimal digits that all values together must be worth: less than once in a hundred million by chance."""
_PARTED = re.compile(r"[ ./-]")
_NUMBER = re.compile(r"(?=(?:\D*\d){6})[0-9A-Z]{8,18}")


def valid(module: str, text: str) -> bool:
    """Whether a module of python-stdnum lets a text pass; False too where it stumbles over one (its list of Chinese places has gaps)."""
    number = importlib.import_module(f"stdnum.{module}")
    try:
        return bool(number.is_valid(text))
    except (LookupError, TypeError, ValueError):
        return False


def national_column(texts: Sequence[str], hinted: bool) -> tuple[str, float, float] | None:
    """What national number the values of a column are, their share that passes (0 to 1), and the confidence, or None.

    Args:
        texts: different values, as they stand; whole numbers may have lost up to two zeros at the front.
        hinted: whether the column's name promises such a number, which then counts though firms' numbers pass as well.
    """
    bare = [_PARTED.sub("", text).upper() for text in texts]
    if sum(bool(_NUMBER.fullmatch(text)) for text in bare) < ENOUGH * len(bare):
        return None
    found = [(share, one) for one in NATIONAL if one.evidence and (share := _share(one, bare)) >= ENOUGH]
    sure = [(share, one) for share, one in found if share * len(bare) * one.evidence >= LEAST_EVIDENCE]
    if not sure:
        return None
    share, best = max(sure, key=lambda pair: (pair[1].evidence, pair[0]))
    if best.evidence < 1.5 and not hinted and any(_passing(module, bare) >= ENOUGH for module in NOBODYS if not _book(best, module)):
        return None
    return best.kind, round(share, 4), 0.95 if hinted or best.evidence >= 2 else 0.85


def _book(one: National, module: str) -> bool:
    """Whether the two are the same check: NHS numbers are told from books by the first digits that are given out."""
    return (one.module, module) == ("gb.nhs", "isbn")


def _share(one: National, bare: Sequence[str]) -> float:
    """Share of texts that are such a number, 0 early where a few show that they are not."""
    longest, least = max(one.lengths), min(one.lengths)
    filled = [text if len(text) >= least else text.zfill(longest) for text in bare if least - 2 <= len(text) <= longest]
    if len(filled) < ENOUGH * len(bare):
        return 0.0
    pattern = re.compile(r"[4679]\d+") if one.module == "gb.nhs" else None
    for some in (filled[:20], filled):
        passed = sum(valid(one.module, text) and (pattern is None or pattern.fullmatch(text) is not None) for text in some)
        if passed < 0.7 * len(some):
            return 0.0
    return passed / len(bare)


def _passing(module: str, bare: Sequence[str]) -> float:
    return sum(valid(module, text) for text in bare[:100]) / min(100, len(bare))
