"""Ways to take more than the limits give: memory that is counted and memory that is not, processes, threads, disk, files, cores, time."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable

import psutil

from team.sandbox import CellResult, Limits
from tests.escape.attack import Attack, Host, Local, No, Verdict, attempts, by_its_word, got_through, held
from tests.escape.scene import Scene

TIGHT = Limits(memory_mb=500, processes=40, open_files=256, cpus=1, disk_mb=150, files=1_500, interrupt_s=0.5)
SOCKETS = TIGHT.model_copy(update={"open_files": 4096})
# A kernel of its own: a table of open files that was once large is charged as if they were open.
ROOMY = Limits(memory_mb=8192, processes=4096, open_files=4096)
WIDE = Limits(memory_mb=4096, processes=4096, open_files=4096, disk_mb=20_000, files=500_000)
"""For the controls: within these, the same cell comes to its end."""

HOARD = """
def hoard(mib):
    held = []
    for _ in range(mib):
        held.append(bytearray(1 << 20))
    return held
"""


def ends(*causes: str) -> Callable[[Scene, CellResult], Verdict]:
    """The sandbox is ended for one of these causes, or the system refuses more; a cell that comes to its end got through."""

    def judge(scene: Scene, result: CellResult) -> Verdict:
        through, stopped = attempts(result)
        if "DONE" in result.text or through:
            return got_through(f"it came to its end: {result.text[-200:]}")
        if result.status == "died" and (result.cause or "").startswith(causes):
            return held(str(result.cause))
        refused = result.ename in ("MemoryError", "OSError", "RuntimeError", "BlockingIOError") or stopped
        if refused:
            return held("; ".join(stopped) or f"{result.ename}: {(result.evalue or '')[:100]}")
        return got_through(f"{result.status}: {result.cause or result.evalue}")

    return judge


def within_memory(scene: Scene, result: CellResult) -> Verdict:
    found = re.search(r"FILLED (\d+)", result.text)
    assert found, result.traceback
    if int(found[1]) > 500:
        return got_through(f"folders in memory took {found[1]} MiB, with {scene.kernel.limits.memory_mb} MiB allowed")
    return held(f"ENOSPC: /tmp, /dev/shm and home took {found[1]} MiB together")


def within_open_files(scene: Scene, result: CellResult) -> Verdict:
    found = re.search(r"OPENED (\d+)", result.text)
    assert found, result.traceback
    if int(found[1]) > (scene.kernel.limits.open_files or 0):
        return got_through(f"{found[1]} files were opened")
    return held(f"EMFILE after {found[1]} files")


def _many_opened(scene: Scene, result: CellResult) -> Verdict:
    return got_through("opened") if "OPENED 1000" in result.text else held(result.text[-100:])


async def ended_in_time(scene: Scene, result: CellResult) -> Verdict:
    """By the host's list of processes: what ran past its deadline is gone, and the next cell runs."""
    if result.status != "timeout" or result.seconds > 20:
        return got_through(f"{result.status} after {result.seconds:.0f} s")
    busy = [p for p in _tree(scene) if _cpu(p) > 2]
    after = await scene.kernel.execute("print('alive')", timeout_s=20)
    if after.text != "alive\n" or busy:
        return got_through(f"{len(busy)} processes went on; then {after.status}")
    return held(f"ended {result.seconds:.1f} s after it began: {result.cause}")


async def nothing_beats(scene: Scene, result: CellResult) -> Verdict:
    beat = scene.run.work / "beat"
    assert beat.exists(), result.traceback
    await scene.kernel.restart()
    before = beat.stat().st_size
    assert (await scene.kernel.execute("import time; time.sleep(0.5)")).ok
    if beat.stat().st_size != before:
        return got_through("a process of the sandbox outlived it")
    return held("every descendant ends with the sandbox")


async def _beats_meanwhile(scene: Scene, result: CellResult) -> bool:
    beat = scene.run.work / "beat"
    before = beat.stat().st_size
    async with asyncio.timeout(5):
        while beat.stat().st_size == before:
            await asyncio.sleep(0.02)
    return True


def _tree(scene: Scene) -> list[psutil.Process]:
    if scene.kernel.pid is None:
        return []
    with contextlib.suppress(psutil.Error):
        return psutil.Process(scene.kernel.pid).children(recursive=True)
    return []


def _cpu(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.Error):
        return float(sum(process.cpu_times()[:2]))
    return 0.0


OUT_OF_MEMORY = ("out of memory",)
TOO_MANY = ("too many",)

