"""Draw what a system may learn from, what it must predict and the answers, which it never sees, from a task's source.

Only the grader's process calls this. It fetches into a private folder and leaves nothing of the answers on a disk.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evals.environments import DATA_NEEDS, DATA_PACKAGES, interpreter
from evals.suite import Split, Task
from team.errors import UsageError
from team.parsing import read_here
from tools.columns import label_text
from tools.contract import predicts
from tools.conversion import read_converted
from tools.formats.detect import read
from tools.metrics import default_metric, metric_for
from tools.sources import MAX_DOWNLOAD_BYTES, fetch
from tools.sources.archives import unpacked
from tools.sources.contract import files_folder
from tools.splitting import infer_task

PACKAGE, MADE = "package:", "made:"


@dataclass(frozen=True)
class Drawn:
    """A task, drawn once for a seed and a fold."""

    train: pd.DataFrame | bytes
    """Rows to learn from; as bytes where the file itself is what is odd."""
    test: pd.DataFrame
    """Rows to predict, without the columns of `answers`."""
    answers: pd.DataFrame
    """What stands in those columns, a row a row of `test`."""
    meta: dict[str, Any]
    """What the system is told beside the rows, in the words of `evals/quality_data.py`."""

    def write(self, folder: Path) -> None:
        """Write what a system may see: train.csv, test.csv and meta.json."""
        if isinstance(self.train, bytes):
            (folder / "train.csv").write_bytes(self.train)
        else:
            self.train.to_csv(folder / "train.csv", index=False)
        self.test.to_csv(folder / "test.csv", index=False)
        (folder / "meta.json").write_text(json.dumps(self.meta, indent=1), encoding="utf-8")

    def digest(self, folder: Path) -> str:
        """16 hexadecimal digits of the SHA-256 of all that was written to a folder and of the answers: equal where two attempts had the
        same rows to learn from, the same to predict, and were held against the same answers by the same metric.
        """
        found = hashlib.sha256()
        for name in ("train.csv", "test.csv", "meta.json"):
            with (folder / name).open("rb") as file:
                found.update(hashlib.file_digest(file, "sha256").digest())
        found.update(self.answers.to_csv(index=False).encode("utf-8", "surrogatepass"))
        return found.hexdigest()[:16]


def draw(task: Task, seed: int, fold: int, environments: Path) -> Drawn:
    """
    Args:
        environments: where virtual environments are kept, for data that packages bundle.

    Raises:
        InputRefused, MlteamError: when the source cannot be had or read.
        UsageError: when it does not fit what the suite says of it.
    """
    if task.source.startswith(MADE):
        from evals.robust_data import made

        found = made(task.source.removeprefix(MADE), seed)
        target = str(task.target)
        kind = task.task or ("regression" if pd.api.types.is_numeric_dtype(found.answers[target]) else "binary")
        meta = _told(task, target, kind, found.answers, found.rows, found.test.shape[1])
        return Drawn(found.train, found.test, _canonical(found.answers, kind), meta)
    frame, said, folds = _whole(task, environments)
    target = task.target or said or ""
    if not target:
        raise UsageError(f"task {task.name!r}: {task.source} names no target; say it in the suite with target: COLUMN.")
    answers = _answers(task, target)
    if lacking := [name for name in answers if name not in frame.columns]:
        raise UsageError(
            f"task {task.name!r}: {task.source} has no column {lacking[0]!r}; it has {', '.join(map(str, frame.columns[:20]))}."
        )
    kind = task.task or infer_task(frame[target])
    known = frame[answers].notna().all(axis=1).to_numpy()
    frame[answers] = _canonical(frame[answers], kind)
    held = _held(task, frame, known, target, kind, seed, fold, folds)
    train, test = frame[known & ~held], frame[known & held]
    meta = _told(task, target, kind, frame.loc[known, answers], len(train), frame.shape[1] - len(answers))
    if kind == "anomaly":  # nobody is shown which rows are
        train = train.drop(columns=answers)
    return Drawn(train, test.drop(columns=answers), test[answers].reset_index(drop=True), meta)


def _whole(task: Task, environments: Path) -> tuple[pd.DataFrame, str | None, list[list[int]]]:
    """The table, the target that its source names, and the test rows of the folds that it brings."""
    with tempfile.TemporaryDirectory(prefix="mlteam-grader-") as name:
        folder = Path(name)
        if task.source.startswith(PACKAGE):
            return _packaged(task.source.removeprefix(PACKAGE), folder, environments), None, []
        fetched = fetch(task.source, folder)
        if task.file:
            frame = _one_file(task, files_folder(folder))
        else:
            read_here(folder)
            frame = read_converted(folder)
        frame.columns = [str(column) for column in frame.columns]
        return frame, fetched.target, fetched.split.folds if fetched.split else []


def _one_file(task: Task, folder: Path) -> pd.DataFrame:
    """The table in the one file that the task names, out of all that came."""
    for path in sorted(folder.rglob("*.zip")):
        unpacked(path, folder, MAX_DOWNLOAD_BYTES, lambda **facts: None)
    found = sorted(path for path in folder.rglob(task.file) if path.is_file())
    if not found:
        raise UsageError(f"task {task.name!r}: {task.source} brings no file {task.file!r}.")
    return read(found[0]).frame


def _packaged(name: str, folder: Path, environments: Path) -> pd.DataFrame:
    """A table of `evals/quality_data.py`, written by the environment that has its packages."""
    python = interpreter(environments, "data", DATA_NEEDS, DATA_PACKAGES)
    program = Path(__file__).with_name("quality_data.py")
    done = subprocess.run([str(python), str(program), "--whole", str(folder), name], capture_output=True, text=True, check=False)
    if done.returncode:
        raise UsageError(f"{PACKAGE}{name} cannot be had: {(done.stderr.strip().splitlines() or ['no word'])[-1][:300]}")
    return pd.read_csv(folder / f"{name}.csv")


def _answers(task: Task, target: str) -> list[str]:
    return [name for name in (*(target.split(",") if task.task == "multilabel" else [target]), task.event) if name]


def _canonical(answers: pd.DataFrame, kind: Any) -> pd.DataFrame:
    """Labels of classes as text that survives a CSV file."""
    return answers.apply(label_text) if predicts(kind) == "classes" else answers


def _held(
    task: Task, frame: pd.DataFrame, known: np.ndarray, target: str, kind: Any, seed: int, fold: int, folds: list[list[int]]
) -> np.ndarray:
    """Mask of the rows to predict."""
    from sklearn.model_selection import KFold, StratifiedKFold, train_test_split

    held, split = np.zeros(len(frame), dtype=bool), task.split
    if kind == "forecast":
        frame.sort_values([task.series, task.time], inplace=True, ignore_index=True)
        return (frame.groupby(task.series).cumcount(ascending=False) < task.horizon).to_numpy()
    if split.own:
        if len(folds) != split.own:
            raise UsageError(f"task {task.name!r}: the suite says split: own: {split.own}, and {task.source} brings {len(folds)} folds.")
        held[folds[fold]] = True
        return held
    rows = np.flatnonzero(known)
    stratum = frame[task.event or target].to_numpy()[rows] if predicts(kind) in ("classes", "risk", "scores") else None
    rarest = 0 if stratum is None else int(pd.Series(stratum).value_counts().min())
    if split.mle:
        size = split.mle if split.mle < 1 else int(split.mle)
        held[train_test_split(np.arange(len(frame)), test_size=size, random_state=0)[1]] = True
        return held
    if split.folds:
        alike = rarest >= split.folds
        dealt = (StratifiedKFold if alike else KFold)(split.folds, shuffle=True, random_state=seed).split(rows, stratum)
        held[rows[list(dealt)[fold][1]]] = True
        return held
    _, chosen = train_test_split(
        rows, test_size=split.test, random_state=seed, stratify=stratum if rarest is not None and rarest > 1 else None
    )
    held[chosen] = True
    return held


def _told(task: Task, target: str, kind: Any, answers: pd.DataFrame, rows: int, columns: int) -> dict[str, Any]:
    metric = task.metric or default_metric(kind)
    metric_for(metric, kind)
    meta: dict[str, Any] = {"target": target, "task": kind, "metric": metric, "rows": rows, "columns": columns}
    meta |= {name: getattr(task, name) for name in ("event", "series", "time", "horizon")}
    meta |= {"classes": [], "positive": None}
    if predicts(kind) == "classes":
        counts = label_text(answers[target]).value_counts()
        names = sorted(str(name) for name in counts.index)
        rarest = min(names, key=lambda name: (counts[name], name))
        meta |= {"classes": list(task.classes) or names, "positive": rarest if kind == "binary" else None}
    return meta


def parts(split: Split, most: int | None) -> range:
    """Numbers of the folds that are tried, `most` at most."""
    return range(split.parts if most is None else min(most, split.parts))
