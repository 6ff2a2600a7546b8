"""The claim ledger: every number that a run's record holds, each with the place that it stands in.

What roles said counts for nothing here, since a model may say anything: plans, reviews, messages and arguments are left out.
Left are what tools gave back, what the host scored and measured, and the files that were sealed.
"""

from __future__ import annotations

import itertools
import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from reports.derived import Backing, derived
from reports.quoted import Figure, figures, names_in
from team.errors import MlteamError
from team.events import (
    CellExecuted,
    CostForecast,
    Event,
    MessageSpoken,
    ObjectionAnswered,
    ObjectionRaised,
    ProgressMade,
    ResourcesUsed,
    Reviewed,
    ToolCalled,
    ToolReturned,
    TurnStarted,
    WorkTimed,
)
from team.log import read_events
from team.rundir import RunDir

WORDS = (
    *(MessageSpoken, ToolCalled, TurnStarted, Reviewed, ObjectionRaised, ObjectionAnswered, ProgressMade, CellExecuted, WorkTimed),
    *(CostForecast, ResourcesUsed),
)
"""Events that repeat what a role said, measure nothing, or hold parts of what is stated as a sum."""
WORD_TOOLS = ("record_plan", "review", "write_section", "build_report")
WORD_KEYS = frozenset({"idea", "lesson", "why", "approach", "findings", "kind", "seq", "at", "call", "turn", "sha256", "code"})
BOUND_KEYS = {"fold_scores": "fold"}
"""Lists whose numbers back a sentence only where it speaks of them."""
COUNTED_BY = ("kind", "family", "stage")
MOST_DEPTH = 12
MOST_FACTS = 400_000


class UnbackedFigure(MlteamError):
    """A document states a number that nothing on record backs."""


class Ledger:
    """The numbers of one run, and the names in which digits are no numbers."""

    def __init__(self, backings: Sequence[Backing], names: Sequence[str] = ()) -> None:
        self._backings = sorted((one._replace(value=abs(one.value)) for one in backings), key=lambda one: (one.value, one.source))
        self._values = [one.value for one in self._backings]
        self.names = names_in(names)

    def backing(self, figure: Figure, text: str | None = None) -> Backing | None:
        """The first number on record that is printed as `figure`; None where there is none.

        Args:
            text: the prose around it, which must name the subjects of what backs it; None takes every number on record.
        """
        said = None if text is None else text.lower()
        for value, half in figure.readings():
            low = bisect_left(self._values, value - half * 1.000001 - 1e-12)
            for one in itertools.islice(self._backings, low, None):
                if one.value > value + half * 1.000001 + 1e-12:
                    break
                if said is None or one.subject.lower() in said:
                    return one
        return None

    def unbacked(self, text: str, *, prose: bool = True, cells: bool = False) -> list[str]:
        """The figures in `text` that nothing on record backs, as they are written, each once.

        Args:
            cells: whether `text` is what stands in a cell, where the sign of per cent may stand beside it.
        """
        found = [one._replace(per_cent=True) if cells else one for one in figures(text, self.names)]
        return list(dict.fromkeys(one.text for one in found if self.backing(one, text if prose else None) is None))

    def withheld(self, cells: Iterable[str]) -> frozenset[str]:
        """Texts of cells with a figure that nothing on record backs."""
        return frozenset(text for text in cells if self.unbacked(text, prose=False, cells=True))

    def with_file(self, source: str, document: Any) -> Ledger:
        """This ledger and the numbers that were worked out from a file; `source` names it and its hash."""
        more = Ledger([*self._backings, *itertools.islice(_numbers(document, f"{source}: "), MOST_FACTS)])
        more.names = self.names
        return more

    def without_unbacked(self, text: str) -> str:
        """`text` without the sentences that hold such figures."""
        lost = self.unbacked(text)
        if not lost:
            return text
        kept = []
        for paragraph in text.split("\n\n"):
            sentences = [s for s in paragraph.replace(". ", ".\0").split("\0") if not any(figure in s for figure in lost)]
            kept.append(" ".join(sentences))
        return "\n\n".join(part for part in kept if part)


