"""The `bubblewrap` sandbox: Linux namespaces without a daemon and without root.

What the kernel sees:

    /usr /lib* /bin /etc/<a few files>   read-only, of the host
    sys.prefix, sys.base_prefix          read-only, of the host: the interpreter and the installed libraries
    /mlteam/code/tools                   read-only: the `tools` package, and nothing else of the project
    /mlteam/inside                       read-only: the kernel's program
    /mlteam/data                         read-only: the data folder
    /mlteam/work                         the work folder, the only place whose files last; the working folder
    /mlteam/connection                   the sockets to the host
    /mlteam/home, /tmp, /dev/shm         empty, in memory, limited in size
    /proc, /dev                          of the sandbox itself; what /proc tells of the machine is read-only or hidden
    /sys/devices/system/cpu              read-only, of the host

No network (its own namespace, in which only a loopback of its own is up), no other processes, no capability, no new
namespaces, no environment, and none of the system calls that `inside/seccomp.py` refuses. The user is number 1000 inside
and the caller outside, so files in the work folder belong to the caller. What it does not keep out: bugs in the system
calls that are left, and filling the disk through the work folder.
"""

from __future__ import annotations

import functools
import os
import shutil
import site
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import ClassVar

from team.errors import SandboxUnavailable, UsageError
from team.sandbox.contract import Kind, Limits, Obstacle
from team.sandbox.environment import INSIDE, kernel_command, kernel_environment, tools_package, user_libraries, weights_variable
from team.sandbox.inside import seccomp
from team.sandbox.private import make_folder
from team.sandbox.process import GuardedProcess
from tools.files import remove_tree

_ROOT = PurePosixPath("/mlteam")
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_ETC = ("alternatives", "fonts", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "timezone")
_PROC_READ_ONLY = ("bus", "fs", "irq", "sys", "sysrq-trigger")
"""Settings of the machine. A caller who is root owns them inside as well, and for some of them that is all it takes."""
_PROC_HIDDEN = (
    *("acpi", "asound", "driver", "kcore", "keys", "kmsg", "latency_stats", "sched_debug", "scsi", "slabinfo"),
    *("timer_list", "timer_stats", "vmallocinfo"),
)
"""Facts about the machine that are nobody's business inside."""
_ID = 1000
_PASSWD = f"user:x:{_ID}:{_ID}:user:{_ROOT}/home:/bin/sh\n"
_GROUP = f"user:x:{_ID}:\n"
_WRAPPERS = 2
"""bwrap itself, and the first process of the new process namespace."""
_HOME_MB = 256
_IN_MEMORY = ("/tmp", "/dev/shm", f"{_ROOT}/home")
_TRY_SECONDS = 10
_PROJECT = ("team", "evals", "reports", "prompts", "sandbox_image")
"""Packages that an installation puts next to the libraries and that are hidden."""


