"""Rows of text in aligned columns, for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Lines whose cells begin below each other; all rows have as many."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def fitted(rows: Sequence[Sequence[str]], width: int | None, named_by: int) -> str:
    """The same where it is no wider than the screen; else a paragraph a row, in which each cell has the name of its column.

    Args:
        rows: the first has the names of the columns.
        width: of the screen, in characters; None where there is none.
        named_by: so many cells say what a row is of, and need no name.
    """
    table = aligned(rows)
    head, *rest = rows
    if width is None or max(map(len, table.splitlines())) <= width:
        return table
    paragraphs = []
    for row in rest:
        facts = [f"{name} {cell}".strip() for name, cell in zip(head[named_by:], row[named_by:], strict=True) if cell not in ("", "-")]
        told = "  ".join(cell for cell in row[:named_by] if cell) + ": " + "; ".join(facts)
        paragraphs.append(textwrap.fill(told, width, subsequent_indent="  "))
    return "\n".join(paragraphs)
