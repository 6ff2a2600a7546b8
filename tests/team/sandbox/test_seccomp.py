"""The filter of system calls: what its program says of a call, and what a process meets that has loaded it."""

from __future__ import annotations

import errno
import os
import re
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path, PurePosixPath

import pytest
import pytest_asyncio

from team.sandbox import Kernel, Limits, open_kernel
from team.sandbox.contract import Kind, Obstacle
from team.sandbox.environment import INSIDE, START, kernel_command, kernel_environment
from team.sandbox.inside import seccomp
from team.sandbox.process import GuardedProcess
from tests.contracts.sandbox import told

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
I386, ARM, X32 = 0x40000003, 0x40000028, 0x40000000
MACHINES = tuple(ARCHITECTURES)
HERE = os.uname().machine
HIGH = 0xDEADBEEF << 32
"""What the kernel does not look at in the arguments that the filter checks."""
PRETENDED = -1
"""The call succeeds without having been made."""

needs_a_table = pytest.mark.skipif(HERE not in MACHINES or sys.platform != "linux", reason=f"there is no filter for {HERE}")


def verdict(machine: str, number: int, *arguments: int, architecture: int | None = None) -> int:
    """Run the program over one call. Returns 0 when it is allowed, else the errno that it gets, or PRETENDED."""
    code = seccomp.program(machine)
    assert code is not None
    architecture = ARCHITECTURES[machine] if architecture is None else architecture
    data = struct.pack("<IIQ6Q", number, architecture, 0, *arguments, *[0] * (6 - len(arguments)))
    accumulator, at = 0, 0
    while True:
        operation, yes, no, operand = struct.unpack_from("<HBBI", code, 8 * at)
        at += 1
        if operation == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, operand)
        elif operation == 0x06:
            assert operand >> 16 in (0x7FFF, 0x0005)
            return PRETENDED if operand == 0x50000 else operand & 0xFFFF
        else:
            held = {0x15: accumulator == operand, 0x35: accumulator >= operand, 0x45: bool(accumulator & operand)}[operation]
            at += yes if held else no