class BubblewrapLauncher:
    """Runs the kernel under bwrap."""

    kind: ClassVar[Kind] = "bubblewrap"

    def __init__(self, weights: Path | None = None) -> None:
        """`weights`: a folder of checkpoints that the kernel may read."""
        self._weights = weights

    def obstacle(self) -> Obstacle | None:
        return _obstacle()

    def facts(self) -> str:
        return subprocess.run([_bwrap(), "--version"], capture_output=True, text=True, check=False, timeout=_TRY_SECONDS).stdout.strip()

    def inside(self, connection: Path) -> PurePosixPath:
        return _ROOT / "connection"

    async def start(self, folder: Path, work: Path, data: Path | None, limits: Limits, env: Mapping[str, str]) -> GuardedProcess:
        if obstacle := self.obstacle():
            raise SandboxUnavailable(f"bubblewrap does not work here: {obstacle.reason}. {obstacle.fix}")
        if limits.gpus:
            raise UsageError(f"gpus={limits.gpus}: only the docker sandbox gives graphics processors. Use --sandbox docker.")
        view = HostView.of_this_interpreter()
        for name, path in (("work", work), ("data", data)):
            if path is not None and (shown := view.shows(path)):
                raise UsageError(
                    f"the {name} folder {str(path)!r} lies in {str(shown)!r}, which every sandbox can read, and with it whatever "
                    "lies beside that folder. Choose a run folder elsewhere with --out."
                )
        return await GuardedProcess.start(
            [
                *_filtered_bwrap(folder),
                *_namespaces(),
                *self._filesystem(view, folder, work, data, limits),
                *("--chdir", str(_ROOT / "work"), "--"),
                *kernel_command(_ROOT / "inside" / "start.py", _ROOT / "connection", limits, filter_calls=False),
            ],
            folder=folder,
            cwd=work,
            # bwrap's own environment can be read by the kernel in /proc/1/environ, so it is no more than the kernel's.
            env=kernel_environment(
                home=_ROOT / "home",
                code=_ROOT / "code",
                work=_ROOT / "work",
                data=_ROOT / "data" if data else None,
                limits=limits,
                extra=weights_variable(_ROOT / "weights" if self._weights else None) | dict(env),
            ),
            limits=limits,
            wrappers=_WRAPPERS,
            scratch=_IN_MEMORY,
        )

    def _filesystem(self, view: HostView, folder: Path, work: Path, data: Path | None, limits: Limits) -> list[str]:
        (folder / "passwd").write_text(_PASSWD, encoding="utf-8")
        (folder / "group").write_text(_GROUP, encoding="utf-8")
        shared_memory_mb = (limits.memory_mb or 8192) // 4
        arguments = [*_proc(), "--dev", "/dev", "--remount-ro", "/dev"]
        for path, size in zip(_IN_MEMORY, (shared_memory_mb, shared_memory_mb, _HOME_MB), strict=True):
            arguments += ["--size", str(size << 20), "--tmpfs", path]
        arguments += view.arguments()  # after /tmp, in which the interpreter may lie
        for name in _ETC:
            arguments += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
        arguments += ["--ro-bind-try", "/sys/devices/system/cpu", "/sys/devices/system/cpu"]  # joblib counts cores there
        arguments += ["--ro-bind", str(folder / "passwd"), "/etc/passwd", "--ro-bind", str(folder / "group"), "/etc/group"]
        arguments += ["--ro-bind", str(tools_package()), f"{_ROOT}/code/tools", "--ro-bind", str(INSIDE), f"{_ROOT}/inside"]
        if data:
            arguments += ["--ro-bind", str(data), f"{_ROOT}/data"]
        if self._weights:
            arguments += ["--ro-bind", str(self._weights), f"{_ROOT}/weights"]
        arguments += ["--bind", str(work), f"{_ROOT}/work", "--bind", str(folder / "connection"), f"{_ROOT}/connection"]
        return [*arguments, "--remount-ro", "/"]


class HostView:
    """Which folders of the host a sandbox shows.

    The folders are laid over each other in order: the system, an empty folder over the project if it lies in there, the
    interpreter, and empty folders over those packages of the project that are installed among its libraries.
    """

    def __init__(self, layers: list[tuple[Path, bool]]) -> None:
        """`layers`: a folder and whether it is shown (or covered), later ones over earlier ones."""
        self._layers = layers

    @classmethod
    def of_this_interpreter(cls) -> HostView:
        layers = [(Path(path), True) for path in _SYSTEM if os.path.isdir(path) and not os.path.islink(path)]
        view = cls(layers)
        project = tools_package().parent
        libraries = {Path(path).resolve() for path in (*site.getsitepackages(), *user_libraries())}
        installed = project in libraries
        if not installed and view.shows(project):
            layers.append((project, False))
        interpreter = str(Path(sys.executable).resolve().parent.parent)
        for name in (sys.base_prefix, sys.base_exec_prefix, interpreter, sys.prefix, sys.exec_prefix, *user_libraries()):
            if os.path.isdir(name) and not view.shows(Path(name)):
                layers.append((Path(name), True))  # noqa: PERF401  # `shows` looks at the layers so far
        if installed:
            layers += [(project / name, False) for name in _PROJECT if (project / name).is_dir() and view.shows(project / name)]
        return view

    def shows(self, path: Path) -> Path | None:
        """The folder of the host by which a sandbox could read `path`, or None when it could not."""
        found: Path | None = None
        for folder, shown in self._layers:
            if path.is_relative_to(folder) or path.is_relative_to(folder.resolve()):
                found = folder if shown else None
        return found

    def arguments(self) -> list[str]:
        """The layers as arguments of bwrap."""
        arguments: list[str] = []
        for path in _SYSTEM:
            if os.path.islink(path):
                arguments += ["--symlink", os.readlink(path), path]
        for folder, shown in self._layers:
            arguments += ["--ro-bind", str(folder), str(folder)] if shown else ["--tmpfs", str(folder), "--remount-ro", str(folder)]
        return arguments


