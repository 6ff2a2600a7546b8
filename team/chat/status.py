"""The line at the bottom of the screen: what a glance at the run takes in, the most important first, so that a narrow terminal cuts the
least."""

from __future__ import annotations

from team.board import Glance
from team.overview import figure
from team.terminal import one_line


def status_line(now: Glance) -> str:
    """Stage, role and tool, best score with its standard error, seconds of search that are left, and the cost."""
    if now.status:
        score = f"holdout {figure(now.holdout.score)}" if now.holdout else "no final score"
        return one_line(f"{now.run} · {now.status} · {score} · {now.cost}")
    if not now.stage:
        return "no run yet · /help"
    doing = "paused" if now.paused else now.role.replace("_", " ") + (f": {now.call.tool} {now.call_s:.0f} s" if now.call else "")
    best = f"best {figure(now.leaders[0].score)} ± {now.leaders[0].std_error:.2g}" if now.leaders else "no score yet"
    return one_line(f"{now.stage} · {doing} · {best} · {now.left_s:.0f} s left · {now.cost}")
