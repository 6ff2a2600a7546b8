"""The vault: split before any role sees a row, keep the holdout's labels, score predictions, count every look.

Labels lie in `vault/`, which no sandbox mounts. Kernel code hands over prediction files; what they are worth is
computed here, by code that the sandbox cannot reach.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from team.errors import MlteamError
from team.rundir import RunDir, write_atomic
from tools.contract import Contract, TableSchema

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from tools.calibration import Calibration
    from tools.conformal import Conformal
    from tools.coverage import Coverage
    from tools.deciding import Decided
    from tools.folds import Validation
    from tools.metrics import Interval


class Look(BaseModel):
    """One line of the ledger: a file was scored against the holdout's labels."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at: float
    candidate: str
    score: float
    low: float
    high: float
    level: float
    n: int
    final: bool
    run: str | None = None
    """The run that looked, for a look that a fork inherited; None for this one."""
    decision: list[float] = []
    """The multipliers that classes were called by; empty for the most probable class."""


@dataclass(frozen=True)
class Scored:
    """The holdout as the final score saw it: rows in the order of `holdout.parquet`."""

    candidate: str
    score: float
    labels: np.ndarray
    """Codes into the contract's classes, or values, shape (n,)."""
    predictions: np.ndarray
    """Probabilities (n, k), or values (n,); for metrics of labels the largest of a row is the class that was called."""
    units: np.ndarray | None = None
    """The unit of each row's error, shape (n,), where the contract keeps them."""


