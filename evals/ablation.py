"""`make bench-ablation`: what each part of the engine is worth, by runs that do without one of them at a time.

Each run is `mlteam run` as a user would type it, with `--without PART`, on the tables of `evals/quality.py`; its model predicts rows
that it never saw. A run with everything and the same seed stands beside it. A part is measured on the tables alone that it can matter
to: parts for texts where there are texts, decisions where labels are scored. The part `nothing` leaves nothing out: what two equal
runs differ by is what clocks and threads do, and no part is worth more than that unless its interval says so.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from evals.ablation_table import Worth, table, worth
from evals.markers import record
from evals.quality import OURS, Bench
from evals.quality_data import TABLES
from evals.results import Results
from tools.calibrating import CALIBRATED
from tools.columns import infer_schema
from tools.constraints import FLOORS
from tools.contract import TableSchema, Task, predicts
from tools.families import LEARNS, TABULAR
from tools.families.setting import CLASS_METRICS
from tools.features import ONE_HOT_UP_TO
from tools.metrics import METRICS
from tools.omissions import INSTEAD

NOTHING = "nothing"
LABELLED = "balanced_accuracy"
"""The metric under which the parts that call and weigh classes are measured, on tables of two classes and more."""
OF_LABELS = ("decision", "class_weights")
FAMILIES = sorted({family for task in TABULAR for family in LEARNS[task]} - {*FLOORS})
PARTS = [NOTHING, *INSTEAD, *FAMILIES]


def metric_of(part: str, meta: dict[str, Any]) -> str:
    """The metric under which a part is measured on a table."""
    return LABELLED if part in OF_LABELS and meta["task"] in ("binary", "multiclass") else str(meta["metric"])


def concerns(part: str, task: Task, metric: str, schema: TableSchema) -> bool:
    """Whether a part can matter to a table at all."""
    levels = max((column.unique for column in schema.columns if column.kind == "categorical"), default=0)
    match part:
        case "texts" | "text_reading":
            return bool(schema.of_kind("text"))
        case "date_parts":
            return bool(schema.of_kind("datetime"))
        case "native_categories":
            return levels > 0
        case "target_means":
            return levels > ONE_HOT_UP_TO
        case "calibration":
            return task in ("binary", "multiclass") and metric in CALIBRATED
        case "decision":
            return task in ("binary", "multiclass") and METRICS[metric].needs == "label"
        case "class_weights":
            return predicts(task) == "classes" and metric in CLASS_METRICS
        case _:
            return part not in FAMILIES or part in LEARNS[task]


def contestant(part: str) -> str:
    """Under which name the results of a run without a part are kept."""
    return f"{OURS} without {part}"


def planned(bench: Bench, names: Sequence[str], parts: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Table, metric and contestant of each run, the one with everything before those that it is compared with."""
    for name in names:
        meta = bench.meta(name)
        schema = infer_schema(pd.read_csv(bench.data / name / "train.csv"), meta["target"])
        for metric in dict.fromkeys(metric_of(part, meta) for part in parts):
            mine = [p for p in parts if metric_of(p, meta) == metric and concerns(p, meta["task"], metric, schema)]
            if mine:
                yield name, metric, OURS
            yield from ((name, metric, contestant(part)) for part in mine)


def words(contestant: str) -> list[str]:
    """What a contestant has on its command line beside what all have."""
    part = contestant.removeprefix(OURS).removeprefix(" without ")
    return [f"--without={part}"] if part and part != NOTHING else []


def instead(part: str) -> str:
    """What stands in a part's place, in words."""
    return "the same run again" if part == NOTHING else INSTEAD.get(part, "the time goes to the other families")


def measure(bench: Bench, results: Results, names: Sequence[str], parts: Sequence[str], seconds: float, seeds: Sequence[int]) -> None:
    """Make the runs that are not among the results yet."""
    for seed in seeds:
        for name, metric, who in planned(bench, names, parts):
            if (who, name, metric, seconds, seed, bench.split) not in results:
                result = bench.run(who, name, seconds, seed, metric=metric, words=words(who))
                results.add(result)
                print(result, file=sys.stderr, flush=True)


def summarised(results: Results, names: Sequence[str], parts: Sequence[str], seconds: float, seeds: Sequence[int]) -> list[Worth]:
    """What each part is worth, the most valuable first, by the results that there are."""
    there = [r for r in results if r.seconds == seconds and r.seed in seeds and r.table in names and not r.split]
    whole = {(r.table, r.metric, r.seed): r for r in there if r.contestant == OURS}
    found = []
    for part in parts:
        runs = [r for r in there if r.contestant == contestant(part)]
        pairs = [(whole[key], r) for r in runs if (key := (r.table, r.metric, r.seed)) in whole]
        found.append(worth(part, instead(part), pairs, {name: m.direction for name, m in METRICS.items()}))
    return sorted(found, key=lambda one: (one.change is None, -(one.change or 0.0)))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m evals.ablation", description=(__doc__ or "").partition("\n")[0])
    tabular = sorted(name for name, one in TABLES.items() if one.task in TABULAR)
    parser.add_argument(
        "--parts", nargs="+", default=PARTS, choices=PARTS, metavar="PART", help=f"of {', '.join(PARTS)}; all when left out"
    )
    parser.add_argument("--tables", nargs="+", default=tabular, choices=tabular, metavar="TABLE", help=f"of {', '.join(tabular)}")
    parser.add_argument("--seconds", type=float, default=20.0, help="of search, each run")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--threads", type=int, default=2, help="cores of a run")
    parser.add_argument("--root", type=Path, default=Path("build/quality"), help="where tables and results are kept")
    parser.add_argument("--markdown", type=Path, help="put the table between the markers of this document")
    options = parser.parse_args()
    bench = Bench(options.root.resolve(), options.threads)
    bench.provide_data(options.tables)
    results = Results(bench.root / "ablation.jsonl")
    chosen = options.tables, options.parts, options.seconds, options.seeds
    try:
        measure(bench, results, *chosen)
    finally:  # what was measured is told, also where it was broken off
        found = summarised(results, *chosen)
        path = bench.root / f"ablation-{options.seconds:g}.json"
        path.write_text(json.dumps([one.__dict__ for one in found], indent=1), encoding="utf-8")
        print(table(found))
    if options.markdown:
        record(options.markdown, f"ablation {options.seconds:g}", table(found))


if __name__ == "__main__":
    main()
