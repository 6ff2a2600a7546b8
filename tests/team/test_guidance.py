"""What a language model is offered, shown and asked for, by where its stage stands."""

from __future__ import annotations

import ast
import re
from typing import Any

import pytest

from team.guidance import OWN_LEAST_S, OWN_TRIES, TRAIN_SHARE, Terms, example, invitation, offered, own_share
from team.roles import NAMES, roles
from team.solutions import failed
from team.stages import SPEAKERS, CandidateFact, Stage, State
from tools.spec import registry

TERMS = Terms(maximize=True, predicts="classes", seconds_left=30.0)


def at(stage: Stage, **facts: Any) -> State:
    return State(stage=stage, visits={stage: 1}, **facts)


def candidate(name: str, score: float) -> CandidateFact:
    return CandidateFact(name=name, family="linear", score=score, std_error=0.01, fold_scores=[score], stage=Stage.TRAIN, seconds=1.0)


def test_what_is_offered_is_of_the_role_and_never_nothing() -> None:
    for stage in Stage:
        for name in SPEAKERS[stage]:
            for results in ({}, {"fetch_data": {}}, {"train": {}}):
                tools = roles()[name].tools_in(stage)
                found = offered(at(stage, results=results), name, tools)
                assert found, (stage, name)
                assert found <= tools


def test_intake_offers_one_step_after_the_other() -> None:
    tools = roles()["data_scientist"].tools_in(Stage.ACQUIRE)
    assert offered(at(Stage.ACQUIRE), "data_scientist", tools) == {"fetch_data"}
    assert offered(at(Stage.ACQUIRE, results={"fetch_data": {}}), "data_scientist", tools) == {"seal_holdout"}


def test_families_are_trained_once_and_again_where_the_critic_sends_back() -> None:
    tools = roles()["engineer"].tools_in(Stage.TRAIN)
    trained = at(Stage.TRAIN, results={"train": {}})
    assert offered(at(Stage.TRAIN), "engineer", tools) == {"train"}, "before a script of its own that would score nothing"
    assert offered(trained, "engineer", tools) == {"submit_candidate", "run_python"}
    again = offered(trained.model_copy(update={"visits": {Stage.TRAIN: 2}}), "engineer", tools)
    assert again == {"train", "submit_candidate", "run_python"}


def test_once_the_search_is_spent_nothing_is_offered_that_it_refuses() -> None:
    for stage in (Stage.TRAIN, Stage.OPTIMISE):
        spent = at(stage, search_spent=True, results={"train": {}})
        assert offered(spent, "engineer", roles()["engineer"].tools_in(stage)) == frozenset()
    critics = roles()["critic"].tools_in(Stage.TRAIN)
    assert offered(at(Stage.TRAIN, search_spent=True), "critic", critics) == critics


def test_what_the_user_asked_for_is_offered_once_there_is_a_package_and_asked_for_once() -> None:
    tools, asked = roles()["release_manager"].tools_in(Stage.RELEASE), ("register_model", "publish_run")
    refitted = at(Stage.RELEASE, refitted="c")
    assert not set(asked) & offered(refitted, "release_manager", tools)
    packaged = refitted.model_copy(update={"packaged": True})
    assert set(asked) < offered(packaged, "release_manager", tools)
    found = invitation(packaged, "release_manager", TERMS._replace(asked_for=asked))
    assert found is not None
    assert "call register_model() and publish_run() now" in found.words
    assert invitation(packaged, "release_manager", TERMS) is None
    assert invitation(refitted, "release_manager", TERMS._replace(asked_for=asked)) is None


def test_examples_can_be_called_as_they_are() -> None:
    states = [at(stage) for stage in Stage]
    states += [at(Stage.ACQUIRE, results={"fetch_data": {}}), at(Stage.RELEASE, refitted="b")]
    states.append(at(Stage.SELECT, candidates=[candidate("a", 0.8), candidate("b", 0.9)]))
    shown = 0
    for state in states:
        for role in NAMES:
            if state.stage is not None and role in SPEAKERS[state.stage] and (found := example(state, role, TERMS)) is not None:
                registry()[found[0]].validate(found[1])
                assert found[0] in offered(state, role, roles()[role].tools_in(state.stage))
                shown += 1
    assert shown >= 8


