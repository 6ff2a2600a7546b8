"""What must hold of a run that was killed and resumed, seen beside the same run that nobody disturbed.

Every check looks at files alone, believes no summary without the log behind it, and gives what it found as problems in words.
"""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypeVar

from evals.chaos_moments import OF_PROCESSES
from team.cells import read_cells
from team.errors import MlteamError
from team.events import (
    CandidateScored,
    CellExecuted,
    Event,
    HoldoutScored,
    RunEnded,
    RunResumed,
    RunStarted,
    StageEnded,
    StageEntered,
    ToolCalled,
    ToolReturned,
    TurnEnded,
    TurnStarted,
)
from team.log import read_events
from team.rundir import RunDir

E = TypeVar("E", bound=Event)

SAME_RESULT = ("task", "target", "metric", "direction", "holdout", "cv", "baseline", "model", "candidates", "rounds")
"""Entries of the summary that a kill may not change."""
HALF_WRITTEN = (".*.tmp", "*.tmp", ".fold-*")
_SPINE = frozenset(
    {"run_started", "stage_entered", "stage_ended", "turn_started", "turn_ended", "round_ended", "holdout_scored", "run_ended"}
)
_VARYING_ARGUMENT = re.compile(r"\btime_s=[\d.]+")
_ID = re.compile(r"\b[0-9a-f]{32}\b")
_CHECKPOINT = re.compile(r"checkpoints/\d+\.json")
_BOARD_ROW = re.compile(r'class="name"><span>(?P<name>[^<]*)</span>.*?class="n figure">(?P<score>[^<]*)<', re.DOTALL)
_BIG_SCORE = re.compile(r'class="big">([^<]*)<')
_RESUMED = re.compile(r"resumed (once|twice|(\d+) times)")
_MOST_NAMED = 6


class Record:
    """A finished run's directory and its log."""

    def __init__(self, run: Path, same_calls: bool = True) -> None:
        """Read the log.

        Args:
            same_calls: see `check_run`.

        Raises:
            MlteamError: when it is damaged.
        """
        self.same_calls = same_calls
        self.dir = RunDir(run)
        self.events = list(read_events(self.dir.events))

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def resumes(self) -> int:
        """How often the log says that the run was resumed."""
        return len(self.of(RunResumed))

    @property
    def summary(self) -> dict[str, Any]:
        ended = self.of(RunEnded)
        return ended[-1].summary if ended else {}


def check_run(run: Path, undisturbed: Path, *, same_calls: bool) -> list[str]:
    """Everything that must hold of a finished run's directory.

    Args:
        run: the directory of the run that was killed.
        undisturbed: the directory of the same run without a kill.
        same_calls: whether the team must have made the very same calls; not so where a kernel was killed under a living host, since
            the team then sees a call fail and makes another.

    Returns:
        The problems, each beginning with the name of its check; empty when all is well.
    """
    try:
        there, here = Record(undisturbed), Record(run, same_calls)
    except MlteamError as error:
        return [f"log: {error}"]
    checks: dict[str, Callable[[Record, Record], Iterator[str]]] = {
        "finished": finished,
        "result": same_result,
        "candidates": same_candidates,
        "order": in_order,
        "pairs": in_pairs,
        **({"events": same_events} if same_calls else {}),
        "cells": cells_match,
        "holdout": looked_once,
        "documents": same_documents,
        "tracked": tracked_once,
        "traced": traced_once,
        "readable": all_readable,
        "files": same_files,
        "half written": nothing_half_written,
        "lock": not_locked,
    }
    return [f"{name}: {problem}" for name, check in checks.items() for problem in check(here, there)]


def finished(here: Record, there: Record) -> Iterator[str]:
    """The last event ends the run as done."""
    last = here.events[-1]
    if not isinstance(last, RunEnded) or last.status != "done":
        yield f"the last event is {last.kind}{' ' + last.status if isinstance(last, RunEnded) else ''}, not run_ended done"
    for extra in here.of(RunEnded)[:-1]:
        yield f"event {extra.seq} ended the run as {extra.status} before the end"


