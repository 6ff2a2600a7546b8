"""What a language model is offered, given as an example and invited to in a turn, by where its stage stands. Pure.

A model of a billion parameters takes the first tool that it reads, copies the nearest example and goes on in the manner of what it was
shown last. So it is offered what can be of use now, shown a call that would do when its own did not, and asked in so many words for
what it is there for beyond the playbook: a model of its own. What is not offered now cannot be called until the stage stands elsewhere;
the playbook is offered all tools of its role and stage.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from team.objections import unanswered
from team.solutions import AttemptFact
from team.stages import Stage, State

OWN_TRIES = 2
"""How often a model is asked for a module of its own while none could be scored."""
OWN_LEAST_S = 8.0
"""Seconds of search without which it is not asked: a handful of sandboxes has to start."""
OBJECTION_CHARS = 400
CLEARLY = 2.0
"""Standard errors that one candidate leads another by, for the lead to be clear."""
TRAIN_SHARE = 0.55
"""Of the search time left, what one `train` may take of a team that is yet to write a model of its own."""
_BEFORE_EVALUATED = frozenset({"ensemble", "evaluate", "compare_models", "nested_score", "examine_structure"})
_AFTER_EVALUATED = frozenset({"evaluate", "explain", "learning_curve", "examine_structure"})
_AFTER_TRAINED = frozenset({"submit_candidate", "run_python"})
"""Offered before, they tempt a small model into scripts of its own that score nothing, until it has no reply left for `train`."""
_SEARCHES = frozenset({"train", "tune", "submit_candidate"})
"""What is refused once the search is spent; a small model asks for it again and again."""
_LOOKS = frozenset({"find_slices", "compare_models"})
"""The critic's, and the engineer's before it selects; while it searches they cost turns."""
_OF_A_PACKAGE = frozenset({"register_model", "publish_run"})
_ESTIMATORS = {
    "classes": ("from sklearn.ensemble import ExtraTreesClassifier", "ExtraTreesClassifier(n_estimators=300, min_samples_leaf=2)"),
    "values": ("from sklearn.ensemble import ExtraTreesRegressor", "ExtraTreesRegressor(n_estimators=300, min_samples_leaf=2)"),
}


class Invitation(NamedTuple):
    """What a role is asked for once, and may leave."""

    told: str
    """Why, for the log."""
    words: str


class Terms(NamedTuple):
    """What contract and budget say to a model of a role's own."""

    maximize: bool = True
    """Whether the best candidate has the highest score."""
    predicts: str = ""
    """What the contract has models predict that are written as code; empty where none is taken."""
    seconds_left: float = 0.0
    """Of the search."""
    families: tuple[str, ...] = ()
    """Those of the task that are no baselines."""
    worked: bool = False
    """Whether calls of this turn went well."""
    asked_for: tuple[str, ...] = ()
    """Tools that the user asked for by a setting and that were not called in this turn."""


def offered(state: State, role: str, tools: frozenset[str]) -> frozenset[str]:
    """Of a role's tools in the stage, those that can be of use now.

    Args:
        tools: what the role may call in the stage.
    """
    if state.search_spent and state.stage in (Stage.TRAIN, Stage.OPTIMISE):
        return tools - _SEARCHES - (_LOOKS | {"run_python"} if role == "engineer" else frozenset())
    match state.stage:
        case Stage.ACQUIRE:
            return tools & ({"seal_holdout"} if "fetch_data" in state.results else {"fetch_data"})
        case Stage.PREPARE:
            return tools - {"run_python"}
        case Stage.TRAIN if role == "engineer":
            again = state.visits.get(Stage.TRAIN, 0) > 1
            return tools & (_AFTER_TRAINED | {"train"} if again else _AFTER_TRAINED if "train" in state.results else {"train"})
        case Stage.OPTIMISE:
            return tools - _LOOKS
        case Stage.SELECT if role == "engineer":
            return tools & (_AFTER_EVALUATED if state.evaluated else _BEFORE_EVALUATED)
        case Stage.SELECT if role == "critic" and state.review() is not None:
            return tools & {"score_holdout"}
        case Stage.RELEASE:
            early = frozenset() if state.packaged else _OF_A_PACKAGE
            return tools - early - ({"finish"} if state.refitted else {"export_model", "package_model", "track_run"})
    return tools


