"""Medals of Kaggle's competitions, by the public leaderboards that MLE-bench keeps.

MLE-bench (Chan and others, 2025, section 2.2) awards what Kaggle would have for the place that a score takes on the final leaderboard. The
leaderboards are in its repository (Git LFS); `MLE_BENCH` names a clone of it. Without one there are scores and no medals.
"""

from __future__ import annotations

import csv
import math
import os
from pathlib import Path
from typing import Literal

VARIABLE = "MLE_BENCH"
Medal = Literal["gold", "silver", "bronze", "none"]


def leaderboard(competition: str) -> list[float] | None:
    """The final scores of a competition; None where there is no clone, or none of this competition in it."""
    clone = os.environ.get(VARIABLE)
    path = Path(clone or ".") / "mlebench" / "competitions" / competition / "leaderboard.csv"
    if not clone or not path.is_file():
        return None
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if "score" not in (reader.fieldnames or []):  # a pointer of Git LFS, which was not fetched
            return None
        return [float(row["score"]) for row in reader if row["score"]]


def thresholds(scores: list[float], direction: Literal["max", "min"]) -> dict[Medal, float]:
    """The score of the last team that has each medal, by the number of teams, as Kaggle's rules of progression give them."""
    teams = len(scores)
    ranked = sorted(scores, reverse=direction == "max")
    gold = math.ceil(0.1 * teams) if teams < 100 else 10 if teams < 250 else 10 + math.floor(0.002 * teams)
    silver = math.ceil(0.2 * teams) if teams < 250 else 50 if teams < 1000 else math.ceil(0.05 * teams)
    bronze = math.ceil(0.4 * teams) if teams < 250 else 100 if teams < 1000 else math.ceil(0.1 * teams)
    places: tuple[tuple[Medal, int], ...] = (("gold", gold), ("silver", silver), ("bronze", bronze))
    return {medal: ranked[min(place, teams) - 1] for medal, place in places}


def medal(score: float, direction: Literal["max", "min"], scores: list[float]) -> Medal:
    """The medal that a score would have had; ties with the last that has one have it too."""
    sign = 1 if direction == "max" else -1
    for name, least in thresholds(scores, direction).items():
        if sign * score >= sign * least:
            return name
    return "none"
