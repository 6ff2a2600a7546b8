"""The notebook API: `run`, `arun`, `load_run`, `Team`."""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from team.errors import MlteamError
from team.rundir import RunDir, open_run
from team.settings import Settings, load_settings
from team.summary import read_summary
from tools.contract import plain_numbers

if TYPE_CHECKING:
    import pandas as pd


class RunResult:
    """A finished (or cut off) run, read from its directory."""

    def __init__(self, run: RunDir) -> None:
        self._run = run
        self.summary = read_summary(run)

    @property
    def path(self) -> Path:
        return self._run.path

    @property
    def status(self) -> str:
        return str(self.summary["status"])

    @property
    def holdout(self) -> dict[str, Any] | None:
        """Score, interval, rows and looks; None before the final score."""
        found: dict[str, Any] | None = self.summary["holdout"]
        return found

    @property
    def leaderboard(self) -> pd.DataFrame:
        """Candidates, best first, by the score that the host computed."""
        import json

        import pandas as pd

        if not self._run.leaderboard.exists():
            return pd.DataFrame(columns=["name", "family", "score", "std_error", "fold_scores", "stage", "seconds"])
        return pd.DataFrame(json.loads(self._run.leaderboard.read_text(encoding="utf-8"))["candidates"])

    @property
    def report(self) -> Path:
        return self._run.report

    def predict(self, rows: pd.DataFrame, *, sandbox: str = "auto", interval: float | None = None) -> pd.DataFrame:
        """Predict rows with the packaged model; one row out per row in, with the same index.

        Args:
            interval: of values, the share that should lie between the columns `low` and `high`, which come with it.

        Raises:
            UsageError: when the run has no package or no such intervals, or `rows` lacks columns.
        """
        import tempfile

        import pandas as pd

        from team.predict import apredict

        with tempfile.TemporaryDirectory(prefix="mlteam-") as folder:
            source, output = Path(folder, "rows.parquet"), Path(folder, "predictions.csv")
            rows.reset_index(drop=True).to_parquet(source, index=False)
            _anywhere(apredict(self._run, source, output, sandbox=sandbox, interval=interval))
            # Labels are text, also when they look like numbers.
            predicted = pd.read_csv(
                output, dtype=None if plain_numbers(self.summary["task"]) else {"prediction": str}, keep_default_na=False
            )
        return predicted.set_index(rows.index)

    def _repr_html_(self) -> str:
        from html import escape

        from team.overview import overview

        return f"<pre>{escape(overview(self.summary))}</pre>"

    def __repr__(self) -> str:
        return f"RunResult({str(self.path)!r}, status={self.status!r})"


class Team:
    """A team with settled ways of working, to be given several tasks.

    team = Team(time="5m", out="runs")
    team.run("data.csv", target="churn")
    """

    def __init__(self, **settings: Any) -> None:
        self._settings = settings

    def run(self, source: str | Path, **settings: Any) -> RunResult:
        return run(source, **{**self._settings, **settings})

    async def arun(self, source: str | Path, **settings: Any) -> RunResult:
        return await arun(source, **{**self._settings, **settings})


def run(
    source: str | Path,
    *,
    target: str | None = None,
    task: str | None = None,
    goal: str | None = None,
    metric: str | None = None,
    time: str | float = "10m",
    model: str = "playbook",
    sandbox: str = "auto",
    out: str | Path = "runs",
    seed: int = 0,
    **more: Any,
) -> RunResult:
    """Run the team on a dataset, with a live view on stderr, and return the result. Works in a notebook too.

    Args:
        source: a CSV or Parquet file, an http(s) URL, or `sklearn:NAME`.
        target: column to predict; None lets the team choose.
        task: problem type, such as `"count"`; None infers it from the target.
        goal: the wish in the user's own words.
        metric: metric that decides; None takes the usual one of the problem type.
        time: time for the search: seconds, or text such as `"10m"`.
        model: model of the roles.
        sandbox: where code runs.
        out: folder of the run directories.
        seed: seed of splits and estimators.
        more: any other setting, such as `trials`, `folds`, `group`, `event`, `quantiles=[0.1, 0.9]`.

    Raises:
        UsageError: for input that cannot be used.
        MlteamError: when the run fails.
    """
    given = dict(target=target, task=task, goal=goal, metric=metric, time=time, model=model, sandbox=sandbox, out=out, seed=seed, **more)
    return RunResult(_anywhere(_run(_settled(source, given))))


async def arun(source: str | Path, **settings: Any) -> RunResult:
    """Like `run`, inside a running event loop."""
    return RunResult(await _run(_settled(source, settings)))


def load_run(path: str | Path, out: str | Path = "runs") -> RunResult:
    """A run on disk, by its path, its name or the beginning of it, or `last`."""
    return RunResult(open_run(path, Path(out)))


def _settled(source: str | Path, given: dict[str, Any]) -> Settings:
    return load_settings({"source": str(source), **given})


async def _run(settings: Settings) -> RunDir:
    from team.console import LiveView
    from team.run import astart

    with LiveView(sys.stderr) as view:
        summary = await astart(settings, [view])
    return RunDir(Path(summary["run"]))


def _anywhere(work: Any) -> Any:
    """Run a coroutine to its end, also where a loop is running already, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


__all__ = ["MlteamError", "RunResult", "Team", "arun", "load_run", "run"]
