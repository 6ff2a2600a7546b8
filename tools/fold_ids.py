"""Which rows lie where, as hashes: whoever has the rows can tell whether a split is the one that a run used, and learns nothing else."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict

from tools.contract import Contract
from tools.workspace import write_json

if TYPE_CHECKING:
    import pandas as pd


class HashedRows(BaseModel):
    """The rows of the holdout, of the training table, or of one fold."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    part: str
    """`train`, `holdout`, `fold 0`, or `repeat 1 fold 0` of later repeats."""
    rows: int
    sha256: str
    """Of the sorted hashes of the rows' features, whatever their order in the table."""


def hashed(rows: pd.DataFrame) -> str:
    """One hash of a set of rows, by the content of their columns."""
    import pandas as pd

    # Lists and other values that have no hash of their own are known by how they are written.
    known = rows.reset_index(drop=True)
    for name in [name for name in known.columns if pd.api.types.is_object_dtype(known[name])]:
        known[name] = known[name].map(_written, na_action="ignore")
    each = pd.util.hash_pandas_object(known, index=False).to_numpy(dtype=np.uint64)
    return hashlib.sha256(np.sort(each).astype("<u8").tobytes()).hexdigest()


def _written(value: object) -> str:
    return value if isinstance(value, str) else str(value)


def hashed_parts(train: pd.DataFrame, holdout: pd.DataFrame, contract: Contract) -> list[HashedRows]:
    """Training rows, holdout and what each fold validates, by their features."""
    from tools.folds import fold_ids, make_validation

    features = [name for name in contract.features if name in train.columns]
    parts = {"train": train[features], "holdout": holdout[[name for name in features if name in holdout.columns]]}
    for repeat, folds in enumerate(make_validation(train, contract).folds):
        for fold in fold_ids(folds):
            parts[f"repeat {repeat} fold {fold}" if repeat else f"fold {fold}"] = train.loc[folds == fold, features]
    return [HashedRows(part=part, rows=len(rows), sha256=hashed(rows)) for part, rows in parts.items()]


def enter_folds(manifest: Path, train: pd.DataFrame, holdout: pd.DataFrame, contract: Contract) -> None:
    """Enter the hashes into a run's manifest, before the contract is sealed: a run that is cut off between does it again."""
    document = json.loads(manifest.read_text(encoding="utf-8"))
    write_json(manifest, {**document, "splits": [part.model_dump() for part in hashed_parts(train, holdout, contract)]})
