"""A run with a real vault and scores that the host computed, from predictions made up here: no team and no kernel."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from team.events import CandidateScored, HoldoutScored, RunEnded, RunStarted, StageEntered
from team.log import EventLog
from team.rundir import RunDir
from tests.hosting import Hosting
from tools.candidates import Candidate, standard_error
from tools.intake import fetch_data
from tools.predictions import write_predictions
from tools.problem import encode_target
from tools.sealing import seal_holdout


def scored(
    out: Path, *, noise: float, source: str = "sklearn:breast_cancer", family: str = "linear", ended: str | None = "done", **settings: Any
) -> RunDir:
    """A run whose one candidate errs by `noise`; the same noise gives the same predictions.

    Args:
        ended: how it ended; None leaves it without an end, and, as `interrupted` does, without a look at the holdout.
    """
    h = Hosting(out, source, target="target", **settings)
    fetch_data(h.host)
    seal_holdout(h.host)
    log = EventLog(h.run.events)
    versions = {"python": "3.11.7", "mlteam": "0.1.0", "numpy": f"2.{family}"}
    log.append(RunStarted(run=h.run.name, settings=h.settings.model_dump(mode="json"), versions=versions))
    log.append(StageEntered(stage="baseline", visit=1))
    name = f"{family}-1"
    folder = h.run.work / "candidates" / name
    write_predictions(folder / "oof.parquet", h.vault.contract, predictions(h, "train", noise))
    found = h.vault.out_of_fold.score(folder / "oof.parquet")
    pooled, by_fold = found.score, found.fold_scores
    facts: dict[str, Any] = {"name": name, "family": family, "score": pooled, "std_error": standard_error(by_fold), "fold_scores": by_fold}
    record = Candidate(
        **facts,
        params={"C": noise},
        preparation="default",
        metric=h.vault.contract.metric,
        n_folds=len(by_fold),
        fit_seconds=0.1,
        predict_ms_per_row=0.1,
    )
    (folder / "candidate.json").write_text(record.model_dump_json())
    log.append(CandidateScored(**facts, stage="baseline", seconds=0.1))
    if ended not in ("interrupted", None):
        path = h.run.work / "predictions" / f"{name}.parquet"
        write_predictions(path, h.vault.contract, predictions(h, "holdout", noise))
        interval, looks = h.vault.score_holdout(name, path)
        shown = interval.model_dump(include={"score", "low", "high", "level", "n"})
        log.append(HoldoutScored(candidate=name, metric=h.vault.contract.metric, looks=looks, **shown))
    if ended is not None:
        log.append(RunEnded(status=ended, seconds=1.0))
    log.close()
    return h.run


def predictions(h: Hosting, table: str, noise: float) -> np.ndarray:
    """The truth with normal errors of `noise` around it, of all repeats: the same errors for the same rows, larger with more noise."""
    contract = h.vault.contract
    path = h.run.data / "train.parquet" if table == "train" else h.run.vault / "holdout_labels.parquet"
    y = encode_target(pd.read_parquet(path), contract)
    rng = np.random.default_rng(len(y))
    if table == "train":
        y = np.concatenate([y] * contract.repeats)
    if contract.quantiles:
        return y[:, None] + noise * y.std() * (rng.normal(size=(len(y), 1)) + norm.ppf(contract.quantiles))
    if contract.predicts == "labels":
        return 1 / (1 + np.exp(-4 * (y - 0.5) - 2 * noise * rng.normal(size=y.shape)))
    if contract.predicts == "risk":
        return -np.log(np.abs(y)) + noise * rng.normal(size=len(y))
    if contract.task == "regression":
        return y + noise * y.std() * rng.normal(size=len(y))
    margin = np.eye(len(contract.classes))[y] + noise * rng.normal(size=(len(y), len(contract.classes)))
    weights = np.exp(2 * margin)
    return weights / weights.sum(axis=1, keepdims=True)


@contextmanager
def nested(folder: Path, depth: int = 1500) -> Iterator[None]:
    """Folders within folders, deeper than Python's stack and than a path can be long, as hostile code may leave them."""
    below = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=below)
        deeper = os.open("d", os.O_RDONLY, dir_fd=below)
        os.close(below)
        below = deeper
    os.close(below)
    try:
        yield
    finally:
        subprocess.run(["rm", "-rf", folder / "d"], check=True)
