"""What every launcher gives a kernel: the same few variables, the same command, and the `tools` package by itself."""

from __future__ import annotations

import importlib.util
import os
import site
import sys
from collections.abc import Mapping
from pathlib import Path, PurePath

from team.sandbox.contract import Limits
from tools.families.weights import VARIABLE as WEIGHTS

INSIDE = Path(__file__).with_name("inside")
"""The folder of the programs that a sandbox is shown."""
START = INSIDE / "start.py"
"""The kernel program."""


def tools_package() -> Path:
    """The folder of the `tools` package, wherever it is installed."""
    spec = importlib.util.find_spec("tools")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).resolve().parent


def available_cpus() -> int:
    """Cores that this process may run on."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def user_libraries() -> list[str]:
    """The folder of packages installed with `pip install --user`, where this interpreter uses it."""
    return [site.getusersitepackages()] if site.ENABLE_USER_SITE else []


def weights_variable(weights: PurePath | None) -> dict[str, str]:
    """What tells a kernel of a folder of checkpoints, as seen from inside the sandbox."""
    return {WEIGHTS: str(weights)} if weights else {}


def kernel_command(
    start: PurePath, connection: PurePath, limits: Limits, *, python: PurePath | None = None, filter_calls: bool = True
) -> list[str]:
    """The command that starts the kernel, as seen from inside the sandbox.

    Args:
        python: the interpreter; None for the one that runs this.
        filter_calls: whether the kernel loads the filter of system calls (`inside/seccomp.py`) into itself. Left out where
            nothing is isolated, and where the launcher has loaded it already.
    """
    # -P keeps the folder of the program and the working folder off the front of sys.path.
    command = [str(python or sys.executable), "-P", str(start), str(connection / "kernel.json"), str(limits.rich_output_bytes)]
    return [*command, "--filter-calls"] if filter_calls else command


def kernel_environment(
    *,
    home: PurePath,
    code: PurePath,
    work: PurePath,
    data: PurePath | None,
    limits: Limits,
    extra: Mapping[str, str],
    prefix: PurePath | None = None,
) -> dict[str, str]:
    """The whole environment of a kernel. Nothing is taken from the caller's but the time zone.

    Args:
        home: a folder that ends with the kernel.
        code: the folder that holds the `tools` package.
        extra: variables that the caller asked for by name; they win.
        prefix: the environment that the interpreter belongs to; None for the one that runs this.
    """
    threads = str(min(limits.cpus or available_cpus(), available_cpus()))
    env = {
        "PATH": f"{(prefix or PurePath(sys.prefix)) / 'bin'}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(code),
        "PYTHONUNBUFFERED": "1",
        "IPYTHONDIR": str(home / "ipython"),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "MPLCONFIGDIR": str(home / "matplotlib"),
        "MLTEAM_WORK": str(work),
        "OMP_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        # How long OpenMP threads spin before they sleep: short, or a busy machine slows them several times over.
        "GOMP_SPINCOUNT": "1000",
    }
    if prefix is None and user_libraries():
        env["PYTHONUSERBASE"] = site.getuserbase()
    if limits.memory_mb is not None:
        env["MLTEAM_MEMORY_MB"] = str(limits.memory_mb)
    if data is not None:
        env["MLTEAM_DATA"] = str(data)
    if "TZ" in os.environ:
        env["TZ"] = os.environ["TZ"]
    return env | dict(extra)
