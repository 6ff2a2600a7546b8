"""Ask whoever sits at the terminal whether a call may be made."""

from __future__ import annotations

import asyncio
import os
import sys

from rich.console import Console
from rich.text import Text

from team.approval import ApprovalDecision, ApprovalRequest, Approve, ask_nobody
from team.console import LiveView
from team.json_log import JsonView
from team.terminal import one_line

YES, NO = ("y", "yes"), ("n", "no", "")
BY = "terminal"


def terminal_asker(view: LiveView | JsonView) -> Approve | None:
    """Asks on the terminal that `view` draws on; None where it draws on none, or standard input is none."""
    if isinstance(view, JsonView):
        return None
    try:
        descriptor = sys.stdin.fileno()
        if not os.isatty(descriptor):
            return None
    except (OSError, ValueError, AttributeError):  # closed, or replaced by something without a file
        return None

    async def ask(request: ApprovalRequest) -> ApprovalDecision:
        with view.still() as console:
            return await _asked(request, console, descriptor)

    return ask


async def _asked(request: ApprovalRequest, console: Console, descriptor: int) -> ApprovalDecision:
    while True:
        console.print(Text(f"Allow {request.tool} to {one_line(request.what)}? [y/N] "), end="", soft_wrap=True)
        answer = await _line(descriptor)
        if answer is None:
            console.print()
            return await ask_nobody(request)
        word = answer.strip().lower()
        if word in YES:
            return ApprovalDecision(allowed=True, by=BY)
        if word in NO:
            return ApprovalDecision(allowed=False, by=BY)
        console.print(Text(f"{one_line(answer.strip())[:40]!r} is neither y nor n."))


async def _line(descriptor: int) -> str | None:
    """A line as it is typed, without holding up what else runs, so that Ctrl-C still ends it; None when there will be none."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, done.set)
    try:
        await done.wait()
        given = os.read(descriptor, 4096)
        return given.decode(errors="replace") if given else None
    finally:
        loop.remove_reader(descriptor)
