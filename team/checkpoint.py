"""Where a run stands between two turns, and what is known of one that was cut off after it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from team.budget import Usage
from team.errors import MlteamError
from team.events import CellExecuted, Event, RunEnded, RunForked, RunResumed, RunStarted, ToolCalled, ToolReturned
from team.journal import under_way
from team.log import drop_torn_line, mend, read_events
from team.rundir import RunDir
from team.stages import State

SCHEMA_VERSION = 2


class Checkpoint(BaseModel):
    """Everything that the next turn needs beside the files of the run."""

    model_config = ConfigDict(extra="forbid")

    schema_version: int = SCHEMA_VERSION
    state: State
    usage: Usage = field(default_factory=Usage)
    turns: int = 0
    """Turns that have ended."""
    thread: list[tuple[str, str]] = []
    """What was said last: role and text."""
    words: list[str] = []
    """What the user has said to the team, oldest first."""
    takeover: bool = False
    """Whether the playbook has taken over the stage."""
    failures: Annotated[dict[str, int], BeforeValidator(lambda value: {} if isinstance(value, int) else value)] = {}
    """Turns in a row that a model failed, by its name. Earlier versions counted those of one model."""
    seconds: float = 0.0
    """Working seconds of the run so far."""
    stage_seconds: float = 0.0
    """Working seconds of the stage so far."""
    stage_searched: float = 0.0
    """Seconds of search when the stage was entered."""
    events: int = 0
    """Events that it covers: the number of the first one behind it."""


@dataclass(frozen=True)
class CutOff:
    """A run as an earlier process left it."""

    checkpoint: Checkpoint
    tail: list[Event]
    """Events behind the checkpoint."""
    events: list[Event]
    damage: list[str]
    fork_of: str | None = None
    """The run whose checkpoint it is, for one that begins as a fork."""
    changed: dict[str, Any] = field(default_factory=dict)
    """Settings in which a fork differs from that run."""

    @property
    def in_flight(self) -> ToolCalled | None:
        """The call that was under way."""
        return under_way(self.tail)

    @property
    def lost_search_s(self) -> float:
        """Seconds of search that a cut-off call had used by its last sign of life."""
        call = self.in_flight
        if call is None:
            return 0.0
        after = [one for one in self.tail if one.seq > call.seq and not isinstance(one, RunEnded)]
        away = sum(one.away_s for one in after if isinstance(one, RunResumed))
        from tools.spec import registry

        spec = registry().get(call.tool)
        last = max((one.at for one in after), default=call.at)
        if spec is None or not spec.searches:
            return 0.0
        asked = call.arguments.get("time_s")  # the calendar clock may have jumped meanwhile, and no call takes longer than it may
        most = float(asked) if isinstance(asked, (int, float)) else spec.timeout_s
        return max(0.0, min(last - call.at - away, most))

    def is_kept(self, cell: dict[str, Any]) -> bool:
        """Whether a recorded cell stands: its call returned, or it ended within the call that was under way."""
        call = self.in_flight
        if any(isinstance(one, ToolReturned) and one.call == cell["call"] for one in self.events):
            return True
        if call is None or call.call != cell["call"]:
            return False
        # What a tool on the host executes is executed again; what was told of it stays true.
        told = any(isinstance(one, CellExecuted) and (one.call, one.cell) == (cell["call"], cell["cell"]) for one in self.events)
        return call.where == "kernel" or told

    def event(self, state: State, place: Path) -> RunResumed | RunForked:
        """What is told of taking the run up.

        Args:
            place: the run directory as it lies now.
        """
        if self.fork_of is not None:
            return RunForked(parent=self.fork_of, turn=self.checkpoint.turns, changed=self.changed)
        last = self.events[-1].at if self.events else time.time()
        call = self.in_flight
        return RunResumed(
            times=1 + sum(isinstance(one, RunResumed) for one in self.events),
            turn=self.checkpoint.turns,
            stage=str(state.stage or "end"),
            away_s=max(0.0, time.time() - last),
            in_flight=call.tool if call else None,
            damage=self.damage,
            folder="" if _known_place(self.events) == place.resolve() else str(place),
        )


def _known_place(events: list[Event]) -> Path | None:
    """Where the log says that the run lies."""
    for event in reversed(events):
        if isinstance(event, RunResumed) and event.folder:
            return Path(event.folder).resolve()
        if isinstance(event, RunStarted):
            return Path(str(event.settings.get("out", "runs")), event.run).resolve()
    return None


def read_cut_off(run: RunDir) -> CutOff:
    """Find out where a run was cut off, and mend what a crash or a hand damaged. The caller holds the run's lock.

    Raises:
        MlteamError: when the run was written by a later version, or nothing of it is good.
    """
    run.sweep()
    drop_torn_line(run.vault / "ledger.jsonl")
    damage = mend(run.events)
    events = list(read_events(run.events))
    checkpoint, problems = _newest(run)
    if checkpoint.events > (events[-1].seq + 1 if events else 0):
        # The log lost events that the checkpoint rests on: an older one, whose events are all there, is the truth.
        problems.append(f"checkpoint {checkpoint.turns} speaks of events that the log has lost; an older one is used")
        checkpoint, more = _newest(run, at_most=events[-1].seq + 1 if events else 0)
        problems += more
    tail = [one for one in events if one.seq >= checkpoint.events]
    return CutOff(checkpoint, tail, events, damage + problems)


def read_checkpoint(path: Path) -> Checkpoint:
    """One checkpoint, also of an earlier version.

    Raises:
        MlteamError: when it is damaged or was written by a later version.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        version = document.get("schema_version", 0)
        if isinstance(version, int) and version > SCHEMA_VERSION:
            raise MlteamError(
                f"{path.name} was written by a later mlteam (checkpoint version {version}; this one reads up to {SCHEMA_VERSION}). "
                "Use that version, or a newer one."
            )
        return Checkpoint.model_validate(document if version == SCHEMA_VERSION else _of_version_1(document, path))
    except (OSError, ValueError, ValidationError, AttributeError, KeyError) as error:
        raise MlteamError(f"{path.name} is damaged ({type(error).__name__})") from None


