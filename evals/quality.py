"""`make bench-quality`: this team beside AutoML libraries on real tables, in the same time on the same machine.

Each contestant learns from a table's train.csv in a process of its own, one at a time, and predicts test.csv, whose labels it never
sees. The team does it as a user would: `mlteam run`, then `mlteam predict`. Results are appended to a file, so that a run that was cut
off goes on, and seeds and splits can be added.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from evals.environments import DATA_NEEDS, DATA_PACKAGES, ENVIRONMENTS, interpreter
from evals.markers import record
from evals.our_run import learn_and_predict
from evals.quality_data import TABLES
from evals.quality_score import read_answers, scored
from evals.quality_table import beside, table
from evals.results import Result, Results
from tools.metrics import METRICS

HERE = Path(__file__).parent
OURS = "mlteam"
SIMPLE = {
    "count": ("poisson_glm",),
    "ordinal": ("logistic",),
    "quantile": ("linear_quantiles", "lightgbm_quantiles"),
    "multilabel": ("logistic_labels", "lightgbm_labels"),
    "survival": ("cox",),
    "forecast": ("seasonal_naive", "auto_ets", "auto_arima"),
    "cluster": ("kmeans",),
    "anomaly": ("isolation_forest",),
}
"""What stands beside the team where AutoML libraries do not: see `evals/quality_simple.py`. They run in the project's own environment."""
AUTOML = ("binary", "multiclass", "regression", "count", "ordinal")
"""Tasks that the AutoML libraries serve."""
SHARED = {"autogluon_medium": "autogluon_best", "lightgbm": "catboost"}
RIVALS = (*ENVIRONMENTS, *SHARED)
PLAIN = tuple(name for names in SIMPLE.values() for name in names)
CONTESTANTS = (OURS, "simple", *RIVALS)
DIRECTIONS: dict[str, str] = {name: metric.direction for name, metric in METRICS.items()}
OVERRUN = 10.0
"""A contestant that takes so many times its seconds, and five minutes more, is ended."""


@dataclass(frozen=True)
class Bench:
    """Where things are kept between calls."""

    root: Path
    threads: int = 2
    """Cores that a contestant may use."""
    split: int = 0
    """Which deal of the tables: where few rows are judged, one deal says as much of the rows as of the contestants."""

    @property
    def data(self) -> Path:
        return self.root / (f"data-{self.split}" if self.split else "data")

    def environment(self, name: str, packages: tuple[str, ...], bare: tuple[str, ...] = ()) -> Path:
        """The interpreter of an environment, which is made when it is not there."""
        return interpreter(self.root / "venvs", name, packages, bare)

    def provide_data(self, names: Sequence[str]) -> None:
        """Write the tables that are not there yet."""
        if missing := [name for name in names if not (self.data / name / "meta.json").exists()]:
            python = self.environment("data", DATA_NEEDS, DATA_PACKAGES)
            subprocess.run([str(python), str(HERE / "quality_data.py"), str(self.data), "--split", str(self.split), *missing], check=True)

    def meta(self, name: str) -> dict[str, Any]:
        """What a table is: target, task, metric, classes, rows."""
        found: dict[str, Any] = json.loads((self.data / name / "meta.json").read_text())
        return found

    def run(self, contestant: str, name: str, seconds: float, seed: int, *, metric: str | None = None, words: Sequence[str] = ()) -> Result:
        """Let one contestant learn and predict one table.

        Args:
            metric: another than the table's own.
            words: further ones for the command line of `mlteam run`, where that is who learns.
        """
        folder = self.data / name
        meta = self.meta(name) | ({"metric": metric} if metric else {})
        with tempfile.TemporaryDirectory(prefix="quality-") as out:
            try:
                rival = contestant in (*RIVALS, *PLAIN)
                learn = partial(self._rival, contestant) if rival else partial(self._ours, words)
                info = learn(folder, meta, seconds, seed, Path(out))
                value: float | None = scored(meta, pd.read_csv(Path(out) / "predictions.csv"), read_answers(folder))
                error = ""
            except (subprocess.SubprocessError, OSError, ValueError, KeyError) as failure:
                told = getattr(failure, "stderr", None) or str(failure)
                info, value, error = {}, None, str(told).strip()[-400:]
        return Result(contestant, name, meta["metric"], seconds, seed, value, info.get("wall_s"), info, error, self.split)

    def _rival(self, contestant: str, folder: Path, meta: dict[str, Any], seconds: float, seed: int, out: Path) -> dict[str, Any]:
        kind = SHARED.get(contestant, contestant)
        plain = contestant in PLAIN
        python = Path(sys.executable) if plain else self.environment(kind, ENVIRONMENTS[kind])
        program = HERE / ("quality_simple.py" if plain else "quality_rivals.py")
        words = [str(python), str(program), contestant, str(folder), str(seconds), str(seed), str(out)]
        subprocess.run(words, check=True, capture_output=True, text=True, timeout=OVERRUN * seconds + 300, env=self._environment())
        found: dict[str, Any] = json.loads((out / "info.json").read_text())
        return found

    def _ours(self, more: Sequence[str], folder: Path, meta: dict[str, Any], seconds: float, seed: int, out: Path) -> dict[str, Any]:
        told = learn_and_predict(folder, meta, seconds, seed, out, more, limit_s=OVERRUN * seconds + 300, env=self._environment())
        return {name: value for name, value in told.items() if name != "summary"}

    def _environment(self) -> dict[str, str]:
        threads = str(self.threads)
        return {**os.environ, "OMP_NUM_THREADS": threads, "MLTEAM_SANDBOX__CPUS": threads, "PYTHONPATH": str(HERE.parent)}


