"""What shows a run while it goes on, by the log format: the live view of a terminal, or JSON."""

from __future__ import annotations

import contextlib
import sys

from team import json_log
from team.console import LiveView
from team.errors import MlteamError
from team.events import Event
from team.json_log import JsonView
from team.log import read_events
from team.rundir import RunDir


def progress_view(run: RunDir | None = None) -> LiveView | JsonView:
    """The view of a run for stderr; a context manager, and a subscriber of the run's events.

    Args:
        run: its directory, where there is one already.
    """
    if not json_log.installed():
        return LiveView(sys.stderr)
    return JsonView() if run is None else JsonView(run.name, _before(run))


def _before(run: RunDir) -> list[Event]:
    """Events of a run, as far as its log can be read; whoever takes it up mends it."""
    events: list[Event] = []
    with contextlib.suppress(MlteamError, OSError, UnicodeDecodeError):
        events.extend(read_events(run.events))
    return events
