"""Run the datasets that need no download and print a table of what came out.

    python -m evals.showcase [--time 60s] [--out DIR] [FILE.csv=TARGET ...]

Each line is one `mlteam run --json`, started as a user would start it. The last column holds the seconds of the stages in
their order: plan, acquire, analyse, prepare, baseline, train, optimise, select, document, release.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

BUNDLED = {"sklearn:breast_cancer": "target", "sklearn:wine": "target", "sklearn:diabetes": "target", "sklearn:digits": "target"}
HEAD = ("dataset", "status", "metric", "holdout", "95 % interval", "cv", "baseline", "model", "search s", "rest s", "seconds by stage")
STAGES = ("plan", "acquire", "analyse", "prepare", "baseline", "train", "optimise", "select", "document", "release")


def run(source: str, target: str, limit: str, out: Path) -> dict[str, Any]:
    """One run in a process of its own: its summary, with the wall-clock seconds of the whole command."""
    command = [sys.executable, "-m", "team.cli", "run", source, "--target", target, "--time", limit, "--out", str(out), "--json"]
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wall = time.perf_counter() - start
    if done.returncode != 0:
        return {"status": f"exit {done.returncode}: {done.stderr.strip().splitlines()[-1]}", "wall": wall}
    return {**json.loads(done.stdout), "wall": wall}


def row(name: str, s: dict[str, Any]) -> tuple[str, ...]:
    if "holdout" not in s or s["holdout"] is None:
        return (name, s["status"], *[""] * (len(HEAD) - 2))
    h, search = s["holdout"], s["seconds"]["search"]
    return (
        name,
        s["status"],
        s["metric"],
        f"{h['score']:.4g}",
        f"{h['low']:.4g} to {h['high']:.4g}",
        f"{s['cv']['score']:.4g}",
        f"{s['baseline']['score']:.4g}",
        s["model"],
        f"{search:.1f}",
        f"{s['wall'] - search:.1f}",
        " ".join(f"{s['seconds'].get(stage, 0):.0f}" for stage in STAGES),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("tables", nargs="*", help="FILE.csv=TARGET; left out, the tables that scikit-learn bundles")
    parser.add_argument("--time", default="60s")
    parser.add_argument("--out", type=Path, default=Path("runs"))
    options = parser.parse_args()
    tables = dict(table.rsplit("=", 1) for table in options.tables) or BUNDLED
    print("| " + " | ".join(HEAD) + " |\n|" + "--|" * len(HEAD))
    failed = 0
    for source, target in tables.items():
        summary = run(source, target, options.time, options.out)
        failed += summary["status"] != "done"
        name = source if source.startswith("sklearn:") else Path(source).parent.name + "/" + Path(source).name
        print("| " + " | ".join(row(name, summary)) + " |", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