def same_result(here: Record, there: Record) -> Iterator[str]:
    """Scores, model and counts are exactly the undisturbed run's."""
    for name in SAME_RESULT:
        ours, theirs = here.summary.get(name), there.summary.get(name)
        if ours != theirs:
            yield f"{name} is {ours!r}, undisturbed {theirs!r}"


def same_candidates(here: Record, there: Record) -> Iterator[str]:
    """The same candidates with the same scores, each scored once, in the log and on the leaderboard."""
    yield from _difference(Counter(map(_candidate, here.of(CandidateScored))), Counter(map(_candidate, there.of(CandidateScored))))
    boards = [json.loads(record.dir.leaderboard.read_text(encoding="utf-8"))["candidates"] for record in (here, there)]
    ours, theirs = ([(row["name"], row["score"]) for row in board] for board in boards)
    if (parted := _parted(ours, theirs)) is not None:
        yield f"the leaderboard has {parted[0]} where the undisturbed run's has {parted[1]}"


def _candidate(event: CandidateScored) -> tuple[Any, ...]:
    return event.name, event.family, event.score, tuple(event.fold_scores), event.stage


def in_order(here: Record, there: Record) -> Iterator[str]:
    """Events are numbered from 0 without a gap or a repetition."""
    numbers = [event.seq for event in here.events]
    wrong = next((place for place, number in enumerate(numbers) if place != number), None)
    if wrong is not None:
        yield f"line {wrong + 1} of the log has seq {numbers[wrong]}, expected {wrong}"


def in_pairs(here: Record, there: Record) -> Iterator[str]:
    """Whatever began ended, once: calls, turns, stages."""
    called, returned = Counter(e.call for e in here.of(ToolCalled)), Counter(e.call for e in here.of(ToolReturned))
    tools = {e.call: e.tool for e in here.of(ToolCalled)}
    for call in {**called, **returned}:
        if (called[call], returned[call]) != (1, 1):
            yield f"call {call} of {tools.get(call, 'nobody')} was made {called[call]} times and returned {returned[call]} times"
    began = Counter(e.turn for e in here.of(TurnStarted))
    ended = Counter(e.turn for e in here.of(TurnEnded) if e.status == "ok")
    for turn in sorted({**began, **ended}):
        if (began[turn], ended[turn]) != (1, 1):
            yield f"turn {turn} started {began[turn]} times and ended well {ended[turn]} times"
    for failed in (e for e in here.of(TurnEnded) if e.status != "ok"):
        yield f"turn {failed.turn} failed: {failed.error}"
    if sorted(began) != list(range(1, len(began) + 1)):
        yield f"the turns are numbered {sorted(began)}"
    entered, left = (Counter((e.stage, e.visit) for e in found) for found in (here.of(StageEntered), here.of(StageEnded)))
    for visit in {**entered, **left}:
        if (entered[visit], left[visit]) != (1, 1):
            yield f"visit {visit[1]} of stage {visit[0]} began {entered[visit]} times and ended {left[visit]} times"
    starts = len(here.of(RunStarted))
    if starts != 1:
        yield f"the run started {starts} times"


def same_events(here: Record, there: Record) -> Iterator[str]:
    """Every event that tells of the run stands in the log as often as in the undisturbed run's, and the larger ones in its order."""
    ours, theirs = ([_said(event, record) for event in record.events if event.kind not in OF_PROCESSES] for record in (here, there))
    yield from _difference(Counter(ours), Counter(theirs))
    if (parted := _parted(*([one for one in said if one[0] in _SPINE] for said in (ours, theirs)))) is not None:
        yield f"the order differs: {parted[0]} where the undisturbed run has {parted[1]}"


def _said(event: Event, record: Record) -> tuple[Any, ...]:
    """What an event says that is the same in every run of the same settings."""
    facts = event.model_dump()
    kept = {
        "turn_started": ("turn", "role", "stage"),
        "turn_ended": ("turn", "role", "status", "error"),
        "message_spoken": ("turn", "role"),
        "model_called": ("turn", "role", "model", "finish_reason", "error"),
        "tool_called": ("turn", "role", "tool", "where"),
        "tool_returned": ("tool", "status"),
        "cell_executed": ("status", "cause"),
        "stage_entered": ("stage", "visit"),
        "stage_ended": ("stage", "visit", "outcome"),
        "candidate_scored": ("name", "score"),
        "round_ended": ("round", "gain", "noise"),
        "reviewed": ("stage", "verdict", "back_to"),
        "optimism_estimated": ("candidate", "score", "optimism"),
        "holdout_scored": ("candidate", "score", "looks"),
        "fell_back": ("stage", "role", "reason"),
        "budget_warned": ("cap", "share"),
        "run_ended": ("status", "reason"),
    }.get(event.kind, ())
    caller = next((e for e in record.of(ToolCalled) if e.call == facts.get("call")), None)
    return event.kind, *(facts[name] for name in kept), *((caller.turn, caller.tool) if caller else ())