def read_ledger(run: Path, events: int | None = None) -> Ledger:
    """The ledger of the run directory `run`.

    Args:
        events: how many of the log's first ones count, so that a document of a run that goes on is held against what it was made of.

    Raises:
        MlteamError: when the event log is damaged, naming the line.
    """
    place = RunDir(run)
    return ledger_of(list(itertools.islice(read_events(place.events), events)), files_of(place))


def files_of(place: RunDir) -> dict[str, Any]:
    """The sealed documents of a run by name; one that cannot be read holds no numbers."""
    found: dict[str, Any] = {}
    for path in (place.contract, place.manifest):
        try:
            found[path.name] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
    return found


def ledger_of(events: Sequence[Event], files: Mapping[str, Any]) -> Ledger:
    """The ledger of these events and sealed documents."""
    backings: list[Backing] = []
    names: list[str] = []
    for source, document in _documents(events, files):
        backings += itertools.islice(_numbers(document, source), MOST_FACTS)
        names += _names(document)
    return Ledger([*backings, *derived(events, files)], names)


def _documents(events: Sequence[Event], files: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for event in events:
        if isinstance(event, ToolReturned):
            if event.status == "ok" and event.tool not in WORD_TOOLS and event.result is not None:
                yield f"event {event.seq}: ", event.result
            yield f"event {event.seq}: ", {"seconds": event.seconds, "search_seconds": event.search_seconds}
        elif not isinstance(event, WORDS):
            yield f"event {event.seq}: ", event.model_dump(mode="json", exclude={"kind", "seq", "at"})
    for name, document in files.items():
        yield f"{name}: ", document


def _numbers(value: Any, source: str, subject: str = "", depth: int = 0) -> Iterator[Backing]:
    if depth > MOST_DEPTH or isinstance(value, bool) or value is None:
        return
    if isinstance(value, (int, float)):
        yield Backing(float(value), source, subject)
    elif isinstance(value, str):
        for figure in figures(value):
            yield Backing(figure.value, source, subject)
    elif isinstance(value, dict):
        subject = str(value["column"]) if isinstance(value.get("column"), str) else subject
        for key, inner in value.items():
            if key not in WORD_KEYS:
                yield from _numbers(inner, f"{source}{'' if source.endswith(' ') else '.'}{key}", BOUND_KEYS.get(key, subject), depth + 1)
    elif isinstance(value, list):
        yield Backing(float(len(value)), f"{source} (count)")
        rows = [row for row in value if isinstance(row, dict)]
        for key in COUNTED_BY:
            for kind, count in Counter(str(row[key]) for row in rows if key in row).items():
                yield Backing(float(count), f"{source} (count of {key} {kind})")
        if missing := sum(1 for row in rows if isinstance(row.get("missing"), float) and row["missing"] > 0):
            yield Backing(float(missing), f"{source} (count with missing values)")
        for position, inner in enumerate(value):
            yield from _numbers(inner, f"{source}[{position}]", subject, depth + 1)


def _names(value: Any, depth: int = 0) -> Iterator[str]:
    """Strings that may be names: of columns, classes, candidates, files."""
    if depth > MOST_DEPTH:
        return
    if isinstance(value, str):
        if len(value) <= 200 and not value.replace(".", "").replace(",", "").strip("-+ %").isdigit():
            yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key not in WORD_KEYS:
                yield str(key)
                yield from _names(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _names(inner, depth + 1)


def check(ledger: Ledger, document: str, said: Iterable[str], *, cells: bool = False) -> None:
    """Hold what a document says against the record; `cells` as in `Ledger.unbacked`.

    Raises:
        UnbackedFigure: naming the first figure that is not there, and its sentence.
    """
    for text in said:
        if lost := ledger.unbacked(text, prose=False, cells=cells):
            where = "This is a fault of the page, not of the run: report it with events.jsonl." if cells else "Mend it in sections.json."
            raise UnbackedFigure(f"{document} states {lost[0]!r}, which nothing on record backs: {text[:200]!r}. {where}")
