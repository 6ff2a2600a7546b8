"""The process that guards a sandbox: it keeps the limits, and nothing of the sandbox outlives it.

    python -I -S guard.py      (standard library alone, ready in 20 ms, 10 MB)

For bubblewrap and unsafe-local it stands between the host and the sandbox. In a container it is process 1, the only one that the
code in there can neither kill nor stop nor look into; the host talks to it through the daemon.

It reads one line of JSON from its standard input (see `Order`), starts the sandbox, and writes one line of JSON to its
standard output when everything has ended. Its standard input stays open: `t` asks the kernel to end, `k` kills everything,
and so does end-of-file: a host that is gone, even by `kill -9`, takes its sandboxes along, and the guard removes their folder.

Why a process of its own: a thread in the host would wait for the host's interpreter lock while pandas holds it, which is
when memory runs out; and only a parent that is a "subreaper" inherits, and so finds, the children of children that
detached themselves. Why not the kernel's own means: control groups need root or a delegated subtree, a limit on address
space (RLIMIT_AS) breaks libraries that reserve more than they use, and no rlimit counts the children. Where Linux's
/proc is missing, the group of processes is killed at the end and memory is not limited.

Memory is the anonymous, shared and swapped pages of all processes of the tree. It is sampled the more often the less is
left (every 20 to 200 ms). Pages that processes share after a fork are counted once, which costs a walk through the page
tables and is done only when the plain sum is over the limit. A second line, RLIMIT_DATA at twice the limit or
4 GiB above it, turns an absurd allocation into an ordinary MemoryError before it touches a page, and bounds what one
process can take between two samples.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import random
import resource
import select
import signal
import subprocess
import sys
import time
from typing import Any, TypedDict

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # -I leaves it out
from quota import Quota, too_many_in_memory

MIB = 1 << 20
_KEPT_BYTES, _LOG_BYTES = 1 << 18, 8192
_LAST_WORDS = (b"Fatal Python error", b"Timeout (")
"""What the interpreter begins its last traceback with. It is up to a hundred lines a thread long, and its head says why it was written."""
_SHORTEST_TICK, _LONGEST_TICK = 0.02, 0.2
_FASTEST_GROWTH = 8_000.0
"""MiB a second; more than several threads touching new pages reach. Sets how soon the next sample is due."""
_HEADROOM, _HEADROOM_PER_CPU = 4096, 64
"""MiB of RLIMIT_DATA for what libraries set aside and never touch: allocators reserve arenas (importing pyarrow, torch and
the boosting libraries takes 2.7 GiB of address space and 0.5 GiB of memory), and each core has stacks and buffers."""
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER = 1, 4, 36
_CGROUP_OOM = (("/sys/fs/cgroup/memory.events", "oom_kill"), ("/sys/fs/cgroup/memory/memory.oom_control", "oom_kill"))
"""Where a container finds how many of its processes the system killed at its memory limit: control groups version 2 and 1."""
_STATUS = ("RssAnon:", "RssShmem:", "VmSwap:", "VmPTE:", "Threads:", "FDSize:")
_THREADS = 16
"""Threads a process may have on average."""
_USUAL_FILES, _SOCKET_BUFFER = 512, 208 * 1024
"""Open files that cost nothing worth counting, and what the system sets aside for a socket's outgoing data."""
_LINUX = sys.platform == "linux"
_LISTS_CHILDREN = os.path.exists(f"/proc/self/task/{os.getpid()}/children")


class Order(TypedDict):
    """What to start and the limits to keep; see `contract.Limits`."""

    argv: list[str]
    env: dict[str, str]
    cwd: str
    folder: str
    """Removed if the host is no more there to do it; empty when it cannot be seen from here."""
    wrappers: int
    """How many processes of the sandbox stand between this one and the kernel."""
    contained: bool
    """Whether this is process 1 of a container of its own."""
    provide: dict[str, str]
    """Files to write before the start: path and text."""
    scratch: list[str]
    """Folders of the sandbox that lie in memory and whose number of files nothing else limits."""
    memory_mb: int | None
    cpus: int | None
    processes: int | None
    open_files: int | None
    disk_mb: int | None
    files: int | None


def _told(log: bytes) -> bytes:
    """What is reported of a log: its end, or the head of a last traceback that is longer, and then the end."""
    began = max(log.rfind(words) for words in _LAST_WORDS)
    if 0 <= began < len(log) - _LOG_BYTES:
        return log[began : began + _LOG_BYTES // 2] + b"\n...\n" + log[-_LOG_BYTES // 2 :]
    return log[-_LOG_BYTES:]


def main() -> None:
    order: Order = json.loads(_read_line())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC) if _LINUX else os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    ending: list[str] = []
    if order["contained"]:
        # The code that it guards runs under the same user. It may send signals, but not look into this process.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    else:
        signal.signal(signal.SIGTERM, lambda *_: ending.append("ended by the host"))
    if _LINUX:
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for path, text in order["provide"].items():
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
    guard = Guard(order)
    json_line(guard.run(wake_read, ending))


