"""How values of settings are written, on a command line, in a variable or in a file: each reader gives what pydantic then checks,
or raises ValueError with what was expected."""

from __future__ import annotations

import difflib
import json
import re
from typing import Annotated, Any

from pydantic import BeforeValidator
from pydantic_settings import NoDecode

from team.constraint import CONSTRAINT, distinct
from team.sentences import whole
from tools.constraints import names_of, signs_of
from tools.objectives import BESIDE_SCORE, Objective
from tools.quantiles import levels_of
from tools.schemes import GAP
from tools.trackers.places import read_places

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def parse_seconds(value: Any) -> Any:
    """Seconds from `90`, `"90s"`, `"10m"`, `"1.5h"`; anything else is returned for pydantic to refuse."""
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(-?\d+(?:\.\d+)?)\s*(s|m|min|h)?\s*", value)
        if match is None:
            raise ValueError("expected a duration such as 60s, 10m or 1h")
        return float(match[1]) * _UNITS[match[2] or ""]
    return value


Duration = Annotated[float, BeforeValidator(parse_seconds)]


def read_metric(value: Any) -> Any:
    """A metric by any of its names as the name that everything else calls it by."""
    from tools.metrics import metric_name

    return metric_name(value) if isinstance(value, str) else value


def read_size(value: Any) -> Any:
    """Bytes from `500MB`, `5GB`, `2TB` (powers of 1000) or a plain number."""
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(|[kmgt]?b)\s*", value, re.IGNORECASE)
        if match is None:
            raise ValueError("expected a size such as 500MB, 5GB or 2TB")
        return int(float(match[1]) * 1000 ** ("b", "kb", "mb", "gb", "tb").index(match[2].lower() or "b"))
    return value


def read_listed(value: Any) -> Any:
    """A list, also from text with commas; a comma within a label needs the list of a settings file, where numbers are labels too."""
    if isinstance(value, (list, tuple)):
        return [str(part) if isinstance(part, (int, float)) and not isinstance(part, bool) else part for part in value]
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


def read_folds(value: Any) -> Any:
    """A whole number from 2 to 20, `loo`, or None."""
    if value is None or value == "loo":
        return value
    number = int(value) if str(value).strip().isdecimal() else 0
    if isinstance(value, bool) or not 2 <= number <= 20:
        raise ValueError("expected a whole number from 2 to 20, or loo")
    return number


def read_gap(value: Any) -> Any:
    """A duration or a number as text, or None."""
    if isinstance(value, (str, int, float)) and not isinstance(value, bool) and GAP.fullmatch(str(value)):
        return str(value).strip()
    if value is None:
        return None
    raise ValueError("expected a duration such as 7d or 12h, or a number where numbers order the rows")


def read_names(value: Any) -> Any:
    """A list, also from text with commas, without empty names."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def read_preparers(value: Any) -> Any:
    """As `read_names`, but commas behind a step's colon are between its columns: `encode=hashing:city,street,scale=power` is two steps.

    Preparers of packages come before steps, so that a name alone behind such columns is one of them.
    """
    names = read_names(value)
    if not isinstance(value, str):
        return names
    found: list[str] = []
    for name in names:
        if found and "=" not in name and ":" in found[-1]:
            found[-1] += f",{name}"
        else:
            found.append(name)
    return found


def read_quantiles(value: Any) -> Any:
    """Levels in order, as `tools.quantiles` reads them; a single number is a level too."""
    if isinstance(value, (int, float)):
        value = [value]
    return levels_of(value) if isinstance(value, (str, list, tuple)) else value


Names = Annotated[list[str], NoDecode, BeforeValidator(read_names)]
"""A list, or names with commas between them."""


Preparers = Annotated[list[str], NoDecode, BeforeValidator(read_preparers)]
"""A list, or preparers and steps with commas between them."""


def read_objectives(value: Any) -> Any:
    """Names of objectives, each once, the score first."""
    names = read_names(value)
    if isinstance(names, list) and (names[:1] != ["score"] or len(set(map(str, names))) < len(names)):
        raise ValueError(f"expected score first, then {BESIDE_SCORE}, with commas between them")
    return names


Objectives = Annotated[list[Objective], NoDecode, BeforeValidator(read_objectives)]


def read_tracker(value: Any) -> Any:
    """Names of trackers and addresses of servers without credentials, with commas between them, also from a list; None for `none`."""
    if isinstance(value, (list, tuple)) and all(isinstance(one, str) for one in value):
        value = ",".join(value) or "none"
    return None if value == "none" else ",".join(read_places(value)) if isinstance(value, str) else value


def read_joined(value: Any) -> Any:
    """Names as one text, also where a file lists them; no name at all only by such a list, since a text may be a variable that is empty."""
    if isinstance(value, (list, tuple)):
        return ",".join(f'"{name}"' if "," in str(name) else str(name) for name in value) or None
    if isinstance(value, str) and not names_of(value):
        raise ValueError("expected names with commas between them")
    return value


def read_monotone(value: Any) -> Any:
    """`COL:+,...`, also from a mapping of columns to signs."""
    text = read_joined([f"{name}:{sign}" for name, sign in value.items()] if isinstance(value, dict) else value)
    if isinstance(text, str):
        signs_of(text)
    return text


def read_constraint(value: Any) -> Any:
    """Constraints, from sentences too, each of which must be understood whole; a mapping is a constraint by its kind."""
    if isinstance(value, (str, dict)):
        value = [value]
    if not isinstance(value, (list, tuple)):
        return value
    return distinct([one for each in value for one in (whole(each) if isinstance(each, str) else [CONSTRAINT.validate_python(each)])])


def read_approval(value: Any) -> Any:
    """A policy, also from the name of one for all tools, and from JSON as a variable holds it."""
    if isinstance(value, str) and value.strip().startswith("{"):
        value = json.loads(value)
    return {"default": value} if isinstance(value, str) else value


def read_families(value: Any) -> Any:
    """Names of known families as one text."""
    from tools.families import all_names

    return _known(read_joined(value), all_names(), "family", "families")


def read_omissions(value: Any) -> Any:
    """Names of known parts and families as one text."""
    from tools.families import all_names
    from tools.omissions import INSTEAD

    return _known(read_joined(value), [*INSTEAD, *all_names()], "part or family", "parts and families")


def _known(text: Any, known: list[str], one: str, all_: str) -> Any:
    for name in names_of(text) if isinstance(text, str) else ():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise ValueError(f"no {one} {name!r}; {hint}{all_}: {', '.join(known)}")
    return text
