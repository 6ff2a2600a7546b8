"""The live view of a run in a cell: one display that is updated in place. IPython's own display is all it needs, no widget extension."""

from __future__ import annotations

import time

from reports.card import render_live
from reports.figures import compact
from team.board import Board, Glance
from team.events import Event
from team.stages import ORDER
from team.terminal import one_line

LEAST_S = 0.4
"""Seconds between two updates: more would only make the browser busy."""
TICK_S = 2.0
"""Seconds after which the view is updated though nothing happened, so that its clocks go on."""
STAGES = [stage.value for stage in ORDER]


class NotebookView:
    """Subscribe it to an event log, from any thread; `refresh` belongs to the thread of the cell, whose output it is."""

    def __init__(self) -> None:
        self.board = Board()
        self.note = ""
        """Told above everything else."""
        self._changed = True
        self._shown_at = 0.0
        self._handle: object | None = None

    def __call__(self, event: Event) -> None:
        self.board(event)
        self._changed = True

    def tell(self, note: str) -> None:
        """Show a note from the next update on."""
        self.note, self._changed = note, True

    def refresh(self, *, last: bool = False) -> None:
        """Update the display when it is time for that."""
        since = time.monotonic() - self._shown_at
        if not last and since < (LEAST_S if self._changed else TICK_S):
            return
        self._changed = False
        now = self.board.glance()
        self._show({"text/plain": plain(now, self.note), "text/html": render_live(now, STAGES, self.note)})
        self._shown_at = time.monotonic()

    def _show(self, bundle: dict[str, str]) -> None:
        from IPython.display import DisplayHandle

        if self._handle is None:
            handle = DisplayHandle()
            handle.display(bundle, raw=True)
            self._handle = handle
        else:
            self._handle.update(bundle, raw=True)  # type: ignore[attr-defined]  # a DisplayHandle, of a package without types


def plain(now: Glance, note: str = "") -> str:
    """The view on one line, for what shows no HTML."""
    parts = [f"mlteam {now.run}", now.status or now.stage, f"{now.done:.0%}"]
    if now.leaders:
        best = now.leaders[0]
        parts.append(f"best {best.name} {now.metric} {compact(best.score)} ± {best.std_error:.2g}")
    if now.holdout:
        parts.append(f"holdout {compact(now.holdout.score)}")
    if now.call:
        parts.append(f"{now.call.tool} {now.call_s:.0f} s")
    parts.append(f"search {now.searched_s:.0f} of {now.budget_s:g} s")
    return one_line("  ".join(filter(None, [*parts, note])))
