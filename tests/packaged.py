"""A run with a packaged model as the tools make it, in this process: fetched, sealed, fitted, scored, refitted, exported, packaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.hosting import Hosting
from tools.contract import Contract
from tools.evaluation import evaluate
from tools.exporting import export_model
from tools.finishing import finish
from tools.intake import fetch_data
from tools.packaging import package_model
from tools.sealing import seal_holdout
from tools.training import train


def packaged(out: Path, source: str | Path, target: str, family: str = "linear", **settings: Any) -> Hosting:
    """Such a run, of one family with its default configuration."""
    h = Hosting(out, source, target=target, folds=2, **settings)
    fetch_data(h.host)
    seal_holdout(h.host)
    assert isinstance(h.vault.contract, Contract)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MLTEAM_DATA", str(h.run.data))
        environment.setenv("MLTEAM_WORK", str(h.run.work))
        candidate = train([family], time_s=60, per_family=1).candidates[0].name
        evaluate(candidate, time_s=60)
        h.vault.score_holdout(candidate, h.run.work / "predictions" / f"{candidate}.parquet")
        h.vault.open()
        finish(candidate, time_s=60)
        export_model()
    h.state = h.state.model_copy(update={"refitted": candidate})
    package_model(h.host)
    return h