@pytest.fixture(params=MACHINES)
def machine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class TestProgram:
    def test_every_call_of_the_tables_is_refused_and_no_other(self, machine: str) -> None:
        refused, absent = seccomp.numbers(seccomp._REFUSED, machine), seccomp.numbers(seccomp._ABSENT, machine)
        checked = seccomp.numbers(seccomp._CHECKED, machine)
        assert len(refused) > 40
        for number in set(range(600)) - set(checked.values()):
            expected = errno.EPERM if number in refused.values() else errno.ENOSYS if number in absent.values() else 0
            assert verdict(machine, number) == expected

    @pytest.mark.parametrize("name", ["bpf", "ptrace", "io_uring_setup", "unshare", "mount", "init_module", "keyctl", "process_vm_writev"])
    def test_the_ways_out_are_in_the_table(self, machine: str, name: str) -> None:
        assert verdict(machine, seccomp.numbers(seccomp._REFUSED, machine)[name]) == errno.EPERM

    @pytest.mark.parametrize("header", [Path(f"/usr/include/{HERE}-linux-gnu/asm/unistd_64.h"), Path("/usr/include/asm-generic/unistd.h")])
    def test_the_numbers_are_those_of_the_kernels_headers(self, header: Path) -> None:
        if not header.exists():
            pytest.skip(f"{header} is not installed: apt-get install linux-libc-dev")
        found = dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", header.read_text()))
        table = "aarch64" if "asm-generic" in str(header) else HERE
        ours = seccomp.numbers(seccomp._REFUSED + seccomp._ABSENT + seccomp._CHECKED, table)
        assert {name: number for name, number in ours.items() if name in found} == {n: int(found[n]) for n in ours if n in found}
        assert len(ours.keys() - found.keys()) <= 2  # the newest calls, which older headers do not have

    @pytest.mark.parametrize("call", ["socket", "socketpair"])
    def test_only_four_families_of_sockets(self, machine: str, call: str) -> None:
        number = seccomp.numbers(seccomp._CHECKED, machine)[call]
        allowed = {family for family in range(64) if verdict(machine, number, family | HIGH, 1, 0) == 0}
        assert allowed == {1, 2, 10, 16}
        assert verdict(machine, number, 40, 1, 0) == errno.EAFNOSUPPORT
        assert verdict(machine, number, 16, 3, 0 | HIGH) == 0
        assert verdict(machine, number, 16, 3, 12) == errno.EAFNOSUPPORT  # NETLINK_NETFILTER
        assert verdict(machine, number, 2, 1, 6) == 0

    def test_clone_makes_threads_and_processes_but_no_namespaces(self, machine: str) -> None:
        clone = seccomp.numbers(seccomp._CHECKED, machine)["clone"]
        threads, forks = 0x3D0F00, 0x1200011
        assert verdict(machine, clone, threads) == verdict(machine, clone, forks) == 0
        for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
            assert verdict(machine, clone, flag | 17) == verdict(machine, clone, flag | HIGH | threads) == errno.EPERM

    def test_a_personality_can_be_asked_for_but_not_changed(self, machine: str) -> None:
        personality = seccomp.numbers(seccomp._CHECKED, machine)["personality"]
        assert [verdict(machine, personality, value) for value in (0, 0xFFFFFFFF, 0xFFFFFFFF | HIGH)] == [0, 0, 0]
        assert [verdict(machine, personality, value) for value in (8, 0x40000, 0x20008)] == [errno.EPERM] * 3

    def test_nothing_is_typed_into_a_terminal(self, machine: str) -> None:
        ioctl = seccomp.numbers(seccomp._CHECKED, machine)["ioctl"]
        assert [verdict(machine, ioctl, 0, request | HIGH) for request in (0x5412, 0x541C, 0x5423)] == [errno.EPERM] * 3
        assert [verdict(machine, ioctl, 0x5412, request) for request in (0x5401, 0x5413, 0x541B)] == [0, 0, 0]  # TCGETS, winsize, FIONREAD

    @pytest.mark.parametrize(
        ("call", "place", "flags"),
        [
            *((call, 1, ()) for call in ("chmod", "fchmod", "mknod", "creat")),
            *((call, 2, ()) for call in ("fchmodat", "fchmodat2", "mknodat")),
            *(("open", 2, (0o100, 0o20200000)), ("openat", 3, (0o101, 0o20040002))),
        ],
    )
    def test_no_file_gets_its_owners_rights(self, machine: str, call: str, place: int, flags: tuple[int, ...]) -> None:
        number = seccomp.numbers(seccomp._CHECKED, machine).get(call)
        if number is None:
            assert machine == "aarch64"
            return
        for flag in flags or (0,):
            before = [0] * (place - 1) + [flag] if flags else [0] * place
            modes = {mode: verdict(machine, number, *before, mode | HIGH) for mode in (0o644, 0o1777, 0o4755, 0o2755, 0o6000)}
            assert list(modes.values()) == [0, 0, errno.EPERM, errno.EPERM, errno.EPERM]
        if flags:  # what stands in a mode's place when no file is made means nothing
            assert verdict(machine, number, *[0] * (place - 1), 2, 0o4755) == 0

    def test_a_socket_is_never_given_larger_buffers(self, machine: str) -> None:
        setsockopt = seccomp.numbers(seccomp._CHECKED, machine)["setsockopt"]
        assert [verdict(machine, setsockopt, 5, 1, option | HIGH) for option in (7, 8, 32, 33)] == [PRETENDED] * 4
        assert [verdict(machine, setsockopt, 5, 1, option) for option in (2, 9, 15)] == [0, 0, 0]
        assert verdict(machine, setsockopt, 5, 6, 7) == 0

    def test_another_interface_to_the_kernel_is_no_way_round(self, machine: str) -> None:
        others = {I386, ARM, *ARCHITECTURES.values()} - {ARCHITECTURES[machine]}
        for number in range(600):
            assert {verdict(machine, number, architecture=other) for other in others} == {errno.EPERM}
            if machine == "x86_64":
                assert verdict(machine, number | X32) == errno.EPERM

    def test_another_machine_has_no_program(self) -> None:
        assert seccomp.program("riscv64") is None


LOADED = f"""
import ctypes, errno, os, runpy, socket, subprocess, sys, threading
libc = ctypes.CDLL(None, use_errno=True)

def attempt(family):
    try:
        socket.socket(family, socket.SOCK_DGRAM if family != 38 else socket.SOCK_SEQPACKET).close()
        return "made"
    except OSError as error:
        return errno.errorcode[error.errno]

def call(number, *arguments):
    return "done" if libc.syscall(number, *arguments) >= 0 else errno.errorcode[ctypes.get_errno()]

go, said = threading.Event(), []
older = threading.Thread(target=lambda: (go.wait(), said.append(attempt(40))))
older.start()
seccomp = runpy.run_path({str(INSIDE / "seccomp.py")!r})
seccomp["install"]()
numbers = lambda table: seccomp["numbers"](seccomp[table], os.uname().machine)
go.set()
older.join()
"""


