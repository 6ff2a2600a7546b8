"""Families that installed packages bring, by entry points of the group `mlteam.families`.

A package names a `tools.families.base.Family`, or a subclass that takes no arguments:

    [project.entry-points."mlteam.families"]
    nearest = "ourpackage.models:Nearest"

The entry point's name is the family's. It is trained, tuned, blended, refitted and packaged like a built-in one; its `appetite`
says what memory a fit takes. A built-in family's name cannot be taken.
"""

from __future__ import annotations

import re

from tools.brought import Group
from tools.families.appetite import Appetite
from tools.families.base import Family

NAME = re.compile(r"[a-z][a-z0-9_]{0,29}")
"""Names of candidates begin with that of their family."""


def _check(name: str, found: object) -> Family:
    family = found() if isinstance(found, type) and issubclass(found, Family) else found
    if not isinstance(family, Family):
        raise TypeError(f"it is a {type(family).__name__}, expected a tools.families.base.Family or a subclass of it")
    if getattr(family, "name", None) != name:
        raise ValueError(f"the entry point is called {name!r}, the family {getattr(family, 'name', None)!r}; expected one name")
    if not NAME.fullmatch(name):
        raise ValueError(f"name {name!r}: expected at most 30 lower-case letters, digits and _, a letter first")
    if not isinstance(family.appetite, Appetite):
        raise TypeError(f"appetite is a {type(family.appetite).__name__}, expected a tools.families.base.Appetite")
    if not family.weight > 0 or not family.bags >= 1:
        raise ValueError(f"weight {family.weight!r} and bags {family.bags!r}: expected a weight above 0 and at least one bag")
    return family


FAMILIES_BROUGHT = Group("mlteam.families", "family", _check)
