"""What the sandbox bench found, as tables for a terminal, for a document and as JSON."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from evals.columns import aligned
from evals.sandbox_behaviours import QUESTIONS, Verdict
from team.errors import UsageError

CELLS = 200
FIGURES = {
    "start": "start to the first reply, s",
    "start quickest": "its quickest round, s",
    "lost": "next reply after a lost kernel, s",
    "spare": "the same with a spare kernel waiting, s",
    "cell": f"a cell (median of {CELLS}), ms",
    "cell quickest": "its quickest round, ms",
    "output": "10 MiB printed, s",
    "close": "close, s",
    "further": "host memory of an idle kernel, MiB",
    "helpers": "of it, helper processes, MiB",
    "first": "host memory of the first kernel, with imports, MiB",
}
TARGETS = {"start": 0.8, "cell": 6.0, "further": 20.0}
"""What `docker` must stay under."""
BEGIN, END = "<!-- measured by make bench-sandbox: begin -->", "<!-- measured by make bench-sandbox: end -->"

Table = list[list[str]]
Samples = dict[str, list[float | None]]
"""What each round gave; None where it failed."""


@dataclass
class Measured:
    """All that one run of the bench found."""

    machine: str
    samples: dict[str, Samples] = field(default_factory=dict)
    verdicts: dict[str, dict[str, Verdict]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    """Why a contestant did not run."""

    def figure(self, name: str, figure: str) -> float | None:
        """The median of the rounds, or the least of them for a quickest one. None where there is no such figure, or a round failed."""
        kind, _, quickest = figure.partition(" ")
        values = self.samples[name].get(kind, [])
        there = [value for value in values if value is not None]
        if not there or len(there) < len(values):
            return None
        return min(there) if quickest else statistics.median(there)


def figure_table(found: Measured) -> Table:
    """One line a figure, one column a contestant; in parentheses what part of the line's largest value it is."""
    rows = [["figure", *found.samples]]
    for figure, title in FIGURES.items():
        values = {name: found.figure(name, figure) for name in found.samples}
        largest = max((value for value in values.values() if value is not None), default=0.0)
        cells = []
        for name, value in values.items():
            if value is None:
                cells.append("fails" if figure in found.samples[name] else "-")
            else:
                part = f" ({value / largest:.2f})" if largest > 0 and figure != "helpers" else ""
                cells.append(f"{value:.{2 if title.endswith(', s') else 1}f}{part}")
        rows.append([title, *cells])
    return rows


def behaviour_table(found: Measured) -> Table:
    """One line a question, one column a contestant."""
    words = {True: "yes", False: "no", None: "?"}
    rows = [["behaviour", *found.verdicts]]
    return rows + [[text, *(words[verdicts[key].yes] for verdicts in found.verdicts.values())] for key, text in QUESTIONS.items()]


def evidence(found: Measured) -> list[str]:
    """What every answer but `yes` rests on, one line a question."""
    lines = []
    for key, text in QUESTIONS.items():
        seen: dict[str, list[str]] = {}
        for name, verdicts in found.verdicts.items():
            if not verdicts[key].yes:
                seen.setdefault(verdicts[key].seen, []).append(name)
        if seen:
            lines.append(f"{text}: " + ". ".join(f"{', '.join(names)}: {fact}" for fact, names in seen.items()))
    return lines


def targets(found: Measured) -> list[str]:
    """Whether `docker` keeps its targets, one line each; none where it did not run."""
    lines = []
    for figure, most in TARGETS.items() if "docker" in found.samples else ():
        value = found.figure("docker", figure)
        verdict = "failed" if value is None else f"{value:.2f}, {'met' if value < most else 'MISSED'}"
        if value is not None and f"{figure} quickest" in FIGURES:
            verdict += f" ({found.figure('docker', f'{figure} quickest'):.2f} in the quickest round)"
        lines.append(f"docker, {FIGURES[figure]}: under {most:g} wanted, {verdict}")
    return lines


def as_text(found: Measured) -> str:
    parts = [found.machine, aligned(figure_table(found)), "\n".join(targets(found)), aligned(behaviour_table(found))]
    parts += ["Where the answer is not yes:\n" + "\n".join(f"  {line}" for line in evidence(found))]
    parts += [f"{name} did not take part: {reason}" for name, reason in found.absent.items()]
    return "\n\n".join(part for part in parts if part)


def as_markdown(found: Measured) -> str:
    parts = [found.machine, _ruled(figure_table(found)), _bullets(targets(found)), _ruled(behaviour_table(found))]
    parts += ["Where the answer is not yes:", _bullets(evidence(found))]
    parts += [_bullets([f"{name} did not take part: {reason}" for name, reason in found.absent.items()])]
    return "\n\n".join(part for part in parts if part)


def as_json(found: Measured) -> str:
    document: dict[str, Any] = asdict(found)
    document["figures"] = {name: {figure: found.figure(name, figure) for figure in FIGURES} for name in found.samples}
    return json.dumps(document, indent=1)


def around(document: Path) -> tuple[str, str]:
    """What stands before and after the measured part of a document, both marks included.

    Raises:
        UsageError: there is no such file, or it does not have both marks.
    """
    if not document.is_file():
        raise UsageError(f"--markdown {document}: there is no such file; it must exist and hold the lines {BEGIN} and {END}")
    before, begin, rest = document.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise UsageError(f"--markdown {document}: expected the lines {BEGIN} and {END} in it, in this order")
    return before + begin, end + after


def rewrite(document: Path, text: str) -> None:
    """Put `text` between the two marks of a document. Raises what `around` does."""
    before, after = around(document)
    document.write_text(f"{before}\n\n{text}\n\n{after}", encoding="utf-8")


def _ruled(rows: Table) -> str:
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "--|" * len(rows[0]), *lines[1:]])


def _bullets(lines: list[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
