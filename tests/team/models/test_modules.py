"""Modules in fences, read as the call that hands them in."""

from __future__ import annotations

import pytest

from team.models.modules import handed_in
from team.models.offers import offer_of
from tools.spec import registry

MODULE = "from sklearn.tree import DecisionTreeClassifier\n\ndef make_model():\n    return DecisionTreeClassifier(max_depth=3)\n"
OFFERS = [offer_of({"name": name, "parameters": registry()[name].schema()}) for name in ("submit_candidate", "run_python")]


@pytest.mark.parametrize("fence", ["```python", "```", "```py", "``` Python"])
def test_a_module_with_words_around_it_is_the_call(fence: str) -> None:
    call = handed_in(f"A shallow tree may do. It is quick.\n\n{fence}\n{MODULE}```\nThat is it.", OFFERS)
    assert call is not None
    assert call.arguments["code"] == MODULE
    assert call.arguments["idea"] == "A shallow tree may do."
    registry()["submit_candidate"].validate(call.arguments)


def test_the_same_module_has_the_same_name() -> None:
    first, second = (handed_in(f"{words}\n```python\n{MODULE}```", OFFERS) for words in ("One.", "Two."))
    assert first is not None
    assert second is not None
    assert first.arguments["name"] == second.arguments["name"]
    other = handed_in(f"```python\n{MODULE.replace('3', '4')}```", OFFERS)
    assert other is not None
    assert other.arguments["name"] != first.arguments["name"]


@pytest.mark.parametrize(
    "reply",
    [
        "```python\nprint(1)\n```",
        f"```python\n{MODULE}",
        MODULE,
        f"```python\n{MODULE}```\nor\n```python\n{MODULE.replace('3', '4')}```",
        "```python\n# def make_model() comes later\n```",
    ],
    ids=["no module", "not closed", "no fence", "two that differ", "only named"],
)
def test_anything_else_is_none(reply: str) -> None:
    assert handed_in(reply, OFFERS) is None


def test_a_stray_fence_is_no_idea() -> None:
    call = handed_in(f"```python\n{MODULE}```\n```", OFFERS)
    assert call is not None
    assert "idea" not in call.arguments


def test_nothing_is_handed_in_that_was_not_offered() -> None:
    assert handed_in(f"```python\n{MODULE}```", OFFERS[1:]) is None
