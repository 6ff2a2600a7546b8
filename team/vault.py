"""The vault: keep the holdout's labels from before any role sees a row, score predictions of it, count every look.

Labels lie in `vault/`, which no sandbox mounts. Kernel code hands over prediction files; what they are worth is
computed here, by code that the sandbox cannot reach.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from team.errors import MlteamError
from team.ledger import Ledger, Look
from team.out_of_fold import OutOfFold
from team.rows import SENSITIVE_FILE, Rows
from team.rundir import RunDir, write_atomic
from tools.beyond import BEYOND_FILE, write_beyond
from tools.constraints import Constraints
from tools.contract import Contract, TableSchema
from tools.views import narrowed

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from tools.metrics import Interval


@dataclass(frozen=True)
class Scored:
    """The holdout as the final score saw it: rows in the order of `holdout.parquet`."""

    candidate: str
    score: float
    labels: np.ndarray
    """Codes into the contract's classes, or values, shape (n,)."""
    predictions: np.ndarray
    """Probabilities (n, k), or values (n,); for metrics of labels the largest of a row is the class that was called."""
    predicted: np.ndarray
    """The same as they were handed over, before classes were called by the candidate's decision."""
    units: np.ndarray | None = None
    """The unit of each row's error, shape (n,), or the levels of its quantiles, shape (n, q), where the contract keeps them."""
    groups: np.ndarray | None = None
    """What makes rows belong together, as text, shape (n,); None where every row stands for itself."""