def contestants_for(task: str, names: Sequence[str]) -> list[str]:
    """Those of the contestants that can learn a task; `simple` stands for the simple models of the task."""
    found = [one for name in names for one in (SIMPLE.get(task, ()) if name == "simple" else (name,))]
    return [name for name in found if name not in RIVALS or task in AUTOML]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m evals.quality", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--contestants", nargs="+", default=[OURS], choices=CONTESTANTS)
    parser.add_argument("--tables", nargs="+", choices=sorted(TABLES), help="names of tables; all when left out", metavar="TABLE")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--splits", nargs="+", type=int, default=[0], help="ways to deal the rows into those to learn from and to predict")
    parser.add_argument("--threads", type=int, default=2, help="cores that each may use")
    parser.add_argument("--root", type=Path, default=Path("build/quality"), help="where tables, environments and results are kept")
    parser.add_argument("--again", action="store_true", help="measure also what is in the results already")
    parser.add_argument("--markdown", type=Path, help="put the table between the markers of this document")
    options = parser.parse_args()
    names = options.tables or sorted(TABLES)
    root = options.root.resolve()
    known = Results(root / "results.jsonl")
    for split, seed in itertools.product(options.splits, options.seeds):
        bench = Bench(root, options.threads, split)
        bench.provide_data(names)
        for name in names:
            for contestant in contestants_for(TABLES[name].task, options.contestants):
                key = (contestant, name, bench.meta(name)["metric"], options.seconds, seed, split)
                if options.again or key not in known:
                    result = bench.run(contestant, name, options.seconds, seed)
                    known.add(result)
                    print(result, file=sys.stderr, flush=True)
    there = [r for r in known if r.seconds == options.seconds and r.table in names and r.split in options.splits]
    automl = table([r for r in there if TABLES[r.table].task in AUTOML and r.contestant not in PLAIN], DIRECTIONS)
    simple = beside([r for r in there if TABLES[r.table].task in SIMPLE and r.contestant not in RIVALS], DIRECTIONS)
    for title, shown in (("quality", automl), ("simple", simple)):
        if shown:
            print(shown)
            if options.markdown:
                record(options.markdown, f"{title} {options.seconds:g}", shown)


if __name__ == "__main__":
    main()
