"""Tools as a reader of replies knows them, and whose name is meant where a model writes one in another way."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from tools.spec import registry


@dataclass(frozen=True)
class Offer:
    """A tool that the model was offered."""

    name: str
    parameters: tuple[str, ...]
    required: frozenset[str] = frozenset()
    texts: frozenset[str] = frozenset()
    """Parameters whose value is a text, so that `5` in a tag is one."""
    lasting: bool = False
    """Whether a call leaves what cannot be taken back. Then it must stand there exactly."""


class Refused(ValueError):
    """It was meant as a call and cannot be made as it is; the message says why."""


def offer_of(schema: Mapping[str, Any]) -> Offer:
    """The tool of a schema; one that nobody declared is taken for one whose effect lasts."""
    parameters = schema.get("parameters") or {}
    properties = parameters.get("properties") or {}
    spec = registry().get(schema["name"])
    return Offer(
        name=schema["name"],
        parameters=tuple(properties),
        required=frozenset(parameters.get("required", ())),
        texts=frozenset(key for key, value in properties.items() if value.get("type") == "string"),
        lasting=spec is None or spec.lasting,
    )


def same_name(name: str, offers: Mapping[str, Offer]) -> Offer | None:
    """The tool that is meant: by its exact name, or, where no harm can come of it, by the same letters."""
    if (exact := offers.get(name)) is not None:
        return exact
    alike = [offer for offer in offers.values() if _letters(offer.name) == _letters(name)]
    if len(alike) != 1:
        return None
    if alike[0].lasting:
        raise Refused(f"there is no tool {name!r}; if {alike[0].name} is meant, write its name exactly")
    return alike[0]


def unknown_name(name: str, offers: Mapping[str, Offer]) -> str:
    """What to tell a model that called a tool it has not got."""
    near = get_close_matches(name, offers, n=1, cutoff=0.6)
    return f"there is no tool {name[:60]!r} here" + (f"; did you mean {near[0]}?" if near else f"; there are {', '.join(offers)}")


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", re.sub(r"^(?:functions|tools|default_api)[.:]", "", name.lower()))