def _of_version_1(document: dict[str, Any], path: Path) -> dict[str, Any]:
    """Version 1 did not say which events it covers; those up to the end of its turn."""
    from team.events import StageEnded, StageEntered, TurnEnded, TurnStarted

    turns, covered = int(document["turns"]), 0
    for event in read_events(path.parent / "events.jsonl"):
        if isinstance(event, TurnStarted) and event.turn > turns:
            break
        if isinstance(event, (TurnEnded, StageEnded, StageEntered)) or covered == 0:
            covered = event.seq + 1
    kept = {key: document[key] for key in ("state", "usage", "turns", "thread")}
    return {**kept, "schema_version": SCHEMA_VERSION, "events": covered}


def _newest(run: RunDir, at_most: int | None = None) -> tuple[Checkpoint, list[str]]:
    """The newest good checkpoint that covers at most so many events, and what was wrong with newer ones."""
    damage: list[str] = []
    for path in _candidates(run):
        try:
            checkpoint = read_checkpoint(path)
        except MlteamError as error:
            if "later mlteam" in str(error):
                raise
            damage.append(f"{error}; an older one is used")
            continue
        if at_most is None or checkpoint.events <= at_most:
            return checkpoint, damage
    return Checkpoint(state=State()), [*damage, "no checkpoint is good: the run is gone through from its beginning"] if damage else damage


def _candidates(run: RunDir) -> Iterable[Path]:
    yield from (path for path in [run.checkpoint] if path.exists())
    yield from sorted(run.checkpoints.glob("[0-9]*.json"), reverse=True)
