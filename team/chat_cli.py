"""`mlteam chat`: talk to the team in a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from team.options import Approval, Approve, LogFormat, approval_of


def chat(
    source: Annotated[
        str | None,
        typer.Argument(help="A table (file, http(s) URL, sklearn:NAME), or the wish in your own words; left out, it is asked."),
    ] = None,
    about: Annotated[
        str | None, typer.Option("--run", metavar="RUN", help="Talk about this run: a directory, the beginning of a name, or `last`.")
    ] = None,
    target: Annotated[str | None, typer.Option(help="Column to predict; left out, the words say it, or it is asked.")] = None,
    goal: Annotated[str | None, typer.Option(help="The wish in your own words.")] = None,
    metric: Annotated[str | None, typer.Option(help="Metric that decides.")] = None,
    time: Annotated[str | None, typer.Option(help="Time for the search, such as 60s, 10m, 1h.  [default: 10m]")] = None,
    model: Annotated[str | None, typer.Option(metavar="A,B,...", help="Who plays the roles and answers, as for `mlteam run`.")] = None,
    sandbox: Annotated[str | None, typer.Option(help="auto, docker, bubblewrap or unsafe-local.  [default: auto]")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run directories.  [default: runs]")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of splits and estimators.  [default: 0]")] = None,
    constraint: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="What must be kept, in a sentence, as for `mlteam run`; repeatable.")
    ] = None,
    approval: Approval = None,
    approve: Approve = None,
    config: Annotated[Path | None, typer.Option(help="YAML file with settings.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Start without asking.")] = False,
    log_format: LogFormat = None,
) -> None:
    """Talk to the team: say what you want, agree to a plan, watch, steer and ask.

    Plain words are kept for the team, or ask about a run that has ended; commands begin with a slash, `/help` lists them. Ctrl-C once
    pauses at the next safe point, twice stops with everything saved.
    """
    import asyncio
    import sys

    from team import json_log
    from team.chat.screen import Screen
    from team.chat.session import talk
    from team.chat.wish import find_source
    from team.errors import UsageError
    from team.progress import progress_view
    from team.rundir import open_run

    if about is not None and source is not None:
        raise UsageError(f"SOURCE {source!r} and --run {about!r} exclude each other. Leave one out.")
    if json_log.installed() and sys.stderr.isatty():
        raise UsageError("--log-format json writes to stderr, where the session is drawn. Send it elsewhere: mlteam chat ... 2>chat.jsonl")
    run = open_run(about, out or Path("runs")) if about is not None else None
    words = goal or source
    table = source if source is not None and (Path(source).expanduser().is_file() or find_source(source) == source) else None
    given = {
        "source": table,
        "target": target,
        "metric": metric,
        "time": time,
        "model": model,
        "sandbox": sandbox,
        "out": out,
        "seed": seed,
        "constraint": constraint or None,
        **approval_of(approval, approve),
    }
    also = progress_view if json_log.installed() else None
    code = asyncio.run(talk(Screen(), {k: v for k, v in given.items() if v is not None}, config, words, run, yes=yes, also=also))
    raise typer.Exit(code)
