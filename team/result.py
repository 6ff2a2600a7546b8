"""A run as Python sees it: numbers, frames, figures, the model, and how to go on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from team.checkpoint import read_checkpoint
from team.conducting import aconduct, anywhere, conduct
from team.errors import MlteamError, UsageError
from team.events import Event, RunEnded
from team.figures import Figures
from team.rundir import RunDir
from team.summary import read_summary
from tools.contract import plain_numbers

if TYPE_CHECKING:
    import pandas as pd

SHOWN_LEADERS = 8
REPORT_HEIGHT = 640
"""Pixels of a report that is shown in a cell."""


class RunResult:
    """A run that ended, was paused, or is still going on elsewhere; read from its directory.

    As the last value of a cell it shows itself.
    """

    def __init__(self, run: RunDir) -> None:
        self._run = run
        self.summary: dict[str, Any] = read_summary(run)
        """What `mlteam run --json` prints."""

    @property
    def path(self) -> Path:
        """The run directory."""
        return self._run.path

    @property
    def status(self) -> str:
        """`done`, `failed`, `interrupted` (also when paused), or `unfinished`."""
        return str(self.summary["status"])

    @property
    def score(self) -> float | None:
        """The final score on the sealed holdout; None before it was taken."""
        return self.holdout["score"] if self.holdout else None

    @property
    def metric(self) -> str | None:
        return self.summary["metric"]

    @property
    def holdout(self) -> dict[str, Any] | None:
        """Score, interval, rows and looks; None before the final score."""
        return self.summary["holdout"]

    @property
    def leaderboard(self) -> pd.DataFrame:
        """Candidates, best first, by the score that the host computed out of fold."""
        import pandas as pd

        columns = ["name", "family", "score", "std_error", "fold_scores", "stage", "seconds"]
        return pd.DataFrame(rows) if (rows := self._leaders()) else pd.DataFrame(columns=columns)

    @property
    def predictions(self) -> pd.DataFrame:
        """Predictions of the holdout with the truth beside them, which the look at it has opened; one row a row of `holdout_rows`.

        Raises:
            UsageError: before the final score.
        """
        from team.frames import holdout_predictions

        return holdout_predictions(self._run)

    @property
    def holdout_rows(self) -> pd.DataFrame:
        """The features of the holdout, row by row as in `predictions`.

        Raises:
            UsageError: before the data are split.
        """
        from team.frames import holdout_rows

        return holdout_rows(self._run)

    def out_of_fold(self, candidate: str | None = None) -> pd.DataFrame:
        """Predictions of training rows by models that had not learnt from them, with the truth; of the best candidate, or of another.

        Raises:
            UsageError: there is no such candidate.
        """
        from team.frames import out_of_fold

        return out_of_fold(self._run, candidate, [str(row["name"]) for row in self._leaders()])

    @property
    def events(self) -> pd.DataFrame:
        """The event log: `at` (UTC), `kind`, `stage`, `role`, `tool` and `seconds` where an event has them, and all of it in `event`."""
        import pandas as pd

        from team.log import read_events

        rows = []
        for event in read_events(self._run.events):
            facts = event.model_dump(mode="json")
            shown = {name: facts.get(name) for name in ("stage", "role", "tool", "seconds")}
            rows.append({"at": pd.Timestamp(event.at, unit="s", tz="UTC"), "kind": event.kind, **shown, "event": facts})
        return pd.DataFrame(rows, columns=["at", "kind", "stage", "role", "tool", "seconds", "event"])

    @property
    def figures(self) -> Figures:
        """The plots that the run drew, by name."""
        return Figures(self._run)

    @property
    def report(self) -> Report:
        """The report, a path that shows itself in a cell."""
        return Report(self._run.report)

    def predict(
        self, rows: Any, *, sandbox: str = "auto", interval: float | None = None, at: Sequence[float] | None = None
    ) -> pd.DataFrame:
        """Predict raw rows with the packaged model; one row out per row in, with the same index.

        Args:
            rows: a frame with the columns of the source; a named index is a column, as it was in the source.
            interval: of values, the share that should lie between the columns `low` and `high`, which come with it.
            at: of survival, times; `survival_<time>` is the chance that the event has not happened by then.

        Raises:
            UsageError: when the run has no package, no such intervals or curves, or `rows` lacks columns.
        """
        import tempfile

        import pandas as pd

        from team.frame_source import flattened
        from team.predict import apredict

        flat = flattened(rows)
        with tempfile.TemporaryDirectory(prefix="mlteam-") as folder:
            source, output = Path(folder, "rows.parquet"), Path(folder, "predictions.csv")
            flat.to_parquet(source, index=False)
            anywhere(apredict(self._run, source, output, sandbox=sandbox, interval=interval, at=at))
            # Labels are text, also when they look like numbers.
            predicted = pd.read_csv(
                output, dtype=None if plain_numbers(self.summary["task"]) else {"prediction": str}, keep_default_na=False
            )
        return predicted.set_index(rows.index) if isinstance(rows, pd.DataFrame) else predicted

    def resume(self, *, sandbox: str | None = None) -> RunResult:
        """Go on with a run that was paused, stopped or killed; this result then tells how it went on.

        Raises:
            UsageError: there is nothing to go on with, or another process has the run.
            MlteamError: when the run fails again.
        """
        conduct(self._going_on(sandbox), self._before())
        return self._again()

    async def aresume(self, *, sandbox: str | None = None) -> RunResult:
        """Like `resume`, inside a running event loop."""
        await aconduct(self._going_on(sandbox), self._before())
        return self._again()

    def _going_on(self, sandbox: str | None) -> Any:
        from team.run import aresume

        return lambda subscribers, steering: aresume(self._run, sandbox=sandbox, subscribers=subscribers, steering=steering)

    def _before(self) -> list[Event]:
        """Events up to the checkpoint, and how it ended; what lies between is told again by whoever goes on."""
        from team.log import read_events

        if not self._run.checkpoint.exists():
            return []
        with suppress(MlteamError):  # what is damaged is mended on the way
            covered = read_checkpoint(self._run.checkpoint).events
            return [event for event in read_events(self._run.events) if event.seq < covered or isinstance(event, RunEnded)]
        return []

    def _again(self) -> RunResult:
        self.summary = read_summary(self._run)
        return self

    def _leaders(self) -> list[dict[str, Any]]:
        import json

        if not self._run.leaderboard.exists():
            return []
        rows: list[dict[str, Any]] = json.loads(self._run.leaderboard.read_text(encoding="utf-8"))["candidates"]
        return rows

    def _repr_html_(self) -> str:
        from reports.card import render_result

        places = {"report": self._run.report, "notebook": self._run.notebook}
        return render_result(
            self.summary,
            self._leaders()[:SHOWN_LEADERS],
            {name: _address(path) for name, path in places.items() if path.exists()},
            self._advice(),
        )

    def _advice(self) -> list[str]:
        if self.status == "done":
            return ["r.leaderboard, r.predictions, r.figures, r.report", "r.predict(new_rows)"]
        if self.status == "unfinished" and self._run.in_use:
            return []
        return ["r.resume()  # goes on from the last turn that had ended"]

    def __repr__(self) -> str:
        from team.overview import overview

        return f"RunResult: {overview(self.summary)}".replace("\n", "\n  ")


class Report(os.PathLike[str]):
    """The report of a run, one HTML file. `open(r.report)` and `Path(r.report)` work; a cell shows a link to it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __fspath__(self) -> str:
        return str(self.path)

    def exists(self) -> bool:
        return self.path.exists()

    def show(self, height: int = REPORT_HEIGHT) -> Any:
        """The report within the cell, in a frame whose script reaches nothing outside it. It becomes part of the notebook, over 2 MB of it.

        Raises:
            UsageError: there is no report yet.
        """
        from html import escape

        from IPython.display import HTML

        if not self.exists():
            raise UsageError(f"there is no report at {str(self.path)!r}. Make it: mlteam report {self.path.parents[1]}")
        page = escape(self.path.read_text(encoding="utf-8"), quote=True)
        look = f'width="100%" height="{int(height)}" style="border:1px solid #8884"'
        frame = f'<iframe sandbox="allow-scripts" srcdoc="{page}" {look}></iframe>'
        return HTML(f"<div>{frame}</div>")  # in a bare frame IPython would advise another class

    def _repr_html_(self) -> str:
        from html import escape

        told = escape(str(self.path))
        if not self.exists():
            return f"<p>No report yet: {told}</p>"
        return f'<p><a href="{escape(_address(self.path))}" target="_blank">Report</a> {told}</p>'

    def __str__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"Report({str(self.path)!r}{'' if self.exists() else ', not written yet'})"


def _address(path: Path) -> str:
    """Where a browser finds a file: beside the notebook, whose folder is where its kernel works."""
    from urllib.parse import quote

    return quote(os.path.relpath(path))
