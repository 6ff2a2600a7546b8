"""What steps of a preparation bring on rows that nobody learnt from, and whether `try_steps` tells which.

    python -m evals.step_gains DATA [--table titanic --table hitters] [--rows 3000] [--time 60]

DATA holds the tables that `evals/quality_data.py` writes: train.csv, test.csv without the target, labels.csv. Of every table and step,
boosted trees and a linear model are fitted to the training rows with the step and without, quickly and alike, and judged on the rows
that were held back; 95 % intervals are of a bootstrap over those rows, by the same rows for both fits. Beside that stands what
`try_steps` keeps, which has seen the training rows alone.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from evals.fit_memory import write_data
from tools.columns import coerce
from tools.deadline import Deadline
from tools.gaining import fit_quickly, try_steps
from tools.metrics import score
from tools.preparation import load_preparation, own_steps
from tools.problem import Problem, encode_target, load_problem
from tools.spec import ToolRefused
from tools.workspace import workspace

if TYPE_CHECKING:
    from tools.families.setting import Array

TABLES = ("titanic", "telco_churn", "hpc_jobs", "hitters", "lending", "leaves", "hotel")
STEPS = (
    "outliers=clip",
    "impute=knn",
    "impute=indicator",
    "make=ratios",
    "make=interactions",
    "make=aggregates",
    "encode=target",
    "encode=strings",
    "scale=power",
    "select=mi",
    "select=shadow",
    "reduce=pca",
)
FAMILIES = ("lightgbm", "linear")
DRAWS = 200


class Gain(NamedTuple):
    """What a step, or all that were kept, brings on the rows that were held back; above 0 is better."""

    table: str
    family: str
    steps: str
    before: float
    gain: float
    low: float
    high: float
    kept: bool
    """Whether `try_steps` kept it; of all kept steps together, whether there are any."""

    @property
    def sign(self) -> str:
        return "better" if self.low > 0 else "worse" if self.high < 0 else "alike"


def measure(folder: Path, rows: int, seconds: float, steps: Sequence[str] = STEPS) -> Iterator[Gain]:
    """Gains of every step by itself, and of those together that `try_steps` keeps, on one table. A step that cannot be used is left out.

    Args:
        rows: at most so many training rows.
        seconds: that `try_steps` may take.
    """
    meta = json.loads((folder / "meta.json").read_text())
    train, test = pd.read_csv(folder / "train.csv"), pd.read_csv(folder / "test.csv")
    train = train.sample(min(rows, len(train)), random_state=0).reset_index(drop=True)
    held = test.assign(y=pd.read_csv(folder / "labels.csv")[meta["target"]])
    train = train.rename(columns={meta["target"]: "y"})
    if meta["task"] != "regression":
        train, held = (each.assign(y=each["y"].astype(str)) for each in (train, held))
    with opened(train, meta["task"]) as problem:
        X, truth = coerce(held, problem.schema), encode_target(held, problem.contract)
        found = _kept(steps, seconds)
        for name in FAMILIES:
            plain = _predicted(problem, name, [], X)
            for chosen in [*([step] for step in steps), found]:
                together = chosen is found
                what, kept = ("all kept", bool(found)) if together else (chosen[0], chosen[0] in found)
                gain = _compared(problem, folder.name, name, chosen, what, kept, X, truth, plain)
                if gain is not None:
                    yield gain


def judged(
    table: str, task: str, train: pd.DataFrame, held: pd.DataFrame, steps: Sequence[str], seconds: float, seed: int = 0
) -> tuple[list[str], list[Gain]]:
    """What `try_steps` keeps, and what all of it together brings each family on rows held back; no gains where it keeps nothing.

    Args:
        train: rows with the target `y`, text where it is a class; `held` likewise.
        steps: to try; left empty, those that the table suggests.
        seconds: that `try_steps` may take.
    """
    with opened(train, task, seed) as problem:
        found = _kept(steps, seconds)
        if not found:
            return [], []
        X, truth = coerce(held, problem.schema), encode_target(held, problem.contract)
        gains = [_compared(problem, table, name, found, "all kept", True, X, truth, _predicted(problem, name, [], X)) for name in FAMILIES]
    return found, [gain for gain in gains if gain is not None]


@contextlib.contextmanager
def opened(train: pd.DataFrame, task: str, seed: int = 0) -> Iterator[Problem]:
    """The problem of a table whose target is `y`, in a workspace that lasts as long as the context."""
    with tempfile.TemporaryDirectory() as place:
        data = Path(place) / "data"
        data.mkdir()
        write_data(train, task, data, seed)
        os.environ |= {"MLTEAM_DATA": str(data), "MLTEAM_WORK": f"{place}/work"}
        yield load_problem(workspace())


def _compared(
    problem: Problem, table: str, name: str, chosen: list[str], what: str, kept: bool, X: pd.DataFrame, truth: Array, plain: Array
) -> Gain | None:
    """The gain of chosen steps for a family; None where they cannot be used."""
    try:
        made = _predicted(problem, name, chosen, X) if chosen else plain
    except ToolRefused:
        return None
    low, gain, high = _gain(problem, truth, plain, made)
    before = score(problem.contract.metric, problem.contract.task, truth, plain)
    return Gain(table, name, what, before, gain, low, high, kept)


def _kept(steps: Sequence[str], seconds: float) -> list[str]:
    """What `try_steps` keeps; nothing where the rows are too few for it."""
    try:
        return try_steps(list(steps), time_s=seconds).steps
    except ToolRefused:
        return []


def _predicted(problem: Problem, name: str, steps: list[str], X: pd.DataFrame) -> Array:
    base = load_preparation(workspace(), "default", problem)
    chosen = base.model_copy(update={"preparers": own_steps(problem, base, steps), "made": base.columns})
    fitted = fit_quickly(name, problem, chosen, np.arange(problem.n_rows), Deadline(600), n_rows=problem.n_rows)
    return fitted.predict(X[[column.name for column in base.columns]])


def _gain(problem: Problem, truth: Array, plain: Array, made: Array) -> tuple[float, float, float]:
    """Low end, value and high end of a gain, above 0 for better."""
    contract, rng = problem.contract, np.random.default_rng(0)
    sign = 1.0 if contract.direction == "maximize" else -1.0

    def difference(rows: Array) -> float:
        return sign * (
            score(contract.metric, contract.task, truth[rows], made[rows]) - score(contract.metric, contract.task, truth[rows], plain[rows])
        )

    everything = np.arange(len(truth))
    drawn = [difference(rng.choice(everything, len(everything))) for _ in range(DRAWS)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), difference(everything), float(high)


def summary(gains: Iterable[Gain]) -> str:
    """A table with a line for each step: on how many tables it is better, alike and worse, and on which it was kept."""
    found = list(gains)
    lines = ["| step | boosted trees | linear model | kept by `try_steps` |", "|--|--|--|--|"]
    for step in dict.fromkeys(one.steps for one in found):
        cells = []
        for name in FAMILIES:
            signs = [one.sign for one in found if (one.steps, one.family) == (step, name)]
            cells.append(" / ".join(str(signs.count(sign)) for sign in ("better", "alike", "worse")))
        kept = dict.fromkeys(one.table for one in found if one.steps == step and one.kept)
        lines.append(f"| {step} | {cells[0]} | {cells[1]} | {'' if step == 'all kept' else ', '.join(kept)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data", type=Path, help="folder of tables, as evals/quality_data.py writes them")
    parser.add_argument("--table", action="append", help="may be given several times; left out, seven")
    parser.add_argument("--rows", type=int, default=3000, help="training rows of a table, at most")
    parser.add_argument("--time", type=float, default=60.0, help="seconds that try_steps may take on a table")
    options = parser.parse_args()
    gains: list[Gain] = []
    for table in options.table or TABLES:
        if not (options.data / table / "meta.json").is_file():
            parser.error(f"{options.data} holds no table {table!r}; python evals/quality_data.py OUT writes them")
        for one in measure(options.data / table, options.rows, options.time):
            gains.append(one)
            print(
                f"{one.table:12} {one.family:9} {one.steps:18} from {one.before:.5g} by {one.gain:+.4g} [{one.low:+.4g}, {one.high:+.4g}]"
                f"{' kept' if one.kept else ''}",
                flush=True,
            )
    print(f"\nTables on which a step is better / alike / worse:\n\n{summary(gains)}")


if __name__ == "__main__":
    main()
