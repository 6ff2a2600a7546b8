"""Arguments and options that commands share."""

from __future__ import annotations

import os
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


def _logged(asked: str | None) -> str:
    """Settle the format of logs, before anything else is parsed, so that what is wrong with the rest is told in it."""
    if not asked and not os.environ.get("MLTEAM_LOG_FORMAT"):
        return "text"
    from team.json_log import log_as

    return log_as(asked)


LogFormat = Annotated[
    str | None,
    typer.Option(
        metavar="FORMAT",
        callback=_logged,
        is_eager=True,
        help="What goes to stderr: text, or json, one object a line (MLTEAM_LOG_FORMAT).  [default: text]",
    ),
]
MetricsPort = Annotated[
    int | None,
    typer.Option(metavar="PORT", min=1, max=65_535, help="Serve metrics for Prometheus at http://127.0.0.1:PORT/metrics meanwhile."),
]

Repo = Annotated[
    str | None,
    typer.Option(metavar="DIR", help="Git repository that gets the run at its end, or own for a fresh one in the run directory."),
]
Tag = Annotated[str | None, typer.Option(metavar="VERSION", help="Tag that release there: a semantic version, as v1.2.0, or next.")]
Push = Annotated[str | None, typer.Option(metavar="REMOTE", help="Push branch and tag to this remote, both or none.")]
PullRequest = Annotated[bool, typer.Option("--pull-request", help="Open a pull request there (GITHUB_TOKEN or GITLAB_TOKEN).")]
Registry = Annotated[
    str | None, typer.Option(metavar="URI", help="MLflow server that registers the model, or local for the registry of the folder of runs.")
]


def release_of(**options: str | bool | None) -> dict[str, Any]:
    """The release setting of these options; empty where none was given."""
    given = {name: value for name, value in options.items() if value}
    return {"release": given} if given else {}


def approval_of(when: str | None, tools: list[str] | None) -> dict[str, Any]:
    """The approval setting of these options; empty where neither was given."""
    policies = {} if when is None else {"default": when}
    return {"approval": policies | ({"tools": dict.fromkeys(tools, "never")} if tools else {})} if policies or tools else {}


def seconds_of(option: str, text: str) -> float:
    """Seconds of an option that is no setting.

    Raises:
        UsageError: naming the option, where it is no duration between 0 and a week.
    """
    from team.errors import UsageError
    from team.setting_values import parse_seconds

    try:
        seconds = float(parse_seconds(text))
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 7 * 86_400:
        raise UsageError(f"{option} {text}: expected a duration such as 60s, 10m or 1h.")
    return seconds
