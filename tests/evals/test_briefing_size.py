"""Requests stay as long as they are over a long run, while the full history grows."""

from __future__ import annotations

import json
from statistics import mean

from evals.briefing_size import Told, measure
from team.roles import NAMES


def test_bounded_requests_are_flat_and_full_ones_are_not() -> None:
    result = json.dumps({"candidates": [{"name": f"a-{i}", "score": i} for i in range(100)]})
    calls = [("train", {"families": ["linear"]}, result, False), ("run_python", {"code": "print(1)\n" * 100}, "1\n" * 5_000, False)] * 3
    turns = [Told(role, f"[stage]\n{'facts ' * 300}", calls, "What was done. " * 20) for role in NAMES]
    found = measure(turns, 60)
    assert len(found.bounded) == len(found.full) == 60
    assert mean(found.bounded[-15:]) <= 1.02 * mean(found.bounded[:15])
    assert mean(found.full[-15:]) > 5 * mean(found.full[:15])
    assert max(found.bounded) < 2_000
