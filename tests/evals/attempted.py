"""Attempts as a harness would have written them, for tests of what is made of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evals.attempts import Attempt, Attempts


def attempt(task: str, system: str, score: float | None, seed: int = 0, **facts: Any) -> Attempt:
    """An attempt that ended well where there is a score, and failed where there is none."""
    told: dict[str, Any] = {
        "suite": "classic",
        "budget_s": 60.0,
        "status": "ok" if score is not None else "failed",
        "reason": "" if score is not None else "it ended with code 1: no memory left",
        "metric": "roc_auc",
        "direction": "max",
        "wall_s": 12.0 + seed,
        "cpu_s": 20.0,
        "peak_mb": 300.0,
        "dollars": 0.0,
        "rows_train": 400,
        "rows_test": 100,
        "finished": "2026-11-26T12:00:00+00:00",
    }
    return Attempt(task=task, system=system, score=score, seed=seed, **(told | facts))


def grid(scores: Mapping[str, Mapping[str, Sequence[float | None]]], **facts: Any) -> list[Attempt]:
    """Attempts from scores by task, system and seed."""
    return [
        attempt(task, system, score, seed, **facts)
        for task, by_system in scores.items()
        for system, by_seed in by_system.items()
        for seed, score in enumerate(by_seed)
    ]


def field(tasks: int = 8, seeds: int = 3, *, behind: float = 0.03) -> list[Attempt]:
    """`strong` is ahead of `weak` by `behind` on each task, give or take what seeds do; `dummy` knows nothing."""
    scores = {
        f"task{t:02}": {
            "strong": [0.9 - 0.01 * (t % 4) + 0.004 * math.sin(5 * t + 3 * s) for s in range(seeds)],
            "weak": [0.9 - 0.01 * (t % 4) - behind + 0.004 * math.sin(7 * t + 2 * s) for s in range(seeds)],
            "dummy": [0.5] * seeds,
        }
        for t in range(tasks)
    }
    return grid(scores)


def kept(folder: Path, attempts: Sequence[Attempt]) -> Path:
    """The folder of an eval that holds these attempts."""
    rows = Attempts(folder)
    for one in attempts:
        rows.append(one)
    return folder