def _bwrap() -> str:
    return shutil.which("bwrap") or "bwrap"


def _filtered_bwrap(folder: Path) -> list[str]:
    """The start of a command: bwrap with the filter of system calls, which it takes from an open file.

    The kernel could load the filter into itself, but not into the first process of the sandbox, which is bwrap's. That one
    would stay without, and the kernel can write to its memory.
    """
    code = seccomp.program(os.uname().machine)
    if code is None:
        return [_bwrap()]
    (folder / "filter").write_bytes(code)
    return ["/bin/sh", "-c", 'exec "$@" 3<"$0"', str(folder / "filter"), _bwrap(), "--seccomp", "3"]


def _proc() -> list[str]:
    """Arguments for a /proc in which nothing of the machine can be set."""
    arguments = ["--proc", "/proc"]
    for name in _PROC_READ_ONLY:
        arguments += ["--ro-bind-try", f"/proc/{name}", f"/proc/{name}"]
    for name in _PROC_HIDDEN:
        path = f"/proc/{name}"
        if os.path.isdir(path):
            arguments += ["--tmpfs", path, "--remount-ro", path]
        elif os.path.exists(path):
            arguments += ["--ro-bind", "/dev/null", path]  # cannot be opened: no device can in a bound file
    return arguments


@functools.cache
def _namespaces() -> tuple[str, ...]:
    """The options that isolate, as far as this version of bwrap knows them."""
    options = ["--unshare-all", "--unshare-user", "--uid", str(_ID), "--gid", str(_ID), "--hostname", "sandbox"]
    options += ["--cap-drop", "ALL", "--die-with-parent", "--new-session"]
    usage = subprocess.run([_bwrap(), "--help"], capture_output=True, text=True, check=False, timeout=_TRY_SECONDS).stdout
    if "--disable-userns" in usage:  # since 0.8
        options.append("--disable-userns")
    return tuple(options)


@functools.cache
def _obstacle() -> Obstacle | None:
    """Try bwrap once, with every option that a kernel will be started with but its own folders."""
    if sys.platform != "linux":
        return Obstacle("it needs Linux", "Use Linux, or the playbook alone, which may run with --sandbox unsafe-local.")
    if shutil.which("bwrap") is None:
        return Obstacle("the program bwrap is not installed", "Install it: apt-get install bubblewrap (or dnf, pacman, apk).")
    mounts = [*_proc(), "--dev", "/dev", "--size", "4096", "--tmpfs", "/tmp", *HostView.of_this_interpreter().arguments()]
    folder = make_folder()
    try:
        command = [*_filtered_bwrap(folder), *_namespaces(), *mounts, "--remount-ro", "/", "--", "/bin/true"]
        tried = subprocess.run(command, capture_output=True, text=True, check=False, env={}, timeout=_TRY_SECONDS)
    except subprocess.TimeoutExpired:
        return Obstacle(f"bwrap did not finish within {_TRY_SECONDS} s", "Try it by hand: bwrap --unshare-all --ro-bind / / true")
    finally:
        remove_tree(folder)
    if tried.returncode == 0:
        return None
    complaint = tried.stderr.strip().splitlines()[-1] if tried.stderr.strip() else f"exit code {tried.returncode}"
    if "Unknown option" in complaint:
        return Obstacle(f"this bwrap is too old ({complaint})", "Install version 0.6.3 or later: apt-get install bubblewrap")
    return Obstacle(
        f"bwrap cannot make namespaces: {complaint}",
        "Allow them: sysctl -w kernel.unprivileged_userns_clone=1 user.max_user_namespaces=10000 "
        "(Ubuntu 24.04 and later also: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0); "
        "in a container, start it with --security-opt seccomp=unconfined.",
    )
