"""`python -m evals.apart RUN CANDIDATE --engine dask://HOST:PORT`: a booster on all rows of a table that no machine holds.

A run works on a sample of such a table and writes the rest beside it (`tools.beyond`). Here XGBoost or LightGBM is fitted on both by its
own interface to Dask: workers read and encode a stretch of the rows each, and grow the same trees together. The encoder, the
configuration and the number of trees are those of the candidate. The booster is written as its library does; the run's own package
stays as it is.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evals.engines import make_engine
from team.errors import MlteamError, UsageError
from tools.beyond import BEYOND_FILE
from tools.candidates import Candidate, load_candidate
from tools.columns import coerce
from tools.contract import Contract, TableSchema
from tools.crossval import setting_for
from tools.deadline import Deadline
from tools.families import family
from tools.families.base import CROSSES
from tools.families.setting import FitContext
from tools.growing import TABLES
from tools.preparation import load_preparation
from tools.problem import encode_target, load_problem
from tools.refitting import refit_iterations
from tools.spec import ToolRefused
from tools.workspace import Workspace

if TYPE_CHECKING:
    from tools.families.fitted import Fitted
    from tools.features import TableEncoder

SUFFIXES = {"xgboost": ".ubj", "lightgbm": ".txt"}
"""Families that can, with the form in which their library writes a booster."""


def fit_apart(cluster: Any, data: Path, record: Candidate, preparations: Path) -> tuple[Fitted, int]:
    """The candidate's fit on all rows, and their number.

    Args:
        cluster: a `distributed.Client`, whose workers see `data` under the same name.
        data: `all.parquet`, `beyond.parquet`, `contract.json` and `schema.json` of a run whose holdout is open.
        preparations: the folder of the candidate's preparation.

    Raises:
        UsageError: the candidate's family, or how it is prepared, cannot be fitted so.
    """
    with tempfile.TemporaryDirectory(prefix="apart-") as scratch:
        space = Workspace(data, Path(scratch))
        space.preparations.symlink_to(preparations.resolve())
        problem = load_problem(space, "all")
        preparation = load_preparation(space, record.preparation, problem)
    if record.family not in SUFFIXES or preparation.preparers or problem.contract.predicts not in ("classes", "values"):
        can = " and ".join(SUFFIXES)
        raise UsageError(f"{record.name!r} cannot be fitted apart: only {can} without steps of a preparation, of classes or values, can")
    learner, params = family(record.family), dict(record.params)
    names = [column.name for column in preparation.columns]
    setting = setting_for(problem, preparation)
    context = FitContext(deadline=Deadline(), iterations=refit_iterations(record, problem.contract), seed=setting.seed)
    before = learner.fit(problem.X[names], problem.y, None, None, params, setting, context)
    if before.classes.size not in (0, before.n_classes):
        raise UsageError(f"{record.name!r} cannot be fitted apart: the sample lacks a class")
    X, y, rows = _arrays(cluster, data, problem.contract, problem.schema, names, before)
    try:
        params.pop(CROSSES, None)  # the encoder holds no pairs, or refuses
        with cluster.as_current():
            raw = learner.over_workers(before.predictor, cluster, X, y, params, replace(setting, n_rows=rows), context)
    except NotImplementedError as error:
        raise UsageError(f"{record.name!r} cannot be fitted apart: {error}") from None
    return replace(before, predictor=raw.predictor, iterations=raw.iterations, importance=raw.importance or before.importance), rows


def _arrays(cluster: Any, data: Path, contract: Contract, schema: TableSchema, names: list[str], before: Fitted) -> tuple[Any, Any, int]:
    """All rows, encoded, and their targets as dask arrays, a block for each row group of the files."""
    import dask
    import dask.array as da
    import pyarrow.parquet as pq

    encoder: TableEncoder = before.predictor.encoder  # type: ignore[attr-defined]  # both families' models have one
    shared = dask.delayed((contract, schema, names, encoder, before.log_target), pure=True)
    width = encoder.blocks_[-1].stop if encoder.blocks_ else 1
    blocks, targets = [], []
    for table in TABLES:
        metadata = pq.read_metadata(data / table)
        for group in range(metadata.num_row_groups):
            piece = dask.delayed(_piece, nout=2)(str(data / table), group, shared)
            rows = metadata.row_group(group).num_rows
            blocks.append(da.from_delayed(piece[0], (rows, width), np.float32))
            targets.append(da.from_delayed(piece[1], (rows,), np.int64 if contract.classes else np.float64))
    X, y = cluster.persist([da.concatenate(blocks), da.concatenate(targets)])
    return X, y, int(X.shape[0])


def _piece(path: str, group: int, shared: tuple[Contract, TableSchema, list[str], TableEncoder, bool]) -> tuple[Any, Any]:
    """On a worker: one row group as the boosters take it."""
    import pyarrow.parquet as pq

    contract, schema, names, encoder, log_target = shared
    with pq.ParquetFile(path) as file:
        frame = file.read_row_group(group).to_pandas()
    y = encode_target(frame, contract)
    matrix = np.ascontiguousarray(encoder.transform(coerce(frame, schema)[names]), dtype=np.float32)
    return matrix, np.log1p(np.maximum(y, 0)) if log_target else y


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m evals.apart", description=str(__doc__).split("\n\n")[0])
    parser.add_argument("run", type=Path, help="a run's directory, in a folder that all workers share")
    parser.add_argument("candidate", help="an XGBoost or LightGBM candidate of it")
    parser.add_argument("--engine", required=True, help="dask://HOST:PORT of a Dask scheduler")
    parser.add_argument("-o", "--output", type=Path, default=Path(), help="folder for the booster")
    given = parser.parse_args(words)
    try:
        space = Workspace(given.run.resolve() / "data", given.run.resolve() / "work")
        if not (space.data / BEYOND_FILE).is_file():
            raise UsageError(f"{str(given.run)!r} has no rows beyond a sample ({BEYOND_FILE}): its model was fitted on all rows")
        record = load_candidate(space, given.candidate)
        from evals.engines.dask import DaskEngine

        with closing(make_engine(given.engine)) as engine:
            if not isinstance(engine, DaskEngine):
                raise UsageError(f"--engine {given.engine!r}: expected dask://HOST:PORT")
            began = time.monotonic()
            fitted, rows = fit_apart(engine.client, space.data, record, space.preparations)
    except ToolRefused as error:
        print(error, file=sys.stderr)
        return UsageError.exit_code
    except MlteamError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    file = given.output / f"{record.name}{SUFFIXES[record.family]}"
    fitted.predictor.booster.save_model(str(file))  # type: ignore[attr-defined]  # both families' models have one
    print(json.dumps({"booster": str(file), "rows": rows, "trees": fitted.iterations, "seconds": round(time.monotonic() - began, 1)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
