"""What pruners save: the same trials with each of them, on tables that scikit-learn brings.

    python -m evals.pruning [--trials 20] [--family lightgbm] [--seed 0 --seed 1]

Counts are of folds that were fitted; seconds are of the processor, in this process alone, so that other work on the machine does not
count. Scores are cross-validated: the best of the search, which the search has picked.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, get_args

from evals.fit_memory import write_data
from tools.samplers import Pruner

if TYPE_CHECKING:
    import pandas as pd

TABLES = ("breast_cancer", "diabetes")


class Measured(NamedTuple):
    table: str
    seed: int
    pruner: str
    folds: int
    """Folds that the trials fitted, the starting point's included."""
    seconds: float
    """Of the processor."""
    score: float


def measure(table: str, family: str, pruner: Pruner, trials: int, seed: int) -> Measured:
    """One search of `trials` trials from the family's first default, in a workspace that goes with it."""
    import optuna

    from tools.tuning import tune
    from tools.workspace import workspace

    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        data.mkdir()
        write_data(*load(table), data, seed)
        os.environ |= {"MLTEAM_DATA": str(data), "MLTEAM_WORK": f"{folder}/work"}
        began = time.process_time()
        found = tune(family, trials=trials, time_s=3600, pruner=pruner)
        seconds = time.process_time() - began
        storage = f"sqlite:///{workspace().studies}"
        (name,) = optuna.get_all_study_names(storage)
        folds = sum(len(trial.intermediate_values) for trial in optuna.load_study(study_name=name, storage=storage).trials)
    return Measured(table, seed, pruner, folds, seconds, found.candidate.score)


def load(table: str) -> tuple[pd.DataFrame, str]:
    """A table of scikit-learn with its target as `y`, and its task."""
    from sklearn import datasets

    loaded = getattr(datasets, f"load_{table}")(as_frame=True)
    named = hasattr(loaded, "target_names") and table != "diabetes"
    target = loaded.target.map(dict(enumerate(loaded.target_names))) if named else loaded.target
    return loaded.data.assign(y=target), "binary" if named else "regression"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--trials", type=int, default=20, help="trials of each search")
    parser.add_argument("--family", default="lightgbm", help="family that is tuned")
    parser.add_argument("--seed", type=int, action="append", help="may be given several times; left out, 0")
    options = parser.parse_args()
    print("| table | seed | pruner | folds fitted | processor s | score |\n|--|--|--|--|--|--|", flush=True)
    for table in TABLES:
        for seed in options.seed or [0]:
            for pruner in sorted(get_args(Pruner), reverse=True):
                m = measure(table, options.family, pruner, options.trials, seed)
                print(f"| {m.table} | {m.seed} | {m.pruner} | {m.folds} | {m.seconds:.1f} | {m.score:.5g} |", flush=True)


if __name__ == "__main__":
    main()
