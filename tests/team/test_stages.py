"""The stage machine: facts end stages, words do not; the way back is bounded."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from team.grace import dead_end, left_out, verdict
from team.stages import (
    MAX_ROUNDS,
    MAX_SEND_BACKS,
    ORDER,
    SPEAKERS,
    CandidateFact,
    HoldoutFact,
    ReviewFact,
    RoundFact,
    Stage,
    State,
    after_turn,
    may_send_back,
    missing,
    outcome,
    speaker,
)
from tools.constraints import Constraints


def candidate(stage: Stage, score: float = 0.8) -> CandidateFact:
    return CandidateFact(name=f"c-{stage}", family="linear", score=score, std_error=0.01, fold_scores=[score], stage=stage, seconds=1)


def at(stage: Stage, **facts: object) -> State:
    return State(stage=stage, visits={stage: 1}, **facts)


def accept(stage: Stage) -> ReviewFact:
    return ReviewFact(stage=stage, visit=1, verdict="accept", findings=["fine"])


HOLDOUT = HoldoutFact(candidate="c", metric="rmse", score=1, low=0.5, high=2, level=0.95, n=10, looks=1)


def test_a_run_with_every_fact_passes_through_all_stages_in_order() -> None:
    state, seen = State(), []
    facts: dict[Stage, dict[str, object]] = {
        Stage.PLAN: {"planned": True},
        Stage.ACQUIRE: {"sealed": True},
        Stage.ANALYSE: {"profiled": True},
        Stage.PREPARE: {"prepared": True},
        Stage.BASELINE: {"candidates": [candidate(Stage.BASELINE)]},
        Stage.TRAIN: {"candidates": [candidate(Stage.BASELINE), candidate(Stage.TRAIN)], "reviews": [accept(Stage.TRAIN)]},
        Stage.OPTIMISE: {"rounds": [RoundFact(round=1, visit=1, gain=0, noise=0.1, families=["linear"])]},
        Stage.SELECT: {"reviews": [accept(Stage.SELECT)], "holdout": HOLDOUT},
        Stage.DOCUMENT: {"reported": True},
        Stage.RELEASE: {"packaged": True},
    }
    while state.stage is not None:
        seen.append(state.stage)
        state = after_turn(state.model_copy(update=facts[state.stage]))
    assert tuple(seen) == ORDER


@pytest.mark.parametrize("stage", list(Stage))
def test_a_stage_without_its_fact_goes_on(stage: Stage) -> None:
    state = at(stage)
    after = after_turn(state)
    assert (after.stage, after.turns_in_visit) == (stage, 1)


def test_speakers_of_a_stage_take_turns() -> None:
    state = at(Stage.TRAIN)
    heard = []
    for _ in range(4):
        heard.append(speaker(state))
        state = after_turn(state)
    assert heard == [*SPEAKERS[Stage.TRAIN]] * 2


def test_nobody_speaks_after_the_end() -> None:
    with pytest.raises(ValueError, match="has ended"):
        speaker(State(stage=None))


def test_the_critic_sends_back_to_the_stage_it_names() -> None:
    back = ReviewFact(stage=Stage.TRAIN, visit=1, verdict="send_back", findings=["again"], back_to=Stage.PREPARE)
    state = after_turn(at(Stage.TRAIN, candidates=[candidate(Stage.TRAIN)], reviews=[back]))
    assert (state.stage, state.send_backs, state.turns_in_visit) == (Stage.PREPARE, 1, 0)


def test_a_review_of_an_earlier_visit_does_not_count() -> None:
    state = at(Stage.TRAIN, candidates=[candidate(Stage.TRAIN)], reviews=[accept(Stage.TRAIN)])
    assert outcome(state) is not None
    assert outcome(state.model_copy(update={"visits": {Stage.TRAIN: 2}})) is None


@pytest.mark.parametrize(
    "facts",
    [{"send_backs": MAX_SEND_BACKS}, {"holdout": HOLDOUT}, {"search_spent": True}],
    ids=["sent back often enough", "after the look at the holdout", "no time left"],
)
def test_sending_back_is_bounded(facts: dict[str, object]) -> None:
    assert may_send_back(at(Stage.SELECT)) == (Stage.PREPARE, Stage.TRAIN, Stage.OPTIMISE)
    assert may_send_back(at(Stage.SELECT, **facts)) == ()


def rounds(*gains: float) -> list[RoundFact]:
    return [RoundFact(round=i, visit=1, gain=g, noise=0.1, families=["linear"]) for i, g in enumerate(gains, 1)]


@pytest.mark.parametrize(
    ("facts", "ending"),
    [
        ({"rounds": rounds(0.5)}, None),
        ({"rounds": rounds(0.5, 0.05)}, "the gain of round 2 is inside the noise"),
        ({"rounds": rounds(*[0.5] * MAX_ROUNDS)}, f"{MAX_ROUNDS} rounds are done"),
        ({"rounds": rounds(0.5), "search_spent": True}, "the search time is spent"),
        ({"rounds": rounds(0.5), "trials_spent": True}, "the tuning trials are spent"),
        ({"rounds": [RoundFact(round=1, visit=1, gain=0, noise=0, families=[])]}, "nothing was left to tune"),
    ],
)
def test_the_optimise_loop_ends_by_noise_rounds_or_budget(facts: dict[str, object], ending: str | None) -> None:
    assert outcome(at(Stage.OPTIMISE, **facts)) == ending


def test_training_ends_without_new_candidates_once_the_time_is_spent() -> None:
    state = at(Stage.TRAIN, candidates=[candidate(Stage.BASELINE)], reviews=[accept(Stage.TRAIN)])
    assert outcome(state) is None
    assert outcome(state.model_copy(update={"search_spent": True})) is not None


def test_training_ends_where_the_baselines_were_all_that_the_contract_allows() -> None:
    def after(*known_as: str | None, candidates: Sequence[CandidateFact] = (candidate(Stage.BASELINE),)) -> State:
        results = {"train": {"skipped": [{"name": "tree", "reason": "told in words", "known_as": known} for known in known_as]}}
        return at(Stage.TRAIN, candidates=list(candidates), reviews=[accept(Stage.TRAIN)], results=results)

    known = after("tree-1")
    assert str(outcome(known)).startswith("all that may be trained is among the baselines")
    assert missing(known.model_copy(update={"reviews": []}), "engineer") is None
    for state in (after(), after("tree-1", None), after("tree-1", candidates=())):
        assert outcome(state) is None
        assert missing(state, "engineer") == "`train` has scored no candidate"


def test_no_sixth_round_after_work_was_sent_back() -> None:
    full = rounds(*[0.5] * MAX_ROUNDS)
    assert Stage.OPTIMISE not in may_send_back(at(Stage.SELECT, rounds=full))
    facts = {"rounds": full, "reviews": [accept(Stage.TRAIN)], "candidates": [candidate(Stage.TRAIN)]}
    assert after_turn(at(Stage.TRAIN, **facts)).stage is Stage.SELECT


@pytest.mark.parametrize("stage", list(Stage))
def test_what_a_stage_still_needs_is_told_in_the_name_of_a_tool_of_the_speaker(stage: Stage) -> None:
    from team.roles import roles

    state = State(stage=stage, visits={stage: 1})
    for role in SPEAKERS[stage]:
        needed = missing(state, role)
        if stage is Stage.OPTIMISE:
            assert needed is None, "a round without tuning is an answer: it ends the loop"
        else:
            tool = str(needed).split("`")[1]
            assert tool in roles()[role].tools_in(stage)
    assert missing(state, "nobody") is None


def test_nothing_is_missing_where_the_stage_has_its_fact() -> None:
    assert missing(State(stage=Stage.PLAN, planned=True), "planner") is None
    assert missing(State(stage=None), "planner") is None
    spent = State(stage=Stage.TRAIN, visits={Stage.TRAIN: 1}, search_spent=True)
    assert missing(spent, "engineer") is None
    assert "`review`" in str(missing(spent, "critic"))
    fetched = State(stage=Stage.ACQUIRE, results={"fetch_data": {}})
    assert "`seal_holdout`" in str(missing(fetched, "data_scientist"))
    assert "`package_model`" in str(missing(State(stage=Stage.RELEASE, refitted="a"), "release_manager"))


def test_a_search_that_was_over_before_its_first_candidate_is_told_as_that() -> None:
    told = verdict(State(stage=Stage.SELECT, search_spent=True), "the engineer said nothing")
    assert told == "no model could be trained: the time of the search was over before a first candidate was done. Give it more with --time."
    baselines = {"train_baselines": {"skipped": [{"name": "dummy-1", "reason": "the time is over"}]}}
    assert verdict(State(stage=Stage.TRAIN, results=baselines), "nothing was done") == told
    assert dead_end(State(stage=Stage.SELECT, search_spent=True))
    lost = State(stage=Stage.SELECT, search_spent=True, results={"train": {"skipped": [{"name": "knn-1", "reason": "no such metric"}]}})
    assert verdict(lost, "nothing was done") == "no model could be trained: knn-1 (no such metric)."
    assert not dead_end(lost)
    unfit = {"train_baselines": {"skipped": [{"name": "dummy-1", "reason": "it failed"}]}}
    assert verdict(State(stage=Stage.TRAIN, results=unfit), "it failed") == "no model could be trained: it failed."


def test_bounds_that_no_candidate_keeps_to_are_told_with_what_to_change() -> None:
    unfit = {
        "tree-1": "'tree-1' takes 0.0046 MB on file, where 0.0001 MB are allowed. There is no other candidate.",
        "linear-1": "linear-1 is left out: it takes 5 ms for a row, where 1 ms are allowed, as the host measured. Hand over another.",
    }
    state = State(stage=Stage.SELECT, candidates=[candidate(Stage.TRAIN)], unfit=unfit)
    told = verdict(state, "it is too large", Constraints(max_latency_ms=1, max_size_mb=0.0001))
    assert told.startswith(
        "no candidate keeps to its bounds: tree-1 takes 0.0046 MB on file, where 0.0001 MB are allowed;"
        " linear-1 takes 5 ms for a row, where 1 ms are allowed. The bounds of a run are sealed, so going on does not help."
        " Run again with a larger --max-latency-ms or --max-size-mb, or with more --time"
    )
    told = verdict(state, "it is too large", Constraints(max_size_mb=0.0001, families=("knn", "tree")))
    assert told.endswith("Run again with a larger --max-size-mb, or allow more --families than knn,tree.")
    assert dead_end(state)
    assert not dead_end(state.model_copy(update={"unfit": unfit | {"knn-1": "it crashed"}}))
    told = verdict(state.model_copy(update={"unfit": unfit | {"knn-1": "it crashed"}}), "it crashed")
    assert told.startswith("no candidate could be fitted on all training rows: tree-1 (")


def test_a_nested_validation_that_was_asked_for_and_not_made_is_told() -> None:
    state = State(stage=Stage.DOCUMENT)
    assert [what for what, _ in left_out(Stage.SELECT, state, 0.0, nested=True)] == ["nested validation"]
    [(_, told)] = left_out(Stage.SELECT, state, 0.0, nested=True, troubles={"nested_score": "0 outer folds were done in 10 s."})
    assert "is missing: 0 outer folds were done in 10 s. It takes as long again as the search: give both a larger --time" in told
    assert left_out(Stage.SELECT, state, 0.0) == []
    made = state.model_copy(update={"results": {"nested_score": {}}})
    assert left_out(Stage.SELECT, made, 0.0, nested=True) == []


def test_a_search_that_fitted_nothing_that_learns_is_told_with_what_would_help() -> None:
    floor = candidate(Stage.BASELINE).model_copy(update={"family": "dummy", "name": "dummy-1"})
    state = State(stage=Stage.DOCUMENT, candidates=[floor])
    [(what, told)] = left_out(Stage.SELECT, state, 0.0)
    assert what == "a model that learns"
    assert told.startswith("nothing that learns was fitted, so the model is dummy-1")
    assert "larger --time" in told
    missing = {"name": "tabpfn", "reason": "its weights are expected as a file tabpfn*classifier*."}
    [(_, told)] = left_out(Stage.SELECT, state.model_copy(update={"results": {"train": {"skipped": [missing]}}}), 9.0)
    assert told.endswith(": tabpfn (its weights are expected as a file tabpfn*classifier*). Mend that, or allow other --families")
    learnt = state.model_copy(update={"candidates": [floor, candidate(Stage.TRAIN)]})
    assert left_out(Stage.SELECT, learnt, 0.0) == []


def test_a_blend_is_missed_only_where_the_contract_allows_one() -> None:
    made = [candidate(Stage.TRAIN), candidate(Stage.OPTIMISE).model_copy(update={"family": "tree"})]
    state = State(stage=Stage.DOCUMENT, candidates=made)
    assert [what for what, _ in left_out(Stage.SELECT, state, 9.0)] == ["ensemble"]
    assert left_out(Stage.SELECT, state, 9.0, blends=False) == []
