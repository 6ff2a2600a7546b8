"""A run in a cell of a notebook: the page fragment that is updated while it goes on, and the one that a result shows itself by.

Colours come from the theme that surrounds the cell (JupyterLab's, VS Code's, or the text's own colour), so both fit a light and a dark
one. Where a viewer takes the style sheet away, as JupyterLab does in notebooks it does not trust, tables and text remain, with what then
stands between words (`bare`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reports import pages
from reports.figures import score_format


def render_live(glance: Any, stages: Sequence[str], note: str = "") -> str:
    """A run that goes on, or has just ended.

    Args:
        glance: what `team.board.Glance` holds.
        note: what the user is told, such as that the run will pause.
    """
    best = glance.leaders[0].score if glance.leaders else 1.0
    template = pages.environment(score_format(best)).get_template("live.html")
    at = stages.index(glance.stage) if glance.stage in stages else -1
    return template.render(g=glance, stages=stages, at=at, note=note, css=pages.stylesheet("card.css"))


def render_result(summary: dict[str, Any], leaders: Sequence[dict[str, Any]], places: dict[str, str], advice: Sequence[str]) -> str:
    """A result.

    Args:
        summary: the document that `run --json` prints.
        leaders: rows of the leaderboard, the best first.
        places: addresses of the documents by what they are called.
        advice: lines of Python that go on from here.
    """
    holdout = summary["holdout"]
    scale = holdout["score"] if holdout else leaders[0]["score"] if leaders else 1.0
    template = pages.environment(score_format(scale)).get_template("result.html")
    return template.render(s=summary, leaders=leaders, places=places, advice=advice, css=pages.stylesheet("card.css"))