@needs_a_table
class TestInstalled:
    def run(self, code: str) -> list[str]:
        done = subprocess.run([sys.executable, "-c", LOADED + code], capture_output=True, text=True, check=True, timeout=60)
        assert done.stderr == ""
        return done.stdout.split()

    def test_it_holds_in_older_threads_newer_threads_and_children(self) -> None:
        code = """
newer = threading.Thread(target=lambda: said.append(attempt(40)))
newer.start(); newer.join()
if (pid := os.fork()) == 0: os._exit(0 if attempt(40) == "EAFNOSUPPORT" else 1)
print(*said, os.waitpid(pid, 0)[1])
child = "import socket; socket.socket(40, 2)"
print("unsupported" if b"Errno 97" in subprocess.run([sys.executable, "-c", child], capture_output=True).stderr else "made")
"""
        assert self.run(code) == ["EAFNOSUPPORT", "EAFNOSUPPORT", "0", "unsupported"]

    def test_families_are_refused_and_the_usual_ones_made(self) -> None:
        assert self.run("print(*map(attempt, (40, 38, 17)), *map(attempt, (1, 2, 16)))") == ["EAFNOSUPPORT"] * 3 + ["made"] * 3

    def test_every_call_of_the_tables_fails_as_the_filter_says(self) -> None:
        code = """
# Arguments that would fail in another way, and reach nothing, if a call were let through.
print(*(call(number, -1, -1, -1, -1, -1, -1) for number in numbers("_REFUSED").values()))
print(*(call(number, -1, -1, -1) for number in numbers("_ABSENT").values()))
"""
        found = self.run(code)
        assert set(found[:-6]) == {"EPERM"}
        assert found[-6:] == ["ENOSYS"] * 6

    def test_files_and_buffers_stay_ordinary(self, tmp_path: Path) -> None:
        code = f"""
path = {str(tmp_path / "tool")!r}
for make in (lambda: os.open(path, os.O_CREAT, 0o4755), lambda: os.chmod(path, 0o2755), lambda: os.chmod(path, 0o755)):
    try: print("done" if make() in (None, 3) else "made")
    except OSError as error: print(errno.errorcode[error.errno])
    open(path, "w")
one, _ = socket.socketpair()
one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
print(one.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) < 1 << 20)
"""
        assert self.run(code) == ["EPERM", "EPERM", "done", "True"]

    def test_it_cannot_be_replaced(self) -> None:
        code = """
class Program(ctypes.Structure): _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))
allow = Program(1, b"\\x06\\0\\0\\0\\0\\0\\xff\\x7f")
print("added" if libc.prctl(22, 2, ctypes.byref(allow)) == 0 else "refused", attempt(40), libc.prctl(22, 0, 0))
"""
        assert self.run(code) == ["added", "EAFNOSUPPORT", "-1"]

    @pytest.mark.skipif(HERE != "x86_64", reason="int 0x80 is an instruction of x86")
    def test_the_32_bit_interface_is_closed(self) -> None:
        code = """
import mmap
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(b"\\xb8\\x14\\0\\0\\0\\xcd\\x80\\xc3")  # mov eax, 20 (getpid); int 0x80; ret
getpid = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
print(getpid())
"""
        without = subprocess.run([sys.executable, "-c", "import ctypes" + code], capture_output=True, text=True, timeout=60)
        if without.returncode:
            pytest.skip("this kernel has no 32-bit interface")
        assert int(without.stdout) > 0
        assert self.run(code) == [str(-errno.EPERM)]


class FilteringLauncher:
    """A kernel that is not isolated and loads the filter by itself, as one in a container does."""

    kind: Kind = "unsafe-local"

    def obstacle(self) -> Obstacle | None:
        return None

    def inside(self, connection: Path) -> PurePosixPath:
        return PurePosixPath(connection)

    async def start(self, folder: Path, work: Path, data: Path | None, limits: Limits, env: Mapping[str, str]) -> GuardedProcess:
        environment = kernel_environment(home=folder, code=folder, work=work, data=data, limits=limits, extra=env)
        command = kernel_command(START, folder / "connection", limits)
        return await GuardedProcess.start(command, folder=folder, cwd=work, env=environment, limits=limits)


