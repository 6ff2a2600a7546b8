"""A sentence as constraints: what is understood, what is not, and what is never taken for the opposite."""

from __future__ import annotations

import pytest

from team.constraint import (
    Constraint,
    Device,
    Families,
    ForbidColumn,
    Interpretable,
    MaxLatency,
    MaxSize,
    Memory,
    Monotone,
    NoFamilies,
    NoText,
)
from team.sentences import GROUPS, read_constraints, whole

COLUMNS = ["name", "postcode", "Monthly Charges", "notes", "age"]
LINEAR = Families(names=GROUPS["linear"])


def _asked(text: str, columns: list[str] | None = None) -> list[Constraint]:
    reading = read_constraints(text, COLUMNS if columns is None else columns)
    assert reading.complete, reading.told
    return [one.model_copy(update={"said": ""}) for one in reading.constraints]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("never use column age", [ForbidColumn(column="age")]),
        (
            "Please don't use 'Monthly Charges', and never look at postcode.",
            [ForbidColumn(column=c) for c in ("Monthly Charges", "postcode")],
        ),
        ("never use monthly charges", [ForbidColumn(column="Monthly Charges")]),
        ("exclude columns name and notes", [ForbidColumn(column="name"), ForbidColumn(column="notes")]),
        ("never use name, postcode and age", [ForbidColumn(column=c) for c in ("name", "postcode", "age")]),
        ("the postcode must not be used", [ForbidColumn(column="postcode")]),
        ("age is off limits", [ForbidColumn(column="age")]),
        ("linear models only", [LINEAR]),
        ("use only linear models", [LINEAR]),
        ("only lightgbm or catboost", [Families(names=("catboost", "lightgbm"))]),
        ("no neural networks", [NoFamilies(names=GROUPS["network"])]),
        ("CPU only", [Device()]),
        ("don't use the GPU", [Device()]),
        ("run on the cpu only", [Device()]),
        ("no more than 2 GB", [Memory(mb=2048)]),
        ("memory limit: 512 MB", [Memory(mb=512)]),
        ("use at most 2,5 GB of RAM", [Memory(mb=2560)]),
        ("no text columns", [NoText()]),
        ("don't use free text", [NoText()]),
        ("predict in under 5 ms", [MaxLatency(ms=5)]),
        ("a row must be predicted in at most 0.5 seconds", [MaxLatency(ms=500)]),
        ("latency below 20ms", [MaxLatency(ms=20)]),
        ("the model must be smaller than 3 MB on disk", [MaxSize(mb=3)]),
        ("interpretable models only", [Interpretable()]),
        ("predictions must only rise with age", [Monotone(column="age", sign=1)]),
        ("the prediction may never rise with age", [Monotone(column="age", sign=-1)]),
        ("never use column age, CPU only; at most 4 GB", [ForbidColumn(column="age"), Device(), Memory(mb=4096)]),
    ],
)
def test_what_people_say(text: str, meant: list[Constraint]) -> None:
    found = _asked(text)
    by_name = [
        one.model_copy(update={"names": tuple(sorted(one.names))}) if isinstance(one, (Families, NoFamilies)) else one for one in found
    ]
    wanted = [
        one.model_copy(update={"names": tuple(sorted(one.names))}) if isinstance(one, (Families, NoFamilies)) else one for one in meant
    ]
    assert by_name == wanted


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("paint it blue", ("paint", "blue")),
        ("be nice to my postcode", ("nice", "postcode")),
        ("not only linear models", ("not", "linear")),
        ("it need not be interpretable", ("not", "interpretable")),
    ],
)
def test_what_no_rule_reads_is_named_and_never_taken_for_something_else(text: str, left: tuple[str, ...]) -> None:
    reading = read_constraints(text, COLUMNS)
    assert reading.constraints == ()
    assert reading.not_understood == left


def test_half_a_sentence_is_told_apart() -> None:
    reading = read_constraints("linear models only, and polish the shoes", COLUMNS)
    assert [one.kind for one in reading.constraints] == ["families"]
    assert reading.not_understood == ("polish", "shoes")
    with pytest.raises(ValueError, match=r"understood: only models of linear.*not understood: 'polish', 'shoes'"):
        whole("linear models only, and polish the shoes")


def test_a_column_that_the_table_does_not_have_is_a_problem_with_the_nearest() -> None:
    reading = read_constraints("never use column postcde", COLUMNS)
    assert not reading.complete
    assert "no column 'postcde'; did you mean 'postcode'?" in reading.told


def test_the_words_that_asked_are_kept() -> None:
    reading = read_constraints("Never use column age. CPU only, please.", COLUMNS)
    assert [one.said for one in reading.constraints] == ["Never use column age", "CPU only"]