@pytest.mark.parametrize(("maximize", "best"), [(True, "b"), (False, "a")])
def test_the_best_by_the_metrics_direction_is_the_example(maximize: bool, best: str) -> None:
    state = at(Stage.SELECT, candidates=[candidate("a", 0.8), candidate("b", 0.9)])
    assert example(state, "engineer", Terms(maximize=maximize)) == ("evaluate", {"candidate": best})


def test_a_model_of_its_own_is_asked_for_once_families_are_scored() -> None:
    state = at(Stage.TRAIN, results={"train": {}})
    asked = invitation(state, "engineer", TERMS)
    assert asked is not None
    (module,) = re.findall(r"```python\n(.*?)```", asked.words, re.DOTALL)
    assert any(isinstance(part, ast.FunctionDef) and part.name == "make_model" for part in ast.parse(module).body)
    assert "Regressor" in str(invitation(state, "engineer", TERMS._replace(predicts="values")))


@pytest.mark.parametrize(
    ("state", "role", "terms"),
    [
        (at(Stage.TRAIN), "engineer", TERMS),
        (at(Stage.TRAIN, results={"train": {}}), "critic", TERMS),
        (at(Stage.OPTIMISE, results={"train": {}}), "engineer", TERMS),
        (at(Stage.TRAIN, results={"train": {}}, search_spent=True), "engineer", TERMS),
        (at(Stage.TRAIN, results={"train": {}}), "engineer", TERMS._replace(seconds_left=OWN_LEAST_S - 1)),
        (at(Stage.TRAIN, results={"train": {}}), "engineer", TERMS._replace(predicts="")),
        (at(Stage.TRAIN, results={"train": {}}), "engineer", TERMS._replace(predicts="groups")),
    ],
)
def test_it_is_asked_for_only_where_it_can_be_had(state: State, role: str, terms: Terms) -> None:
    assert invitation(state, role, terms) is None


def test_a_failure_is_told_and_asked_to_be_mended_a_bounded_number_of_times() -> None:
    attempts = [failed([], {"name": "own-1"}, "ValueError: could not convert string to float.")]
    state = at(Stage.TRAIN, results={"train": {}}, attempts=attempts)
    assert "could not convert string" in str(invitation(state, "engineer", TERMS))
    assert invitation(state.model_copy(update={"attempts": attempts * OWN_TRIES}), "engineer", TERMS) is None
    done = attempts[0].model_copy(update={"score": 0.9})
    assert invitation(state.model_copy(update={"attempts": [done]}), "engineer", TERMS) is None


def test_training_leaves_time_for_it_until_it_was_tried() -> None:
    assert own_share(at(Stage.TRAIN), "train") == TRAIN_SHARE
    assert own_share(at(Stage.TRAIN), "submit_candidate") == 1.0
    assert own_share(at(Stage.TRAIN, attempts=[failed([], {"name": "a"}, "x")]), "train") == 1.0


@pytest.mark.parametrize(("chosen", "ahead"), [("a", "b"), ("b", None)])
def test_a_choice_that_is_clearly_behind_is_asked_about_once(chosen: str, ahead: str | None) -> None:
    state = at(Stage.SELECT, candidates=[candidate("a", 0.8), candidate("b", 0.9)], evaluated=[chosen])
    asked = invitation(state, "engineer", TERMS)
    assert (asked is not None) == (ahead is not None)
    assert asked is None or f'"candidate": "{ahead}"' in asked.words
    near = state.model_copy(update={"candidates": [candidate("a", 0.885), candidate("b", 0.9)]})
    assert invitation(near, "engineer", TERMS) is None
    assert invitation(state, "critic", TERMS) is None
