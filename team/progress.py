"""What shows a run while it goes on, by the log format: the live view of a terminal, or JSON."""

from __future__ import annotations

import sys

from team import json_log
from team.console import LiveView
from team.json_log import JsonView


def progress_view(run: str | None = None) -> LiveView | JsonView:
    """The view of a run for stderr; a context manager, and a subscriber of the run's events.

    Args:
        run: name of the run directory, where there is one already.
    """
    return JsonView(run) if json_log.installed() else LiveView(sys.stderr)