class Vault:
    """Sealed labels and the score contract of one run."""

    def __init__(self, run: RunDir) -> None:
        self._run = self.run = run
        self._ledger = Ledger(run.vault / "ledger.jsonl")
        self.rows = Rows(run)
        self.out_of_fold = OutOfFold(run, self.rows)

    @property
    def contract(self) -> Contract:
        return self.rows.contract

    @property
    def sealed(self) -> bool:
        return self._run.contract.exists()

    @property
    def looks(self) -> list[Look]:
        return self._ledger.looks

    @property
    def closed(self) -> bool:
        """Whether the final score is in the ledger, after which no look is possible."""
        return self._ledger.final is not None

    def seal(self, train: pd.DataFrame, holdout: pd.DataFrame, contract: Contract, schema: TableSchema) -> None:
        """Write what the sandbox may see to `data/`, the labels to `vault/`, and the contract, last, to both.

        Args:
            train: features and target of the training rows, and the sensitive column where it is no feature.
            holdout: features and target of the holdout rows; only the features leave the vault, and of a forecast only those that are
                known ahead.
            contract: fixed from here on.
            schema: feature columns, known from the training rows alone.

        Raises:
            MlteamError: when a contract is already sealed.
        """
        if self.sealed:
            raise MlteamError(f"run {self._run.name!r} has a sealed contract already; it cannot be changed.")
        self._write_tables(train, holdout.drop(columns=contract.sealed_columns), contract)
        _write_table(self._run.vault / "holdout_labels.parquet", holdout[contract.sealed_columns])
        self._write_documents(contract, schema)

    def narrow(self, constraints: Constraints) -> list[str]:
        """Hold the contract to further constraints, and make what the sandbox may see anew without the columns that they take away.

        Writing it again changes nothing, so a run that was cut off within may do it once more.

        Returns:
            The columns that went.

        Raises:
            InputRefused: nothing would be left to learn from, or to split the rows by.
        """
        import pandas as pd

        schema = TableSchema.model_validate_json((self._run.data / "schema.json").read_text(encoding="utf-8"))
        contract, schema, gone = narrowed(self.contract.model_copy(update={"constraints": constraints}), schema)
        if gone:
            train, holdout = (pd.read_parquet(self._run.data / f"{name}.parquet") for name in ("train", "holdout"))
            self._write_tables(train, holdout, contract)
        self._write_documents(contract, schema)
        self.rows = Rows(self._run)
        self.out_of_fold = OutOfFold(self._run, self.rows)
        return gone

    def _write_tables(self, train: pd.DataFrame, holdout: pd.DataFrame, contract: Contract) -> None:
        """Write the columns that the sandbox may see, and keep back the sensitive one where it is none of them."""
        keys = [contract.split.column, *((*contract.forecast.series, contract.forecast.time) if contract.forecast else ())]
        shown = {*contract.features, *contract.answers, *filter(None, keys)}
        sensitive = contract.constraints.sensitive
        if sensitive is not None and sensitive not in shown and sensitive in train:
            _write_table(self._run.vault / SENSITIVE_FILE, train[[sensitive]])
        for name, table in (("train", train), ("holdout", holdout)):
            _write_table(self._run.data / f"{name}.parquet", table[[column for column in table.columns if str(column) in shown]])

    def _write_documents(self, contract: Contract, schema: TableSchema) -> None:
        document = contract.model_dump_json(indent=1)
        write_atomic(self._run.data / "schema.json", schema.model_dump_json(indent=1))
        write_atomic(self._run.data / "contract.json", document)
        write_atomic(self._run.contract, document)

    def take_back(self) -> None:
        """Undo a seal whose call was cut off before anybody was told of it: the call is made again, and seals the same rows."""
        self._run.contract.unlink(missing_ok=True)

    def check_holdout(self, predictions: Path) -> None:
        """Check a prediction file against the contract without looking at the labels.

        Raises:
            PredictionError: when the file breaks the prediction schema.
        """
        self._read(predictions, self._run.work)

    def score_holdout(self, candidate: str, predictions: Path, *, decision: Sequence[float] = ()) -> tuple[Interval, int]:
        """Score a prediction file against the sealed labels and enter the look into the ledger.

        Args:
            decision: the multipliers that the candidate calls classes by, as `decide` found them.

        Returns:
            The score with its bootstrap interval, and the number of looks so far, this one counted.

        Raises:
            PredictionError: when the file breaks the prediction schema; no look is made then.
            MlteamError: when the final score was taken already.
        """
        from tools.deciding import tilted
        from tools.predictions import write_predictions

        values = self._read(predictions, self._run.work)
        if self.closed and not self._is_final(candidate, values):
            raise MlteamError("the final score is in the ledger: the holdout is not looked at again.")
        labels = self._labels()
        interval = self._interval(labels, tilted(values, decision, labels=self.contract.predicts == "labels"))
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
            final=True,
            decision=list(decision),
        )
        # The kernel gets the labels after this, and could write another file in place of the one that was scored.
        write_predictions(self._run.vault / "scored.parquet", self.contract, values)
        self._ledger.enter(look)
        return interval, len(self.looks)

    def _interval(self, labels: np.ndarray, values: np.ndarray) -> Interval:
        """The holdout's score with its interval: over whole groups where rows belong together, so that rows of one group
        do not count as independent; over rows where the groups are too few for that."""
        from tools.metrics import intervals_of

        contract, groups, units = self.contract, self.rows.groups("holdout"), self.rows.units("holdout")
        return intervals_of([contract.metric], contract.task, labels, values, groups, units=units, seed=contract.seed)[contract.metric]

    def _is_final(self, candidate: str, values: np.ndarray) -> bool:
        """Whether these are the predictions that the final score was computed from."""
        import numpy as np

        final, path = self._ledger.final, self._run.vault / "scored.parquet"
        if final is None or final.candidate != candidate or not path.exists():
            return False
        return bool(np.array_equal(self._read(path, self._run.vault), values))

    def _read(self, predictions: Path, inside: Path) -> np.ndarray:
        from tools.predictions import read_predictions

        contract = self.contract
        return read_predictions(predictions, contract, contract.rows_holdout, inside=inside)

    def _labels(self) -> np.ndarray:
        import pandas as pd

        from tools.problem import encode_target

        return encode_target(pd.read_parquet(self._run.vault / "holdout_labels.parquet"), self.contract)

    def scored(self) -> Scored:
        """What the final score was computed from, so that two runs can be compared on the same rows. This is no look:
        it tells nothing of candidates that were not scored, and there is none before the final score is in the ledger.

        Raises:
            MlteamError: before the final score is in the ledger; when the predictions were not kept, or are not those that
                gave it.
        """
        from tools.deciding import tilted
        from tools.metrics import score
        from tools.spec import ToolRefused

        final = self._ledger.final
        if final is None:
            raise MlteamError(f"run {self._run.name!r} has no final score, so its holdout stays sealed.")
        contract, path = self.contract, self._run.vault / "scored.parquet"
        if not path.exists():
            raise MlteamError(f"run {self._run.name!r} did not keep the predictions that were scored.")
        try:
            predicted, labels, units = self._read(path, self._run.vault), self._labels(), self.rows.units("holdout")
            predictions = tilted(predicted, final.decision, labels=contract.predicts == "labels")
            found = score(contract.metric, contract.task, labels, predictions, units=units)
        except (OSError, ValueError, KeyError, ToolRefused) as error:
            raise MlteamError(f"what run {self._run.name!r} kept of its holdout is damaged: {error}.") from None
        if not math.isclose(found, final.score, rel_tol=1e-9, abs_tol=1e-12):
            raise MlteamError(f"the predictions kept by run {self._run.name!r} score {found:g}, the ledger says {final.score:g}.")
        return Scored(final.candidate, final.score, labels, predictions, predicted, units, self.rows.groups("holdout"))

    def open(self) -> int:
        """Give all rows with their labels to the sandbox for the refit; return their number, without those beyond a sample.

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
        write_beyond(self._run.vault, self._run.data, self.contract)
        temporary.replace(self._run.data / "all.parquet")
        return len(rows)

    def beyond(self) -> int:
        """Rows beyond the sample that `open` gave for the refit; 0 where all rows fit, or where it gave none."""
        import pyarrow.parquet as pq

        path = self._run.data / BEYOND_FILE
        return int(pq.read_metadata(path).num_rows) if path.exists() else 0


def _write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table under a temporary name, force it to disk and rename: a fork may share the file that was there."""
    temporary = path.with_name(f".{path.name}.tmp")
    table.to_parquet(temporary, index=False)
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)
