"""How long a call of a tool may take before it is cut off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tools.spec import ToolSpec

SEARCH_GRACE_S = 2.0
"""Beyond its own `time_s` a search call gets this long, and a twentieth of it, before the cell is interrupted."""
SEARCH_ENDING_S = 10.0
"""What a search on the host gets beyond that to end its sandboxes and say what was going on, before it is cancelled."""
LOOSE_FACTOR, LOOSE_S = 2.0, 60.0
"""Other calls that name their own time end themselves by it too; so many times that, and so many seconds more, is the limit."""


def deadline(spec: ToolSpec, values: Mapping[str, Any]) -> float:
    """Seconds until a call is cut off. A search ends itself by its `time_s`; this is for one that does not."""
    if spec.searches and "time_s" in values:
        return float(values["time_s"]) * 1.05 + SEARCH_GRACE_S + spec.over_s
    if "time_s" in values:
        return float(values["time_s"]) * LOOSE_FACTOR + LOOSE_S
    return spec.timeout_s
