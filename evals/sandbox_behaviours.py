"""What an executor of cells does when something goes wrong: yes or no, each really caused and judged by a fact.

    verdicts = await judge(contestant("bubblewrap"))

A fact is a file that a cell wrote, a process, an open port, a connection that arrived, or what the caller of a cell was given to read.
Where something must not happen, the judge waits until the moment has passed at which it would have, as the kernel says.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import socket
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil

from evals.sandbox_contestants import Conditions, Contestant
from evals.sandbox_host import SECRET

QUESTIONS = {
    "interrupted": "a silent cell is interrupted at its deadline",
    "printing": "the deadline holds for a cell that prints",
    "kept": "text printed before an exception is kept",
    "output_2": "2 MiB of output, and the session goes on",
    "output_10": "10 MiB of output, and the session goes on",
    "plot": "a plot comes back without configuration",
    "told": "a dead kernel is told as dead",
    "cause": "what killed it is told",
    "goes_on": "the session goes on after a death",
    "lost": "the variables that are gone are named",
    "memory": "memory is limited",
    "cpus": "processors are limited",
    "more_cpus": "also for code that asks for more of them",
    "network": "no network",
    "ports": "no port open on all interfaces",
    "environment": "the host's environment is not visible",
    "killed": "nothing runs on after `kill -9` of the host",
}
_DEADLINE_S, _CELL_S = 1, 4
"""A cell's deadline, and when it would end by itself."""
_PATIENCE_S = 30.0
_SCENARIO_S = 180.0
_AFTERMATH_S = 15.0
"""How long what a killed host has left may take to vanish."""
_CORE = 1.15
"""Most cores that count as one: a second of the clock is not exactly one of the processor's."""

SILENT = """
import pathlib, time
ends = time.time() + {seconds}
pathlib.Path({ends!r}).write_text(repr(ends))
while time.time() < ends: time.sleep(0.05)
pathlib.Path({landed!r}).touch()
"""
PRINTING = """
import pathlib, time
ends = time.time() + {seconds}
while time.time() < ends:
    print('still here', flush=True); time.sleep(0.1)
pathlib.Path({landed!r}).touch()
"""
HOARD = "block = bytearray({mib} * 2**20)\nfor page in range(0, len(block), 4096): block[page] = 1\nprint('survived', 40 + 2)"
BUSY = """
import os, time
if {widen}:
    try: os.sched_setaffinity(0, range(os.cpu_count()))
    except OSError: pass
allowed = float(len(os.sched_getaffinity(0)))
for quota, period in (('/sys/fs/cgroup/cpu.max', None), ('/sys/fs/cgroup/cpu/cpu.cfs_quota_us', '/sys/fs/cgroup/cpu/cpu.cfs_period_us')):
    try: words = ' '.join(open(path).read() for path in (quota, period) if path).split()
    except OSError: continue
    if words[0] not in ('max', '-1'): allowed = min(allowed, int(words[0]) / int(words[1]))
children, begun = [], time.monotonic()
for _ in range(2):
    children.append(os.fork())
    if children[-1] == 0:
        while time.monotonic() < begun + 1: pass
        os._exit(0)
spent = [os.wait4(child, 0)[2] for child in children]
used = sum(one.ru_utime + one.ru_stime for one in spent) / (time.monotonic() - begun)
print(f'cores: used {{used:.2f}}, allowed {{allowed:.2f}}')
"""
CALL = """
import socket
for address in {addresses!r}:
    try:
        with socket.create_connection(address, timeout=3) as line:
            line.sendall({word!r}.encode()); line.recv(1)
    except OSError: pass
"""


@dataclass(frozen=True)
class Verdict:
    """The answer to one question."""

    yes: bool | None
    """None when it could not be judged."""
    seen: str
    """The fact it rests on."""


Verdicts = dict[str, Verdict]


async def judge(who: Contestant) -> Verdicts:
    """Put a contestant through all scenarios. One that cannot be played leaves its questions open and does not end the others."""
    verdicts: Verdicts = {}
    for play, questions in SCENARIOS:
        with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as work:
            try:
                verdicts |= await asyncio.wait_for(play(who, Path(work)), _SCENARIO_S)
            except Exception as error:  # one contestant that fails in any way must not end the comparison; its row says why
                reason = f"could not be judged: {type(error).__name__}: {_brief(str(error))}"
                verdicts |= {question: Verdict(None, reason) for question in questions}
    return {question: verdicts[question] for question in QUESTIONS}


