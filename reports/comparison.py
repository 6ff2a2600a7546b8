"""Runs side by side as facts: whether their scores may be set against each other, and what differs between them.

The rule: scores are comparable when every run has sealed a contract, and data, task, target, metric and split are the
same in all of them; their holdouts then hold the same rows. Tests over folds need equal folds as well. What runs were
asked to do, what they did and what that cost is set side by side in any case.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from reports.figures import compact, dollars, duration, score_format
from reports.findings import Fact
from reports.side import Side, Winner
from reports.visible import visible
from tools.comparing import PairedTest

SCHEMA_VERSION = 1
ABSENT = "–"
MOST_VALUE_CHARS = 200
Row = tuple[str, list[str]]
"""A line of a table for people: a title, and one text a run."""
TEST_TITLES = {
    "delong": "DeLong's test",
    "mcnemar": "McNemar's test",
    "mcnemar_chi2": "McNemar's test by χ²",
    "bootstrap": "paired bootstrap",
    "corrected_t": "corrected t-test",
    "wilcoxon": "Wilcoxon's test",
}


class CorrectedTest(PairedTest):
    """A paired test whose p-value was also corrected for the number of pairs."""

    p_holm: float | None


class Pair(Fact):
    """Two runs and what tells them apart. Differences are `first` minus `second`."""

    first: str
    second: str
    """Labels of the two runs."""
    tests: tuple[CorrectedTest, ...]
    untested: tuple[str, ...]
    """Why there is no test over folds, or over holdout rows."""
    decisive: str | None
    """The test that the verdict rests on."""
    better: str | None
    """Label of the run whose score is better by more than chance; None when no such difference was found."""
    verdict: str


class Difference(Fact):
    """A name whose value is not the same in all runs; `values` in the order of the runs, None where there is none."""

    name: str
    values: tuple[Any, ...]


class Comparison(Fact):
    """All of a comparison. Keys are stable under one `schema_version`."""

    schema_version: int = SCHEMA_VERSION
    comparable: bool
    why: tuple[str, ...]
    """Why scores are not comparable; empty when they are."""
    task: str | None
    target: str | None
    metric: str | None
    direction: str | None
    """These four are None where runs disagree."""
    runs: tuple[Side, ...]
    settings: tuple[Difference, ...]
    versions: tuple[Difference, ...]
    parameters: tuple[Difference, ...]
    """Of the winners."""
    candidates: tuple[Difference, ...]
    """Scores in cross-validation of candidates that are not in all runs, or score differently."""
    pairs: tuple[Pair, ...]
    notes: tuple[str, ...]

    def side(self, label: str) -> Side:
        return next(side for side in self.runs if side.label == label)


def label(position: int) -> str:
    """`A` to `Z`, then `A2`, …"""
    return chr(ord("A") + position % 26) + (str(position // 26 + 1) if position >= 26 else "")


def incomparable(sides: Sequence[Side]) -> tuple[str, ...]:
    """Why the scores of runs must not be set against each other, a line a reason naming runs by label; empty when they may."""
    without = [side.label for side in sides if side.contract is None or side.sha256 is None]
    if without:
        return (f"no contract was sealed in {', '.join(without)}",)
    checks: list[tuple[str, Callable[[Side], Any]]] = [
        ("data (SHA-256)", lambda side: (side.sha256 or "")[:12]),
        ("target", lambda side: _contract(side, "target")),
        ("task", lambda side: _contract(side, "task")),
        ("classes", lambda side: ", ".join(_contract(side, "classes"))[:80] or "none"),
        ("quantiles", lambda side: ", ".join(f"{level:g}" for level in _contract(side, "quantiles")) or "none"),
        ("metric", lambda side: _contract(side, "metric")),
        ("split", lambda side: _split(side, "kind")),
        ("column of the split", lambda side: _split(side, "column")),
        ("order of days in the split", lambda side: _split(side, "day_first")),
        ("share of the holdout", lambda side: _split(side, "holdout_fraction")),
        ("seed of the split", lambda side: _split(side, "seed")),
        ("rows", lambda side: f"{_contract(side, 'rows_train'):,} and {_contract(side, 'rows_holdout'):,} held out"),
    ]
    reasons = []
    for what, value in checks:
        found: dict[Any, list[str]] = {}
        for side in sides:
            found.setdefault(value(side), []).append(side.label)
        if len(found) > 1:
            told = "; ".join(f"{held} in {', '.join(labels)}" for held, labels in found.items())
            reasons.append(visible(f"{what}: {told}"))
    return tuple(reasons)


def same_folds(first: Side, second: Side) -> bool:
    """Whether two runs with comparable scores were validated on the same folds."""
    return first.contract is not None and second.contract is not None and _folds(first) == _folds(second)


def differing(found: Sequence[dict[str, Any]]) -> tuple[Difference, ...]:
    """The names whose values are not the same in all of `found`, in the order they are first met."""
    names = dict.fromkeys(name for values in found for name in values)
    rows = (Difference(name=name, values=tuple(values.get(name) for values in found)) for name in names)
    return tuple(row for row in rows if any(value != row.values[0] for value in row.values))


def agreed(sides: Sequence[Side], name: str) -> Any:
    """What all contracts say of `name`, or None when they disagree or one is missing."""
    values = [getattr(side.contract, name, None) for side in sides]
    return values[0] if all(value == values[0] for value in values) else None


def value_text(value: Any) -> str:
    """A setting, a parameter or a version in a cell of a table."""
    if value is None:
        return ABSENT
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        text = json.dumps(value, ensure_ascii=False, default=str)
    else:
        text = value if isinstance(value, str) else compact(value)
    return text if len(text) <= MOST_VALUE_CHARS else text[: MOST_VALUE_CHARS - 1] + "…"


def winner_text(winner: Winner | None) -> str:
    """A chosen candidate in a line."""
    if winner is None:
        return ABSENT
    families = dict.fromkeys(member.family or member.name for member in winner.members)
    if families:
        return f"{winner.name} of {', '.join(families)}"
    return winner.name if winner.family in winner.name else f"{winner.name} ({winner.family})"


def difference_tables(comparison: Comparison) -> list[tuple[str, str, list[Row]]]:
    """What differs, a table each: an identifier, a title, and rows. Tables without rows are left out."""
    candidates = "Scores of candidates in cross-validation" + ("" if comparison.comparable else " (not comparable)")
    figure = score_format(max((abs(score) for side in comparison.runs for score in side.candidates.values()), default=1.0))

    def score_text(value: Any) -> str:
        return ABSENT if value is None else figure(value) if comparison.metric else compact(value)

    tables: list[tuple[str, str, list[Row]]] = [
        ("settings", "Settings that differ", [_setting_row(d) for d in comparison.settings]),
        ("candidates", candidates, [(d.name, [score_text(value) for value in d.values]) for d in comparison.candidates]),
        ("parameters", "Parameters of the chosen candidates that differ", [_row(d) for d in _shared_first(comparison.parameters)]),
        ("versions", "Versions that differ", [_row(d) for d in comparison.versions]),
    ]
    return [table for table in tables if table[2]]


def work_rows(sides: Sequence[Side]) -> list[Row]:
    """What each run did."""
    rows: list[Row] = [
        ("rounds of tuning", [str(side.rounds) for side in sides]),
        ("families", [", ".join(side.families) or ABSENT for side in sides]),
        ("candidates", [str(len(side.candidates)) for side in sides]),
        ("tool calls", [str(sum(side.tools.values())) for side in sides]),
    ]
    stages = dict.fromkeys(stage.stage for side in sides for stage in side.stages)
    visits = [{stage.stage: stage.visits for stage in side.stages} for side in sides]
    rows += [
        (f"stage {stage}", [_visits(made.get(stage, 0)) for made in visits])
        for stage in stages
        if any(made.get(stage) != 1 for made in visits)
    ]
    tools = differing([side.tools for side in sides])
    rows += [(f"calls of {tool.name}", [str(value or 0) for value in tool.values]) for tool in tools]
    notes = (("fallbacks", [side.fallbacks for side in sides]), ("left out or lost", [side.troubles for side in sides]))
    rows += [(title, ["\n".join(lines) or ABSENT for lines in texts]) for title, texts in notes if any(texts)]
    return rows


def cost_rows(sides: Sequence[Side]) -> list[Row]:
    """What each run cost."""
    return [
        ("dollars", [dollars(side.cost.usd) for side in sides]),
        ("tokens in / out", [f"{side.cost.input_tokens:,} / {side.cost.output_tokens:,}" for side in sides]),
        ("model calls", [f"{side.cost.model_calls:,}" for side in sides]),
        ("search", [duration(side.cost.search_seconds) for side in sides]),
        ("in all", [duration(side.cost.seconds) for side in sides]),
    ]


def _row(difference: Difference) -> Row:
    return difference.name, [value_text(value) for value in difference.values]


def _setting_row(difference: Difference) -> Row:
    if difference.name != "time":
        return _row(difference)
    return difference.name, [duration(value) if isinstance(value, (int, float)) else ABSENT for value in difference.values]


def _shared_first(differences: Sequence[Difference]) -> list[Difference]:
    """What runs have in different values, before what some have and others lack."""

    def rank(difference: Difference) -> tuple[bool, int]:
        there = [value for value in difference.values if value is not None]
        return all(value == there[0] for value in there), len(difference.values) - len(there)

    return sorted(differences, key=rank)


def _contract(side: Side, name: str) -> Any:
    return getattr(side.contract, name)


def _split(side: Side, name: str) -> Any:
    return getattr(_contract(side, "split"), name)


def _folds(side: Side) -> tuple[Any, ...]:
    scheme = ("folds", "fold_kind", "repeats", "leave_one_out", "window", "seed")
    return tuple(_contract(side, name) for name in scheme), _split(side, "gap")


def _visits(count: int) -> str:
    return "not entered" if count == 0 else "once" if count == 1 else f"{count} visits"
