"""The notebook API: `run`, `arun`, `load_run`, `Team`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from team.conducting import aconduct, conduct
from team.errors import Interrupted, MlteamError
from team.events import Event, RunStarted
from team.result import RunResult
from team.rundir import RunDir, open_run
from team.settings import Settings, load_settings


class Team:
    """A team with settled ways of working, to be given several tasks.

    team = Team(time="5m", out="runs")
    team.run("data.csv", target="churn")
    team.resume()  # the last of its runs, when that was paused
    """

    def __init__(self, **settings: Any) -> None:
        self._settings = settings

    def run(self, source: Any, **settings: Any) -> RunResult:
        """Like `run`, with the team's settings where none are given."""
        return run(source, **{**self._settings, **settings})

    async def arun(self, source: Any, **settings: Any) -> RunResult:
        """Like `arun`, with the team's settings where none are given."""
        return await arun(source, **{**self._settings, **settings})

    def load_run(self, path: str | Path = "last") -> RunResult:
        """A run in the team's folder, by its name, the beginning of it, or `last`.

        Raises:
            UsageError: there is none, or several.
        """
        return load_run(path, self._settings.get("out", "runs"))

    def resume(self, path: str | Path = "last", *, sandbox: str | None = None) -> RunResult:
        """Go on with a run of the team's folder that was paused, stopped or killed.

        Raises:
            UsageError: there is none, or nothing to go on with.
        """
        return self.load_run(path).resume(sandbox=sandbox)

    @property
    def runs(self) -> list[RunResult]:
        """All runs in the team's folder, the oldest first."""
        from team.rundir import list_runs

        return [RunResult(run) for run in list_runs(Path(self._settings.get("out", "runs")))]

    def __repr__(self) -> str:
        return f"Team({', '.join(f'{name}={value!r}' for name, value in self._settings.items())})"


def run(
    source: Any,
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
    name: str = "frame",
    **more: Any,
) -> RunResult:
    """Run the team on a dataset and return the result. Shown while it goes: in the cell of a notebook, else on stderr.

    Interrupting the cell pauses the run at its next safe point, and `resume()` of the result goes on; interrupting it twice stops at
    once, which loses the step under way alone.

    Args:
        source: a CSV or Parquet file, an http(s) URL, `sklearn:NAME`, or a DataFrame (pandas, or what has `to_pandas`). A frame is kept
            in the run directory as Parquet. A named index is a column of the table, one without a name is left out.
        target: column to predict; None lets the team choose.
        task: problem type, such as `"count"`; None infers it from the target.
        goal: the wish in the user's own words.
        metric: metric that decides; None takes the usual one of the problem type.
        time: time for the search: seconds, or text such as `"10m"`.
        model: model of the roles.
        sandbox: where code runs.
        out: folder of the run directories.
        seed: seed of splits and estimators.
        name: what a DataFrame is called, in the settings and in the name of the run.
        more: any other setting, such as `trials`, `folds`, `group`, `event`, `quantiles=[0.1, 0.9]`.

    Raises:
        UsageError: for input that cannot be used.
        MlteamError: when the run fails.
    """
    given = dict(target=target, task=task, goal=goal, metric=metric, time=time, model=model, sandbox=sandbox, out=out, seed=seed, **more)
    play = Play(*_settled(source, name, given))
    return play.ended(conduct(play))


async def arun(source: Any, *, name: str = "frame", **settings: Any) -> RunResult:
    """Like `run`, inside a running event loop, which goes on meanwhile: `await arun(...)` in a cell."""
    play = Play(*_settled(source, name, settings))
    return play.ended(await aconduct(play))


def load_run(path: str | Path, out: str | Path = "runs") -> RunResult:
    """A run on disk, by its path, its name or the beginning of it, or `last`.

    Raises:
        UsageError: there is none, or several.
    """
    return RunResult(open_run(path, Path(out)))


class Play:
    """A run to be played, and where it lies once it has begun."""

    def __init__(self, settings: Settings, frame: Any) -> None:
        self._settings, self._frame = settings, frame
        self._name: str | None = None

    def __call__(self, subscribers: list[Callable[[Event], None]], steering: Any) -> Coroutine[Any, Any, dict[str, Any]]:
        from team.run import astart

        return astart(self._settings, [self._note, *subscribers], steering=steering, frame=self._frame)

    def ended(self, summary: dict[str, Any] | None) -> RunResult:
        """The result of a run that has ended, or was paused.

        Raises:
            Interrupted: when it was stopped before it had begun.
        """
        if summary is None and self._name is None:
            raise Interrupted("stopped before the run had begun; nothing was kept.")
        return RunResult(RunDir(Path(summary["run"]) if summary else self._settings.out / str(self._name)))

    def _note(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self._name = event.run


def _settled(source: Any, name: str, given: dict[str, Any]) -> tuple[Settings, Any]:
    from team.frame_source import frame_source, is_frame

    if not is_frame(source):
        return load_settings({"source": str(source), **given}), None
    frame = frame_source(source, name)
    return load_settings({"source": frame.source, **given}), frame


__all__ = ["MlteamError", "RunResult", "Team", "arun", "load_run", "run"]