async def silent_deadline(who: Contestant, work: Path) -> Verdicts:
    async with who.open(work, Conditions(timeout_s=_DEADLINE_S)) as kernel:
        landed = work / "landed"
        code = SILENT.format(seconds=_CELL_S, ends=f"{kernel.folder}/ends", landed=f"{kernel.folder}/landed")
        reply = await kernel.run(code)
        ends = float((work / "ends").read_text())
        until = time.monotonic() + _PATIENCE_S
        while not landed.exists():
            after = await kernel.run(f"import time\nprint('over', time.time() > {ends})")
            if "over True" in after.text and not landed.exists():
                return {"interrupted": Verdict(not reply.ok, f"told: {_brief(reply.text)}; the file it would have written never came")}
            if time.monotonic() > until:
                raise RuntimeError(f"neither a file of the cell nor a kernel that answers after {_PATIENCE_S:g} s")
            await asyncio.sleep(0.05)
        return {"interrupted": Verdict(False, f"told: {_brief(reply.text)}; its file came {_CELL_S - _DEADLINE_S} s after the deadline")}


async def printing_deadline(who: Contestant, work: Path) -> Verdicts:
    async with who.open(work, Conditions(timeout_s=_DEADLINE_S)) as kernel:
        begun = time.monotonic()
        reply = await kernel.run(PRINTING.format(seconds=_CELL_S, landed=f"{kernel.folder}/landed"))
        ended = (work / "landed").exists()
        seen = f"{'ran to its end' if ended else 'ended'} {time.monotonic() - begun:.1f} s after it began, deadline {_DEADLINE_S} s"
        return {"printing": Verdict(not ended and not reply.ok, seen)}


async def outputs(who: Contestant, work: Path) -> Verdicts:
    verdicts = {}
    async with who.open(work, Conditions()) as kernel:
        reply = await kernel.run("print('accuracy', 40 + 2)\nraise KeyError('no such column')")
        verdicts["kept"] = Verdict("accuracy 42" in reply.text and "KeyError" in reply.text, f"told: {_brief(reply.text)}")
    for size in (2, 10):
        async with who.open(work, Conditions()) as kernel:
            await kernel.run("kept = 6 * 7")
            reply = await kernel.run(f"print('x' * {size} * 2**20)")
            after = await kernel.run("print('kept is', kept)")
        whole = reply.text.count("x") >= size * 2**20 or bool(re.search(r"\d bytes cut", reply.text))
        seen = f"{len(reply.text):,} characters came" if whole else f"told: {_brief(reply.text)}"
        seen += "" if "kept is 42" in after.text else f"; the next cell: {_brief(after.text)}"
        verdicts[f"output_{size}"] = Verdict(reply.ok and whole and "kept is 42" in after.text, seen)
    return verdicts


async def plot(who: Contestant, work: Path) -> Verdicts:
    async with who.open(work, Conditions(bare=True)) as kernel:
        reply = await kernel.run("import matplotlib.pyplot as plt\nplt.plot([1, 2]);")
    sizes = [len(image) for image in reply.images if image.startswith(b"\x89PNG")]
    return {"plot": Verdict(bool(sizes), f"PNG of {sizes[0]:,} bytes" if sizes else f"told: {_brief(reply.text)}")}


async def death(who: Contestant, work: Path) -> Verdicts:
    async with who.open(work, Conditions(timeout_s=5)) as kernel:
        await kernel.run("precious = 1")
        reply = await kernel.run("import os; os.kill(os.getpid(), 9)")
        after = await kernel.run("print('next', 40 + 2)")
    told, then = f"told: {_brief(reply.text)}", f"the next cell: {_brief(after.text)}"
    return {
        "told": Verdict(not reply.ok and bool(re.search(r"died|dead|killed|SIGKILL|signal 9", reply.text, re.IGNORECASE)), told),
        "cause": Verdict(bool(re.search(r"SIGKILL|signal 9", reply.text)), told),
        "goes_on": Verdict("next 42" in after.text, then),
        "lost": Verdict("precious" in reply.text + after.text, f"{told}; {then}"),
    }


async def memory(who: Contestant, work: Path) -> Verdicts:
    async with who.open(work, Conditions(memory_mb=500)) as kernel:
        reply = await kernel.run(HOARD.format(mib=900))
    return {"memory": Verdict("survived 42" not in reply.text, f"900 MiB, where 500 were asked for: {_brief(reply.text)}")}


async def processors(who: Contestant, work: Path) -> Verdicts:
    if (os.cpu_count() or 1) < 2:
        raise RuntimeError("this machine has one processor")
    verdicts = {}
    for question, widen in (("cpus", False), ("more_cpus", True)):
        async with who.open(work, Conditions(cpus=1)) as kernel:
            # Where others use the processors, two busy processes may get one between them though they are allowed two.
            used, allowed = 0.0, 0.0
            for _ in range(3):
                reply = await kernel.run(BUSY.format(widen=widen))
                found = re.search(r"cores: used ([\d.]+), allowed ([\d.]+)", reply.text)
                if not found:
                    raise RuntimeError(_brief(reply.text))
                used, allowed = max(used, float(found[1])), max(allowed, float(found[2]))
        verdicts[question] = Verdict(used <= _CORE and allowed <= 1, f"two busy processes used {used:.1f} cores, allowed {allowed:g}")
    return verdicts