def json_line(facts: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # nobody reads any more: then nobody needs to know
        os.write(1, json.dumps(facts).encode() + b"\n")


class Guard:
    """One sandbox from start to end."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.host = os.getppid()
        self.log = b""
        self.log_pipe, log_write = os.pipe()
        os.set_blocking(self.log_pipe, False)
        self.oom_kills, self.own_oom_kills = _oom_kills(), self._own_oom_kills()
        self.quota = Quota(order["cwd"], order["disk_mb"], order["files"])
        self.status: int | None = None
        self.peak = 0.0
        self.next_look = 0.0
        try:
            child = subprocess.Popen(
                order["argv"],
                env=order["env"],
                cwd=order["cwd"],
                stdin=subprocess.DEVNULL,
                stdout=log_write,
                stderr=log_write,
                preexec_fn=self._in_child,
                start_new_session=True,
            )
            self.main = child.pid
            child.returncode = 0  # reaped below with everything else, not by subprocess
        finally:
            os.close(log_write)

    def run(self, wake: int, ending: list[str]) -> dict[str, Any]:
        """Watch until the kernel ends, a limit is passed or the host says so; then end everything and report."""
        cause, abandoned = None, False
        inputs = [0, self.log_pipe, wake]
        while cause is None and self.status is None:
            pause = max(0.0, self.next_look - time.monotonic())
            ready = select.select(inputs, [], [], pause)[0]
            if wake in ready:
                os.read(wake, 4096)
                self._reap()
            if self.log_pipe in ready and not self._read_log():
                inputs.remove(self.log_pipe)
            if 0 in ready:
                command = os.read(0, 1)
                if command == b"t":
                    self._signal_kernel(signal.SIGTERM)
                elif not command or command == b"k":
                    cause = "ended by the host"
                    abandoned = not command
            if ending or os.getppid() != self.host:
                cause = "ended by the host"
                abandoned = not ending
            if self.status is None and cause is None and time.monotonic() >= self.next_look:
                cause = self._look()
        self._kill_all()
        self._read_log()
        if abandoned and self.order["folder"]:
            # Folders may be nested deeper in there than Python's own functions can follow.
            subprocess.run(["rm", "-rf", "--", self.order["folder"]], check=False, stderr=subprocess.DEVNULL)
        return {
            "cause": cause or self._describe(self.status or 0),
            "log": _told(self.log).decode(errors="replace"),
            "peak_mb": round(self.peak, 1),
        }

    def _in_child(self) -> None:
        """Between fork and exec: limits that hold for the sandbox and whatever it starts."""
        order = self.order
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # what is ignored here would be ignored there
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if order["open_files"]:
            _lower(resource.RLIMIT_NOFILE, order["open_files"])
        if order["disk_mb"]:
            _lower(resource.RLIMIT_FSIZE, order["disk_mb"] * MIB)
        if order["memory_mb"]:
            cpus = order["cpus"] or os.cpu_count() or 1
            spare = max(order["memory_mb"], _HEADROOM) + _HEADROOM_PER_CPU * cpus
            _lower(resource.RLIMIT_DATA, (order["memory_mb"] + spare) * MIB)
        if _LINUX:
            cores = sorted(os.sched_getaffinity(0))
            if order["cpus"] and order["cpus"] < len(cores):
                os.sched_setaffinity(0, random.sample(cores, order["cpus"]))
            with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
                file.write("500")  # when the machine itself runs out, the sandbox goes before the host program
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)

    def _look(self) -> str | None:
        """Measure the tree; returns the limit that was passed, in words."""
        pids = descendants(os.getpid())
        allowed = self.order["processes"]
        kernel_pids = len(pids) - self.order["wrappers"]
        if allowed and kernel_pids > allowed:
            return f"too many processes: {kernel_pids} in the sandbox, {allowed} allowed"
        states = [_fields(f"/proc/{pid}/status", _STATUS) for pid in pids]
        threads = sum(state.get("Threads:", 0) for state in states)
        if allowed and threads > allowed * _THREADS:
            return f"too many processes: {threads:,} threads in the sandbox, {allowed * _THREADS:,} allowed"
        limit = self.order["memory_mb"]
        unseen = sum(map(self._unseen, states)) / MIB
        used = sum(map(_resident, states)) / MIB + unseen
        if limit and used > limit:
            started = time.monotonic()
            used = sum(map(own_memory, pids)) / MIB + unseen
            pause = max(_SHORTEST_TICK, 10 * (time.monotonic() - started))
        else:
            pause = min(max((limit - used) / _FASTEST_GROWTH, _SHORTEST_TICK), _LONGEST_TICK) if limit else _LONGEST_TICK
        self.peak = max(self.peak, used)
        self.next_look = time.monotonic() + pause
        if limit and used > limit:
            return f"out of memory: {used:,.0f} MiB used, {limit:,} MiB allowed"
        if self._own_oom_kills() > self.own_oom_kills:
            return self._describe_oom()
        scratch = self.order["scratch"]
        crowded = too_many_in_memory(f"/proc/{self._kernel_pid()}/root", scratch, self.order["files"]) if scratch else None
        return crowded or self.quota.look()

    def _unseen(self, state: dict[str, int]) -> int:
        """Bytes of a process that stand in no count of its pages: page tables, and what its sockets may hold.

        A container's control group counts sockets. Elsewhere a table of open files beyond the usual is charged as if all were
        sockets, each with a full buffer.
        """
        sockets = 0 if self.order["contained"] else max(0, state.get("FDSize:", 0) - _USUAL_FILES) * _SOCKET_BUFFER
        return 1024 * state.get("VmPTE:", 0) + sockets

    def _reap(self) -> bool:
        """Collect whoever ended. Returns whether there is anybody left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self.main:
                self.status = status

    def _read_log(self) -> bool:
        """Take what was written to standard error, keeping its end. Returns False at its end."""
        try:
            while data := os.read(self.log_pipe, 65536):
                self.log = (self.log + data)[-_KEPT_BYTES:]
                if len(data) < 65536:
                    return True
        except BlockingIOError:
            return True
        return False

    def _signal_kernel(self, number: int) -> None:
        if pid := self._kernel_pid():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _kernel_pid(self) -> int | None:
        """The kernel's process, or None before the wrappers have started it and after it ended."""
        pid = self.main
        for _ in range(self.order["wrappers"]):
            below = children(pid)
            if not below:
                return None
            pid = below[0]
        return pid

    def _own_oom_kills(self) -> int:
        if not self.order["contained"]:
            return 0
        return max(_fields(path, (name, f"{name}:")).get(name, 0) for path, name in _CGROUP_OOM)

    def _describe_oom(self) -> str:
        return f"out of memory: the system killed a process of the sandbox, {self.order['memory_mb']:,} MiB allowed"

    def _kill_all(self) -> None:
        """Kill every descendant, from the top so that a namespace goes as a whole, until none is left to reap."""
        deadline = time.monotonic() + 5
        while self._reap() and time.monotonic() < deadline:
            if not _LINUX:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.main, signal.SIGKILL)
            for pid in descendants(os.getpid()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.002)

    def _describe(self, status: int) -> str:
        """Say how the kernel ended by itself."""
        code = os.waitstatus_to_exitcode(status)
        if self.order["wrappers"] and code > 128:  # a wrapper reports its child's signal as a shell does
            code = 128 - code
        if code >= 0:
            return f"exit code {code}"
        if -code == signal.SIGKILL and self._own_oom_kills() > self.own_oom_kills:
            return self._describe_oom()
        if -code == signal.SIGKILL and _oom_kills() > self.oom_kills:
            return "out of memory: killed by the system, which ran out"
        try:
            name = signal.Signals(-code).name
        except ValueError:
            return f"killed by signal {-code}"
        return f"killed by signal {-code} ({name})"


