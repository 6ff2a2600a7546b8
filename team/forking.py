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
from typing import Any

from team.cells import read_cells
from team.checkpoint import Checkpoint, CutOff, read_checkpoint
from team.errors import MlteamError, UsageError
from team.events import CellExecuted, Event
from team.log import read_events
from team.rundir import RunDir, create_run, write_atomic
from team.settings import Settings, read_settings
from team.stages import Stage
from team.vault import Vault
from tools.beyond import BEYOND_FILE
from tools.conversion import READING, TABLE
from tools.sources.contract import RECORD, files_folder
from tools.sources.frame import frame_file
from tools.studies import FORKED, PARENT_STUDIES

CONSTRAINTS = ("max_latency_ms", "max_size_mb", "interpretable", "monotone", "families", "forbid", "sensitive", "constraint")
DECIDED_BY_THE_SPLIT = (
    *("source", "target", "task", "event", "classes", "metric", "holdout", "seed"),
    *("folds", "validation", "repeats", "window", "gap", "own_split", "group", "time_column"),
    *("series", "horizon", "known"),
    *CONSTRAINTS,
)
"""Settings that the sealed contract rests on."""

AFTER_THE_LOOK = ("scored.parquet", "intervals.json", "curves.json")
"""What the vault keeps only when the holdout was scored."""


def fork(parent: RunDir, at: str, changes: dict[str, Any], out: Path | None = None) -> tuple[RunDir, CutOff]:
    """Make a run directory that stands where `parent` stood.

    Args:
        at: a number of turns that had ended, or the name of a stage: then where it was first entered.
        changes: settings that are to differ, by their dotted names.
        out: folder of the new run; None for the parent's.

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
    there: dict[int, Checkpoint] = {}
    for path in sorted(run.checkpoints.glob("[0-9]*.json")):
        with contextlib.suppress(MlteamError):  # a damaged one is as good as none
            checkpoint = read_checkpoint(path)
            there[checkpoint.turns] = checkpoint
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


def _changed(parent: RunDir, changes: dict[str, Any], checkpoint: Checkpoint) -> Settings:
    known = set(Settings.model_fields)
    for name in changes:
        top = name.partition(".")[0]
        if top not in known:
            raise UsageError(f"{name}: there is no such setting. Settings: {', '.join(sorted(known))}.")
        if top in DECIDED_BY_THE_SPLIT and checkpoint.state.sealed:
            raise UsageError(f"{name}: the data are split and sealed at that step. Fork before it: at {Stage.ACQUIRE}.")
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
