"""What the sandbox bench compares: our sandboxes, behind an interface that other executors of cells fit as well."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from team.errors import UsageError


@dataclass(frozen=True)
class Conditions:
    """What a session is opened with. A contestant that has no such setting goes without it."""

    timeout_s: int = 60
    """Most seconds of a cell. Whole ones, because AutoGen takes no others."""
    memory_mb: int | None = None
    cpus: int | None = None
    bare: bool = False
    """With the fewest arguments that work: what somebody gets who has read the first example."""
    warm: bool = False
    """With a spare kernel that waits."""


@dataclass(frozen=True)
class Reply:
    """What the caller of a cell is given."""

    ok: bool
    text: str
    """All that can be read: output, exception, cause of an end, what was lost."""
    images: tuple[bytes, ...] = ()


class Opened(Protocol):
    """A session that runs cells."""

    @property
    def folder(self) -> str:
        """The shared work folder as cells see it."""

    async def run(self, code: str) -> Reply:
        """Run one cell. What the contestant raises becomes a reply that is not ok."""

    async def renew(self) -> None:
        """Do what a caller must do after a kernel was lost; nothing where the next cell does it."""

    async def settle(self) -> None:
        """Wait until nothing is being made ready in the background."""


class Contestant(Protocol):
    """One way of running cells."""

    @property
    def name(self) -> str: ...

    @property
    def kernel_program(self) -> str:
        """End of an argument on a kernel's command line, by which it is told from its helpers; empty when it is no process of ours."""

    @property
    def spares(self) -> bool:
        """Whether it can have a spare kernel wait."""

    def obstacle(self) -> str | None:
        """Make ready whatever all sessions share. Returns why this cannot run here, or None."""

    def open(self, work: Path, conditions: Conditions) -> AbstractAsyncContextManager[Opened]:
        """A session from its start to its end."""

    def containers(self, host: int) -> list[str]:
        """Ids of the containers that the process `host` has made and that are there, running or not."""


_MAKERS: dict[str, tuple[str, dict[str, Any]]] = {
    "docker": ("evals.sandbox_contestants:Ours", {"kind": "docker"}),
    "docker-tcp": ("evals.sandbox_contestants:Ours", {"kind": "docker", "transport": "tcp"}),
    "bubblewrap": ("evals.sandbox_contestants:Ours", {"kind": "bubblewrap"}),
    "unsafe-local": ("evals.sandbox_contestants:Ours", {"kind": "unsafe-local"}),
    "autogen-local": ("evals.sandbox_rivals:JupyterLocal", {}),
    "autogen-docker": ("evals.sandbox_rivals:JupyterDocker", {}),
}
NAMES = tuple(_MAKERS)


def contestant(name: str) -> Contestant:
    """A contestant by its name. Raises `UsageError` when there is none."""
    if name not in _MAKERS:
        raise UsageError(f"there is no contestant {name!r}: expected one of {', '.join(NAMES)}")
    maker, options = _MAKERS[name]
    module, _, cls = maker.partition(":")
    made: Contestant = getattr(import_module(module), cls)(name, **options)
    return made


class Ours:
    """A sandbox of this project."""

    spares = True

    def __init__(self, name: str, kind: str, **options: Any) -> None:
        """`options`: of the launcher, such as `transport`."""
        self.name = name
        self.kernel_program = "" if kind == "docker" else "inside/start.py"
        self._kind, self._options = kind, options

    def obstacle(self) -> str | None:
        from team.errors import SandboxUnavailable
        from team.sandbox.choose import make_launcher

        try:
            make_launcher(self._kind, **self._options)
        except SandboxUnavailable as error:
            return str(error)
        return None

    @asynccontextmanager
    async def open(self, work: Path, conditions: Conditions) -> AsyncIterator[Opened]:
        from team.sandbox import Limits, open_kernel
        from team.sandbox.choose import make_launcher

        asked = {"memory_mb": conditions.memory_mb, "cpus": conditions.cpus}
        limits = Limits.model_validate({name: value for name, value in asked.items() if value is not None})
        # As open_kernel does it for a kind given by name: finding out whether it works is part of the start.
        launcher = make_launcher(self._kind, **self._options)
        async with open_kernel(launcher, work=work, limits=limits, warm=conditions.warm) as kernel:
            yield _OurKernel(kernel, conditions.timeout_s)

    def containers(self, host: int) -> list[str]:
        if self._kind != "docker":
            return []
        from team.sandbox.container import LABEL
        from team.sandbox.daemon import connect

        client = connect()
        try:
            found = client.api.containers(all=True, filters={"label": LABEL})
        finally:
            client.close()
        return [str(one["Id"]) for one in found if f"/{host}/" in one["Labels"][LABEL]]


class _OurKernel:
    folder = "."

    def __init__(self, kernel: Any, timeout_s: int) -> None:
        self._kernel, self._timeout_s = kernel, timeout_s

    async def run(self, code: str) -> Reply:
        try:
            result = await self._kernel.execute(code, timeout_s=self._timeout_s)
        except Exception as error:  # what a contestant raises is its answer, which is compared
            return Reply(False, f"{type(error).__name__}: {error}")
        lost = f"variables gone: {', '.join(result.lost_variables)}" if result.lost_variables else None
        parts = (result.text, result.traceback, result.cause, lost)
        images = (o["data"]["image/png"] for o in result.outputs if "image/png" in o.get("data", {}))
        return Reply(result.ok, "\n".join(part for part in parts if part), tuple(base64.b64decode(image) for image in images))

    async def renew(self) -> None:
        pass

    async def settle(self) -> None:
        while any(task.get_name() == "spare kernel" for task in asyncio.all_tasks()):
            await asyncio.sleep(0.01)
