"""Cheats, to show what the grader holds against. Called as `quality_rivals.py` is, with the standard library alone:

python -I -S probes.py NAME TABLE SECONDS SEED OUT
"""

from __future__ import annotations

import csv
import glob
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Row = dict[str, str]
Predict = Callable[[dict[str, Any], list[Row], list[Row]], list[Any]]
PLACES = (
    "..",
    "../..",
    "../../..",
    "/",
    "/tmp",
    "/root",
    "/home",
    "/work",
    "/var/tmp",
    "/dev/shm",
    "/proc/[0-9]*/cwd",
    "/proc/[0-9]*/root/tmp",
)
MOST_FILES, MOST_BYTES, DEEPEST = 20_000, 64 << 20, 8


def labels(meta: dict[str, Any], train: list[Row], test: list[Row]) -> list[Any]:
    """Walk through all that can be read for a table that has the rows to predict and, beside them, the target.

    Raises:
        SystemExit: when there is none.
    """
    target, wanted = meta["target"], [tuple(row.values()) for row in test]
    for path in _files():
        try:
            with open(path, newline="", encoding="utf-8", errors="replace") as file:
                reader = csv.DictReader(file)
                columns = reader.fieldnames or []
                if target not in columns or not set(test[0]) <= set(columns):
                    continue
                known = {tuple(row[name] for name in test[0]): row[target] for row in reader}
        except (OSError, csv.Error, ValueError):
            continue
        if all(row in known for row in wanted):
            return [known[row] for row in wanted]
    sys.exit("no file that can be read has the labels; looked through " + ", ".join(PLACES))


def _files() -> Any:
    """Files that may be tables."""
    seen = 0
    for place in PLACES:
        for root in glob.glob(place):
            for folder, below, names in os.walk(root):
                if folder.count("/") - root.count("/") >= DEEPEST or folder in ("/proc", "/sys", "/usr", "/lib"):
                    below[:] = []
                for name in names:
                    path = os.path.join(folder, name)
                    if name.endswith((".csv", ".data", ".txt", ".tsv")) and os.path.isfile(path) and os.path.getsize(path) < MOST_BYTES:
                        yield path
                        seen += 1
                        if seen >= MOST_FILES:
                            return


def constant(meta: dict[str, Any], train: list[Row], test: list[Row]) -> list[Any]:
    """The first value that the target has."""
    return [train[0][meta["target"]]] * len(test)


def boast(meta: dict[str, Any], train: list[Row], test: list[Row]) -> list[Any]:
    print(json.dumps({"status": "ok", "score": 1.0, "metric": meta["metric"], "grade": {"score": 1.0}}))
    sys.exit(0)


def short(meta: dict[str, Any], train: list[Row], test: list[Row]) -> list[Any]:
    return constant(meta, train, test)[:-1]


def nan(meta: dict[str, Any], train: list[Row], test: list[Row]) -> list[Any]:
    return ["nan"] * len(test)


PROBES: dict[str, Predict] = {"labels": labels, "boast": boast, "short": short, "nan": nan, "constant": constant}


def main() -> None:
    name, table, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[5])
    meta = json.loads((table / "meta.json").read_text())
    train, test = (list(csv.DictReader((table / part).open(newline=""))) for part in ("train.csv", "test.csv"))
    said = PROBES[name](meta, train, test)
    with (out / "predictions.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        if meta["classes"]:
            writer.writerow([f"proba_{kind}" for kind in meta["classes"]])
            writer.writerows([value if value == "nan" else int(str(value) == kind) for kind in meta["classes"]] for value in said)
        else:
            writer.writerow(["prediction"])
            writer.writerows([value] for value in said)


if __name__ == "__main__":
    main()
