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
from typing import Any, NamedTuple

from reports.chronicle import leaderboard, role_times, seconds_at_work, stage_facts, stage_uses
from reports.conversation import read_turns
from reports.quoted import Figure, figures, names_in
from reports.spent import on_record
from reports.trials import read_search
from team.errors import MlteamError
from team.events import (
    AttemptMade,
    CandidateScored,
    CellExecuted,
    CostForecast,
    Event,
    HoldoutScored,
    MessageSpoken,
    ModelCalled,
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
from tools.constraints import FLOORS
from tools.families import LINEAR

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
SHOWN_PARTS = 5
"""Columns of a prediction that are shown one by one."""
MOST_DEPTH = 12
MOST_FACTS = 400_000


class Backing(NamedTuple):
    """A number on record, and where."""

    value: float
    source: str
    """`event 17: metrics[0].score`, or a file's name and the place in it."""
    subject: str = ""
    """A column, say, that prose must name to use the number: a table of many columns holds some number for every claim."""


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
    return Ledger([*backings, *_derived(events, files)], names)


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


def _derived(events: Sequence[Event], files: Mapping[str, Any]) -> Iterator[Backing]:
    """What documents work out from the record: counts, widths, and how far the few scores that matter lie apart."""
    candidates = {event.name: event for event in events if isinstance(event, CandidateScored)}
    yield Backing(float(len(candidates)), "candidates (count)")
    families = {c.family for c in candidates.values()}
    for given in (families, families - set(FLOORS), families - {*FLOORS, "ensemble"}):
        yield Backing(float(len(given)), "families (count)")
    scored = next((event for event in reversed(events) if isinstance(event, HoldoutScored)), None)
    headline = [(c.name, c.score) for c in candidates.values() if c.family in (*FLOORS, *LINEAR) or (scored and c.name == scored.candidate)]
    if scored:
        yield Backing(scored.high - scored.low, f"event {scored.seq}: high − low")
        headline.append(("holdout", scored.score))
    for (one, a), (other, b) in itertools.combinations(headline, 2):
        yield Backing(a - b, f"{one} − {other}")
    contract = files.get("contract.json", {})
    train, held = contract.get("rows_train"), contract.get("rows_holdout")
    if isinstance(train, int) and isinstance(held, int):
        yield Backing(float(train + held), "contract.json: rows_train + rows_holdout")
        yield Backing(held / max(1, train + held), "contract.json: rows_holdout / all")
    calls = [event for event in events if isinstance(event, ModelCalled)]
    by_role = {(call.role, call.model): [one for one in calls if (one.role, one.model) == (call.role, call.model)] for call in calls}
    for who, some in {"all": calls, **{" ".join(key): some for key, some in by_role.items()}}.items():
        for get in ("input_tokens", "output_tokens", "usd", "seconds"):
            yield Backing(float(sum(getattr(call, get) or 0 for call in some)), f"model calls of {who}: sum of {get}")
        yield Backing(float(sum(call.input_tokens + call.output_tokens for call in some)), f"model calls of {who}: sum of tokens")
        yield Backing(float(len(some)), f"model calls of {who} (count)")
        yield Backing(float(sum(bool(call.estimated) for call in some)), f"model calls of {who} with estimated tokens (count)")
    for use in stage_uses(events):
        for name, value in (("calls", use.calls), ("input_tokens", use.input_tokens), ("output_tokens", use.output_tokens)):
            yield Backing(float(value), f"model calls in stage {use.stage}: {name}")
        yield Backing(use.usd or 0.0, f"model calls in stage {use.stage}: sum of usd")
        yield Backing(use.seconds, f"model calls in stage {use.stage}: sum of seconds")
    yield Backing(float(len(events)), "events.jsonl (count)")
    yield from _of_the_clock(events)
    yield from (Backing(*one) for one in on_record(events))
    yield Backing(sum(call.usd or 0.0 for call in calls), "model calls: sum of known usd")
    yield from _worked_out(events, contract)
    learners = sum(c.family not in FLOORS for c in candidates.values())
    yield Backing(float(learners), "candidates that learn (count)")
    yield from _of_the_search(events, learners)
    yield from _of_the_tree(events)


def _of_the_search(events: Sequence[Event], learners: int) -> Iterator[Backing]:
    """Trials of tuning, which progress told of and no result holds: only what speaks of trials may state them."""
    trials = read_search(events).trials
    yield Backing(float(len(trials)), "trials (count)")
    yield Backing(float(len(trials) + learners), "trials and candidates (count)")
    for told in (trials, [trial for trial in trials if trial.params]):
        for family, count in Counter(trial.family for trial in told).items():
            yield Backing(float(count), f"trials of {family} (count)")
    for trial in trials:
        source = f"event {trial.event}: trial {trial.number} of {trial.family}"
        for value in (trial.number, trial.score, *trial.params.values()):
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                yield Backing(float(value), source, "trial")


def _of_the_tree(events: Sequence[Event]) -> Iterator[Backing]:
    """How many models and attempts the solution tree has."""
    attempts = [event for event in events if isinstance(event, AttemptMade)]
    written = {attempt.name for attempt in attempts}
    others = [row for row in leaderboard(events, None) if row.name not in written]
    yield Backing(float(len(leaderboard(events, None))), "leaderboard (count)")
    yield Backing(float(len(attempts) + len(others)), "models and attempts (count)")
    yield Backing(float(sum(attempt.score is None for attempt in attempts)), "attempts without a score (count)")


def _worked_out(events: Sequence[Event], contract: Mapping[str, Any]) -> Iterator[Backing]:
    """What a page says of two numbers together: candidates beside the best of them, a temperature, what is left of an explanation."""
    scored = {event.name: event for event in events if isinstance(event, CandidateScored) and event.family != "dummy"}
    ranked = sorted(scored.values(), key=lambda c: c.score, reverse=contract.get("direction") != "minimize")
    for best in [c for c in ranked if c.score == ranked[0].score]:
        for c in ranked:
            yield Backing(best.score - c.score, f"{best.name} − {c.name}")
            if c.latency_ms and best.latency_ms:
                yield Backing(best.latency_ms / c.latency_ms, f"latency of {best.name} / {c.name}")
            if c.size_mb and best.size_mb:
                yield Backing(best.size_mb / c.size_mb, f"size of {best.name} / {c.name}")
    for event in events:
        if not isinstance(event, ToolReturned) or event.status != "ok" or event.result is None:
            continue
        if event.tool == "evaluate" and (scale := (event.result.get("calibration") or {}).get("scale")):
            yield Backing(1 / scale, f"event {event.seq}: 1 / calibration.scale")
        if event.tool == "explain":
            for one in event.result.get("examples", []):
                rest = one.get("rest", 0.0) + sum(part["contribution"] for part in one.get("parts", [])[SHOWN_PARTS:])
                yield Backing(rest, f"event {event.seq}: contributions of the columns of row {one.get('row')} that are not shown")


def _of_the_clock(events: Sequence[Event]) -> Iterator[Backing]:
    """Seconds and calls of the run, its turns and its stages, which no single event holds."""
    yield Backing(seconds_at_work(events), "events.jsonl (seconds at work)")
    searched = 0.0
    turns = read_turns(events)
    roles = role_times(turns)
    yield Backing(float(len(turns)), "turns (count)")
    yield Backing(float(len(roles)), "roles that had a turn (count)")
    yield Backing(float(sum(len(turn.calls) for turn in turns)), "calls of tools (count)")
    for role in roles:
        yield Backing(float(role.turns), f"turns of the {role.role} (count)")
        yield Backing(float(role.calls), f"calls of tools by the {role.role} (count)")
        yield Backing(role.seconds, f"turns of the {role.role}: sum of seconds")
    for turn in turns:
        yield Backing(turn.seconds, f"event {turn.event}: seconds of the turn")
        yield Backing(float(len(turn.calls)), f"event {turn.event}: calls of the turn (count)")
        searched += sum(call.search_seconds for call in turn.calls)
    yield Backing(searched, "tool calls: sum of search_seconds")
    spent: dict[tuple[str, str], float] = {}
    for visit in stage_facts(events):
        for what, seconds in (("seconds", visit.seconds), ("search_seconds", visit.search_seconds)):
            spent[visit.stage, what] = spent.get((visit.stage, what), 0.0) + seconds
    for (stage, what), seconds in spent.items():
        yield Backing(seconds, f"stage {stage}: sum of {what}")


def check(ledger: Ledger, document: str, said: Iterable[str], *, cells: bool = False) -> None:
    """Hold what a document says against the record; `cells` as in `Ledger.unbacked`.

    Raises:
        UnbackedFigure: naming the first figure that is not there, and its sentence.
    """
    for text in said:
        if lost := ledger.unbacked(text, prose=False, cells=cells):
            where = "This is a fault of the page, not of the run: report it with events.jsonl." if cells else "Mend it in sections.json."
            raise UnbackedFigure(f"{document} states {lost[0]!r}, which nothing on record backs: {text[:200]!r}. {where}")