def cells_match(here: Record, there: Record) -> Iterator[str]:
    """The journal of cells has what the log says was executed: the same cells, numbered from 0, each once."""
    journal = [(cell["cell"], cell["call"], cell["status"]) for cell in read_cells(here.dir.cells)]
    logged = [(event.cell, event.call, event.status) for event in here.of(CellExecuted)]
    if [cell[0] for cell in journal] != list(range(len(journal))):
        yield f"cells.jsonl is numbered {[cell[0] for cell in journal]}"
    yield from _difference(Counter(journal), Counter(logged), "cells.jsonl", "the log")


def looked_once(here: Record, there: Record) -> Iterator[str]:
    """The holdout was scored once, and the ledger has that one look."""
    scored, ledger = here.of(HoldoutScored), here.dir.vault / "ledger.jsonl"
    looks = [json.loads(line) for line in ledger.read_text(encoding="utf-8").splitlines()] if ledger.exists() else []
    if len(scored) != 1 or len(looks) != 1:
        yield f"the holdout was scored {len(scored)} times, and the ledger has {len(looks)} looks"
    elif (looks[0]["candidate"], looks[0]["score"]) != (scored[0].candidate, scored[0].score):
        yield f"the ledger has {looks[0]['candidate']} {looks[0]['score']}, the log {scored[0].candidate} {scored[0].score}"


def same_documents(here: Record, there: Record) -> Iterator[str]:
    """Report and notebook exist, say the same where they should, and how often the run was resumed."""
    missing = [path.name for path in (here.dir.report, here.dir.notebook, here.dir.model / "package.json") if not path.exists()]
    if missing:
        yield f"missing: {', '.join(missing)}"
        return
    ours, theirs = (record.dir.report.read_text(encoding="utf-8") for record in (here, there))
    for what, pattern in (("score", _BIG_SCORE), ("leaderboard", _BOARD_ROW)):
        shown, expected = pattern.findall(ours), pattern.findall(theirs)
        if (parted := _parted(shown, expected)) is not None or not expected:
            yield f"the report's {what} has {parted and parted[0]} where the undisturbed run's has {parted and parted[1]}"
    told = _RESUMED.search(re.sub(r"<[^>]*>", "", ours))
    times = 0 if told is None else int(told[2] or {"once": 1, "twice": 2}[told[1]])
    if times != here.resumes:
        yield f"the report tells of {times} resumes, the log has {here.resumes}"
    code, expected_code = _notebook_code(here), _notebook_code(there)
    if not here.same_calls:  # what was called once more stands there twice
        code, expected_code = sorted(set(code)), sorted(set(expected_code))
    if (cells := _parted(code, expected_code)) is not None:
        yield f"the notebook has the cell {cells[0]!r} where the undisturbed run's has {cells[1]!r}"


def _notebook_code(record: Record) -> list[str]:
    """Code cells of calls that went well, in order; the time that a call was given varies from run to run."""
    went_well = {e.call for e in record.of(ToolReturned) if e.status == "ok"}
    cells = json.loads(record.dir.notebook.read_text(encoding="utf-8"))["cells"]
    code = [c for c in cells if c["cell_type"] == "code" and c["metadata"].get("mlteam", {}).get("call") in {*went_well, None}]
    return [_VARYING_ARGUMENT.sub("time_s=…", "".join(c["source"])) for c in code]


def tracked_once(here: Record, there: Record) -> Iterator[str]:
    """The tracker has the run and its candidates as often as the undisturbed run's has them, all finished.

    A record that was cut off is in the tracker's trash, where the whole one that replaced it put it.
    """
    yield from _difference(_tracked(here.dir.tracking), _tracked(there.dir.tracking))


