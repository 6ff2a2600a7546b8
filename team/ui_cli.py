"""The command that shows runs in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from team.options import Out


def ui(
    out: Out = Path("runs"),
    host: Annotated[str, typer.Option(help="Address to listen on; others than this machine's own need a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8765,
    token: Annotated[str | None, typer.Option(help="What readers must know; better in MLTEAM_UI_TOKEN, since others see options.")] = None,
) -> None:
    """Show runs and evals in a browser, live while they go on. It reads, and changes nothing."""
    from team.ui.serving import serve

    serve(out, host=host, port=port, token=token)
