"""The commands that use a run and do it again, as they are typed."""

from __future__ import annotations

import shlex
from typing import Any

from reports.facts import RunFacts
from tools.sources.frame import FRAME

_OPTIONS = (
    *("target", "task", "event", "classes", "quantiles", "goal", "metric", "time", "trials", "model"),
    *(
        "sandbox",
        "device",
        "weights",
        "seed",
        "holdout",
        "folds",
        "validation",
        "repeats",
        "window",
        "gap",
        "own_split",
        "group",
        "time_column",
    ),
    *("series", "horizon", "known", "mask_pii", "sampler", "pruner", "objectives", "preparers", "without"),
    *("max_cost", "max_tokens", "expected_cost", "max_download"),
)
_CONSTRAINTS = ("max_latency_ms", "max_size_mb", "interpretable", "monotone", "families", "forbid", "sensitive")
ELSEWHERE = ("out", "constraint", "warn_cost", "warn_tokens", "probe", "tracker", "capture_content", "approval", "metrics_port")
"""Options of a run that change nothing of what it comes to, or, like `constraint`, are written out by themselves."""
_LEFT_OPEN: dict[str, Any] = {"device": "auto", "objectives": ["score"], "max_download": 20_000_000_000}
"""What is no different when it is not said, where that is not nothing."""


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
        if value is None or value is False or value == [] or value == _LEFT_OPEN.get(name):
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


def said_by_no_option(facts: RunFacts) -> str:
    """Which settings the command leaves out since no option says them, as a sentence; empty for none."""
    settings = facts.settings
    left = [f"models.{role}" for role, model in (settings.get("models") or {}).items() if isinstance(model, str)]
    left += ["prices"] if settings.get("prices") else []
    return f"No option says {', '.join(left)}: a file of settings does, with --config, as in settings.yaml of the run." if left else ""


def run_folder(facts: RunFacts) -> str:
    """The run directory as a shell takes it."""
    return shlex.quote(facts.folder)


def repeat_command(facts: RunFacts) -> str:
    """The run done again from its record, and compared."""
    return f"mlteam replay {run_folder(facts)}"


def replay_commands(facts: RunFacts) -> str:
    """Executing the notebook again; its cells write to `replay/` and leave the run as it is."""
    return f"cd {run_folder(facts)}\nrm -rf replay\njupyter nbconvert --to notebook --execute notebook.ipynb"
