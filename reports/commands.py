"""The commands that use a run and do it again, as they are typed."""

from __future__ import annotations

import shlex

from reports.facts import RunFacts
from tools.sources.frame import FRAME

_OPTIONS = (
    *("target", "task", "event", "classes", "goal", "metric", "time", "trials", "model"),
    *("sandbox", "seed", "holdout", "folds", "validation", "repeats", "window", "gap", "group", "time_column"),
    *("series", "horizon", "known", "mask_pii"),
)
_CONSTRAINTS = ("max_latency_ms", "max_size_mb", "interpretable", "monotone", "families", "forbid", "sensitive")


def predict_command(facts: RunFacts) -> str:
    return f"mlteam predict {run_folder(facts)} ROWS.csv -o predictions.csv"


def run_command(facts: RunFacts) -> str:
    """The run again with every setting that is not left open, written out."""
    source = str(facts.settings.get("source", "SOURCE"))
    if source.startswith(FRAME):  # a DataFrame is gone with its process; the vault has the table
        source = f"{facts.folder}/vault/frame.parquet"
    words = ["mlteam", "run", source]
    for name in (*_OPTIONS, *_CONSTRAINTS):
        value = facts.settings.get(name)
        if name == "sandbox" and isinstance(value, dict):
            value = value.get("kind")
        if value is None or value is False or value == []:
            continue
        if value is True:
            words.append(f"--{name.replace('_', '-')}")
            continue
        if isinstance(value, list):
            value = ",".join(map(str, value))
        text = f"{value:g}s" if name == "time" and isinstance(value, (int, float)) else str(value)
        words += [f"--{name.replace('_', '-')}", text]
    for one in facts.held:
        if one.said and not one.refused:
            words += ["--constraint", one.said]
    return shlex.join(words)


def run_folder(facts: RunFacts) -> str:
    """The run directory as a shell takes it."""
    return shlex.quote(facts.folder)


def repeat_command(facts: RunFacts) -> str:
    """The run done again from its record, and compared."""
    return f"mlteam replay {run_folder(facts)}"


def replay_commands(facts: RunFacts) -> str:
    """Executing the notebook again; its cells write to `replay/` and leave the run as it is."""
    return f"cd {run_folder(facts)}\nrm -rf replay\njupyter nbconvert --to notebook --execute notebook.ipynb"