class Vault:
    """Sealed labels and the score contract of one run."""

    def __init__(self, run: RunDir) -> None:
        self._run = run
        self._train_codes: np.ndarray | None = None
        self._validation: Validation | None = None
        self._units: dict[str, np.ndarray] = {}

    @property
    def contract(self) -> Contract:
        return Contract.model_validate_json(self._run.contract.read_text(encoding="utf-8"))

    @property
    def sealed(self) -> bool:
        return self._run.contract.exists()

    @property
    def looks(self) -> list[Look]:
        path = self._run.vault / "ledger.jsonl"
        return [Look.model_validate_json(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def closed(self) -> bool:
        """Whether the final score is in the ledger, after which no look is possible."""
        return any(look.final for look in self.looks)

    def seal(self, train: pd.DataFrame, holdout: pd.DataFrame, contract: Contract, schema: TableSchema) -> None:
        """Write what the sandbox may see to `data/`, the labels to `vault/`, and the contract, last, to both.

        Args:
            train: features and target of the training rows.
            holdout: features and target of the holdout rows; only the features leave the vault, and of a forecast only those that are
                known ahead.
            contract: fixed from here on.
            schema: feature columns, known from the training rows alone.

        Raises:
            MlteamError: when a contract is already sealed.
        """
        if self.sealed:
            raise MlteamError(f"run {self._run.name!r} has a sealed contract already; it cannot be changed.")
        train.to_parquet(self._run.data / "train.parquet", index=False)
        holdout.drop(columns=contract.sealed_columns).to_parquet(self._run.data / "holdout.parquet", index=False)
        holdout[contract.sealed_columns].to_parquet(self._run.vault / "holdout_labels.parquet", index=False)
        for path in (self._run.data / "train.parquet", self._run.data / "holdout.parquet", self._run.vault / "holdout_labels.parquet"):
            with path.open("rb") as file:
                os.fsync(file.fileno())
        document = contract.model_dump_json(indent=1)
        write_atomic(self._run.data / "schema.json", schema.model_dump_json(indent=1))
        write_atomic(self._run.data / "contract.json", document)
        write_atomic(self._run.contract, document)

    def score_out_of_fold(self, predictions: Path) -> Decided:
        """Score a candidate's out-of-fold predictions: all rows pooled, in the mean over repeats, and fold by fold.

        The folds are the contract's own, made again here; the file's fold column is not believed. Nor is what the candidate's
        record says of how classes are called: that follows from the predictions, see `tools.deciding`.

        Raises:
            PredictionError: when the file breaks the prediction schema.
        """
        return self.decide(self.read_repeats(predictions))

    def read_repeats(self, predictions: Path) -> np.ndarray:
        """A candidate's checked out-of-fold predictions of all repeats, one after the other, (repeats · n, k) or (repeats · n,); NaN in
        rows that no fold validates.

        Raises:
            PredictionError: when the file breaks the prediction schema.
        """
        from tools.predictions import read_predictions

        contract, validation = self.contract, self.validation()
        partial = bool((validation.folds[0] < 0).any())
        return read_predictions(predictions, contract, contract.rows_train * validation.repeats, partial=partial, inside=self._run.work)

    def calibrate(self, values: np.ndarray) -> tuple[Calibration | None, np.ndarray]:
        """The calibration of predictions of all repeats that were made in quarantine, and these calibrated: see
        `tools.calibrating.calibrate`."""
        from tools.calibrating import calibrate

        contract = self.contract
        labels, folds = self.training_labels()
        return calibrate(contract.metric, contract.task, labels, values, folds, contract.seed)

    def decide(self, values: np.ndarray) -> Decided:
        """Like `score_out_of_fold`, for predictions of all repeats that were checked already; folds without a score are left out."""
        import numpy as np

        from tools.deciding import Decided, decide
        from tools.metrics import score

        contract, validation = self.contract, self.validation()
        labels, folds = self.training_labels()
        decision, values = decide(contract.metric, contract.task, labels, values, folds, contract.seed)
        pooled, by_fold = [], []
        for repeat, (folds, each) in enumerate(zip(validation.folds, validation.by_repeat(values), strict=True)):
            scored = folds >= 0
            units = _some(self.units("train"), scored)
            pooled.append(score(contract.metric, contract.task, labels[scored], each[scored], units=units))
            found = (self.score_fold(int(fold), each[folds == fold], repeat) for fold in np.unique(folds[scored]))
            by_fold += [value for value in found if value is not None]
        return Decided(float(np.mean(pooled)), by_fold, decision, values)

    def disparity(self, values: np.ndarray) -> dict[str, float]:
        """How differently out-of-fold predictions treat the groups of the sensitive column; empty where none was named.

        Args:
            values: of all repeats, as they are scored, see `decide`; what counts is the mean over repeats, so that a row counts once.
        """
        import pandas as pd

        from tools.fairness import disparities, groups_of

        name = self.contract.constraints.sensitive
        if name is None:
            return {}
        labels, folds = self.training_labels()
        scored, values = folds >= 0, self.validation().averaged(values)
        groups = groups_of(pd.read_parquet(self._run.data / "train.parquet", columns=[name])[name])
        return disparities(self.contract.task, labels[scored], values[scored], groups[scored])

    def score_fold(self, fold: int, values: np.ndarray, repeat: int = 0) -> float | None:
        """Score checked predictions for the rows of one fold; None where the metric is undefined, as without both classes."""
        from tools.metrics import score

        contract, folds = self.contract, self.validation().folds[repeat]
        labels = self.training_labels()[0]
        try:
            units = _some(self.units("train"), folds == fold)
            return score(contract.metric, contract.task, labels[folds == fold], values, units=units)
        except ValueError:
            return None

    def check_holdout(self, predictions: Path) -> None:
        """Check a prediction file against the contract without looking at the labels.

        Raises:
            PredictionError: when the file breaks the prediction schema.
        """
        from tools.predictions import read_predictions

        read_predictions(predictions, self.contract, self.contract.rows_holdout, inside=self._run.work)

    def score_holdout(
        self, candidate: str, predictions: Path, *, decision: Sequence[float] = (), final: bool = True
    ) -> tuple[Interval, int]:
        """Score a prediction file against the sealed labels and enter the look into the ledger.

        Args:
            decision: the multipliers that the candidate calls classes by, as `decide` found them.

        Returns:
            The score with its bootstrap interval, and the number of looks so far, this one counted.

        Raises:
            PredictionError: when the file breaks the prediction schema; no look is made then.
            MlteamError: when the final score was taken already.
        """
        import pandas as pd

        from tools.deciding import tilted
        from tools.predictions import read_predictions, write_predictions
        from tools.problem import encode_target

        contract = self.contract
        values = read_predictions(predictions, contract, contract.rows_holdout, inside=self._run.work)
        if self.closed and not self._is_final(candidate, values):
            raise MlteamError("the final score is in the ledger: the holdout is not looked at again.")
        labels = encode_target(pd.read_parquet(self._run.vault / "holdout_labels.parquet"), contract)
        interval = self._interval(labels, tilted(values, decision))
        if self.closed:  # the run was cut off between the look and the telling of it: the same score is no new look
            return interval, len(self.looks)
        look = Look(
            at=time.time(),
            candidate=candidate,
            score=interval.score,
            low=interval.low,
            high=interval.high,
            level=interval.level,
            n=len(labels),
            final=final,
            decision=list(decision),
        )
        if final:
            # The kernel gets the labels after this, and could write another file in place of the one that was scored.
            write_predictions(self._run.vault / "scored.parquet", contract, values)
        with (self._run.vault / "ledger.jsonl").open("a", encoding="utf-8") as ledger:
            ledger.write(look.model_dump_json() + "\n")
            ledger.flush()
            os.fsync(ledger.fileno())
        return interval, len(self.looks)

    def _interval(self, labels: np.ndarray, values: np.ndarray) -> Interval:
        """The holdout's score with its interval: over whole groups where rows belong together, so that rows of one group
        do not count as independent; over rows where the groups are too few for that."""
        from tools.metrics import bootstrap_interval

        contract, groups, units = self.contract, self.groups("holdout"), self.units("holdout")
        if groups is not None:
            try:
                return bootstrap_interval(contract.metric, contract.task, labels, values, groups=groups, units=units, seed=contract.seed)
            except ValueError:  # one group, or resamples of two or three that mostly have no score
                pass
        return bootstrap_interval(contract.metric, contract.task, labels, values, units=units, seed=contract.seed)

    def _is_final(self, candidate: str, values: np.ndarray) -> bool:
        """Whether these are the predictions that the final score was computed from."""
        import numpy as np

        from tools.predictions import read_predictions

        final, path = next(look for look in self.looks if look.final), self._run.vault / "scored.parquet"
        if final.candidate != candidate or not path.exists():
            return False
        kept = read_predictions(path, self.contract, self.contract.rows_holdout, inside=self._run.vault)
        return bool(np.array_equal(kept, values))

    def scored(self) -> Scored:
        """What the final score was computed from, so that two runs can be compared on the same rows. This is no look:
        it tells nothing of candidates that were not scored, and there is none before the final score is in the ledger.

        Raises:
            MlteamError: before the final score is in the ledger; when the predictions were not kept, or are not those that
                gave it.
        """
        import pandas as pd

        from tools.deciding import tilted
        from tools.metrics import score
        from tools.predictions import read_predictions
        from tools.problem import encode_target
        from tools.spec import ToolRefused

        final = next((look for look in self.looks if look.final), None)
        if final is None:
            raise MlteamError(f"run {self._run.name!r} has no final score, so its holdout stays sealed.")
        contract, path = self.contract, self._run.vault / "scored.parquet"
        if not path.exists():
            raise MlteamError(f"run {self._run.name!r} did not keep the predictions that were scored.")
        try:
            predictions = tilted(read_predictions(path, contract, contract.rows_holdout, inside=self._run.vault), final.decision)
            labels = encode_target(pd.read_parquet(self._run.vault / "holdout_labels.parquet"), contract)
            found = score(contract.metric, contract.task, labels, predictions, units=self.units("holdout"))
        except (OSError, ValueError, KeyError, ToolRefused) as error:
            raise MlteamError(f"what run {self._run.name!r} kept of its holdout is damaged: {error}.") from None
        if not math.isclose(found, final.score, rel_tol=1e-9, abs_tol=1e-12):
            raise MlteamError(f"the predictions kept by run {self._run.name!r} score {found:g}, the ledger says {final.score:g}.")
        return Scored(final.candidate, final.score, labels, predictions, self.units("holdout"))

    def measure_intervals(self) -> list[Coverage]:
        """Learn intervals from the out-of-fold predictions of the candidate that has the final score, keep them for its package, and
        measure on the holdout what they hold. This is no look: the rows are those of the final score, and nothing is chosen by it.

        Returns:
            One coverage a level; nothing where no values are predicted, or the out-of-fold predictions are not there any more.

        Raises:
            MlteamError: before the final score is in the ledger.
        """
        from tools.conformal import calibrate, measure
        from tools.predictions import PredictionError

        final, contract = self.scored(), self.contract
        if contract.predicts != "values":
            return []
        try:
            # Of one repeat: the mean over repeats errs less than the single model that the intervals are for.
            values = self.validation().by_repeat(self.read_repeats(self._run.work / "candidates" / final.candidate / "oof.parquet"))[0]
        except PredictionError:
            return []
        labels, folds = self.training_labels()
        rows = folds >= 0
        found = calibrate(final.candidate, labels[rows], values[rows], folds[rows], whole=contract.task == "count")
        write_atomic(self._run.vault / "intervals.json", found.model_dump_json())
        return measure(found, final.labels, final.predictions)

    def calibration(self) -> Conformal | None:
        """What `measure_intervals` learnt; None where it did not."""
        from tools.conformal import Conformal

        path = self._run.vault / "intervals.json"
        return Conformal.model_validate_json(path.read_text(encoding="utf-8")) if path.exists() else None

    def other_scores(self) -> dict[str, float]:
        """Other metrics of the predictions that gave the final score, those that are defined. This is no look: nothing is left to choose.

        Raises:
            MlteamError: as `scored` does.
        """
        from tools.metrics import METRICS, score
        from tools.predictions import read_predictions

        contract, final, found = self.contract, self.scored(), {}
        # Of labels: those that were called. Of probabilities: those that were predicted.
        said = read_predictions(self._run.vault / "scored.parquet", contract, contract.rows_holdout, inside=self._run.vault)
        for metric in METRICS.values():
            if contract.task in metric.tasks and metric.name != contract.metric and not metric.same_as:
                with suppress(ValueError):  # undefined on these rows
                    shown = final.predictions if metric.needs == "label" else said
                    found[metric.name] = score(metric.name, contract.task, final.labels, shown, units=final.units)
        return found

    def open(self) -> int:
        """Give all rows with their labels to the sandbox for the refit; return their number.

        Raises:
            MlteamError: before the final score is in the ledger.
        """
        import pandas as pd

        if not self.closed:
            raise MlteamError("the holdout stays sealed until the final score is in the ledger.")
        train = pd.read_parquet(self._run.data / "train.parquet")
        holdout = pd.read_parquet(self._run.data / "holdout.parquet")
        labels = pd.read_parquet(self._run.vault / "holdout_labels.parquet")
        rows = pd.concat([train, holdout.assign(**labels)[train.columns]], ignore_index=True)
        temporary = self._run.vault / "all.parquet.tmp"
        rows.to_parquet(temporary, index=False)
        temporary.replace(self._run.data / "all.parquet")
        return len(rows)

    def groups(self, table: Literal["train", "holdout"]) -> np.ndarray | None:
        """What makes rows belong together, as text, shape (n,): the group column that split them, or the series; else None."""
        import pandas as pd

        split, forecast = self.contract.split, self.contract.forecast
        if forecast is not None:
            return forecast.series_of(self._columns(table, forecast.series)).astype(str) if forecast.series else None
        if split.kind != "group":
            return None
        column = pd.read_parquet(self._run.data / f"{table}.parquet", columns=[str(split.column)]).iloc[:, 0]
        return column.astype(str).to_numpy(dtype=object).astype(str)

    def units(self, table: Literal["train", "holdout"]) -> np.ndarray | None:
        """The unit that metrics in units count each row's error in, shape (n,); None where the contract keeps none."""
        forecast = self.contract.forecast
        if forecast is None:
            return None
        if table not in self._units:
            self._units[table] = forecast.units_of(self._columns(table, forecast.keys))
        return self._units[table]

    def _columns(self, table: str, names: list[str]) -> pd.DataFrame:
        import pandas as pd

        return pd.read_parquet(self._run.data / f"{table}.parquet", columns=names)

    def training_labels(self) -> tuple[np.ndarray, np.ndarray]:
        """Codes or values of the target of all training rows, and the fold of each in the first repeat, -1 where none validates it."""
        if self._train_codes is None:
            self._read_training_rows()
        assert self._train_codes is not None
        return self._train_codes, self.validation().folds[0]

    def validation(self) -> Validation:
        """The contract's cross-validation of the training rows, made again here."""
        if self._validation is None:
            self._read_training_rows()
        assert self._validation is not None
        return self._validation

    def _read_training_rows(self) -> None:
        import pandas as pd

        from tools.folds import make_validation
        from tools.problem import encode_target

        contract = self.contract
        train = pd.read_parquet(self._run.data / "train.parquet")
        self._train_codes = encode_target(train, contract)
        self._validation = make_validation(train, contract)


def _some(values: np.ndarray | None, rows: np.ndarray) -> np.ndarray | None:
    return None if values is None else values[rows]