async def network(who: Contestant, work: Path) -> Verdicts:
    """Whether a cell can reach this machine by any of its addresses."""
    word, heard = secrets.token_hex(8), set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (await reader.read(100)).decode(errors="replace") == word:
            heard.add(str(writer.get_extra_info("sockname")[0]))
        writer.write(b"!")
        writer.close()

    own = {one.address for addresses in psutil.net_if_addrs().values() for one in addresses if one.family == socket.AF_INET}
    async with AsyncExitStack() as stack:
        listening = []
        for address in sorted(own):
            server = await stack.enter_async_context(await asyncio.start_server(answer, address, 0))
            listening.append((address, int(server.sockets[0].getsockname()[1])))
        async with who.open(work, Conditions()) as kernel:
            reply = await kernel.run(CALL.format(addresses=listening, word=word))
    if not reply.ok:
        raise RuntimeError(_brief(reply.text))
    return {"network": Verdict(not heard, f"a cell reached this machine by {len(heard)} of its {len(own)} addresses")}


async def ports(who: Contestant, work: Path) -> Verdicts:
    before = _open_to_all()
    async with who.open(work, Conditions()) as kernel:
        await kernel.run("1")
        new = _open_to_all() - before
    new -= _open_to_all()  # another program's, opened by chance meanwhile
    names = ", ".join(f"{address}:{port}" for address, port in sorted(new))
    return {"ports": Verdict(not new, f"listens on {names}" if new else "no new port listens on all interfaces while it runs")}


async def killed_host(who: Contestant, work: Path) -> Verdicts:
    """What a cell sees of its host's environment, and what is left of it when the host has been killed."""
    host = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "evals.sandbox_host", "victim", who.name, str(work)),
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[1],
        env={**os.environ, SECRET: secrets.token_hex(8)},
    )
    assert host.stdout is not None
    try:
        words = json.loads(await host.stdout.readline() or "{}")
        family = psutil.Process(host.pid).children(recursive=True)
        containers = who.containers(host.pid)
    finally:
        host.kill()
        await host.wait()
    if "left one" not in words.get("left", ""):
        raise RuntimeError(f"its host did not come up: {words}")
    until = time.monotonic() + _AFTERMATH_S
    while (remains := (_remains(family), who.containers(host.pid))) != ([], []) and time.monotonic() < until:
        await asyncio.sleep(0.1)
    processes, kept = remains
    names = [*(_name(process) for process in processes), *("its container" for _ in kept)]
    _remove(processes, kept)
    gone = f"ended with it: {len(containers)} container" if containers else f"ended with it: {len(family)} processes"
    where = words["seen"].strip().removeprefix("found in:").strip()
    return {
        "environment": Verdict(not where, f"a cell found it in {where}" if where else "a cell found it nowhere"),
        "killed": Verdict(not names, f"left: {', '.join(names)}" if names else gone),
    }


Scenario = Callable[[Contestant, Path], Awaitable[Verdicts]]
SCENARIOS: tuple[tuple[Scenario, tuple[str, ...]], ...] = (
    (silent_deadline, ("interrupted",)),
    (printing_deadline, ("printing",)),
    (outputs, ("kept", "output_2", "output_10")),
    (plot, ("plot",)),
    (death, ("told", "cause", "goes_on", "lost")),
    (memory, ("memory",)),
    (processors, ("cpus", "more_cpus")),
    (network, ("network",)),
    (ports, ("ports",)),
    (killed_host, ("environment", "killed")),
)
"""Each with the questions that it answers."""


def _open_to_all() -> set[tuple[str, int]]:
    listening = (one.laddr for one in psutil.net_connections("tcp") if one.status == psutil.CONN_LISTEN and one.laddr)
    return {(where.ip, where.port) for where in listening if where.ip in ("0.0.0.0", "::")}


def _remains(family: list[psutil.Process]) -> list[psutil.Process]:
    """Those that still run: a process id that went to another process does not count."""
    return [process for process in family if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.NoSuchProcess:
        return "a process that is just ending"


def _remove(processes: list[psutil.Process], containers: list[str]) -> None:
    """End what a contestant has left."""
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    if containers:
        from team.sandbox.container import remove
        from team.sandbox.daemon import connect

        client = connect()
        try:
            for container in containers:
                remove(client, container)
        finally:
            client.close()


def _brief(text: str) -> str:
    """A text on one line, without what is long about it, colours (also spelled out) and names of temporary files."""
    text = re.sub(re.escape(tempfile.gettempdir()) + r"/[^\s'\"]+", "(temporary)", text)
    line = " ".join(re.sub(r"(\x1b|\\x1b)\[[0-9;]*m|(\S)\2{20,}", "", text).split())
    return f"“{line if len(line) <= 120 else line[:60] + ' … ' + line[-55:]}”" if line else "nothing"
