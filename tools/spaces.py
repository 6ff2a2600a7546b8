"""Search spaces: a family's own, or one that an installed package brings in its place.

A package names, by an entry point of the group `mlteam.spaces` that is called like the family, a function of an Optuna trial and
a `tools.families.base.Setting` which gives parameters; those that it leaves out keep the family's first default:

    [project.entry-points."mlteam.spaces"]
    lightgbm = "ourpackage.spaces:lightgbm"
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tools.brought import Group
from tools.deadline import Deadline, DeadlineReached

if TYPE_CHECKING:
    import optuna

    from tools.families.base import Family
    from tools.families.setting import Params, Setting

TRIED, WITHIN_S = 5, 10.0
"""Configurations that are drawn from a package's space before it is used, and seconds for all of them."""

Draw = Callable[[Any, Any], Any]


def _check(name: str, found: Any) -> Draw:
    if not callable(found):
        raise TypeError(f"it is a {type(found).__name__}, expected a function of trial and setting that gives parameters")
    return found


SPACES_BROUGHT = Group[Draw]("mlteam.spaces", "search space", _check)


class SearchSpace:
    """Where the configurations of a family are drawn from.

    A package's space is tried before it is used, and the family's own takes its place when it fails or does not come back, which `broken`
    tells.
    """

    def __init__(self, family: Family, setting: Setting, within_s: float = WITHIN_S) -> None:
        self.family, self.setting = family, setting
        self.package: str | None = None
        """Package of the space that is used, None for the family's own."""
        self.broken: str | None = None
        self._draw: Draw = family.search
        there = SPACES_BROUGHT.brought()
        if family.name not in there:
            return
        try:
            brought = SPACES_BROUGHT.load(family.name)
        except ValueError as error:
            self.broken = str(error)
            return
        told = ""
        try:
            with Deadline(within_s).alarm():  # one around it waits for as long
                self._try(brought)
        except DeadlineReached:
            told = f"it did not draw {TRIED} configurations in {within_s:g} s"
        except (Exception, SystemExit) as error:  # somebody else's code
            told = f"{type(error).__name__}: {str(error)[:300]}"
        if told:
            self.broken = f"search space {family.name!r} of package {there[family.name]!r} cannot be used: {told}."
        else:
            self.package, self._draw = there[family.name], brought

    def draw(self, trial: optuna.Trial | optuna.trial.FixedTrial) -> Params:
        """A complete configuration."""
        drawn = self._draw(trial, self.setting)
        return {**self.family.default(self.setting)[0], **drawn} if self.package else dict(drawn)

    def holds(self, params: Params) -> bool:
        """Whether a search can begin with a configuration: whether the space has it."""
        import optuna

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # Optuna only warns of values beyond the range
                return self.draw(optuna.trial.FixedTrial(params)) == params
        except (ValueError, KeyError, UserWarning):
            return False

    def _try(self, brought: Draw) -> None:
        import optuna

        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
        for _ in range(TRIED):
            drawn = brought(study.ask(), self.setting)
            if not isinstance(drawn, dict) or not all(isinstance(name, str) for name in drawn):
                raise TypeError(f"it gave {type(drawn).__name__}, expected a dict of parameters by name")
            json.dumps(drawn, allow_nan=False)  # a configuration is put on record
