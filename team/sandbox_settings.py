"""The sandbox of a run as its settings have it: a kind, and what goes with it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class _Sandbox(BaseModel):
    model_config = ConfigDict(extra="forbid")

    memory_mb: int = Field(4096, gt=0)
    """Memory of the kernel and its children in MiB."""
    cpus: int | None = Field(None, gt=0)
    """Cores the kernel may use; None means all of them."""
    disk_mb: int = Field(20_480, gt=0)
    """Disk that the run's work folder may take, in MiB."""


class AutoSandbox(_Sandbox):
    """Docker where a daemon answers and the image is current, else bubblewrap where it works; else unsafe-local, which is
    allowed only while the playbook alone writes the code."""

    kind: Literal["auto"] = "auto"


class DockerSandbox(_Sandbox):
    """A container without network, of the image that `mlteam sandbox build` makes."""

    kind: Literal["docker"]
    gpus: int = Field(0, ge=-1)
    """Graphics processors the kernel may use: 0 for none, -1 for all."""
    transport: Literal["auto", "ipc", "tcp"] = "auto"
    """How the kernel is reached: by Unix sockets in a shared folder (ipc), or by loopback where a virtual machine lies between
    (tcp). auto takes ipc on Linux."""


class BubblewrapSandbox(_Sandbox):
    """Namespaces by bubblewrap: no network, read-only root, only the work folder writable."""

    kind: Literal["bubblewrap"]


class LocalSandbox(_Sandbox):
    """A plain child process: no isolation at all."""

    kind: Literal["unsafe-local"]


KINDS = ("auto", "docker", "bubblewrap", "unsafe-local")


def _read(value: Any) -> Any:
    if isinstance(value, dict):
        return {"kind": "auto", **value}
    return {"kind": value} if isinstance(value, str) else value


Sandbox = Annotated[
    Annotated[AutoSandbox | DockerSandbox | BubblewrapSandbox | LocalSandbox, Field(discriminator="kind")],
    BeforeValidator(_read),
]
