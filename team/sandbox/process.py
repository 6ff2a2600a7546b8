"""The host's end of a guarded sandbox: start the guard, talk to it, read how the sandbox ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from team.sandbox.contract import Death, Limits
from team.sandbox.environment import INSIDE

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

    @classmethod
    async def start(
        cls, argv: Sequence[str], *, folder: Path, cwd: Path, env: Mapping[str, str], limits: Limits, wrappers: int = 0
    ) -> GuardedProcess:
        """Start `argv` in its own session, with `env` as its whole environment, under a guard that keeps `limits`.

        Args:
            folder: removed by the guard if this process is killed before it can do so.
            wrappers: how many processes `argv` puts between itself and the kernel.
        """
        order = {
            "argv": list(argv),
            "env": dict(env),
            "cwd": str(cwd),
            "folder": str(folder),
            "wrappers": wrappers,
            **limits.model_dump(include={"memory_mb", "cpus", "processes", "open_files"}),
        }
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
        guard.stdin.write(json.dumps(order).encode() + b"\n")
        return cls(guard)

    def poll(self) -> Death | None:
        return self._death

    async def wait(self) -> Death:
        return await asyncio.shield(self._watch)

    def terminate(self) -> None:
        assert self._guard.stdin is not None
        if self._death is None and not self._guard.stdin.is_closing():
            self._guard.stdin.write(b"t")

    def kill(self) -> None:
        assert self._guard.stdin is not None
        if self._death is None and not self._guard.stdin.is_closing():
            self._guard.stdin.write(b"k")
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
        text = (await self._guard.stdout.read()).decode(errors="replace")
        await self._guard.wait()
        self._guard.stdin.close()
        with contextlib.suppress(ConnectionError):
            await self._guard.stdin.wait_closed()
        try:
            self._death = Death(**json.loads(text))
        except (ValueError, TypeError):
            # The guard itself failed; its traceback, or nothing when it was killed, is all the evidence there is.
            self._death = Death(
                cause=f"the process that guards the sandbox ended with code {self._guard.returncode}", log=text, peak_mb=0.0
            )
        return self._death
