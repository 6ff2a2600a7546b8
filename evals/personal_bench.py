"""How well personal data is found in columns whose truth is known, and how long a table takes.

    python -m evals.personal_bench [--rows 1000] [--seed 0]

Columns are generated: numbers that states, banks and telephone companies could have given, bare, as they are spelled, and inside sentences;
and beside them what only looks like it. A column counts as found where its kind is right, and as a false alarm where any is named.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import random
import string
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pandas as pd

from tools.understanding.personal import personal

Draw = Callable[[random.Random], str]
BARE = {  # kind: (module of python-stdnum, what it is drawn from)
    "German tax number": ("de.idnr", "00000000000"),
    "UK NHS number": ("gb.nhs", "4000000000"),
    "French NIR": ("fr.nir", "100000000000000"),
    "Indian Aadhaar": ("in_.aadhaar", "000000000000"),
    "Brazilian CPF": ("br.cpf", "00000000000"),
    "Polish PESEL": ("pl.pesel", "00000000000"),
    "Spanish DNI": ("es.dni", "00000000A"),
    "Italian codice fiscale": ("it.codicefiscale", "AAAAAA00A00A000A"),
    "Dutch BSN": ("nl.bsn", "000000000"),
    "Canadian insurance number": ("ca.sin", "000000000"),
    "Swedish personal number": ("se.personnummer", "0000000000"),
    "Turkish identity number": ("tr.tckimlik", "00000000000"),
    "South African identity number": ("za.idnr", "0000000000000"),
    "Korean resident number": ("kr.rrn", "0000000000000"),
    "card": ("luhn", "4000000000000000"),
}
SPELLED = {
    "UK NHS number": ("gb.nhs", "400 000 0000"),
    "French NIR": ("fr.nir", "1 00 00 00 000 000 00"),
    "Indian Aadhaar": ("in_.aadhaar", "0000 0000 0000"),
    "Brazilian CPF": ("br.cpf", "000.000.000-00"),
    "US social security number": ("us.ssn", "000-00-0000"),
    "Swedish personal number": ("se.personnummer", "000000-0000"),
    "Finnish identity code": ("fi.hetu", "000000-000A"),
    "Chilean RUT": ("cl.rut", "00.000.000-0"),
    "card": ("luhn", "4000 0000 0000 0000"),
    "IBAN": ("iban", "DE00 3704 0044 0000 0000 00"),
}
REGIONS = ("US", "GB", "DE", "FR", "IN", "BR", "JP", "AU", "RU", "ES", "CN", "ZA", "MX", "NG", "PL", "SE")


def drawn(rng: random.Random, shape: str) -> str:
    """A text of a shape: zeros are any digit, A any letter, and the rest is as it stands."""
    return "".join(rng.choice({"0": string.digits, "A": string.ascii_uppercase}.get(sign, sign)) for sign in shape)


def valid(module: str, shape: str) -> Draw:
    """Texts of a shape that a module of python-stdnum lets pass."""
    passes = importlib.import_module(f"stdnum.{module}").is_valid
    parted = str.maketrans("", "", " " if module == "luhn" else "")

    def draw(rng: random.Random) -> str:
        while not passes((text := drawn(rng, shape)).translate(parted)):
            pass
        return text

    return draw


def phone(region: str, written: int) -> Draw:
    """Mobile numbers of a region: the last four digits of the example that phonenumbers has for it, drawn anew."""
    import phonenumbers

    example: Any = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)

    def draw(rng: random.Random) -> str:
        while True:
            number = phonenumbers.PhoneNumber(example.country_code, example.national_number // 10_000 * 10_000 + rng.randrange(10_000))
            if phonenumbers.is_valid_number(number):
                return phonenumbers.format_number(number, written)

    return draw


def in_words(draw: Draw, before: str, share: float, otherwise: str, rng: random.Random) -> str:
    """A sentence that holds a value, in a share of rows, or another one."""
    return f"{before} {draw(rng)} when asked" if rng.random() < share else otherwise


def bare(draw: Draw, rng: random.Random) -> str:
    """Digits without what parts them."""
    return draw(rng).translate(str.maketrans("", "", " ()-/."))


def personal_columns() -> dict[str, tuple[str, Draw]]:
    """Columns that hold personal data, by name: the kind that is right, and how a value is drawn."""
    import phonenumbers

    found: dict[str, tuple[str, Draw]] = {}
    for place, (kind, source) in enumerate(BARE.items()):
        found[f"b{place}"] = (kind, valid(*source))
    for place, (kind, source) in enumerate(SPELLED.items()):
        draw = valid(*source)
        found[f"s{place}"] = (kind, draw)
        found[f"t{place}"] = (
            kind,
            partial(in_words, draw, "they gave", 0.3, "nothing was said"),
        )
    for region in REGIONS:
        home, abroad = phone(region, phonenumbers.PhoneNumberFormat.NATIONAL), phone(region, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
        found[f"home {region}"] = ("phone", home)
        found[f"abroad {region}"] = ("phone", abroad)
        found[f"phone {region}"] = ("phone", partial(bare, home))
        found[f"note {region}"] = ("phone", partial(in_words, abroad, "ring", 0.2, "wait"))
    found["e1"] = ("email", lambda rng: f"{drawn(rng, 'AAA.AAAA').lower()}@mail.example.org")
    found["e2"] = ("email", lambda rng: f"write to {drawn(rng, 'AAAA').lower()}@corp.local" if rng.random() < 0.1 else "no")
    found["i1"] = ("IP address", lambda rng: f"10.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(1, 255)}")
    found["m1"] = ("MAC address", lambda rng: ":".join(f"{rng.randrange(256):02x}" for _ in range(6)))
    return found


SHAPES = {
    "order": "ORD-000000000",
    "order of 16": "0000000000000000",
    "order with the year": "2024-0000-0000",
    "part of 8": "000-00-000",
    "part of 9": "000-000-000",
    "part of 10": "00-0000-0000",
    "part in dots": "00.000.000",
    "station": "37-000-0000",
    "amount": "0.000.000,00",
    "pair": "00.0000, -0.0000",
    "code": "AA000000A",
    "serial": "A00000000",
    "lot": "00000000A",
    "version": "1.0.00.0",
    "time": "2024-01-00 00:00:00",
    "compact time": "20240100 000000",
}


def integer(digits: int, rng: random.Random) -> int:
    return rng.randrange(10 ** (digits - 1), 10**digits)


NUMBERS: dict[str, Callable[[random.Random], object]] = {
    **{f"integers of {digits}": partial(integer, digits) for digits in range(5, 17)},
    "price": lambda rng: round(rng.lognormvariate(4, 1), 2),
    "latitude": lambda rng: rng.uniform(-90, 90),
    "seconds": lambda rng: 1_700_000_000 + rng.randrange(10**7),
    "milliseconds": lambda rng: 1_700_000_000_000 + rng.randrange(10**10),
    "day": lambda rng: int(f"20{rng.randrange(10, 25)}{rng.randrange(1, 13):02d}{rng.randrange(1, 29):02d}"),
}
HASHES: dict[str, Draw] = {
    "md5": lambda rng: hashlib.md5(rng.randbytes(8), usedforsecurity=False).hexdigest(),
    "sha256": lambda rng: hashlib.sha256(rng.randbytes(8)).hexdigest(),
    "short hash": lambda rng: rng.randbytes(5).hex().upper(),
    "uuid": lambda rng: "-".join(rng.randbytes(size).hex() for size in (4, 2, 2, 2, 6)),
}
NOBODYS = {
    "isbn of 10": ("isbn", "0000000000"),
    "isbn of 13": ("isbn", "9780000000000"),
    "spelled isbn": ("isbn", "978-0-00-000000-0"),
    "article": ("ean", "4000000000000"),
    "issn": ("issn", "0000-0000"),
    "firm": ("fr.siren", "000000000"),
    "company": ("br.cnpj", "00.000.000/0000-00"),
    "bank": ("us.rtn", "000000000"),
}


def harmless_columns() -> dict[str, Callable[[random.Random], object]]:
    """Columns that hold none, by name: how a value is drawn."""
    shaped = {name: partial(drawn, shape=shape) for name, shape in SHAPES.items()}
    return {**shaped, **NUMBERS, **HASHES, **{name: valid(*source) for name, source in NOBODYS.items()}}


def measure(rows: int, seed: int) -> str:
    """Recall and precision over the columns and the seconds of a table of 20 of them, as lines of text."""
    rng = random.Random(seed)
    truth = {name: kind for name, (kind, _) in personal_columns().items()}
    frame = pd.DataFrame(
        {name: [draw(rng) for _ in range(rows)] for name, (_, draw) in personal_columns().items()}
        | {name: [draw(rng) for _ in range(rows)] for name, draw in harmless_columns().items()}
    )
    personal(frame.iloc[:50])  # what is imported once
    started = time.process_time()
    named = {one.column: one.kind for one in personal(frame)}
    seconds = time.process_time() - started
    missed = [
        f"{name} ({kind}{', taken for ' + named[name] if name in named else ''})" for name, kind in truth.items() if named.get(name) != kind
    ]
    alarms = [f"{name} ({kind})" for name, kind in named.items() if name not in truth]
    right = len(truth) - len(missed)
    return "\n".join(
        [
            f"found: {right} of {len(truth)} columns with personal data by their kind ({right / len(truth):.1%})",
            f"false alarms: {len(alarms)} of {frame.shape[1] - len(truth)} columns without; precision {right / max(1, len(named)):.1%}",
            f"seconds of processor time: {seconds:.2f}, {seconds / frame.shape[1] * 20:.2f} for {rows:,} rows of 20 columns",
            *(f"missed: {one}" for one in missed),
            *(f"false alarm: {one}" for one in alarms),
        ]
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(measure(options.rows, options.seed))
