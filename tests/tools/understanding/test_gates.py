"""Each gate passes a clean table and fails one with its leak; all of them run with a profile."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.tools.conftest import Open
from tools.contract import Split
from tools.eda import TableProfile, profile_table
from tools.problem import load_problem
from tools.understanding.findings import Gate
from tools.understanding.gates import shuffled_target

N = 400
GATES = {
    "duplicates across the split",
    "group or time overlap",
    "single feature",
    "known only after the outcome",
    "shuffled target",
    "identifier that carries order",
}


def clean(seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=N), rng.normal(size=N)
    y = np.where(a + b + rng.normal(size=N) > 0, "yes", "no")
    frame = pd.DataFrame({"a": a, "b": b, "c": rng.choice(["x", "y", "z"], N), "gap": rng.normal(size=N), "y": y})
    frame.loc[rng.random(N) < 0.2, "gap"] = np.nan
    return frame


def verdicts(found: TableProfile) -> dict[str, Gate]:
    assert {gate.gate for gate in found.gates} == GATES
    assert found.degraded == []
    return {gate.gate: gate for gate in found.gates}


def failed(open_workspace: Open, frame: pd.DataFrame, **options: object) -> dict[str, Gate]:
    open_workspace(frame, "y", "binary", **options)
    return {name: gate for name, gate in verdicts(profile_table()).items() if gate.verdict == "fail"}


def test_a_clean_table_passes_all(open_workspace: Open) -> None:
    open_workspace(clean(), "y", "binary")
    found = profile_table()
    assert {gate.verdict for gate in verdicts(found).values()} == {"pass"}
    assert found.drift is not None
    assert found.drift.verdict == "alike"
    assert found.scorecard[0].grade >= 90
    assert all(grade.why for grade in found.scorecard)


def test_rows_on_both_sides(open_workspace: Open) -> None:
    # Every fourth row is sealed: one that is copied behind itself lies on both sides now and then.
    frame = clean()
    found = failed(open_workspace, pd.concat([frame, frame.iloc[1:200]], ignore_index=True))
    assert list(found) == ["duplicates across the split"]
    assert "sealed rows" in found["duplicates across the split"].evidence


def test_a_group_on_both_sides(open_workspace: Open) -> None:
    rng = np.random.default_rng(0)
    frame = clean().assign(patient_id=np.repeat(np.arange(80) * 7 + 3, 5), y=rng.choice(["yes", "no"], 80).repeat(5))
    found = failed(open_workspace, frame)
    assert found["group or time overlap"].columns == ["patient_id"]
    assert "--group 'patient_id'" in found["group or time overlap"].evidence


def test_later_rows_among_the_training_rows(open_workspace: Open) -> None:
    when = pd.date_range("2024-01-01", periods=N, freq="h")
    frame = clean().assign(when=when.astype(str))
    # The workspace seals every fourth row, whatever the contract says.
    split = Split(kind="time", column="when", dated=True, holdout_fraction=0.25, seed=0)
    found = failed(open_workspace, frame, split=split)
    assert found["group or time overlap"].columns == ["when"]


def test_one_column_that_gives_the_target_away(open_workspace: Open) -> None:
    frame = clean()
    found = failed(open_workspace, frame.assign(leak=np.where(frame["y"] == "yes", 1.0, 0.0) + 0.001 * frame["a"]))
    assert found["single feature"].columns == ["leak"]


@pytest.mark.parametrize("full", [True, False])
def test_a_column_that_exists_only_after_the_outcome(open_workspace: Open, full: bool) -> None:
    frame, rng = clean(), np.random.default_rng(3)
    left = (frame["y"] == "yes") & (full | (rng.random(N) < 0.4))
    found = failed(open_workspace, frame.assign(closed=np.where(left, rng.normal(size=N), np.nan)))
    assert found["known only after the outcome"].columns == ["closed"]


def test_a_text_that_gives_the_target_away(open_workspace: Open) -> None:
    frame = clean()
    said = np.where(frame["y"] == "yes", "the account was closed", "the account goes on")
    found = failed(open_workspace, frame.assign(note=[f"{text}, see page {i} of the book" for i, text in enumerate(said)]))
    assert found["single feature"].columns == ["note"]


def test_a_copy_of_a_target_with_a_long_tail(open_workspace: Open) -> None:
    rng = np.random.default_rng(9)
    frame = clean().assign(y=np.exp(1.5 * rng.normal(size=N)))
    open_workspace(frame.assign(leak=1.2 * frame["y"], honest=frame["y"] * np.exp(0.3 * rng.normal(size=N))), "y", "regression")
    gates = verdicts(profile_table())
    assert gates["single feature"].columns == ["leak"]


@pytest.mark.parametrize("nothing", [0.0, "none"])
def test_a_value_that_only_one_class_has_where_the_others_have_nothing(open_workspace: Open, nothing: object) -> None:
    frame, rng = clean(), np.random.default_rng(3)
    some: object = rng.uniform(1, 100, N) if nothing == 0.0 else rng.choice(["moved", "price"], N)
    paid = np.where((frame["y"] == "yes") & (rng.random(N) < 0.5), some, nothing)
    found = failed(open_workspace, frame.assign(recovered=paid))
    assert found["known only after the outcome"].columns == ["recovered"]
    assert "class 'no' holds in none of them" in found["known only after the outcome"].evidence


@pytest.mark.parametrize("nudge", [0.0, 1e-6])
def test_copies_under_numbers_of_their_own_and_rows_that_are_nearly_copies(open_workspace: Open, nudge: float) -> None:
    frame = clean().assign(row_id=np.random.default_rng(1).permutation(N))
    again = frame.iloc[1:200].assign(row_id=np.arange(199) + 5 * N)
    open_workspace(pd.concat([frame, again.assign(a=again["a"] + nudge)], ignore_index=True), "y", "binary")
    found = profile_table()
    assert [gate.gate for gate in found.gates if gate.verdict == "fail"] == ["duplicates across the split"]
    assert found.repeats is not None
    assert (found.repeats.near if nudge else found.repeats.exact) > 0.1


def test_an_identifier_that_carries_order(open_workspace: Open) -> None:
    frame = clean().sort_values("y", ignore_index=True).assign(case_number=[f"C-{i:05d}/2024" for i in range(N)])
    # Rows that come twice take nothing from it.
    copies = pd.concat([frame, frame.sample(frac=0.15, random_state=1)])
    found = failed(open_workspace, copies.sample(frac=1, random_state=0, ignore_index=True))
    assert found["identifier that carries order"].columns == ["case_number"]


def test_a_score_above_chance_on_shuffled_targets(open_workspace: Open) -> None:
    # A column that knows one of the very shuffles stands for a preparation that looks at what is to be predicted.
    frame = clean()
    space = open_workspace(frame, "y", "binary")
    problem = load_problem(space)
    passed = shuffled_target(problem)
    assert passed.verdict == "pass"
    told = replace(problem, X=problem.X.assign(a=np.random.default_rng(0).permutation(problem.y).astype("float64")))
    found = shuffled_target(told)
    assert found.verdict == "fail"
    assert "with shuffled targets reaches ROC AUC 0.7" in found.evidence


def test_drift_names_the_column_that_tells_the_sides_apart(open_workspace: Open) -> None:
    frame = clean()
    sealed = np.arange(N) % 4 == 3
    open_workspace(frame.assign(b=frame["b"] + 3 * sealed), "y", "binary")
    found = profile_table()
    assert found.drift is not None
    assert (found.drift.verdict, found.drift.columns[0]) == ("apart", "b")
    assert any("ROC AUC" in sentence and "'b'" in sentence for sentence in found.insights)


def test_what_a_rare_class_of_many_lacks_is_no_leak(open_workspace: Open) -> None:
    rng = np.random.default_rng(0)
    kind = rng.choice(["a", "b", "c", "d"], N, p=[0.15, 0.25, 0.25, 0.35])
    tip = np.where((kind == "a") | (rng.random(N) < 0.2), "none", rng.choice(["round", "sharp"], N))
    open_workspace(pd.DataFrame({"tip": tip, "size": rng.normal(size=N), "y": kind}), "y", "multiclass")
    assert verdicts(profile_table())["known only after the outcome"].verdict == "pass"


def test_a_table_of_texts_alone_has_all_gates(open_workspace: Open) -> None:
    rng = np.random.default_rng(0)
    words = [" ".join(rng.choice(["late", "fine", "broken", "good", "poor"], 4)) + f" in case {i}" for i in range(N)]
    open_workspace(pd.DataFrame({"words": words, "y": rng.choice(["yes", "no"], N)}), "y", "binary")
    assert {gate.verdict for gate in verdicts(profile_table()).values()} == {"pass"}


def test_no_drift_is_seen_in_a_category_that_hardly_comes_twice(open_workspace: Open) -> None:
    rng = np.random.default_rng(0)
    open_workspace(clean().assign(tail=[f"N{value}" for value in rng.integers(100, 700, N)]), "y", "binary")
    found = profile_table()
    assert found.drift is not None
    assert found.drift.verdict == "alike"
    assert found.drift.auc < 0.6


def words_of(frame: pd.DataFrame, share: float, rng: np.random.Generator) -> list[str]:
    """Notes of many words, so many of which say what the target is."""
    told, said = rng.random(N) < share, {"yes": "the account was closed", "no": "the account goes on"}
    plain = [" ".join(rng.choice(["late", "fine", "old", "page", "book", "call", "mail"], 4)) for _ in range(N)]
    return [
        f"{said[y]}, {text} {i}" if tells else f"{text} {i}" for i, (y, tells, text) in enumerate(zip(frame["y"], told, plain, strict=True))
    ]


def test_a_text_that_gives_away_some_rows(open_workspace: Open) -> None:
    frame, rng = clean(), np.random.default_rng(5)
    found = failed(open_workspace, frame.assign(note=words_of(frame, 0.6, rng)))
    assert found["single feature"].columns == ["note"]
    assert "In 'note' the word" in found["single feature"].evidence


def test_many_rare_levels_that_give_the_class_away_together(open_workspace: Open) -> None:
    frame, rng = clean(), np.random.default_rng(6)
    of_class = np.where(frame["y"] == "yes", "A", "B")
    code = np.where(rng.random(N) < 0.6, "other", [f"{side}{place}" for side, place in zip(of_class, rng.integers(0, 30, N), strict=True)])
    found = failed(open_workspace, frame.assign(code=code))
    assert found["single feature"].columns == ["code"]
    assert "rare levels have rows of one class each" in found["single feature"].evidence


def test_rows_of_a_site_that_are_often_alike_give_nothing_away(open_workspace: Open) -> None:
    frame, rng = clean(), np.random.default_rng(6)
    site, rate = rng.integers(0, 60, N), rng.beta(0.5, 0.5, 60)
    alike = np.where(rng.random(N) < rate[site], "yes", "no")
    open_workspace(frame.assign(site=[f"S{place}" for place in site], y=alike), "y", "binary")
    assert verdicts(profile_table())["single feature"].verdict == "pass"


def test_words_that_one_class_alone_uses_now_and_then_are_no_leak(open_workspace: Open) -> None:
    frame, rng = clean(), np.random.default_rng(7)
    frame = frame.assign(y=np.where(rng.random(N) < 0.4, "spam", "ham"))
    own = ["claim", "prize", "urgent", "tone", "winner", "award"]
    notes = [
        " ".join(
            [*rng.choice(["see", "you", "call", "home", "late", "free"], 5), *(word for word in own if y == "spam" and rng.random() < 0.15)]
        )
        for y in frame["y"]
    ]
    open_workspace(frame.assign(note=[f"{text} {i}" for i, text in enumerate(notes)]), "y", "binary")
    assert verdicts(profile_table())["single feature"].verdict == "pass"
