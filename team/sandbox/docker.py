"""The `docker` sandbox: a container of an image that holds the interpreter, the libraries and the project's `tools`.

What the kernel sees:

    /                        read-only: the image
    /mlteam/data             read-only: the data folder
    /mlteam/work             the work folder, the only place whose files last; the working folder
    /mlteam/connection       the sockets to the host
    /mlteam/home, /tmp, /dev/shm   empty, in memory, limited in size and number of files

No network but a loopback of its own, no capability, no new privileges, Docker's filter of system calls and a narrower one of ours
(`inside/seccomp.py`), nothing of the host's environment. Memory (no swap), processors, processes and open files are limited twice:
by the guard (`inside/guard.py`, process 1), which can say what happened, and by control groups, which cannot be outrun.

Who the kernel is: the caller, so that files in the work folder belong to the caller. A caller who is root becomes a user of no
rights, who is given the work folder. Where the daemon itself runs under the caller (rootless), root in the container is the caller.
"""

from __future__ import annotations

import asyncio
import functools
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from team.errors import SandboxUnavailable, UsageError
from team.sandbox.channels import CONNECTED
from team.sandbox.container import LABEL, ContainerProcess, close_streams, raw_socket, remove, sweep_containers
from team.sandbox.contract import Kind, Limits, Obstacle
from team.sandbox.daemon import Daemon, DaemonUnavailable, connect, connect_again, describe
from team.sandbox.ending import to_the_end
from team.sandbox.environment import available_cpus, kernel_command, kernel_environment, weights_variable
from team.sandbox.image import find
from team.sandbox.order import write_order
from team.sandbox.private import owner
from team.sandbox.tunnel import Tunnels

if TYPE_CHECKING:
    import docker

    from team.sandbox.use import ContainerUse

_ROOT = PurePosixPath("/mlteam")
_PREFIX = _ROOT / "venv"
_INSIDE = _ROOT / "inside"
_HOME, _WORK, _DATA, _CONNECTION = (_ROOT / name for name in ("home", "work", "data", "connection"))
_GUARD = [str(_PREFIX / "bin/python"), "-I", "-S", str(_INSIDE / "guard.py")]
_RELAY = [str(_PREFIX / "bin/python"), "-I", "-S", str(_INSIDE / "relay.py"), str(_CONNECTION)]
_NOBODY = 65532
"""User and group that the kernel of a root caller gets: one that systems give to nobody."""
_HOME_MB = 256
_GUARD_MB = 64
"""Beside the kernel's memory: the guard, and what the system keeps for the container."""
_PODMAN_NPROC = 32_000
"""Threads of one user on the whole machine; `_THREADS` is the limit that counts."""
_THREADS = 16
"""Threads a process may have on average. The system counts threads where we limit processes."""

_AWAY_SECONDS = 30.0
"""How long a daemon that answered before is waited for: one that is restarted, or was killed and is started by the system."""

Transport = Literal["auto", "ipc", "tcp"]


@dataclass(frozen=True)
class Identity:
    """Who the kernel is inside, and whose files it writes outside."""

    uid: int
    gid: int
    namespace: str | None
    """`userns_mode` of the container."""
    given: bool
    """Whether the work folder must be handed over to that user."""

    @classmethod
    def for_caller(cls, daemon: Daemon) -> Identity:
        if sys.platform != "linux":  # the virtual machine gives every file to whoever asks
            return cls(_NOBODY, _NOBODY, None, given=False)
        uid, gid = os.getuid(), os.getgid()
        if daemon.rootless and daemon.podman and uid:
            return cls(uid, gid, "keep-id", given=False)
        if daemon.rootless and uid:
            return cls(0, 0, None, given=False)
        namespace = "host" if daemon.remapped else None
        return cls(uid, gid, namespace, given=False) if uid else cls(_NOBODY, _NOBODY, namespace, given=True)


