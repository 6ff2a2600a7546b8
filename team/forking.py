"""Start a new run from a checkpoint of another one.

What both runs only read (the source, the split rows, the sealed labels) is shared by hard links and takes no room. What the sandbox
writes to is copied, since code in one sandbox could change the other's files through a link. A fork knows what its parent has seen: if the
parent looked at the holdout after the checkpoint, the fork's ledger counts that look, and its own score is told as the second.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from team.cells import read_cells
from team.checkpoint import Checkpoint, CutOff, read_checkpoint
from team.errors import MlteamError, UsageError
from team.events import CellExecuted, Event, UserSpoken
from team.evidence import Evidence
from team.log import EventLog, read_events
from team.rundir import RunDir, create_run, write_atomic
from team.settings import Settings, read_settings
from team.stages import Stage
from team.vault import Vault
from tools.beyond import BEYOND_FILE
from tools.candidates import Candidate, free_name, write_candidate
from tools.conversion import READING, TABLE
from tools.sources.contract import RECORD, files_folder
from tools.sources.frame import frame_file
from tools.studies import FORKED, PARENT_STUDIES
from tools.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np

CONSTRAINTS = ("max_latency_ms", "max_size_mb", "interpretable", "monotone", "families", "forbid", "sensitive", "constraint")
DECIDED_BY_THE_SPLIT = (
    *("source", "target", "task", "event", "classes", "quantiles", "metric", "holdout", "seed", "mask_pii", "without"),
    *("folds", "validation", "repeats", "window", "gap", "own_split", "group", "time_column"),
    *("series", "horizon", "known"),
    *CONSTRAINTS,
)
"""Settings that the sealed contract rests on."""

AFTER_THE_LOOK = ("scored.parquet", "intervals.json", "curves.json")
"""What the vault keeps only when the holdout was scored."""


class Brought(NamedTuple):
    """A candidate that was found outside of a run, over the folds of its contract."""

    candidate: Candidate
    """Its name is the beginning of the one that it gets."""
    oof: np.ndarray
    """Out-of-fold predictions of all repeats, (repeats · n, k) or (repeats · n,)."""
    before: np.ndarray | None
    """The same before they were calibrated; None where they were not."""
    by: str
    """Who found it, for the words that the team gets."""


def fork(
    parent: RunDir, at: str, changes: dict[str, Any], out: Path | None = None, brought: Brought | None = None
) -> tuple[RunDir, CutOff]:
    """Make a run directory that stands where `parent` stood.

    Args:
        at: a number of turns that had ended, or the name of a stage: then where it was first entered.
        changes: settings that are to differ, by their dotted names.
        out: folder of the new run; None for the parent's.
        brought: a candidate that the fork has beside those of its parent, scored here as any other.

    Returns:
        The new run, and what its conductor is to go on from.

    Raises:
        UsageError: there is no such checkpoint, or a setting cannot be changed there.
    """
    checkpoint, settings = foreseen(parent, at, changes)
    events = [event for event in read_events(parent.events) if event.seq < checkpoint.events]
    fork = create_run(out or parent.path.parent, f"{parent.name[16:] or 'run'}-fork")
    try:
        _fill(parent, fork, checkpoint, events)
        if brought is not None:
            checkpoint = _bring(fork, checkpoint, brought)
            events = list(read_events(fork.events))
        write_atomic(fork.settings, settings.to_yaml())
        fork.write_checkpoint(checkpoint.model_dump(mode="json"))
    except BaseException:
        fork.remove()
        raise
    told = {name: value for name, value in settings.model_dump(mode="json").items() if _differs(parent, name, value)}
    return fork, CutOff(checkpoint, [], events, [], fork_of=parent.name, changed=told)


def foreseen(parent: RunDir, at: str, changes: dict[str, Any]) -> tuple[Checkpoint, Settings]:
    """Where such a fork would begin, and its settings.

    Raises:
        UsageError: it cannot be made.
    """
    if not parent.settings.exists():
        raise UsageError(f"run {parent.name!r} has not begun: there is nothing to fork.")
    checkpoint = find_checkpoint(parent, at)
    return checkpoint, _changed(parent, changes, checkpoint)


def find_checkpoint(run: RunDir, at: str) -> Checkpoint:
    """The checkpoint that `at` names.

    Raises:
        UsageError: there is none, naming those there are.
    """
    there = _checkpoints(run)
    entered: dict[str, Checkpoint] = {}
    for checkpoint in there.values():
        if checkpoint.state.stage is not None and checkpoint.state.turns_in_visit == 0:
            entered.setdefault(str(checkpoint.state.stage), checkpoint)
    found = there.get(int(at)) if at.isdigit() else entered.get(at)
    if found is None:
        turns = f"turns {min(there)} to {max(there)}" if there else "no turn"
        stages = ", ".join(entered) or "no stage"
        raise UsageError(f"{at!r} is no step to go back to: run {run.name!r} has checkpoints of {turns}, and of entering {stages}.")
    if found.state.stage is None:
        raise UsageError(f"{at!r} is no step to go on from: the run had ended there. Choose an earlier step; stages: {', '.join(entered)}.")
    return found


def before_the_choice(run: RunDir) -> Checkpoint:
    """The last checkpoint at which a further candidate can still be chosen: where selecting began last, or else in the search before it.

    Raises:
        UsageError: the run has trained nothing yet.
    """
    searching = (Stage.TRAIN, Stage.OPTIMISE)
    there = [one for one in _checkpoints(run).values() if one.state.holdout is None]
    selecting = [one for one in there if one.state.stage is Stage.SELECT and one.state.turns_in_visit == 0]
    found = selecting or [one for one in there if one.state.stage in searching]
    if not found:
        raise UsageError(
            f"run {run.name!r} has trained nothing yet, so no candidate can be chosen in it. Go on with it: mlteam resume {run.path}"
        )
    return max(found, key=lambda one: one.turns)


def _checkpoints(run: RunDir) -> dict[int, Checkpoint]:
    """Those that can be read, by the turns that had ended."""
    there: dict[int, Checkpoint] = {}
    for path in sorted(run.checkpoints.glob("[0-9]*.json")):
        with contextlib.suppress(MlteamError):  # a damaged one is as good as none
            checkpoint = read_checkpoint(path)
            there[checkpoint.turns] = checkpoint
    return there


def _bring(fork: RunDir, checkpoint: Checkpoint, brought: Brought) -> Checkpoint:
    """Put a candidate into a fork that has not begun, and score it.

    Raises:
        UsageError: its predictions break the fork's contract.
    """
    from tools.problem import load_problem

    space, log = Workspace(fork.data, fork.work), EventLog(fork.events)
    try:
        record = brought.candidate.model_copy(update={"name": free_name(space, brought.candidate.name)})
        write_candidate(space, record, load_problem(space), brought.oof, brought.before)
        words = f"{record.name} was found by {brought.by} over the folds of this run's contract. It is a candidate like the others."
        log.append(UserSpoken(turn=checkpoint.turns + 1, text=words))
        state, problems = Evidence(fork, Vault(fork), log.append).of_candidates(checkpoint.state)
        if problems:
            raise UsageError(f"{'; '.join(problems)}.")
        log.sync()
        return checkpoint.model_copy(update={"state": state, "events": log.length, "words": [*checkpoint.words, words]})
    finally:
        log.close()


def _changed(parent: RunDir, changes: dict[str, Any], checkpoint: Checkpoint) -> Settings:
    known = set(Settings.model_fields)
    for name in changes:
        top = name.partition(".")[0]
        if top not in known:
            raise UsageError(f"{name}: there is no such setting. Settings: {', '.join(sorted(known))}.")
        if top in DECIDED_BY_THE_SPLIT and checkpoint.state.sealed:
            raise UsageError(f"{name}: the data are split and sealed at that step. Fork before it: at {Stage.ACQUIRE}.")
        if top == "preparers" and checkpoint.state.prepared:
            raise UsageError(f"{name}: the columns are prepared at that step. Fork before it: at {Stage.PREPARE}.")
    document = read_settings(parent.settings).model_dump(mode="json")
    for name, value in changes.items():
        holder, *rest = name.split(".", 1)
        if rest:
            document[holder] = {**(document.get(holder) or {}), rest[0]: value}
        else:
            document[holder] = value
    return read_settings(parent.settings, document)


def _differs(parent: RunDir, name: str, value: Any) -> bool:
    return bool(read_settings(parent.settings).model_dump(mode="json")[name] != value)


def _fill(parent: RunDir, fork: RunDir, checkpoint: Checkpoint, events: list[Event]) -> None:
    with fork.events.open("w", encoding="utf-8") as log:
        log.writelines(event.model_dump_json() + "\n" for event in events)
    cells = {event.cell for event in events if isinstance(event, CellExecuted)}
    with fork.cells.open("w", encoding="utf-8") as journal:
        journal.writelines(json.dumps(cell, ensure_ascii=False) + "\n" for cell in read_cells(parent.cells) if cell["cell"] in cells)
    state = checkpoint.state
    for name in ("manifest.json", *(["contract.json"] if state.sealed else []), "plan.json", "sections.json"):
        if (parent.path / name).exists():
            shutil.copyfile(parent.path / name, fork.path / name)
    if not state.sealed:
        _share_source(parent.vault, fork.vault)
        _share(parent.vault, fork.vault, lambda name: name == frame_file(fork.vault).name)
        return
    _share(parent.data, fork.data, lambda name: name not in ("all.parquet", BEYOND_FILE) or "open_holdout" in state.results)
    _share(
        parent.vault,
        fork.vault,
        lambda name: name != "ledger.jsonl" and (name not in AFTER_THE_LOOK or state.holdout is not None),
    )
    _inherit_looks(parent, fork, keep_final=state.holdout is not None)
    candidates = {candidate.name for candidate in state.candidates}
    _copy(parent.work, fork.work, lambda parts: parts[0] != "candidates" or len(parts) == 1 or parts[1] in candidates)
    _hand_over_studies(fork.work, events[-1].at)


def _share_source(parent: Path, fork: Path) -> None:
    """The files that were fetched, and the record of them last."""
    for folder in (files_folder(parent), *(p for p in sorted(files_folder(parent).rglob("*")) if p.is_dir())):
        target = files_folder(fork) / folder.relative_to(files_folder(parent))
        target.mkdir(parents=True, exist_ok=True)
        _share(folder, target, lambda name: True)
    _share(parent, fork, lambda name: name in (RECORD, TABLE, READING))


def _share(source: Path, target: Path, wanted: Any) -> None:
    for path in source.iterdir():
        if path.is_file() and not path.is_symlink() and not path.name.startswith(".") and wanted(path.name):
            try:
                os.link(path, target / path.name)
            except OSError:  # another file system, or one without hard links
                shutil.copyfile(path, target / path.name)


def _inherit_looks(parent: RunDir, fork: RunDir, *, keep_final: bool) -> None:
    looks = Vault(parent).looks
    if not keep_final:
        looks = [look.model_copy(update={"final": False, "run": look.run or parent.name}) for look in looks]
    if looks:
        write_atomic(fork.vault / "ledger.jsonl", "".join(f"{look.model_dump_json()}\n" for look in looks))


def _copy(source: Path, target: Path, wanted: Any) -> None:
    """Copy the regular files of a folder that hostile code wrote to; links and everything else are left out."""
    for path, folders, names, here in os.fwalk(source, follow_symlinks=False):
        parts = Path(path).relative_to(source).parts
        folders[:] = [name for name in folders if not name.startswith(".") and wanted((*parts, name))]
        (target / Path(*parts)).mkdir(exist_ok=True)
        for name in names:
            if not wanted((*parts, name)) or name.startswith("."):
                continue
            opened = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=here)
            with os.fdopen(opened, "rb") as file:
                if stat.S_ISREG(os.fstat(opened).st_mode):
                    with (target / Path(*parts) / name).open("wb") as copy:
                        shutil.copyfileobj(file, copy)


def _hand_over_studies(work: Path, at: float) -> None:
    """Leave it to the sandbox, which made them, to take over the trials of the parent that were done by then."""
    studies = work / "studies.db"
    if studies.exists():
        studies.rename(work / PARENT_STUDIES)
        write_atomic(work / FORKED, json.dumps({"at": at}))