def _tracked(store: Path) -> Counter[tuple[str, str]]:
    if not store.exists():
        return Counter()
    with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as connection:
        rows = connection.execute("select name, status from runs where lifecycle_stage = 'active'").fetchall()
    connection.close()
    # The run itself is named after its directory.
    return Counter(("a run" if re.match(r"\d{8}-\d{6}-", str(name)) else str(name), str(status)) for name, status in rows)


def traced_once(here: Record, there: Record) -> Iterator[str]:
    """The spans are one tree: none is there twice, and no turn or call has two. Lines that cannot be read are told elsewhere."""
    spans = []
    for line in here.dir.traces.read_text(encoding="utf-8").splitlines() if here.dir.traces.exists() else ():
        with contextlib.suppress(ValueError):
            spans.append(json.loads(line))
    ids = Counter(span["context"]["span_id"] for span in spans)
    keys = Counter(
        f"{name} {span['attributes'][name]}"
        for span in spans
        for name in ("mlteam.turn", "gen_ai.tool.call.id")
        if name in span["attributes"]
    )
    yield from (f"{one} is traced {times} times" for one, times in (ids + keys).items() if times > 1)
    if (traces := len({span["context"]["trace_id"] for span in spans})) != 1:
        yield f"there are {traces} traces"
    if (roots := sum(span["parent_id"] is None for span in spans)) != 1:
        yield f"{roots} spans have no parent"
    yield from (
        f"the parent of {span['name']} is not there" for span in spans if span["parent_id"] is not None and span["parent_id"] not in ids
    )


def all_readable(here: Record, there: Record) -> Iterator[str]:
    """Every JSON document and every line of JSON can be read."""
    for path in sorted(p for p in here.dir.path.rglob("*.json*") if p.suffix in (".json", ".jsonl")):
        name = path.relative_to(here.dir.path)
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
        if path.suffix == ".jsonl" and lines.pop():
            yield f"{name} does not end with a newline"
        for number, text in enumerate(lines if path.suffix == ".jsonl" else ["\n".join(lines)], 1):
            try:
                json.loads(text)
            except ValueError as error:
                yield f"{name}, line {number}: {error}"


def same_files(here: Record, there: Record) -> Iterator[str]:
    """The directory has the files that the undisturbed run's has, apart from checkpoints, of which there may be more."""
    ours, theirs = (Counter(_files(record.dir.path)) for record in (here, there))
    yield from _difference(ours, theirs)


def _files(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*"):
        if not path.is_dir():
            name = str(path.relative_to(folder))
            if not _CHECKPOINT.fullmatch(name):
                yield _ID.sub("*", name)


def nothing_half_written(here: Record, there: Record) -> Iterator[str]:
    """No temporary file, and no folder of a fold in quarantine."""
    for pattern in HALF_WRITTEN:
        for path in sorted(here.dir.path.rglob(pattern)):
            yield str(path.relative_to(here.dir.path))


def not_locked(here: Record, there: Record) -> Iterator[str]:
    """The lock can be taken."""
    try:
        with here.dir.lock():
            pass
    except MlteamError as error:
        yield str(error)


def _parted(ours: Sequence[Any], theirs: Sequence[Any]) -> tuple[Any, Any] | None:
    """Where two sequences part: what each has there, or None when they are the same."""
    return next(((a, b) for a, b in zip_longest(ours, theirs) if a != b), None)


def _difference(ours: Counter[Any], theirs: Counter[Any], here: str = "this run", there: str = "the undisturbed one") -> Iterator[str]:
    """What one has and the other has not, each with its number."""
    for more, less, where in ((ours, theirs, here), (theirs, ours, there)):
        extra: Sequence[tuple[Any, int]] = sorted((more - less).items(), key=repr)
        named = ", ".join(
            f"{one if isinstance(one, str) else ' '.join(map(str, one))}" + f" ×{n}" * (n > 1) for one, n in extra[:_MOST_NAMED]
        )
        if extra:
            yield f"only in {where}: {named}" + (f" and {len(extra) - _MOST_NAMED} more" if len(extra) > _MOST_NAMED else "")
