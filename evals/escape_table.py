"""The table of the escape suite, from what its tests saw.

    python -m evals.escape_table build/escape.jsonl docs/escape.md

`make escape` runs the suite, which appends a line for each attack and place to the first file, and then this.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from pathlib import Path
from typing import NotRequired, TypedDict

from reports.markdown import escape
from team.sandbox.choose import report

KINDS = ("docker", "bubblewrap")
MOST_CHARS = 220
"""Of what is told of one attack."""

INTRODUCTION = """\
# What was tried against the sandboxes

Each line is a hostile cell, or a hostile table, of `tests/escape/`, and what became of it when this page was written: `held` or
**through**. How the host tells is in the suite: by a fact seen from outside (a listener that nobody may reach, a file that must not
change, a secret that must not come back) wherever there is one. The control shows that the attack is real: the same cell gets through
in `unsafe-local`, or a host that takes no care is hit by what it left. Where there is none, the reason stands there.

    make escape        # runs all of it and writes this page
"""


class Line(TypedDict):
    """What a test saw of one attack in one place: a kind of sandbox, or `control`."""

    group: str
    attack: str
    tries: str
    where: str
    outcome: str
    """`held`, `through`, `skipped` or `none`."""
    seen: str
    number: NotRequired[int]
    """Place of the attack in the suite, where that does not follow from the order of the lines: tests may run side by side."""


def read_lines(path: Path) -> list[Line]:
    lines: list[Line] = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return sorted(lines, key=lambda line: line.get("number", 0))


def page(lines: list[Line], facts: list[str]) -> str:
    """The page as Markdown; attacks in the order in which they were first seen, the last line of each place counts."""
    groups: dict[str, dict[str, dict[str, Line]]] = {}
    for line in lines:
        groups.setdefault(line["group"], {}).setdefault(line["attack"], {})[line["where"]] = line
    attacks = [places for group in groups.values() for places in group.values()]
    parts = [INTRODUCTION, f"{len(attacks)} attacks. " + " ".join(facts) + "\n"]
    for group, found in groups.items():
        parts.append(f"## {group.capitalize()}\n")
        parts.append("| attack | what it tries | docker | bubblewrap | control | what stopped it |\n|---|---|---|---|---|---|")
        parts += [_row(name, places) for name, places in found.items()]
        parts.append("")
    return "\n".join(parts)


def _row(name: str, places: dict[str, Line]) -> str:
    tries = next(iter(places.values()))["tries"]
    cells = [f"`{name}`", escape(tries), *(_outcome(places.get(kind)) for kind in KINDS), _control(places.get("control")), _stopped(places)]
    return "| " + " | ".join(cells) + " |"


def _outcome(line: Line | None) -> str:
    if line is None:
        return "not here"
    return {"through": "**through**", "held": "held"}.get(line["outcome"], f"{line['outcome']}: {escape(line['seen'])}")


def _control(line: Line | None) -> str:
    if line is None:
        return "not run"
    return {"through": "gets through", "held": "**shows nothing**"}.get(line["outcome"], f"none: {escape(line['seen'])}")


def _stopped(places: dict[str, Line]) -> str:
    seen = {kind: places[kind]["seen"] for kind in KINDS if kind in places and places[kind]["outcome"] in ("held", "through")}
    if len(set(seen.values())) == 1:
        return escape(_cut(next(iter(seen.values())), MOST_CHARS))
    return " · ".join(f"{kind}: {escape(_cut(text, MOST_CHARS // 2))}" for kind, text in seen.items())


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def machine_facts() -> list[str]:
    """What was tried where."""
    caller = "root" if os.geteuid() == 0 else "an ordinary user"
    facts = [f"Run by {caller} on Linux {platform.release()}, {platform.machine()}."]
    facts += [f"{found.name}: {found.why}." for found in report() if found.name in KINDS]
    return facts


def main(record: str, target: str) -> None:
    Path(target).write_text(page(read_lines(Path(record)), machine_facts()), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
