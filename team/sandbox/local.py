"""The `unsafe-local` sandbox: a plain child process. It keeps the limits, but isolates nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import ClassVar

from team.sandbox.contract import Kind, Limits, Obstacle
from team.sandbox.environment import START, kernel_command, kernel_environment, tools_package, weights_variable
from team.sandbox.process import GuardedProcess


class LocalLauncher:
    """Runs the kernel with the rights of the caller.

    Its code can read and change whatever the caller can, use the network and write to the data folder. It gets a
    cleared environment, and limits, deadlines and the end of all its processes are kept as in any other sandbox.
    For code that is trusted, which is the playbook's.
    """

    kind: ClassVar[Kind] = "unsafe-local"

    def __init__(self, weights: Path | None = None) -> None:
        """`weights`: a folder of checkpoints that the kernel may read."""
        self._weights = weights

    def obstacle(self) -> Obstacle | None:
        return None

    def facts(self) -> str:
        return "isolates nothing"

    def inside(self, connection: Path) -> PurePosixPath:
        return PurePosixPath(connection)

    async def start(self, folder: Path, work: Path, data: Path | None, limits: Limits, env: Mapping[str, str]) -> GuardedProcess:
        home, code = folder / "home", folder / "code"
        home.mkdir(mode=0o700)
        code.mkdir(mode=0o700)
        # A link, so that code which forgets where it runs does not come to rely on importing the rest of the project.
        (code / "tools").symlink_to(tools_package())
        variables = weights_variable(self._weights) | dict(env)
        return await GuardedProcess.start(
            kernel_command(START, folder / "connection", limits, filter_calls=False),
            folder=folder,
            cwd=work,
            env=kernel_environment(home=home, code=code, work=work, data=data, limits=limits, extra=variables),
            limits=limits,
        )
