"""One kernel process from its start to its end: its folder, its sandbox, and the channels to it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

from team.errors import SandboxUnavailable
from team.sandbox.channels import Channels
from team.sandbox.contract import Launcher, Limits, Process
from team.sandbox.ending import cancel
from team.sandbox.private import make_folder, remove_folder, sweep_folders

_START_SECONDS = 60.0
"""Most seconds from starting the sandbox to a kernel that answers."""


class _DiedAtStart(SandboxUnavailable):
    """It was there for a moment; a second try may end better, as when somebody killed it."""


class Session:
    """A kernel that answers. Made by `start`, ended by `aclose`."""

    def __init__(self, channels: Channels, process: Process, resources: AsyncExitStack) -> None:
        self.channels = channels
        self.process = process
        self._resources = resources

    @classmethod
    async def start(cls, launcher: Launcher, work: Path, data: Path | None, limits: Limits, env: Mapping[str, str]) -> Session:
        """Start a kernel and wait until it answers; one that dies meanwhile gets a second try.

        Raises:
            SandboxUnavailable: it did not start; nothing of it is left.
            UsageError: `work` or `data` cannot be used with this kind of sandbox.
        """
        sweep_folders()
        try:
            return await cls._try(launcher, work, data, limits, env)
        except _DiedAtStart:
            return await cls._try(launcher, work, data, limits, env)

    @classmethod
    async def _try(cls, launcher: Launcher, work: Path, data: Path | None, limits: Limits, env: Mapping[str, str]) -> Session:
        async with AsyncExitStack() as stack:
            folder = make_folder()
            stack.callback(remove_folder, folder)
            connection = folder / "connection"
            connection.mkdir(mode=0o700)
            channels = Channels(connection, launcher.inside(connection), limits)
            stack.callback(channels.close)
            process = await launcher.start(folder, work, data, limits, env)
            stack.push_async_callback(process.aclose)
            await _ready(launcher.kind, channels, process)
            return cls(channels, process, stack.pop_all())
        raise AssertionError("left by return or by an exception")

    async def aclose(self) -> None:
        """End the kernel and everything that belongs to it."""
        await self._resources.aclose()


async def _ready(kind: str, channels: Channels, process: Process) -> None:
    connecting, death = asyncio.create_task(channels.connect(process.tunnels)), asyncio.create_task(process.wait())
    try:
        await asyncio.wait({connecting, death}, timeout=_START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if connecting.done():
            return connecting.result()
    finally:
        await cancel(connecting, death)
    ended = process.poll()
    if ended:
        raise _DiedAtStart(
            f"the kernel did not start in the {kind} sandbox: {ended.cause}\n{ended.log.strip()}\nSee what works here: mlteam doctor"
        )
    why = f"no answer within {_START_SECONDS:g} s"
    raise SandboxUnavailable(f"the kernel did not start in the {kind} sandbox: {why}\nSee what works here: mlteam doctor")