ATTACKS = (
    Attack(
        "memory",
        "Take more memory than is allowed.",
        HOARD + "held = hoard(900)\nprint('DONE', len(held))",
        ends(*OUT_OF_MEMORY),
        Local(limits=WIDE),
        limits=TIGHT,
    ),
    Attack(
        "memory-of-children",
        "Have children take it, each less than the limit.",
        HOARD
        + """
pids = []
for _ in range(4):
    if (pid := os.fork()) == 0:
        held = hoard(220); time.sleep(3); os._exit(0)
    pids.append(pid)
for pid in pids: os.waitpid(pid, 0)
print('DONE')
""",
        ends(*OUT_OF_MEMORY),
        Local(limits=WIDE),
        limits=TIGHT,
    ),
    Attack(
        "memory-of-nobody",
        "Keep memory that no process has mapped: in memory files and in System V segments.",
        """
def memory_file():
    fd = os.memfd_create('held')
    for _ in range(700): os.write(fd, bytes(1 << 20))
def segment():
    ids = [call('shmget', 0, 50 << 20, 0o1600) for _ in range(14)]
    libc.shmat.restype = ctypes.c_void_p
    for key in ids:
        at = libc.shmat(key, None, 0); ctypes.memset(at, 1, 50 << 20); libc.shmdt(ctypes.c_void_p(at))
    for key in ids if not $sandboxed else (): libc.shmctl(key, 0, None)
attempt('memfd_create', memory_file); attempt('shmget', segment)
attempt('memfd_secret', lambda: call('memfd_secret', 0))
""",
        ends(*OUT_OF_MEMORY),
        Local(limits=WIDE),
        limits=TIGHT,
    ),
    Attack(
        "page-tables",
        "Have the system's kernel spend memory on page tables, for pages that hold nothing.",
        """
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
size = 320 << 30
at = libc.mmap(None, size, 1, 0x4022, -1, 0)
libc.madvise(at, size, 15)
view = (ctypes.c_char * size).from_address(at)
for i in range(0, size, 2 << 20): view[i]
time.sleep(2)
print('DONE', next(line for line in open('/proc/self/status') if line.startswith('VmPTE')))
""",
        ends(*OUT_OF_MEMORY),
        Local(limits=WIDE),
        limits=TIGHT,
        timeout_s=60,
    ),
    Attack(
        "socket-buffers",
        "Have the system's kernel hold messages that nobody receives, in thousands of sockets.",
        """
sockets, sent = [], 0
for _ in range(1900):
    pair = socket.socketpair(); sockets += pair
    for end in pair:
        end.setblocking(False)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 18)
        try:
            while True: sent += end.send(bytes(1 << 15))
        except BlockingIOError: pass
time.sleep(1)
print('DONE', sent >> 20)
""",
        ends(*OUT_OF_MEMORY),
        Local(limits=WIDE),
        limits=SOCKETS,
        timeout_s=60,
    ),
    Attack(
        "memory-behind-a-flood",
        "Keep whoever counts busy with a flood of text on the real standard error, and take memory meanwhile.",
        HOARD
        + """
ends = {}
for name in os.listdir('/proc/self/fd'):
    try: link, flags = os.readlink(f'/proc/self/fd/{name}'), open(f'/proc/self/fdinfo/{name}').read().split()[3]
    except OSError: continue
    if link.startswith('pipe:'): ends.setdefault(link, []).append((int(name), int(flags, 8) & 3))
# The pipes that are written here and read outside.
pipes = [end[0][0] for end in ends.values() if all(way == os.O_WRONLY for _, way in end)]
print('PIPES', len(pipes), flush=True)
for _ in range(3):
    if os.fork() == 0:
        until = time.monotonic() + 5
        while time.monotonic() < until:
            for pipe in pipes:
                try: os.set_blocking(pipe, False); os.write(pipe, bytes(1 << 16))
                except OSError: pass
        os._exit(0)
time.sleep(0.3)
held = hoard(900); time.sleep(3)
print('DONE')
""",
        ends(*OUT_OF_MEMORY),
        Local(limits=ROOMY),
        limits=TIGHT,
        lasting=True,
    ),
    Attack(
        "memory-folders",
        "Fill the folders that lie in memory.",
        """
filled = 0
for folder in ('/tmp', '/dev/shm', os.environ['HOME']):
    try:
        with open(folder + '/big', 'wb') as file:
            while True: filled += file.write(bytes(1 << 20))
    except OSError as error: print('STOPPED', folder, reason(error))
    os.remove(folder + '/big')
print('FILLED', filled >> 20)
""",
        within_memory,
        No("without a sandbox these are the machine's own folders, which would be filled"),
        limits=TIGHT,
    ),
    Attack(
        "fork-bomb",
        "Start more processes than are allowed.",
        """
pids = []
for _ in range(120):
    if (pid := os.fork()) == 0: time.sleep(2); os._exit(0)
    pids.append(pid)
for pid in pids: os.waitpid(pid, 0)
print('DONE')
""",
        ends(*TOO_MANY),
        Local(limits=WIDE),
        limits=TIGHT,
    ),
    Attack(
        "thread-bomb",
        "Start thousands of threads, until the machine has no number left for a process.",
        """
threading.stack_size(64 * 1024)
done = threading.Event()
threads = [threading.Thread(target=done.wait, daemon=True) for _ in range(3000)]
for thread in threads: thread.start()
time.sleep(1); print('DONE', len(threads)); done.set()
""",
        ends(*TOO_MANY),
        Local(limits=WIDE),
        limits=TIGHT,
    ),
    Attack(
        "open-files",
        "Open more files than are allowed.",
        """
files = []
try:
    while len(files) < 1000: files.append(os.open('/dev/null', os.O_RDONLY))
except OSError as error: print('STOPPED open', reason(error))
print('OPENED', len(files))
for file in files: os.close(file)
""",
        within_open_files,
        Local(limits=WIDE, judge=_many_opened),
        limits=TIGHT,
    ),
    Attack(
        "disk",
        "Fill the disk through the work folder.",
        """
for i in range(20):
    with open(f'big{i}', 'wb') as file: file.write(bytes(20 << 20)); file.flush(); os.fsync(file.fileno())
    time.sleep(0.2)
print('DONE')
""",
        ends("disk full"),
        Local(limits=WIDE),
        limits=TIGHT,
        timeout_s=60,
    ),
    Attack(
        "one-large-file",
        "Fill it with one file, written and reserved.",
        """
def write():
    with open('big', 'wb') as file:
        for _ in range(400): file.write(bytes(1 << 20))
attempt('write', write)
attempt('reserve', lambda: os.posix_fallocate(os.open('reserved', os.O_CREAT | os.O_WRONLY), 0, 400 << 20))
""",
        ends("disk full"),
        Local(limits=WIDE),
        limits=TIGHT,
        timeout_s=60,
    ),
    Attack(
        "files",
        "Use up the disk's room for files, with empty ones in many folders.",
        """
for i in range(40):
    os.makedirs(f'many/{i}')
    for j in range(100): open(f'many/{i}/{j}', 'w').close()
    time.sleep(0.1)
time.sleep(2)
print('DONE')
""",
        ends("too many files"),
        Local(limits=WIDE),
        limits=TIGHT,
        timeout_s=60,
    ),
    Attack(
        "files-in-memory",
        "The same in the folders that lie in memory.",
        """
for i in range(4000): open(f'/tmp/{i}', 'w').close()
time.sleep(3)
print('DONE')
""",
        ends("too many files"),
        No("without a sandbox this is the machine's own folder, which would be filled"),
        limits=TIGHT,
        timeout_s=60,
    ),
    Attack(
        "cores",
        "Run on more cores than were given.",
        "attempt('sched_setaffinity', lambda: (os.sched_setaffinity(0, range(os.cpu_count())), len(os.sched_getaffinity(0))))",
        by_its_word,
        Local(limits=TIGHT),
        limits=TIGHT,
    ),
    Attack(
        "after-the-deadline",
        "Go on computing after the deadline, with every signal blocked, in the kernel and in children.",
        """
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP): signal.signal(number, signal.SIG_IGN)
for _ in range(3):
    if os.fork() == 0: os.setsid()
while True: pass
""",
        ended_in_time,
        No("deadlines are kept in every kind of sandbox, `unsafe-local` too"),
        limits=TIGHT,
        timeout_s=2,
    ),
    Attack(
        "deaf-computation",
        "Compute in code that looks at no signal: a regular expression that backtracks for years.",
        "import re\nre.match('(a+)+$$', 'a' * 60 + 'b')",
        ended_in_time,
        No("deadlines are kept in every kind of sandbox, `unsafe-local` too"),
        limits=TIGHT,
        timeout_s=2,
    ),
    Attack(
        "left-behind",
        "Leave a process behind that detached itself, to work on after the sandbox.",
        """
beat = os.path.abspath('beat')
open(beat, 'w').close()
if os.fork() == 0:
    os.setsid()
    if os.fork(): os._exit(0)
    import signal
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP): signal.signal(number, signal.SIG_IGN)
    for _ in range(600):
        with open(beat, 'a') as file: file.write('.')
        time.sleep(0.05)
    os._exit(0)
os.wait()
print('left')
""",
        nothing_beats,
        Host(_beats_meanwhile),
        limits=TIGHT,
        lasting=True,
    ),
)
