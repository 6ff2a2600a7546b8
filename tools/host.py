"""What a host tool may touch: the run's wish, paths and services, and nothing else.

The conductor provides the real thing; a test provides a folder.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from tools.constraints import Constraints
from tools.contract import Contract, TableSchema, Task
from tools.forecast import Window
from tools.release_wish import Release

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import pandas as pd

    from tools.conformal import Conformal
    from tools.conversion import SourceRead
    from tools.coverage import Coverage
    from tools.curves import Curves
    from tools.deciding import Decided
    from tools.folds import Validation
    from tools.git.begun import Published
    from tools.holdout_score import OtherScores
    from tools.metrics import Interval
    from tools.releasing import Registered
    from tools.submission import Scored
    from tools.trackers.fanout import Fanout
    from tools.trackers.run_record import RunRecord


@dataclass(frozen=True)
class Wish:
    """What the user fixed. A role chooses only what is None here."""

    source: str
    max_download: int = 20 * 10**9
    """Bytes that are downloaded at most, and that archives may unpack to."""
    target: str | None = None
    goal: str | None = None
    metric: str | None = None
    task: Task | None = None
    classes: list[str] | None = None
    """Of an ordinal target, from the lowest to the highest."""
    quantiles: tuple[float, ...] = ()
    """Levels of a quantile task, ascending, the median among them; empty for the usual ones."""
    seed: int = 0
    memory_mb: int | None = None
    """Of the sandbox, in MiB; None for no limit."""
    holdout: float = 0.2
    folds: int | None = None
    """None takes as many as suit the number of rows."""
    validation: str | None = None
    """A `SchemeName` of `tools.schemes`."""
    repeats: int | None = None
    leave_one_out: bool = False
    window: Window | None = None
    gap: str | None = None
    own_split: bool = False
    """Whether the split that the source brings is taken."""
    group: str | None = None
    time_column: str | None = None
    constraints: Constraints = field(default_factory=Constraints)
    series: tuple[str, ...] = ()
    horizon: int | None = None
    known: tuple[str, ...] = ()

    @property
    def named_task(self) -> Task | None:
        """The problem type that the user named, or that only it has the settings of."""
        if self.task or self.event is not None:
            return self.task or "survival"
        if self.quantiles:
            return "quantile"
        if self.classes:
            return "ordinal"
        return "forecast" if self.series or self.horizon or self.known else None

    event: str | None = None
    foundation: tuple[str, ...] = ()
    """Families whose checkpoints are at hand."""
    sampler: str | None = None
    pruner: str | None = None
    objectives: tuple[str, ...] = ("score",)
    mask_pii: bool = False
    """Whether personal data is masked before a sandbox sees a row."""
    preparers: tuple[str, ...] = ()
    """Transformers of installed packages that models get their columns from."""
    release: Release = field(default_factory=Release)
    """Where the run is released to beside its own directory."""


class RunPaths(Protocol):
    """The files of a run directory that host tools read and write."""

    @property
    def path(self) -> Path: ...
    @property
    def plan(self) -> Path: ...
    @property
    def data(self) -> Path: ...
    @property
    def manifest(self) -> Path: ...
    @property
    def contract(self) -> Path: ...
    @property
    def leaderboard(self) -> Path: ...
    @property
    def report(self) -> Path: ...
    @property
    def vault(self) -> Path: ...
    @property
    def work(self) -> Path: ...
    @property
    def model(self) -> Path: ...
    @property
    def sections(self) -> Path: ...
    @property
    def tracking(self) -> Path: ...
    @property
    def outbox(self) -> Path: ...


class KnownRows(Protocol):
    """Labels and folds of the training rows."""

    def labels(self) -> np.ndarray: ...
    def groups(self, table: Literal["train", "holdout"]) -> np.ndarray | None: ...
    def validation(self) -> Validation: ...


class OutOfFoldScores(Protocol):
    """What candidates are worth on the training rows, as the host finds."""

    def score(self, predictions: Path) -> Decided: ...


class Sealer(Protocol):
    """The vault, as tools see it: nothing here gives a label of the holdout away."""

    @property
    def contract(self) -> Contract: ...
    @property
    def sealed(self) -> bool: ...
    def seal(self, train: pd.DataFrame, holdout: pd.DataFrame, contract: Contract, schema: TableSchema) -> None: ...
    def score_holdout(self, candidate: str, predictions: Path, *, decision: Sequence[float] = ()) -> tuple[Interval, int]: ...
    def open(self) -> int: ...
    def beyond(self) -> int: ...
    @property
    def rows(self) -> KnownRows: ...
    @property
    def out_of_fold(self) -> OutOfFoldScores: ...


class HostContext(Protocol):
    """Handed to every host tool as its first argument, hidden from the schema that models see."""

    @property
    def wish(self) -> Wish: ...
    @property
    def run(self) -> RunPaths: ...
    @property
    def vault(self) -> Sealer: ...
    @property
    def trackers(self) -> Fanout:
        """The trackers of the run, its own store among them."""

    @property
    def trackers_outside(self) -> tuple[str, ...]:
        """Those that act outside the run directory."""

    def progress(self, **facts: Any) -> None:
        """Tell whoever watches how far the call that is going on has come.

        Raises:
            ToolFailed: when nobody waits for the call any more; it should end at once.
        """

    def send_back_to(self) -> list[str]:
        """Stages that a review may send the work back to now."""

    def accepted(self) -> bool:
        """Whether the critic has accepted the work of the current stage."""

    def refitted(self) -> str | None:
        """The candidate that was refitted on all rows after the final score, or None."""

    def scored(self) -> str | None:
        """The candidate that has the final score, or None."""

    def refit_failure(self) -> str | None:
        """Why the last call of `finish` for it did not work, or None."""

    def decision(self, candidate: str) -> list[float]:
        """The multipliers that a candidate calls classes by, as the host found them; empty for the most probable class."""

    def candidates(self) -> list[str]:
        """Names of the candidates that were scored so far."""

    def failed_attempts(self) -> list[str]:
        """Names of models that roles wrote and that could not be scored."""

    def read_source(self) -> SourceRead:
        """Turn what was fetched into the vault's table, in a sandbox of its own.

        Raises:
            InputRefused: when it is no table.
        """

    async def cross_validate(self, name: str, code: str, time_s: float) -> Scored:
        """Score a model that was written as code, each fold in a fresh sandbox. Nothing of it is kept yet.

        Raises:
            ToolFailed: when a fold does not work out or the folds cannot be done in `time_s` seconds.
        """

    def measure_intervals(self) -> list[Coverage]:
        """Learn intervals around the values of the scored candidate, and what they hold on the holdout; this is no look."""

    def kept_intervals(self) -> Conformal | None:
        """What `measure_intervals` learnt, or None."""

    def kept_curves(self) -> Curves | None:
        """Survival curves of the scored candidate's risks, or None."""

    def other_scores(self) -> OtherScores:
        """Other metrics of the predictions that gave the final score, with their intervals; this is no look."""

    def build_report(self) -> Path:
        """Write the report from the run directory and return its path."""

    def unbacked(self, text: str) -> list[str]:
        """The figures in `text` that the run's record does not hold, as they are written."""

    def refused_sections(self, slot: str) -> int:
        """How often text for `slot` was refused in this run."""

    def prose(self) -> dict[str, str]:
        """What the playbook would write into each slot."""

    def backed_prose(self, slot: str) -> str:
        """The playbook's text for `slot`, without sentences whose figures are not on record."""

    def run_record(self) -> RunRecord:
        """Parameters, candidates and final metrics of the run, for a tracker."""

    def packaged(self) -> bool:
        """Whether there is a package of the candidate that was scored."""

    def register(self) -> Registered:
        """Put the package into the registry of the wish.

        Raises:
            ToolFailed: when the registry does not take it, with what may help.
        """

    def publish(self) -> Published:
        """Commit the run to the repository of the wish, with all that is asked for beside.

        Raises:
            ToolFailed: when that cannot be done; nothing is released then.
        """


Verdict = Literal["accept", "send_back"]
