from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
import pytest

from tools.understanding.personal import masked, masked_text, personal

PEOPLE = pd.DataFrame(
    {
        "contact": [f"user{i}@mail.example.org" for i in range(40)],
        "card": ["4111 1111 1111 1111", "5500-0000-0000-0004"] * 20,
        "iban": ["DE89 3704 0044 0532 0130 00", "GB82 WEST 1234 5698 7654 32"] * 20,
        "ssn": [f"{i + 100:03d}-45-{i + 6000:04d}" for i in range(40)],
        "client": [f"10.20.30.{i + 1}" for i in range(40)],
        "mobile phone": [f"+49 170 {i:03d} 4567" for i in range(100, 140)],
        "last_name": [f"{a}{b}" for a in ("Mei", "Ber", "Kel", "Sto") for b in "abcdefghij"],
        "date_of_birth": pd.date_range("1970-01-01", periods=40, freq="90D").astype(str),
        "note": [f"call ann.lee{i}@post.example.net before noon" for i in range(40)],
    }
)
HARMLESS = pd.DataFrame(
    {
        "when": pd.date_range("2024-01-01", periods=40, freq="h").astype(str),
        "order number": [f"{i:016d}" for i in range(4000, 4040)],
        "version": [f"1.{i}.0.0" for i in range(40)],
        "part": [f"{i:03d}-{i:02d}-{i:03d}" for i in range(40)],
        "species name": ["Adelie"] * 20 + ["Gentoo"] * 20,
        "measure": np.linspace(0, 1e9, 40),
        "text": ["the quick brown fox"] * 40,
        "order of 16 digits": [f"{4000_1234_0000_0000 + i * 7919:d}" for i in range(40)],
        "id": range(100_000, 100_040),
        "price": [f"{i * 37.5 + 1000:,.2f}" for i in range(40)],
        "place": [f"{51 + i / 97:.4f}, {-i / 89:.4f}" for i in range(40)],
        "seconds": [1_700_000_000 + i * 3607 for i in range(40)],
        "isbn": ["978-3-16-148410-0", "0-306-40615-2", "9780131103627", "0131103628"] * 10,
        "hash": [hashlib.md5(bytes([i]), usedforsecurity=False).hexdigest() for i in range(40)],
        "code": [f"{chr(65 + i % 26)}{chr(90 - i % 26)}{i * 7919 % 10**6:06d}{chr(65 + i * 7 % 26)}" for i in range(40)],
        "release": [f"{1 + i % 9}.{i}.{i * 3 % 70}.{i % 4 + 1}" for i in range(40)],
    }
)


def test_personal_data_is_found_by_what_it_is() -> None:
    found = {one.column: one.kind for one in personal(PEOPLE)}
    assert found == {
        "contact": "email",
        "card": "card",
        "iban": "IBAN",
        "ssn": "US social security number",
        "client": "IP address",
        "mobile phone": "phone",
        "last_name": "name",
        "date_of_birth": "date of birth",
        "note": "email",
    }


@pytest.mark.parametrize("column", HARMLESS.columns)
def test_what_only_looks_like_it_is_let_be(column: str) -> None:
    assert personal(HARMLESS[[column]]) == []


@pytest.mark.parametrize(
    "number",
    ["+33 1 23 45 67 89", "+49 30 123456", "+44 121 234 5678", "+1 201-555-0123", "+247 62889", "+420 212 345 678", "+86 10 1234 5678"],
)
def test_a_number_with_the_code_of_a_country_is_a_phone_however_it_is_grouped(number: str) -> None:
    (found,) = personal(pd.DataFrame({"x": [number] * 20}))
    assert (found.kind, found.share) == ("phone", 1.0)
    assert masked_text(f"ring {number} now") == "ring <phone> now"


@pytest.mark.parametrize("text", ["+5.25", "a+12 345 6789b", "2024-01-31 12:00", "+12 34"])
def test_signs_and_dates_are_no_phones(text: str) -> None:
    assert masked_text(text) == text


@pytest.mark.parametrize(
    ("right", "kind", "wrong"),
    [
        ("4111111111111111", "card", "4111111111111112"),
        ("DE89370400440532013000", "IBAN", "DE89370400440532013001"),
        ("ann.lee@example.org", "email", "ann..lee@example.org"),
        ("529.982.247-25", "Brazilian CPF", "529.982.247-26"),
        ("131052-308T", "Finnish identity code", "131052-308U"),
        ("078-05-1121", "US social security number", "078-00-1121"),
    ],
)
def test_check_digits_and_structure_decide(right: str, kind: str, wrong: str) -> None:
    assert masked_text(f"it is {right}, she said") == f"it is <{kind}>, she said"
    assert f"<{kind}>" not in masked_text(f"it is {wrong}, she said")


def test_a_stray_address_is_masked_though_its_column_is_not_told() -> None:
    texts = ["nothing to see"] * 400 + ["write to ann@example.org"]
    clean, found = masked(pd.DataFrame({"x" * 100: texts, "n": range(401)}))
    assert found == []
    assert clean["x" * 100].iloc[-1] == "write to <email>"


def test_masking_leaves_no_value_and_all_gaps() -> None:
    frame = PEOPLE.assign(contact=PEOPLE["contact"].mask(PEOPLE.index < 3))
    clean, found = masked(frame)
    assert len(found) == frame.shape[1]
    assert clean["note"].iloc[0] == "call <email> before noon"
    assert set(clean["last_name"]) == {"<name>"}
    assert clean["contact"].isna().sum() == 3
    assert personal(clean) == []
    secret = {value for name in PEOPLE for value in PEOPLE[name]}
    assert not secret & {value for name in clean for value in clean[name].dropna()}