class DockerLauncher:
    """Runs the kernel in a container."""

    kind: ClassVar[Kind] = "docker"

    def __init__(self, transport: Transport = "auto", weights: Path | None = None, use: ContainerUse | None = None) -> None:
        """`transport`: `ipc` by Unix sockets in a shared folder, `tcp` by loopback; `auto` takes ipc on Linux.
        `weights`: a folder of checkpoints that the kernel may read. `use`: counts what containers take."""
        self._weights = weights
        self._use = use
        self._shared = transport == "ipc" or (transport == "auto" and sys.platform == "linux")
        self._daemon: Daemon | None = None
        self._image: str | None = None

    def obstacle(self) -> Obstacle | None:
        try:
            client = connect()
            try:
                self._daemon, found = describe(client), find(client)
            finally:
                client.close()
        except DaemonUnavailable as error:
            return Obstacle(error.reason, error.fix)
        self._image = found.current
        daemon = self._daemon
        if found.current is None:
            what = "its image is stale: the project changed since it was built" if found.stale else "its image was not built yet"
            return Obstacle(f"{daemon} answers, but {what}", "Type: mlteam sandbox build")
        if not daemon.seccomp and not daemon.podman:
            return Obstacle(f"{daemon} does not filter system calls (seccomp)", "Use a daemon and a kernel that do; see docker info.")
        return None

    def facts(self) -> str:
        return f"{self._daemon}, image {self._image}"

    def inside(self, connection: Path) -> PurePosixPath:
        return _CONNECTION

    async def start(self, folder: Path, work: Path, data: Path | None, limits: Limits, env: Mapping[str, str]) -> ContainerProcess:
        if self._shared:
            provide = {}
        else:
            provide = {str(_CONNECTION / "kernel.json"): (folder / "connection/kernel.json").read_text(encoding="utf-8")}
        order = functools.partial(
            write_order,
            kernel_command(_INSIDE / "start.py", _CONNECTION, limits, python=_PREFIX / "bin/python"),
            kernel_environment(
                home=_HOME,
                code=_ROOT / "code",
                work=_WORK,
                data=_DATA if data else None,
                limits=limits,
                extra=weights_variable(_ROOT / "weights" if self._weights else None) | dict(env),
                prefix=_PREFIX,
            ),
            str(_WORK),
            limits,
            contained=True,
            provide=provide,
        )
        started: list[_Started] = []
        try:
            await to_the_end(asyncio.to_thread(self._launch, started, folder, work, data, limits, order))
        except asyncio.CancelledError:
            for one in started:
                await one.process().aclose()
            raise
        return started[0].process()

    def _launch(
        self, started: list[_Started], folder: Path, work: Path, data: Path | None, limits: Limits, order: Callable[..., bytes]
    ) -> None:
        """Create, attach to and start a container. In a thread, since the client waits for every answer."""
        import docker.errors

        client = connect() if self._daemon is None else connect_again(_AWAY_SECONDS)
        container = streams = None
        try:
            daemon, found = self._daemon or describe(client), find(client)
            self._daemon = daemon
            if found.current is None:
                raise SandboxUnavailable("there is no current image of the docker sandbox. Type: mlteam sandbox build")
            sweep_containers(client)
            identity = Identity.for_caller(daemon)
            self._hand_over(identity, folder, work, data)
            # Podman's memory folders take no limit on files, so that the guard has to look.
            scratch = ["/tmp", "/dev/shm", str(_HOME)] if daemon.podman else []
            tmpfs = self._tmpfs(limits, None if scratch else limits.files)
            configuration = self._configuration(client, daemon, found.current, identity, folder, work, data, limits, tmpfs)
            container = str(client.api.create_container(**configuration)["Id"])
            streams = client.api.attach_socket(container, params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
            raw_socket(streams).settimeout(None)
            client.api.start(container)
            raw_socket(streams).sendall(order(scratch=scratch))
            pid = int(client.api.inspect_container(container)["State"]["Pid"])
            tunnels = None if self._shared else Tunnels(client, container, _RELAY, CONNECTED)
            started.append(_Started(client, container, streams, pid, tunnels, self._use))
        except BaseException as error:
            if container:
                remove(client, container)
            if streams:
                close_streams(streams)
            client.close()
            if isinstance(error, (docker.errors.DockerException, OSError)):
                raise SandboxUnavailable(_refusal(error)) from None
            raise

    def _configuration(
        self,
        client: docker.DockerClient,
        daemon: Daemon,
        image: str,
        identity: Identity,
        folder: Path,
        work: Path,
        data: Path | None,
        limits: Limits,
        tmpfs: dict[str, str],
    ) -> dict[str, Any]:
        from docker.types import DeviceRequest, LogConfig, Mount, Ulimit

        (folder / "passwd").write_text(f"user:x:{identity.uid}:{identity.gid}:user:{_HOME}:/bin/sh\n", encoding="utf-8")
        (folder / "group").write_text(f"user:x:{identity.gid}:\n", encoding="utf-8")
        bound = [(str(_WORK), work, False), ("/etc/passwd", folder / "passwd", True), ("/etc/group", folder / "group", True)]
        if data:
            bound.append((str(_DATA), data, True))
        if self._weights:
            bound.append((str(_ROOT / "weights"), self._weights, True))
        if self._shared:
            bound.append((str(_CONNECTION), folder / "connection", False))
        allowed = f"{limits.memory_mb + _GUARD_MB}m" if limits.memory_mb else None
        return {
            "image": image,
            "command": _GUARD,
            "user": f"{identity.uid}:{identity.gid}",
            "working_dir": str(_WORK),
            "hostname": "sandbox",
            "stdin_open": True,
            "labels": {LABEL: owner()},
            "stop_signal": "SIGKILL",
            "host_config": client.api.create_host_config(
                mounts=[Mount(target, str(source), type="bind", read_only=read_only) for target, source, read_only in bound],
                tmpfs=tmpfs,
                shm_size=f"{_memory_mb(limits) // 4}m",
                read_only=True,
                network_mode="none",
                ipc_mode="private",
                userns_mode=identity.namespace,
                cap_drop=["ALL"],
                security_opt=["no-new-privileges"],
                mem_limit=allowed,
                memswap_limit=allowed,
                nano_cpus=min(limits.cpus, available_cpus()) * 10**9 if limits.cpus else None,
                pids_limit=limits.processes * _THREADS if limits.processes else None,
                ulimits=[
                    Ulimit(name="core", soft=0, hard=0),
                    # Podman asks for more than a root without CAP_SYS_RESOURCE may give.
                    *([Ulimit(name="nproc", soft=_PODMAN_NPROC, hard=_PODMAN_NPROC)] if daemon.podman else []),
                    *([Ulimit(name="nofile", soft=limits.open_files, hard=limits.open_files)] if limits.open_files else []),
                ],
                device_requests=[DeviceRequest(count=limits.gpus, capabilities=[["gpu"]])] if limits.gpus else None,
                log_config=LogConfig(type="none"),
                auto_remove=True,
            ),
        }

    def _tmpfs(self, limits: Limits, files: int | None) -> dict[str, str]:
        """Folders in memory and their mount options. There is one user in the container, so that nobody is kept out of them."""
        options = "mode=1777,exec,nosuid,nodev" + (f",nr_inodes={files}" if files else "")
        sizes = {"/tmp": _memory_mb(limits) // 4, str(_HOME): _HOME_MB} | ({} if self._shared else {str(_CONNECTION): 1})
        return {folder: f"size={size}m,{options}" for folder, size in sizes.items()}

    def _hand_over(self, identity: Identity, folder: Path, work: Path, data: Path | None) -> None:
        """Let the kernel's user read and write what it must.

        Raises:
            UsageError: the data can be read by root alone.
        """
        if not identity.given:
            return
        for top in (work, *([folder / "connection"] if self._shared else [])):
            # Handed over once, before anything runs in there; later a cell could put a link in the place of a folder.
            if top.stat().st_uid == identity.uid:
                continue
            for _, folders, names, here in os.fwalk(top, follow_symlinks=False):
                for name in (*folders, *names):
                    os.chown(name, identity.uid, identity.gid, dir_fd=here, follow_symlinks=False)
            os.chown(top, identity.uid, identity.gid, follow_symlinks=False)
        for shown in (data, *data.rglob("*")) if data else ():
            needed = 0o005 if shown.is_dir() else 0o004
            if shown.stat().st_mode & needed != needed:
                raise UsageError(
                    f"{str(shown)!r} can be read by root alone, and the docker sandbox of root runs as another user. "
                    "Allow it (umask 022 before the run, or chmod -R o+rX), or start mlteam as an ordinary user."
                )


@dataclass(frozen=True)
class _Started:
    """What a thread started, for the event loop to take over."""

    client: docker.DockerClient
    container: str
    streams: Any
    pid: int
    tunnels: Tunnels | None
    use: ContainerUse | None = None

    def process(self) -> ContainerProcess:
        return ContainerProcess(self.client, self.container, self.streams, self.pid, self.tunnels, self.use)


def _memory_mb(limits: Limits) -> int:
    return limits.memory_mb or 8192


def _refusal(error: Exception) -> str:
    text = str(getattr(error, "explanation", None) or error).strip()
    if "could not select device driver" in text:
        return (
            "docker cannot give graphics processors to a container here (no driver for them is set up). "
            "Install nvidia-container-toolkit, or set sandbox.gpus to 0."
        )
    return f"docker did not start the sandbox: {text[:500]}. See what works here: mlteam doctor"
