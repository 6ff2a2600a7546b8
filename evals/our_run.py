"""This team on one table, as a user would have it: `mlteam run`, then `mlteam predict`. Called as `quality_rivals.py` is:

    python -m evals.our_run TEAM TABLE SECONDS SEED OUT [WORDS...]

WORDS go on the command line of `mlteam run`. It ends with that command's exit code, so a refusal of the data is 2.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tools.quantiles import LEVELS

COMMAND = (sys.executable, "-m", "team.cli")
JAILED = "EVAL_JAILED"
"""Variable that is set where all of this runs in the jail of an eval."""


def learn_and_predict(
    folder: Path,
    meta: dict[str, Any],
    seconds: float,
    seed: int,
    out: Path,
    more: Sequence[str] = (),
    *,
    limit_s: float | None = None,
    env: Mapping[str, str] | None = None,
    stderr: int | None = subprocess.PIPE,
    sandbox: str = "auto",
) -> dict[str, Any]:
    """Learn from the train.csv of a folder and write predictions.csv for its test.csv to `out`.

    Args:
        more: further words for `mlteam run`.
        limit_s: seconds that each of the two commands may take.
        env: the environment of both; None takes this one.
        sandbox: what both run in.
        stderr: where what they tell meanwhile goes; the default keeps it for the error.

    Returns:
        what is to be known of the run, among it the `summary` that `--json` prints.

    Raises:
        subprocess.SubprocessError: when a command fails or takes too long.
    """
    began = time.monotonic()
    words = ["run", str(folder / "train.csv"), *asked(meta), *more]
    words += [f"--time={seconds:g}s", f"--seed={seed}", f"--out={out}", "--tracker=none", f"--sandbox={sandbox}", "--json"]
    summary = json.loads(_typed(words, limit_s, env, stderr))
    rows = [str(folder / "test.csv"), "-o", str(out / "predictions.csv"), f"--sandbox={sandbox}"]
    _typed(["predict", summary["run"], *rows], limit_s, env, stderr)
    return {
        "wall_s": time.monotonic() - began,
        "model": summary["model"],
        "cv": summary["cv"]["score"],
        "holdout": summary["holdout"]["score"],
        "search_s": summary["seconds"]["search"],
        "first_model_s": _first_model(Path(summary["run"])),
        "degradations": len(summary["degradations"]),
        "summary": summary,
    }


def _typed(words: Sequence[str], limit_s: float | None, env: Mapping[str, str] | None, stderr: int | None) -> str:
    done = subprocess.run([*COMMAND, *words], check=True, stdout=subprocess.PIPE, stderr=stderr, text=True, timeout=limit_s, env=env)
    return done.stdout


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
    if meta["metric"] and meta["task"] != "anomaly":  # of which nobody is shown any label, so that none can decide
        words.append(f"--metric={meta['metric']}")
    if meta["task"] == "quantile":
        words.append(f"--quantiles={','.join(f'{level:g}' for level in LEVELS)}")
    elif meta["task"] not in (None, "binary", "multiclass", "regression"):  # which values tell
        words.append(f"--task={meta['task']}")
    given = {"event": meta.get("event"), "series": meta.get("series"), "time-column": meta.get("time"), "horizon": meta.get("horizon")}
    words += [f"--{name}={value}" for name, value in given.items() if value]
    return words + ([f"--classes={','.join(meta['classes'])}"] if meta["task"] == "ordinal" else [])


def _sandbox() -> str:
    """Within the jail of an eval namespaces may not nest; the jail is the sandbox then."""
    from team.sandbox.bubblewrap import BubblewrapLauncher

    return "unsafe-local" if os.environ.get(JAILED) and BubblewrapLauncher().obstacle() else "auto"


def main() -> None:
    folder, seconds, seed, out = Path(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]), Path(sys.argv[5])
    meta = json.loads((folder / "meta.json").read_text())
    try:
        told = learn_and_predict(folder, meta, seconds, seed, out, sys.argv[6:], stderr=None, sandbox=_sandbox())
    except subprocess.CalledProcessError as failure:
        sys.exit(failure.returncode if failure.returncode > 0 else 1)
    summary = told["summary"]
    cost, report = summary["cost"], summary["report"]
    failed = [f"{gate}: {why}"[:1000] for gate, why in summary["failed_gates"].items() if summary["gates"].get(gate) == "fail"]
    usage = {"tokens_in": cost["input_tokens"], "tokens_out": cost["output_tokens"], "dollars": cost["usd"], "report": report or ""}
    usage |= {"traces": str(Path(summary["run"]) / "traces.jsonl"), "warnings": failed}
    (out / "usage.json").write_text(json.dumps(usage | {"versions": {"mlteam": importlib.metadata.version("mlteam")}}))


if __name__ == "__main__":
    main()
