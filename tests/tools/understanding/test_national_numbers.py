from __future__ import annotations

import random
import string

import pandas as pd
import pytest

from evals.personal_bench import BARE, SPELLED, valid
from tools.understanding.national_numbers import NATIONAL, NOBODYS, National, national_column
from tools.understanding.personal import masked, personal

WITH_LETTERS = {
    "es.dni": "54362315K",
    "es.nie": "X2482300W",
    "fi.hetu": "131052-308T",
    "ie.pps": "6433435F",
    "it.codicefiscale": "RCCMNL83S18D969H",
    "mx.curp": "BOXW310820HNERXN09",
    "pt.cc": "000000000ZZ4",
}
STATES = sorted(BARE.keys() - {"card", "Canadian insurance number"})


def numbers(source: tuple[str, str], count: int = 40) -> list[str]:
    draw, rng = valid(*source), random.Random(0)
    return [draw(rng) for _ in range(count)]


@pytest.mark.parametrize("one", [one for one in NATIONAL if one.evidence], ids=lambda one: one.module)
def test_a_check_is_worth_what_it_says(one: National) -> None:
    rng = random.Random(0)
    shape = WITH_LETTERS.get(one.module, "0" * one.lengths[-1])
    signs = [string.digits if sign.isdigit() else string.ascii_uppercase if sign.isalpha() else sign for sign in shape]
    passed = sum(one.passes("".join(map(rng.choice, signs))) for _ in range(2000))
    assert passed <= 2 * 2000 / 10**one.evidence + 3
    assert one.module not in NOBODYS


@pytest.mark.parametrize("kind", STATES)
def test_bare_numbers_are_known_by_all_of_them_together(kind: str) -> None:
    texts = numbers(BARE[kind])
    (found,) = personal(pd.DataFrame({"x": texts}))
    assert (found.kind, found.share, found.why) == (kind, 1.0, "the check digits of its values")
    if texts[0].isdigit():
        (as_numbers,) = personal(pd.DataFrame({"x": [int(text) for text in texts]}))
        assert as_numbers.kind == kind
    # As likely as not to pass: a column of such numbers with a digit changed in every other one is none.
    wrong = [text if place % 2 else text[:-2] + str((ord(text[-2]) + 1) % 10) + text[-1] for place, text in enumerate(texts)]
    assert national_column(wrong, hinted=False) is None


@pytest.mark.parametrize("kind", sorted(SPELLED.keys() - {"card", "IBAN"}))
def test_a_spelling_is_known_inside_sentences(kind: str) -> None:
    texts = numbers(SPELLED[kind])
    frame = pd.DataFrame({"x": [f"they gave {text}, and left" for text in texts] + ["nothing was said"] * 40})
    clean, (found,) = masked(frame)
    assert (found.kind, found.share) == (kind, 0.5)
    assert set(clean["x"]) == {f"they gave <{kind}>, and left", "nothing was said"}


def test_a_column_with_its_name_is_known_where_firms_have_the_same_check() -> None:
    texts = numbers(BARE["Canadian insurance number"])
    assert personal(pd.DataFrame({"x": texts})) == []
    (found,) = personal(pd.DataFrame({"SIN": texts}))
    assert found.kind == "Canadian insurance number"


def test_numbers_that_lost_their_zeros_are_known() -> None:
    texts = [text for text in numbers(BARE["Brazilian CPF"], 300) if text[0] == "0"]
    assert [one.kind for one in personal(pd.DataFrame({"x": [int(text) for text in texts]}))] == ["Brazilian CPF"]


def test_a_number_of_a_few_values_is_no_proof() -> None:
    assert national_column(numbers(BARE["UK NHS number"], 3), hinted=False) is None
