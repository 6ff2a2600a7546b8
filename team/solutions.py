"""The tree of models that roles wrote as code: drafts, improvements of one thing each, and mended failures. Pure.

An attempt is a node, whether it could be scored or not: what failed is remembered, so that it is not tried again. What a change gained
is judged over the folds against what it changed, and the more attempts there were, the more it must be to count as real.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import ConfigDict

from team.events.findings import Attempt
from tools.gain import judge_gain

MOST_ATTEMPTS = 200
SHOWN_ATTEMPTS = 6
IDEA_CHARS, LESSON_CHARS = 200, 200

Move = Literal["draft", "improve", "debug"]


class AttemptFact(Attempt):
    """A model that a role wrote, and what came of it, as the state keeps it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def move_of(attempts: Sequence[AttemptFact], name: str, parent: str | None) -> tuple[Move, str | None]:
    """What kind of node an attempt is, and its parent. One that takes the name of a failed attempt mends that."""
    last = {attempt.name: attempt for attempt in attempts}
    if parent is None and name in last and last[name].score is None:
        return "debug", name
    if parent is None:
        return "draft", None
    return ("debug" if parent in last and last[parent].score is None else "improve"), parent


def failed(attempts: Sequence[AttemptFact], arguments: Mapping[str, Any], why: str) -> AttemptFact:
    """The node of an attempt that could not be scored."""
    name, idea = str(arguments["name"]), str(arguments.get("idea") or "")[:IDEA_CHARS]
    move, parent = move_of(attempts, name, arguments.get("parent"))
    return AttemptFact(name=name, move=move, parent=parent, idea=idea, lesson=why[:LESSON_CHARS])


def scored(
    attempts: Sequence[AttemptFact],
    arguments: Mapping[str, Any],
    score: float,
    std_error: float,
    differences: Sequence[float],
    gain: float,
    against: str | None,
    test_to_train: float,
    row_error: float = 0.0,
) -> AttemptFact:
    """The node of an attempt that was scored.

    Args:
        differences: improvement in each fold over `against`, above 0 is better; empty where there is none.
        gain: improvement of the score over it.
        test_to_train: rows that a fold validates over rows that it learns from.
        row_error: see `tools.gain.judge_gain`.
    """
    plain = failed(attempts, arguments, "")
    update: dict[str, Any] = {"score": score, "std_error": std_error, "lesson": "the first of its kind: nothing to compare it with"}
    if against is not None:
        tries = 1 + sum(attempt.score is not None for attempt in attempts)
        found = judge_gain(gain, differences, test_to_train, tries, row_error=row_error)
        verdict = "a real gain" if found.real else "inside the noise" if gain > -found.std_error else "worse"
        told = f"{gain:+.4g} ± {found.std_error:.2g} against {against}: {verdict}"
        update |= {"against": against, "gain": gain, "gain_std_error": found.std_error, "real": found.real, "lesson": told}
    return plain.model_copy(update=update)


def shown(attempts: Sequence[AttemptFact]) -> list[dict[str, Any]]:
    """The last attempts and the best one, as a briefing tells them."""
    lately = list(attempts[-SHOWN_ATTEMPTS:])
    real = [attempt for attempt in attempts if attempt.real and attempt not in lately]
    told = {"name", "move", "parent", "idea", "score", "lesson"}
    return [one.model_dump(include=told, exclude_none=True) for one in [*real[-1:], *lately]]
