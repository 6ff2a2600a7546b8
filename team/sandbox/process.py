"""The host's end of a guarded sandbox: start the guard, talk to it, read how the sandbox ended."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from team.sandbox.contract import Death, Limits
from team.sandbox.environment import INSIDE
from team.sandbox.order import KILL, TERMINATE, read_report, write_order

_GUARD = INSIDE / "guard.py"
_CLOSE_SECONDS = 10.0
"""The guard gives up on processes that do not die (stuck in the kernel) after half of this."""


class GuardedProcess:
    """A sandbox run by `inside/guard.py`; see `contract.Process` for the promises."""

    def __init__(self, guard: asyncio.subprocess.Process) -> None:
        self._guard = guard
        self._death: Death | None = None
        self._watch = asyncio.create_task(self._read_report(), name=f"sandbox guard {guard.pid}")
        self.pid = guard.pid
        self.tunnels: Mapping[int, int] = {}

    @classmethod
    async def start(
        cls,
        argv: Sequence[str],
        *,
        folder: Path,
        cwd: Path,
        env: Mapping[str, str],
        limits: Limits,
        wrappers: int = 0,
        scratch: Sequence[str] = (),
    ) -> GuardedProcess:
        """Start `argv` in its own session, with `env` as its whole environment, under a guard that keeps `limits`.

        Args:
            folder: removed by the guard if this process is killed before it can do so.
            cwd: the work folder, whose size is limited.
            wrappers: how many processes `argv` puts between itself and the kernel.
            scratch: folders of the sandbox that lie in memory, as seen from inside.
        """
        guard = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-I", "-S", str(_GUARD)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={},
            start_new_session=True,  # Ctrl-C in the terminal reaches the host alone, which then ends the sandbox
        )
        # The order goes through the pipe because a command line can be read by every user of the machine.
        assert guard.stdin is not None
        order = write_order(argv, env, str(cwd), limits, folder=str(folder), wrappers=wrappers, scratch=scratch)
        guard.stdin.write(order)
        return cls(guard)

    def poll(self) -> Death | None:
        return self._death

    async def wait(self) -> Death:
        return await asyncio.shield(self._watch)

    def terminate(self) -> None:
        assert self._guard.stdin is not None
        if self._death is None and not self._guard.stdin.is_closing():
            self._guard.stdin.write(TERMINATE)

    def kill(self) -> None:
        assert self._guard.stdin is not None
        if self._death is None and not self._guard.stdin.is_closing():
            self._guard.stdin.write(KILL)
            self._guard.stdin.close()

    async def aclose(self) -> None:
        self.kill()
        try:
            await asyncio.wait_for(asyncio.shield(self._watch), _CLOSE_SECONDS)
        except TimeoutError:
            self._guard.kill()
            await self._watch

    async def _read_report(self) -> Death:
        assert self._guard.stdout is not None
        assert self._guard.stdin is not None
        text = await self._guard.stdout.read()
        await self._guard.wait()
        self._guard.stdin.close()
        with contextlib.suppress(ConnectionError):
            await self._guard.stdin.wait_closed()
        self._death = read_report(text, f"the process that guards the sandbox ended with code {self._guard.returncode}")
        return self._death
