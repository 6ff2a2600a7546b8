"""`mlteam ui` as a process: where it listens, and who may ask."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import sys
from pathlib import Path

from team.errors import PrerequisiteMissing, UsageError
from tools.serving.running import bind
from tools.serving.running import serve as answer

TOKEN_VARIABLE = "MLTEAM_UI_TOKEN"
INSTALL = "pip install 'mlteam[ui]'"
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


def serve(out: Path, *, host: str, port: int, token: str | None) -> None:
    """Serve the page over the folder `out` until a signal comes.

    Args:
        port: 0 for a free one.
        token: what readers must know; None takes MLTEAM_UI_TOKEN, and none where that is not set.

    Raises:
        UsageError: when there is no such folder, the address cannot be had, or it is one that others reach and there is no token.
        PrerequisiteMissing: when the extra `ui` is not installed.
    """
    try:
        import fastapi  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise PrerequisiteMissing(f"the page needs {error.name}, which is not installed. Type: {INSTALL}") from None
    token = token or os.environ.get(TOKEN_VARIABLE) or None
    if not is_loopback(host) and token is None:
        raise UsageError(
            f"host {host!r} can be reached from other machines, and there is no token. Set {TOKEN_VARIABLE} (or --token), "
            "or leave --host out to be reached from this machine alone."
        )
    if not out.is_dir():
        raise UsageError(f"{str(out)!r} is no folder, expected one with run directories. Name it with --out DIR; `mlteam run` makes one.")
    asyncio.run(_serve(out, host, port, token))


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone. Other names than `localhost` may lead anywhere."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


async def _serve(out: Path, host: str, port: int, token: str | None) -> None:
    from team.ui.app import make_app
    from team.ui.feed import Feeds

    try:
        listening = bind(host, port)
    except (OSError, OverflowError) as error:
        raise UsageError(f"cannot listen on {host}:{port}: {error}. Name another place with --host and --port.") from None
    shown = f"[{host}]" if ":" in host else host
    # Behind a token any name will do: a page of somebody else, whose name leads here, does not know it.
    hosts = (*LOOPBACK, shown) if is_loopback(host) else None
    feeds = Feeds()
    with listening:
        print(f"runs of {out} on http://{shown}:{listening.getsockname()[1]}/", file=sys.stderr, flush=True)
        await answer(make_app(out, hosts=hosts, token=token, feeds=feeds), listening, leaving=feeds.leaving.set)
