"""Show a tool's result in a cell: typed JSON for the host beside text and HTML for a person."""

from __future__ import annotations

import json
from html import escape
from typing import Any

from pydantic import BaseModel

from tools.spans import send_due

RESULT_MIME = "application/vnd.mlteam.result+json"
PROGRESS_MIME = "application/vnd.mlteam.progress+json"


def show(result: BaseModel) -> None:
    """Display `result` as a MIME bundle: JSON facts, plain text, and an HTML table.

    The host validates the JSON against the tool's result model; a person reads the rest.
    """
    from IPython.display import display

    facts = json.loads(result.model_dump_json())
    display({RESULT_MIME: facts, "text/plain": as_text(facts), "text/html": as_html(facts)}, raw=True)


def progress(**facts: Any) -> None:
    """Tell whoever watches how a long call is going (a finished candidate, a fold, a trial).

    Outside a kernel (in tests, in plain scripts) nothing is shown.
    """
    try:
        from IPython.core.getipython import get_ipython
        from IPython.display import display
    except ImportError:
        return
    if get_ipython() is None:
        return
    send_due()
    line = "  ".join(f"{key} {_short(value)}" for key, value in facts.items())
    display({PROGRESS_MIME: json.loads(json.dumps(facts, default=str)), "text/plain": line}, raw=True)


def as_text(facts: dict[str, Any]) -> str:
    """Lines of `key: value`, lists of records as aligned columns."""
    lines = []
    for key, value in facts.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            lines += [f"{key}:", *_columns(value)]
        elif value not in (None, [], {}):
            lines.append(f"{key}: {_short(value)}")
    return "\n".join(lines)


def as_html(facts: dict[str, Any]) -> str:
    """The same facts as HTML tables; every value is escaped, since names and cells come from the data."""
    scalars, tables = [], []
    for key, value in facts.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            head = "".join(f"<th>{escape(str(k))}</th>" for k in value[0])
            rows = "".join("<tr>" + "".join(f"<td>{escape(_short(v))}</td>" for v in row.values()) + "</tr>" for row in value)
            tables.append(f"<p><b>{escape(key)}</b></p><table><tr>{head}</tr>{rows}</table>")
        elif value not in (None, [], {}):
            scalars.append(f"<tr><th>{escape(key)}</th><td>{escape(_short(value))}</td></tr>")
    return (f"<table>{''.join(scalars)}</table>" if scalars else "") + "".join(tables)


def _columns(rows: list[dict[str, Any]]) -> list[str]:
    names = list(rows[0])
    cells = [names] + [[_short(row.get(name)) for name in names] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(names))]
    return ["  " + "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in cells]


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e5 else f"{value:,.0f}"
    if isinstance(value, list):
        return ", ".join(_short(item) for item in value[:12]) + (f", … ({len(value)})" if len(value) > 12 else "")
    if isinstance(value, dict):
        return ", ".join(f"{key}={_short(item)}" for key, item in value.items())
    return "" if value is None else str(value)[:120]
