"""What every sandbox promises: the limits it keeps, what a cell comes back as, and what a launcher must do.

A sandbox is one kernel process and everything that it starts. The promises, each of them a test in
`tests/contracts/sandbox.py`:

- A cell ends. The deadline is wall-clock from the moment the code is sent, whether the cell prints or not, and ends in
  the ladder interrupt, wait, restart, kill. A plain interrupt keeps the variables.
- A cell's end is told as what it was: an exception, a deadline, memory, a signal, an exit code.
- Whatever was printed before the end is in the result, up to a limit, and the result says how much was cut.
- The session goes on: after any end the next cell runs, if need be in a fresh kernel, and then the result says so and
  names the variables that are gone. Files in the work folder are never touched.
- When the block of `open_kernel` is left, on any path, no process, socket, task or folder of it remains.

What code in a sandbox sends is never trusted: it is parsed as JSON under size limits, never unpickled, never executed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

Kind = Literal["docker", "bubblewrap", "unsafe-local"]
Status = Literal["ok", "error", "timeout", "died"]
Output = dict[str, Any]
"""One output in notebook format 4: `stream`, `display_data`, `execute_result` or `error`."""
OnOutput = Callable[[Output], None]
OnEvent = Callable[[str, dict[str, Any]], None]
"""Called with one of `started`, `interrupt`, `wait`, `restart`, `kill`, `died` and the facts of it."""


class Limits(BaseModel):
    """What one sandbox may use. A value that makes no sense is refused with pydantic's `ValidationError`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    memory_mb: int | None = Field(4096, gt=0)
    """Memory of the kernel and all its children together, in MiB; None means no limit. Over it, all of them are killed."""
    cpus: int | None = Field(None, gt=0)
    """Cores the kernel may run on, and threads that numeric libraries start; None means all cores."""
    processes: int | None = Field(256, gt=0)
    """Processes in the sandbox at one time; None means no limit. Over it, all of them are killed."""
    open_files: int | None = Field(4096, ge=64)
    """Open files of one process; None keeps the limit of the calling process."""
    disk_mb: int | None = Field(20_480, gt=0)
    """Disk that the work folder may take, in MiB; None means no limit. Over it, the sandbox is ended. No single file may
    become larger: a write beyond it fails. A folder that held more at the start may stay as it is, but not grow by more than 16."""
    files: int | None = Field(500_000, gt=0)
    """Files and folders in the work folder; None means no limit. Also what each folder in memory may hold at most."""
    gpus: int = Field(0, ge=-1)
    """Graphics processors the kernel may use: 0 for none, -1 for all. Only `docker` can give some."""
    interrupt_s: float = Field(5.0, gt=0)
    """Seconds a cell may take to end after KeyboardInterrupt was raised in it, before its kernel is ended."""
    output_bytes: int = Field(1_000_000, ge=1_000)
    """Text kept of one cell, in bytes of UTF-8: half of it from the start, half from the end."""
    rich_output_bytes: int = Field(5_000_000, ge=1_000)
    """Images, HTML, tables and JSON kept of one cell, in bytes as sent; a note stands where one was left out."""


@dataclass(frozen=True)
class CellResult:
    """What became of one cell."""

    status: Status
    """`ok`: ran to its end; `error`: raised; `timeout`: reached its deadline; `died`: took its kernel with it."""
    text: str
    """Standard output, standard error and the plain text of displays, in order, without terminal escapes. When cut, head and
    tail are kept and a line between them says how much is missing. Exceptions are in `traceback`, not here."""
    outputs: list[Output]
    """The same and the rich displays as notebook outputs; consecutive text of one stream is one output."""
    seconds: float
    """Wall-clock seconds from sending the code."""
    ename: str | None = None
    """Class name of the exception that ended the cell."""
    evalue: str | None = None
    """Its message."""
    traceback: str | None = None
    """Its traceback without terminal escapes; for a cell that died in compiled code, the last the interpreter wrote."""
    result: dict[str, Any] | None = None
    """JSON of the last display of MIME type application/vnd.mlteam.result+json; None when there was none, or it was no object."""
    cause: str | None = None
    """For `died`, what killed the kernel ("out of memory: ...", "killed by signal 11 (SIGSEGV)", "exit code 3"); for `timeout`,
    which rung of the ladder ended the cell."""
    fresh: bool = False
    """Whether the kernel was started anew for this cell, after the one before it was lost."""
    lost_variables: list[str] = field(default_factory=list)
    """Names that the user's cells had made and that are gone: told with the cell that lost them, and again with the next."""
    lost: bool = False
    """Whether its kernel went with it: the next cell runs in a fresh one."""
    execution_count: int | None = None
    """Number that the kernel gave the cell; None when it never said."""

    @property
    def ok(self) -> bool:
        return self.status == "ok"


@dataclass(frozen=True)
class Obstacle:
    """Why a launcher does not work on this machine."""

    reason: str
    fix: str
    """The next command to type."""


@dataclass(frozen=True)
class Death:
    """How a sandbox ended."""

    cause: str
    """In words, such as "out of memory: 530 MiB used, 512 MiB allowed" or "exit code 3"."""
    log: str
    """The last 8 KiB that its processes wrote to their real standard error."""
    peak_mb: float
    """Most memory seen in use, in MiB."""


class Process(Protocol):
    """A running sandbox."""

    pid: int
    """Process id on the host of the program that guards the sandbox."""
    tunnels: Mapping[int, int]
    """Where the kernel's sockets can be reached when the connection folder is not shared: the number of the socket and a
    TCP port on loopback. Empty when the folder is shared."""

    def poll(self) -> Death | None:
        """How it ended, or None while it runs."""

    async def wait(self) -> Death:
        """Wait until it and all its children are gone. May be cancelled and called again."""

    def terminate(self) -> None:
        """Ask the kernel to end (SIGTERM). Does nothing when it is gone."""

    def kill(self) -> None:
        """End the kernel and all its children at once. Does nothing when they are gone."""

    async def aclose(self) -> None:
        """Kill what still runs, wait for it and release pipes and tasks. May be called again."""


class Launcher(Protocol):
    """Starts the kernel program in one kind of sandbox. A new kind is one class with these four methods."""

    kind: ClassVar[Kind]

    def obstacle(self) -> Obstacle | None:
        """None when this launcher works here, which is found by trying it; else why not and what helps."""

    def facts(self) -> str:
        """What is worth knowing of it on this machine, after `obstacle` found none."""

    def inside(self, connection: Path) -> PurePosixPath:
        """The path at which the kernel sees the folder `connection`."""

    async def start(self, folder: Path, work: Path, data: Path | None, limits: Limits, env: Mapping[str, str]) -> Process:
        """Start the kernel program and return at once; its sockets appear in the connection folder a moment later.

        Args:
            folder: a private folder for this one start, short enough for a socket's name. It holds `connection/kernel.json`;
                the launcher may put more into it. The caller removes it after the process is closed. Where it cannot be shared
                with the sandbox, the launcher hands the file over and makes tunnels to the sockets.
            work: the kernel's working folder, the only one whose changes last.
            data: folder that the kernel may read; None for none.
            limits: kept from the first instruction on.
            env: variables beside those that every sandbox gets. Nothing else of the caller's environment is passed on.

        Raises:
            SandboxUnavailable: the sandbox cannot be made.
            UsageError: `work` or `data` cannot be used with this kind of sandbox.
        """