FILTERS = """
import os
def filters(pid):
    threads = [open(f'/proc/{pid}/task/{thread}/status').read() for thread in os.listdir(f'/proc/{pid}/task')]
    return {status.split('Seccomp:')[1].split()[0] for status in threads}
"""


@needs_a_table
async def test_the_kernels_program_loads_it_first_of_all(tmp_path: Path) -> None:
    async with Kernel(FilteringLauncher(), tmp_path, None, Limits(), {}) as kernel:
        result = await told(kernel, f"{FILTERS}print(filters('self'), 'seccomp' in __import__('sys').modules)")
    assert result.text == "{'2'} False\n"


@needs_a_table
@pytest.mark.bubblewrap
class TestInBubblewrap:
    """Everything that the work needs, under the filter."""

    @pytest_asyncio.fixture(scope="class", loop_scope="class")
    @classmethod
    async def kernel(cls, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Kernel]:
        async with open_kernel("bubblewrap", work=tmp_path_factory.mktemp("work")) as kernel:
            yield kernel

    @pytest.mark.asyncio(loop_scope="class")
    async def test_all_processes_are_filtered_once(self, kernel: Kernel) -> None:
        result = await told(kernel, f"{FILTERS}print(filters(1), filters('self'))\n!grep Seccomp_filters /proc/self/status /proc/1/status")
        assert result.text.startswith("{'2'} {'2'}\n")
        assert [line.split()[-1] for line in result.text.splitlines()[1:]] == ["1", "1"]

    @pytest.mark.asyncio(loop_scope="class")
    @pytest.mark.parametrize(
        ("module", "code"),
        [
            ("pandas", "pandas.DataFrame({'a': [1, 2]}).to_parquet('t.parquet'); print(len(pandas.read_parquet('t.parquet')))"),
            ("numpy", "a = numpy.random.rand(300, 300); print(numpy.linalg.svd(a)[1].shape[0] // 150)"),
            ("lightgbm", "print(lightgbm.LGBMRegressor(n_estimators=2, verbose=-1).fit([[1], [2]] * 20, [0, 1] * 20).n_iter_)"),
            (
                "xgboost",
                "m = xgboost.XGBRegressor(n_estimators=2).fit([[1], [2]] * 20, [0, 1] * 20); print(len(m.get_booster().get_dump()))",
            ),
            ("catboost", "print(catboost.CatBoostRegressor(iterations=2, silent=True).fit([[1], [2]] * 20, [0, 1] * 20).tree_count_)"),
            ("torch", "l = torch.nn.Linear(64, 2); l(torch.rand(512, 64)).sum().backward(); print(l.weight.grad.shape[0])"),
            ("joblib", "print(*joblib.Parallel(2)(joblib.delayed(abs)(-2) for _ in range(2)))"),
            ("matplotlib", "import matplotlib.pyplot as p; p.plot([1, 2]); p.savefig('p.png'); p.close(); print(2)"),
            ("sqlite3", "c = sqlite3.connect('s.db'); c.execute('create table t (a)'); print(2)"),
            ("asyncio", "r = await (await asyncio.create_subprocess_exec('echo', '2', stdout=-1)).communicate(); print(r[0].decode())"),
            ("subprocess", "print(subprocess.run('echo 2 | cat', shell=True, capture_output=True, text=True).stdout)"),
            ("threading", "r = []; t = threading.Thread(target=r.append, args=(2,)); t.start(); t.join(); print(*r)"),
        ],
    )
    async def test_libraries_work(self, kernel: Kernel, module: str, code: str) -> None:
        pytest.importorskip(module)
        result = await told(kernel, f"import {module}\n{code}")
        assert set(result.text.split()) == {"2"}

    @pytest.mark.asyncio(loop_scope="class")
    @pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
    async def test_processes_are_started_in_every_way(self, kernel: Kernel, method: str) -> None:
        code = f"import multiprocessing\npool = multiprocessing.get_context({method!r}).Pool(2)\nwith pool: print(pool.map(abs, [-1, -2]))"
        assert (await told(kernel, code)).text == "[1, 2]\n"
