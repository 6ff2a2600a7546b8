"""AIDE (Jiang and others, 2025) on one table: a tree search over programs that a language model writes.

Called as `quality_rivals.py` is, with the model at the end:

    python quality_aide.py aide TABLE SECONDS SEED OUT openai:MODEL[@BASE_URL]

AIDE reads its key and address from OPENAI_API_KEY and OPENAI_BASE_URL, or from ANTHROPIC_API_KEY. The predictions of the best program so
far are kept after every step, so what it has when its time is over counts.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Meta = dict[str, Any]
MOST_STEPS = 1000
PAUSE_S = 2.0
"""Behind a step that failed, as all will where no model answers."""


def goal(meta: Meta) -> tuple[str, str]:
    """What AIDE is told: the goal, and how its programs are judged."""
    columns = ", ".join(f"proba_{name}" for name in meta["classes"]) or "prediction"
    wish = (
        f"Predict the column {meta['target']!r}: learn from input/train.csv, and predict every row of input/test.csv, in its order. "
        f"working/submission.csv must have a row a row of test.csv and exactly these columns: {columns}. "
    )
    return wish, f"{meta['metric']} on rows that were held back"


def counted(query: Callable[..., Any], used: dict[str, int]) -> Callable[..., Any]:
    """A way to ask a model that adds up the tokens."""

    def ask(*words: Any, **named: Any) -> Any:
        answer = query(*words, **named)
        used["tokens_in"] += int(answer[2] or 0)
        used["tokens_out"] += int(answer[3] or 0)
        return answer

    return ask


def search(meta: Meta, table: Path, seconds: float, out: Path, model: str, used: dict[str, int]) -> None:
    """Search until the time is over.

    Args:
        used: gets the tokens that it takes, also where it fails.

    Raises:
        SystemExit: when nothing was made that AIDE takes for sound; says why.
    """
    from aide import Experiment, backend

    asked = backend.provider_to_query_func
    asked.update({name: counted(query, used) for name, query in asked.items()})
    data = out / "input"
    data.mkdir()
    for name in ("train.csv", "test.csv"):
        shutil.copy(table / name, data / name)
    experiment = Experiment(str(data), *goal(meta))
    for part in (experiment.cfg.agent.code, experiment.cfg.agent.feedback):
        part.model = model
    end = time.monotonic() + seconds
    experiment.interpreter.timeout = max(1, round(seconds))
    said = ""
    try:
        for _ in range(MOST_STEPS):
            if time.monotonic() >= end:
                break
            try:
                experiment.agent.step(exec_callback=experiment.interpreter.run)
            except Exception as error:  # a reply that is no review, or no model; the next step asks anew
                said = f"{type(error).__name__}: {error}"
                print(f"aide: a step ended in {said}", file=sys.stderr, flush=True)
                time.sleep(min(PAUSE_S, max(0.0, end - time.monotonic())))
                continue
            made = Path(experiment.cfg.workspace_dir) / "working" / "submission.csv"
            if experiment.journal.get_best_node() is experiment.journal.nodes[-1] and made.exists():
                shutil.copy(made, out / "predictions.csv")
    finally:
        experiment.interpreter.cleanup_session()
    if not (out / "predictions.csv").exists():
        steps = len(experiment.journal.nodes)
        sys.exit(f"aide: none of {steps} programs made a submission that it took for sound{f'; a step ended in {said}' if said else ''}")


def main() -> None:
    table, seconds, out = Path(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[5])
    spec, _, address = sys.argv[6].partition("@")
    if address:
        os.environ["OPENAI_BASE_URL"] = address
        os.environ.setdefault("OPENAI_API_KEY", "none")
    meta = json.loads((table / "meta.json").read_text())
    used = {"tokens_in": 0, "tokens_out": 0}
    try:
        search(meta, table, seconds, out, spec.rpartition(":")[2], used)
    finally:
        (out / "usage.json").write_text(json.dumps(used))


if __name__ == "__main__":
    main()
