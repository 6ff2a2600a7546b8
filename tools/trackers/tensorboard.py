"""TensorBoard: event files in the run directory, `tensorboard/`, one folder a candidate. `tensorboard --logdir runs` shows all runs.

The scalars of the run as it goes on stand in the folder itself; a candidate's folds are the steps of its `fold_score`, and its
parameters and scores are a session of the page HPARAMS.
"""

from __future__ import annotations

import shutil
import time
from typing import Any

from tools.host import RunPaths
from tools.trackers.contract import TOO_SLOW, Attachments, NotSent, Patience, Tracker, Written
from tools.trackers.run_record import CandidateRecord, RunRecord

FOLDER = "tensorboard"
_METRICS = ("cv_score", "cv_std_error", "fit_seconds")
"""What the page HPARAMS shows beside the parameters."""


class TensorBoard(Tracker):
    """Writers of one process. Another process, or another run, writes the folder anew."""

    def __init__(self, run: RunPaths) -> None:
        self._folder = run.path / FOLDER
        self._key: tuple[str, int] | None = None
        self._shown: dict[str, str] = {}
        """Names of candidates with their digests."""
        self._points = 0

    def write(self, record: RunRecord, attachments: Attachments, patience: Patience) -> Written:
        deadline = time.monotonic() + patience.total_s
        key, self._key = self._key, None
        wanted = {candidate.name: candidate.digest for candidate in record.candidates}
        # An event file cannot be changed: what is not to be added to is written from the beginning.
        if key != record.key or not record.running or not self._shown.items() <= wanted.items():
            self._shown, self._points = {}, 0
        try:
            self._add(record, deadline, anew=not self._shown and not self._points)
        except OSError as error:
            raise NotSent(f"{FOLDER}/ could not be written ({error.strerror})", answered=True) from None
        self._key = record.key if record.running else None
        return Written(FOLDER, 0)

    def _add(self, record: RunRecord, deadline: float, *, anew: bool) -> None:
        from tensorboardX import SummaryWriter

        if anew:
            # One that is cut off leaves what was there, or a folder that the next one takes away.
            folder = self._folder.with_name(f".{FOLDER}.tmp")
            shutil.rmtree(folder, ignore_errors=True)
        else:
            folder = self._folder
        with SummaryWriter(str(folder), filename_suffix=f".{self._points:06d}.{len(self._shown):04d}") as writer:
            if anew:
                rows = "\n".join(f"| {name} | {value} |" for name, value in record.params.items())
                writer.add_text("run", f"| | |\n|---|---|\n{rows}", walltime=record.began_ms / 1000)
            for point in record.points[self._points :]:
                writer.add_scalar(point.name, point.value, point.step, walltime=point.at_ms / 1000)
            writer.add_text("status", record.status, walltime=record.ended_ms / 1000)
            if not record.running:
                for name, value in record.metrics.items():
                    writer.add_scalar(name, value, 0, walltime=record.ended_ms / 1000)
        for candidate in record.candidates:
            if candidate.name not in self._shown:
                if time.monotonic() > deadline:
                    raise NotSent(TOO_SLOW, answered=True)
                with SummaryWriter(str(folder / candidate.name)) as writer:
                    _candidate(writer, candidate, record.ended_ms / 1000)
        if anew:
            shutil.rmtree(self._folder, ignore_errors=True)
            folder.replace(self._folder)
        self._shown = {candidate.name: candidate.digest for candidate in record.candidates}
        self._points = len(record.points)


def _candidate(writer: Any, candidate: CandidateRecord, at: float) -> None:
    from tensorboardX.summary import hparams

    for name, value in candidate.metrics.items():
        writer.add_scalar(name, value, 0, walltime=at)
    for fold, score in enumerate(candidate.fold_scores):
        writer.add_scalar("fold_score", score, fold, walltime=at)
    shown = {name: candidate.metrics[name] for name in _METRICS if name in candidate.metrics}
    for summary in hparams({name: _value(value) for name, value in candidate.params.items()}, shown):
        writer.file_writer.add_summary(summary, walltime=at)


def _value(text: str) -> float | str:
    """A number where it is one, so that the page can order by it."""
    try:
        return float(text)
    except ValueError:
        return text
