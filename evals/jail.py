"""Where a system's process runs: under bubblewrap where that works, in a view of the machine that holds no label of the rows to predict.

It sees the system, the interpreter, the project's own packages and its own folder; no home, no other folder of the eval, no cache of
downloads, and none of the tables that the project and scikit-learn ship with their labels. Sandboxes that the system starts itself nest
in it. There is no network but its own loopback, unless the system needs one; a system that asks a language model gets a way to that and to
nothing else (`model_door.py`). Without bubblewrap a system runs as a plain process in its
folder: what the user can read it can read, and the rows of the eval say so.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from evals.model_door import SOCKET
from team.errors import SandboxUnavailable
from team.sandbox.bubblewrap import BubblewrapLauncher, HostView
from team.sandbox.environment import tools_package

PROJECT = ("team", "tools", "prompts", "reports", "sandbox_image", "evals")
NETWORK = ("resolv.conf", "hosts", "nsswitch.conf", "ssl", "ca-certificates", "host.conf", "gai.conf")
ETC = ("alternatives", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "timezone", "fonts", "passwd", "group", "ssl/certs/java")
JAVA = "java-*"
"""Below /etc, where distributions keep what a Java runtime is configured by; the runtime's own folder holds links to it."""
DOOR = Path("/run/mlteam-door")
"""Where a jail shows the folder of `model_door.door`."""
IN_MEMORY_MB = 2048


def works() -> str:
    """Why systems cannot be jailed here; empty where they can."""
    found = BubblewrapLauncher().obstacle()
    return f"{found.reason}. {found.fix}" if found else ""


def require() -> None:
    """
    Raises:
        SandboxUnavailable: where there is no jail.
    """
    if why := works():
        raise SandboxUnavailable(f"systems cannot be kept from the labels here: {why} Or let them run unguarded with --jail none.")


def jailed(command: Sequence[str], folder: Path, shown: Sequence[Path], *, network: bool, door: Path | None = None) -> list[str]:
    """The command that runs `command` in the jail.

    Args:
        folder: what the system may write to; seen under its own name.
        shown: what it may read beyond the system and the project, such as an environment of its own.
        network: whether it has the machine's network.
        door: folder of `model_door.door`, the way to a model from a jail without a network.
    """
    words = [shutil.which("bwrap") or "bwrap", "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    words += ["--die-with-parent", "--new-session", *([] if network else ["--unshare-net"])]
    words += ["--proc", "/proc", "--dev", "/dev"]
    for place in ("/tmp", "/dev/shm", "/root", "/home"):
        words += ["--size", str(IN_MEMORY_MB << 20), "--tmpfs", place]
    words += HostView.of_this_interpreter().arguments()
    for name in (*ETC, *(path.name for path in sorted(Path("/etc").glob(JAVA))), *(NETWORK if network or door else ())):
        words += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    words += ["--ro-bind-try", "/sys/devices/system/cpu", "/sys/devices/system/cpu"]
    for path in (*(tools_package().parent / name for name in PROJECT), *shown):
        words += ["--ro-bind", str(path), str(path)]
    for path in _labelled():
        words += ["--tmpfs", str(path), "--remount-ro", str(path)]
    if door is not None:
        words += ["--ro-bind", str(door), str(DOOR)]
        inner = tools_package().parent / "evals" / "forwarding.py"
        command = [sys.executable, "-I", "-S", str(inner), str(DOOR / SOCKET), *command]
    return [*words, "--bind", str(folder), str(folder), "--chdir", str(folder), "--remount-ro", "/", "--", *command]


def _labelled() -> list[Path]:
    """Folders of tables that come with their labels."""
    found = [Path(__file__).parent / "data"]
    if (sklearn := importlib.util.find_spec("sklearn")) and sklearn.origin:
        found.append(Path(sklearn.origin).parent / "datasets" / "data")
    return [path for path in found if path.is_dir()]


def facts() -> dict[str, str]:
    """What the jail is, for the versions of a row."""
    return {"jail": BubblewrapLauncher().facts() if not works() else "none", "python": sys.version.split()[0]}
