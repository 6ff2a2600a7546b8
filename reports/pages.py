"""What HTML pages share: the templates, their filters, and that nothing but what was made here is markup.

Everything that comes from the data, from models or from kernels is text: autoescape is on, and what reorders or hides
text is removed. Only charts made here from numbers, and images that decode, are inserted as markup.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Sequence, Set
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from reports import charts
from reports.figures import (
    compact,
    dollars,
    duration,
    file_size,
    metric_title,
    p_value,
    row_format,
    score_format,
    share,
    signed,
    task_title,
    title_in,
)
from reports.plotly_page import Chart, figure_json, library, sources
from reports.visible import visible
from tools.schemes import described

TEMPLATES = Path(__file__).with_name("templates")
MOST_NAME_CHARS = 80
MOST_CODE_CHARS = 6000


WITHHELD = Markup('<abbr class="withheld" title="Nothing on record backs this figure.">withheld</abbr>')


class Quoted(str):
    """Words of roles, values of the data, and places in the record: shown, and no claim of the page's own."""


def environment(
    figure: Callable[[float], str], claims: list[str] | None = None, withheld: Set[str] = frozenset(), folders: Sequence[Path] = ()
) -> Environment:
    """The templates with the filters they share.

    Args:
        figure: prints the scores of the page.
        folders: where other templates lie, looked through before these.
        claims: gets every text and number that a template puts out, but what is quoted and what the template says by itself.
        withheld: of those, what is not shown.
    """

    def seen(value: Any) -> Any:
        if claims is not None and isinstance(value, (str, int, float)) and not isinstance(value, (bool, Markup, Quoted)):
            claims.append(str(value))
            if str(value) in withheld:
                return WITHHELD
        return _seen(value)

    found = Environment(
        loader=FileSystemLoader([*folders, TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=seen,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {
        "score": figure,
        "compact": compact,
        "dollars": dollars,
        "duration": duration,
        "share": share,
        "p_value": p_value,
        "change": lambda value: signed(value, compact),
        "file_size": file_size,
        "metric": metric_title,
        "title_in": title_in,
        "task": task_title,
        "scheme": described,
        "to_scale": lambda value, scale: score_format(scale)(value),
        "in_row": lambda value, score, beside: row_format(score, beside)(value),
        "named": lambda text: _cut(text, MOST_NAME_CHARS),
        "role": lambda name: str(name).replace("_", " "),
        "moment": _moment,
        "quoted": lambda value: Quoted(value),
        "paragraphs": lambda text: [part.strip() for part in re.split(r"\n\s*\n", str(text)) if part.strip()],
        "figure_json": figure_json,
        "as_json": lambda value: _cut_middle(json.dumps(value, indent=1, ensure_ascii=False, default=str), MOST_CODE_CHARS),
    }
    found.globals |= {"interval": charts.interval, "folds": charts.folds, "bar": charts.bar}
    return found


def _moment(at: float) -> str:
    moment = datetime.fromtimestamp(at, UTC)
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def _seen(value: Any) -> Any:
    """Text without characters that nobody sees; markup made here is left alone."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _cut(text: object, limit: int) -> str:
    shown = str(text)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def _cut_middle(text: str, limit: int) -> str:
    """Head and tail of a long text, and how much is missing between them."""
    if len(text) <= limit:
        return text
    head, tail = text[: limit * 2 // 3], text[-limit // 3 :]
    return f"{head}\n… {len(text) - len(head) - len(tail):,} characters left out …\n{tail}"


def stylesheet(*names: str | Path) -> Markup:
    """Style sheets, one after another: of the templates folder by name, others by path."""
    return Markup("\n".join((TEMPLATES / name).read_text(encoding="utf-8") for name in names))


def script(charts: Sequence[Chart] = ()) -> dict[str, Any]:
    """The script of pages of tables and charts, Plotly as its data, and what a Content-Security-Policy allows of them by hash.

    Args:
        charts: of the page; without one it carries no Plotly.
    """
    text = stylesheet("plots.js", "report.js")
    own = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
    return {"script": text, "script_sources": " ".join([f"'sha256-{own}'", *sources(charts)]), "library": library(charts)}
