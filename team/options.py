"""Arguments and options that commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
Out = Annotated[Path, typer.Option("--out", help="Folder of the run directories.")]
Run = Annotated[str, typer.Argument(help="Run directory, the beginning of its name, or `last`.")]
Approval = Annotated[
    str | None,
    typer.Option(metavar="WHEN", help="When to ask before a tool's call: never, always or outside-only.  [default: outside-only]"),
]
Approve = Annotated[list[str] | None, typer.Option(metavar="TOOL", help="A tool that need not ask; repeatable.")]


def approval_of(when: str | None, tools: list[str] | None) -> dict[str, Any]:
    """The approval setting of these options; empty where neither was given."""
    policies = {} if when is None else {"default": when}
    return {"approval": policies | ({"tools": dict.fromkeys(tools, "never")} if tools else {})} if policies or tools else {}
