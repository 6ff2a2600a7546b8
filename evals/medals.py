"""Medals of Kaggle's competitions, by the public leaderboards that MLE-bench keeps.

MLE-bench (Chan and others, 2025, section 2.2) awards what Kaggle would have for the place that a score takes on the final leaderboard. The
leaderboards are in its repository (Git LFS); `MLE_BENCH` names a clone of it. Without one there are scores and no medals.
"""

from __future__ import annotations

import csv
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
    """The score of the last team that has each medal, by the number of teams, as MLE-bench's graders count: parts of a team are
    dropped, and the first place has one in any case."""
    teams = len(scores)
    ranked = sorted(scores, reverse=direction == "max")
    gold = teams // 10 if teams < 100 else 10 if teams < 250 else 10 + teams // 500
    silver = teams // 5 if teams < 250 else 50 if teams < 1000 else teams // 20
    bronze = 2 * teams // 5 if teams < 250 else 100 if teams < 1000 else teams // 10
    places: tuple[tuple[Medal, int], ...] = (("gold", gold), ("silver", silver), ("bronze", bronze))
    return {medal: ranked[max(1, place) - 1] for medal, place in places}


def medal(score: float, direction: Literal["max", "min"], scores: list[float]) -> Medal:
    """The medal that a score would have had; ties with the last that has one have it too."""
    sign = 1 if direction == "max" else -1
    for name, least in thresholds(scores, direction).items():
        if sign * score >= sign * least:
            return name
    return "none"
