"""Find systems by name: those that ship, `llm:SPEC` and `aide:SPEC`, a YAML file of the user's, or what an installed package brings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evals.suite import read_as
from evals.systems.contract import System
from evals.systems.shipped import PLAIN, PROBES, WITH_ARGUMENT
from team.errors import UsageError
from tools.brought import Group

__all__ = ["PROBES", "find_systems"]


def _checked(name: str, found: Any) -> System:
    if not isinstance(found, System):
        raise TypeError(f"it is a {type(found).__name__}; expected evals.systems.System")
    return found.model_copy(update={"name": name})


BROUGHT: Group[System] = Group("mlteam.systems", "system", _checked)


def find_systems(names: Sequence[str], model: str | None = None) -> list[System]:
    """Systems by name; `probes` stands for all that cheat, `llm` and `aide` for `llm:` and `aide:` with the model.

    Args:
        model: what `--model` says, for those that ask a language model and name none.

    Raises:
        UsageError: for a name that nobody has, and for one that needs a model where none is named.
    """
    spelt = [one for name in names for one in (PROBES if name == "probes" else (name,))]
    return [_find(name, model) for name in dict.fromkeys(spelt)]


def _find(name: str, model: str | None) -> System:
    system = _named(name, model)
    if any("{model}" in word for word in system.command) and not model:
        raise UsageError(f"system {name!r} asks a language model; name one with --model openai:MODEL[@BASE_URL].")
    return system


def _named(name: str, model: str | None) -> System:
    if name in PLAIN:
        return PLAIN[name]
    kind, _, argument = name.partition(":")
    if kind in WITH_ARGUMENT:
        return WITH_ARGUMENT[kind](argument or model or "")
    if name.endswith((".yaml", ".yml")):
        system: System = read_as(System, Path(name), "system")
        return system.model_copy(update={"command": tuple(_in_place(word, Path(name).parent) for word in system.command)})
    if name in BROUGHT.brought():
        try:
            return BROUGHT.load(name)
        except ValueError as error:
            raise UsageError(str(error)) from None
    known = ", ".join((*PLAIN, *(f"{kind}:SPEC" for kind in WITH_ARGUMENT), *BROUGHT.brought()))
    raise UsageError(
        f"there is no system {name!r}; expected one of {known}, `probes`, or a YAML file. docs/evals.md tells how to bring one."
    )


def _in_place(word: str, folder: Path) -> str:
    """A word of a user's command; a file that lies beside the YAML by its whole path, since systems run elsewhere."""
    path = folder / word
    return str(path.resolve()) if word and not word.startswith(("-", "{", "/")) and path.is_file() else word