def example(state: State, role: str, terms: Terms) -> tuple[str, dict[str, Any]] | None:
    """A call that would bring the stage on, to be shown where the model's own could not be made; None where it must think itself."""
    match state.stage:
        case Stage.ACQUIRE:
            return ("seal_holdout" if "fetch_data" in state.results else "fetch_data"), {}
        case Stage.ANALYSE:
            return "profile_table", {}
        case Stage.PREPARE:
            return "prepare", {}
        case Stage.BASELINE:
            return "train_baselines", {}
        case Stage.TRAIN if role == "engineer" and terms.families and not _trained(state):
            return "train", {"families": list(terms.families), "time_s": max(1, round(TRAIN_SHARE * terms.seconds_left))}
        case Stage.SELECT if role == "engineer" and state.candidates:
            best = (max if terms.maximize else min)(state.candidates, key=lambda one: one.score)
            return "evaluate", {"candidate": best.name}
        case Stage.SELECT if role == "critic" and state.review() is not None and state.evaluated:
            return "score_holdout", {"candidate": state.evaluated[-1]}
        case Stage.DOCUMENT:
            return "build_report", {}
        case Stage.RELEASE if state.refitted:
            return "package_model", {}
        case Stage.RELEASE if state.holdout is not None:
            return "finish", {"candidate": state.holdout.candidate}
    return None


def invitation(state: State, role: str, terms: Terms) -> Invitation | None:
    """What else a role is asked for that has done what its stage needs: an answer to the critic, a model of its own, or a second look at
    what it chose."""
    if role != "critic" and not terms.worked and (waiting := unanswered(state.objections)):
        one = waiting[0]
        found = " ".join(one.findings)[:OBJECTION_CHARS]
        asked = f"{one.id} of the critic waits: {found} Call a tool that mends it, or say why it does not hold."
        return Invitation(f"{one.id} of the critic is not answered", asked)
    if role == "release_manager" and state.packaged and terms.asked_for:
        asked = " and ".join(f"{name}()" for name in terms.asked_for)
        return Invitation(f"the user asked for {asked}", f"The model is packaged. The user asked for more: call {asked} now.")
    if role != "engineer":
        return None
    if (words := _own_model(state, terms)) is not None:
        return Invitation("the families are scored, and it has written no model of its own", words)
    if state.stage is Stage.SELECT and (ahead := _ahead(state, terms)) is not None:
        chosen = state.evaluated[-1]
        told = f"{ahead} is ahead of {chosen}, which it chose, by more than two standard errors"
        return Invitation(told, f"You evaluated {chosen}, but {ahead} is ahead of it by more than two standard errors. {_again(ahead)}")
    return None


def _again(name: str) -> str:
    return f"Call {call_text('evaluate', {'candidate': name})}, or say why the other should stay."


def _ahead(state: State, terms: Terms) -> str | None:
    """The best candidate, where it is clearly better than the one that was evaluated last."""
    scored = {one.name: one for one in state.candidates}
    if not state.evaluated or state.evaluated[-1] not in scored:
        return None
    chosen, best = scored[state.evaluated[-1]], (max if terms.maximize else min)(state.candidates, key=lambda one: one.score)
    return best.name if abs(best.score - chosen.score) > CLEARLY * max(best.std_error, chosen.std_error) else None


def _own_model(state: State, terms: Terms) -> str | None:
    """Words that ask for a model of the role's own, where one can be written and none was scored yet."""
    if state.stage is not Stage.TRAIN or not _trained(state) or state.search_spent:
        return None
    if terms.seconds_left < OWN_LEAST_S or terms.predicts not in _ESTIMATORS:
        return None
    if len(state.attempts) >= OWN_TRIES or any(one.score is not None for one in state.attempts):
        return None
    if state.attempts:
        return _once_more(state.attempts[-1])
    imported, made = _ESTIMATORS[terms.predicts]
    return (
        "The families are scored. Now write one model of your own that may suit this table better. Answer with a Python module in a fence,"
        f" such as\n```python\n{imported}\nfrom skrub import tabular_pipeline\n\n\ndef make_model():\n    return tabular_pipeline({made})\n"
        "```\nTake another estimator or other settings than these, or build columns first: choose what the facts suggest. Where nothing can"
        " gain more than the noise, say so instead."
    )


def _once_more(attempt: AttemptFact) -> str:
    return (
        f"Your model {attempt.name} could not be scored: {attempt.lesson} Mend that one thing and answer with the whole module in a fence"
        " once more, or say why it cannot be mended."
    )


def own_share(state: State, tool: str) -> float:
    """Share of the search time left that one call may take, where the team is yet to write a model of its own."""
    return TRAIN_SHARE if tool == "train" and not state.attempts else 1.0


def call_text(name: str, arguments: Mapping[str, Any]) -> str:
    """A call as a model may write it."""
    return json.dumps({"name": name, "arguments": dict(arguments)}, ensure_ascii=False)


def _trained(state: State) -> bool:
    """Whether `train` went well in the first visit of its stage; what the critic sends back may be trained again."""
    return "train" in state.results and state.visits.get(Stage.TRAIN, 0) == 1