def children(pid: int) -> list[int]:
    """Processes whose parent is `pid`, oldest first."""
    if not _LISTS_CHILDREN:
        return sorted(child for child, parent in _parents() if parent == pid)
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{thread}/children") as file:
                found += map(int, file.read().split())
    return sorted(found)


def descendants(root: int) -> list[int]:
    """All processes below `root`, parents before children."""
    found = children(root)
    for pid in found:
        found += children(pid)
    return found


def memory(pid: int) -> int:
    """Bytes that only swap could free: anonymous, shared and swapped pages. Zero for a process that ended."""
    return _resident(_fields(f"/proc/{pid}/status", _STATUS))


def _resident(state: dict[str, int]) -> int:
    return 1024 * sum(state.get(name, 0) for name in ("RssAnon:", "RssShmem:", "VmSwap:"))


def own_memory(pid: int) -> int:
    """The same with every page divided by the number of processes that share it."""
    names = ("Pss_Anon:", "Pss_Shmem:", "SwapPss:")
    kib = _fields(f"/proc/{pid}/smaps_rollup", names)
    return 1024 * sum(kib.values()) if kib.keys() >= set(names) else memory(pid)


def _fields(path: str, names: tuple[str, ...]) -> dict[str, int]:
    found = {}
    with contextlib.suppress(OSError), open(path) as file:
        for line in file:
            name, *rest = line.split()
            if name in names:
                found[name] = int(rest[0])
    return found


def _parents() -> list[tuple[int, int]]:
    """Every process with its parent, for systems whose /proc has no lists of children."""
    pairs = []
    for name in os.listdir("/proc") if _LINUX else ():
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat") as file:
                pairs.append((int(name), int(file.read().rpartition(")")[2].split()[1])))
    return pairs


def _lower(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))


def _oom_kills() -> int:
    return _fields("/proc/vmstat", ("oom_kill",)).get("oom_kill", 0)


def _read_line() -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        line += os.read(0, 1) or sys.exit("no order given")
    return line


if __name__ == "__main__":
    main()
