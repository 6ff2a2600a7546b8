"""What the networks of the extra `networks` add: each family's first configuration alone, and blends with and without them.

    OMP_NUM_THREADS=1 python -m evals.networks [--time 600] [--table FILE.csv=TARGET ...]

Scores are out of fold; a blend's weights are chosen on other folds than those that score it. Seconds are of the processor, in this process
alone, so that other work on the machine does not count; but the time that a family is given is the clock's.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

from evals.fit_memory import write_data
from evals.pruning import load

OTHERS = ("linear", "lightgbm", "catboost", "extra_trees", "mlp")
NETWORKS = ("realmlp", "tabm")


def measure(name: str, seconds: float) -> None:
    """Print the rows of one table: a table of scikit-learn by name, or `FILE.csv=TARGET`."""
    import pandas as pd

    from tools.ensembling import ensemble
    from tools.training import train

    if "=" in name:
        path, _, target = name.partition("=")
        frame = pd.read_csv(path).rename(columns={target: "y"})
        name, task = Path(path).parent.name, "binary" if frame["y"].nunique() == 2 else "regression"
        frame = frame.assign(y=frame["y"].astype(str)) if task == "binary" else frame
    else:
        frame, task = load(name)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        data.mkdir()
        write_data(frame, task, data, 0)
        os.environ |= {"MLTEAM_DATA": str(data), "MLTEAM_WORK": f"{folder}/work"}
        made: dict[str, str] = {}
        for family in (*OTHERS, *NETWORKS):
            began = time.process_time()
            found = train([family], time_s=seconds, per_family=1)
            spent = time.process_time() - began
            told = f"{found.candidates[0].score:.5g}" if found.candidates else found.skipped[0].reason
            print(f"| {name} | {family} | {told} | {spent:.0f} |", flush=True)
            if found.candidates:
                made[family] = found.candidates[0].name
        others = [made[family] for family in OTHERS if family in made]
        for label, added in (("blend without", ()), *((f"blend with {n}", (n,)) for n in NETWORKS), ("blend with both", NETWORKS)):
            if all(family in made for family in added):
                blend = ensemble([*others, *(made[family] for family in added)], time_s=60)
                weights = ", ".join(f"{m.name} {m.weight:.2f}" for m in blend.members)
                print(f"| {name} | {label} | {blend.candidate.score:.5g} | {weights} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--time", type=float, default=600, help="seconds of the clock that each family is given")
    parser.add_argument("--table", action="append", help="a table of scikit-learn, or FILE.csv=TARGET; may be given several times")
    options = parser.parse_args()
    print("| table | what | score | processor s, or weights |\n|--|--|--|--|", flush=True)
    for name in options.table or ["breast_cancer", "diabetes"]:
        measure(name, options.time)


if __name__ == "__main__":
    main()
