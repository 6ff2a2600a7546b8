"""Declaring a tool once: schema, validation and cell follow from the function."""

from __future__ import annotations

import subprocess
import sys
from typing import Annotated

import pytest
from annotated_types import Ge
from pydantic import BaseModel

from tools.spec import ToolArgumentError, ToolDeclarationError, describe, registry


class Facts(BaseModel):
    n: int


def good(
    name: Annotated[str, "A name."],
    count: Annotated[int, "How many.", Ge(1)] = 3,
    drop: Annotated[list[str] | None, "What to drop."] = None,
) -> Facts:
    """Do a thing.

    And more that a model need not read.
    """
    return Facts(n=count)


def hosted(ctx: object, name: Annotated[str, "A name."]) -> Facts:
    """Do it on the host."""
    return Facts(n=1)


SPEC = describe(good, "kernel", 10)


def test_the_schema_is_flat_and_says_what_is_needed() -> None:
    assert SPEC.description == "Do a thing."
    assert SPEC.schema() == {
        "type": "object",
        "properties": {
            "name": {"type": "string", "description": "A name."},
            "count": {"type": "integer", "minimum": 1, "default": 3, "description": "How many."},
            "drop": {"type": "array", "items": {"type": "string"}, "default": None, "description": "What to drop."},
        },
        "required": ["name"],
    }


def test_the_context_of_a_host_tool_is_hidden() -> None:
    assert list(describe(hosted, "host", 10).schema()["properties"]) == ["name"]


def test_arguments_are_filled_in_and_every_problem_is_told() -> None:
    assert SPEC.validate({"name": "x"}) == {"name": "x", "count": 3, "drop": None}
    with pytest.raises(ToolArgumentError) as caught:
        SPEC.validate({"count": 0, "nme": "x"})
    for part in ("argument 'name' is missing", "count=0: ", "unknown argument 'nme'", "Arguments: name, count, drop."):
        assert part in str(caught.value)


def test_the_cell_is_what_a_person_would_type() -> None:
    cell = SPEC.cell(SPEC.validate({"name": "it's", "count": 5}))
    assert cell.splitlines()[-1] == """show(good(name="it's", count=5))"""
    compile(cell, "cell", "exec")


def test_hostile_arguments_stay_literals() -> None:
    evil = "x'), __import__('os').system('id'), ('"
    cell = SPEC.cell(SPEC.validate({"name": evil}))
    called = compile(cell, "cell", "exec")
    assert evil in called.co_consts
    assert "system" not in called.co_names


def test_a_bad_declaration_names_every_reason() -> None:
    def bad(a, b: int = 1):  # type: ignore[no-untyped-def]
        return a

    with pytest.raises(ToolDeclarationError) as caught:
        describe(bad, "kernel", 1)
    for part in ("`a`", "`b`", "docstring", "pydantic model"):
        assert part in str(caught.value)


def test_listing_the_tools_imports_nothing_heavy() -> None:
    code = "import sys; from tools.spec import registry; registry(); print(*sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"pandas", "numpy", "sklearn", "lightgbm", "torch", "mlflow", "optuna", "matplotlib"} & set(loaded)


@pytest.mark.parametrize("name", sorted(registry()))
def test_every_tool_has_a_schema_that_models_can_be_shown(name: str) -> None:
    spec = registry()[name]
    assert 20 <= len(spec.description) <= 300
    for key, value in spec.schema()["properties"].items():
        assert value["description"], key
        assert "$ref" not in str(value), "models are shown flat schemas"
