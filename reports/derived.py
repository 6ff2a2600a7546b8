"""What documents work out from the record, so that it is on record too: counts, sums, differences and quotients."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from reports.chronicle import leaderboard, role_times, seconds_at_work, stage_facts, stage_uses
from reports.conversation import read_turns
from reports.spent import on_record
from reports.trials import read_search
from team.events import AttemptMade, CandidateScored, Event, HoldoutScored, ModelCalled, ToolReturned
from tools.constraints import FLOORS
from tools.families import LINEAR

SHOWN_PARTS = 5
"""Columns of a prediction that are shown one by one."""


class Backing(NamedTuple):
    """A number on record, and where."""

    value: float
    source: str
    """`event 17: metrics[0].score`, or a file's name and the place in it."""
    subject: str = ""
    """A column, say, that prose must name to use the number: a table of many columns holds some number for every claim."""


def derived(events: Sequence[Event], files: Mapping[str, Any]) -> Iterator[Backing]:
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
