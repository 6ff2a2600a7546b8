"""Links, pipes and swaps where the host expects its files: it must not follow, wait or be raced."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import time

from team.sandbox import CellResult, open_kernel
from tests.escape.attack import Attack, Host, Verdict, attempts, got_through, held
from tests.escape.holdout import CANDIDATE, scores
from tests.escape.scene import Scene
from tools.files import read_regular

MIB = 1 << 20
SWAPS = 50
"""How often the host must have met the link, and how often the file."""
FLIP = """
shutil.rmtree('candidates', ignore_errors=True)
os.makedirs('candidates/real'); os.makedirs('candidates/swapped')
for folder in ('candidates/real', 'candidates/swapped'): open(folder + '/candidate.json', 'w').write('{}')
os.symlink($canary, 'candidates/link')
os.symlink($outside, 'candidates/folder')
flipper = '''
import ctypes, os, time
libc = ctypes.CDLL(None)
exchange = lambda a, b: libc.renameat2(-100, a, -100, b, 2)
until = time.monotonic() + 18
while time.monotonic() < until:
    for _ in range(50):
        for one, other in ((b"candidates/swapped/candidate.json", b"candidates/link"), (b"candidates/swapped", b"candidates/folder")):
            exchange(one, other); exchange(one, other)
    time.sleep(0)
'''
process = subprocess.Popen([sys.executable, '-c', flipper])
time.sleep(0.1)
print('FLIPPING', process.poll())
"""


def nothing_read(scene: Scene, result: CellResult) -> Verdict:
    """By what the host says and logs of the candidates: nothing from outside may stand in it."""
    board, problems = scores(scene)
    told = "\n".join([*problems, *map(repr, scene.events), repr(board)])
    if board or scene.secret in told or "confidential" in told or scene.labels_in(told):
        return got_through(f"the host followed a link: {told[:300]}")
    return held(problems[0].split(": ", 1)[1] if problems else "a link in the place of the folder is not entered")


def _links_are_followed(scene: Scene, result: CellResult) -> bool:
    texts = [path.read_text(errors="replace") for path in scene.run.work.glob("candidates/*/candidate.json")]
    return any(scene.secret in text for text in texts)


def _folder_is_entered(scene: Scene, result: CellResult) -> bool:
    return any("confidential" in path.name for path in (scene.run.work / "candidates").iterdir())


def _put_folder_outside(scene: Scene) -> None:
    (scene.outside / "confidential-merger").mkdir()


async def never_swapped(scene: Scene, result: CellResult) -> Verdict:
    assert "FLIPPING" in result.text, result.traceback
    path = scene.run.work / "candidates" / "swapped" / "candidate.json"
    met, reads = 0, 0
    until = time.monotonic() + 10
    while min(met, reads) < SWAPS and time.monotonic() < until:
        try:
            content = read_regular(path, MIB, inside=scene.run.work)
        except OSError:
            met += 1
            continue
        reads += 1
        if scene.secret.encode() in content:
            return got_through("the host read the file behind a link that was swapped in")
    assert min(met, reads) >= SWAPS, f"{met} links were met in {reads} reads"
    return held(f"of {met + reads:,} reads, {met:,} met a link and stopped there")


async def _checking_first_is_hit(scene: Scene, result: CellResult) -> bool:
    path = scene.run.work / "candidates" / "swapped" / "candidate.json"
    until = time.monotonic() + 15
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            if path.is_file() and not path.is_symlink() and not path.parent.is_symlink() and scene.secret in path.read_text():
                return True
    return False


async def soon_rejected(scene: Scene, result: CellResult) -> Verdict:
    """The host must come back at once, with every one of them rejected."""
    count = int(result.text.split("PLANTED")[1])
    began = time.monotonic()
    state, problems = await asyncio.wait_for(asyncio.to_thread(scene.room.evidence.of_candidates, scene.room.state), 15)
    if state.candidates or time.monotonic() - began > 10:
        return got_through(f"accepted {[c.name for c in state.candidates]} after {time.monotonic() - began:.0f} s")
    assert len(problems) == count, problems
    return held("; ".join(sorted({problem.split(": ", 1)[1][:90] for problem in problems})))


def _open_waits(scene: Scene, result: CellResult) -> bool:
    pipe = next(path for path in scene.run.work.rglob("*") if path.is_fifo())
    try:
        subprocess.run([sys.executable, "-c", f"open({str(pipe)!r}).read()"], timeout=1, check=False)
    except subprocess.TimeoutExpired:
        return True
    return False


async def owners_stay(scene: Scene, result: CellResult) -> Verdict:
    """A spare kernel waits beside each; whenever one is lost, the host makes the work folder ready for another."""
    assert "FLIPPING" in result.text, result.traceback
    before = scene.canary.stat()
    await scene.kernel.restart()
    async with open_kernel(scene.kind, work=scene.run.work, warm=True) as kernel:
        for _ in range(3):
            flipping = await kernel.execute(scene.last_code)
            assert "FLIPPING" in flipping.text, flipping.traceback
            await kernel.restart()
    after = scene.canary.stat()
    if (before.st_uid, before.st_mode) != (after.st_uid, after.st_mode):
        os.chown(scene.canary, before.st_uid, -1)
        return got_through("a file outside was given to the sandbox's user")
    return held("no folder of the sandbox is entered through a link")


async def _walking_by_path_is_hit(scene: Scene, result: CellResult) -> bool:
    """Giving the folder away by paths, as root does it with os.walk and os.chown, meets the link sooner or later."""
    touched = scene.canary.stat().st_mode
    until = time.monotonic() + 20
    while time.monotonic() < until:
        for folder, _, names in os.walk(scene.run.work / "candidates"):
            for name in names:
                with contextlib.suppress(OSError):
                    os.chmod(os.path.join(folder, name), 0o600)
        if scene.canary.stat().st_mode != touched:
            return True
    return False


async def service_not_called(scene: Scene, result: CellResult) -> Verdict:
    """By the listener outside: the host must not connect to where the sandbox's links lead."""
    _, stopped = attempts(result)
    reached = scene.listeners.reached("path", within_s=1.0)
    if reached is not None:
        return got_through(f"the host connected to a socket of its own ({reached[:20]!r})")
    return held(stopped[0] if stopped else "the host connects once, before any cell runs")


def _reconnecting_is_hit(scene: Scene, result: CellResult) -> bool:
    """A client that connects again by the same name, as ZMQ does of its own accord, follows the link."""
    import zmq

    link = scene.run.work / "k"
    link.symlink_to(scene.listeners.path)
    with zmq.Context() as context, context.socket(zmq.SUB) as client:
        client.setsockopt(zmq.LINGER, 0)
        client.connect(f"ipc://{link}")
        return scene.listeners.reached("path", within_s=2.0) is not None


ATTACKS = (
    Attack(
        "link-to-file",
        "Put links to files of the host in the place of results.",
        CANDIDATE
        + """
for name, target in (('secret', $canary), ('labels', $vault + '/holdout_labels.parquet'), ('passwd', '/etc/passwd')):
    os.makedirs('candidates/' + name)
    os.symlink($canary if name == 'secret' else target, 'candidates/' + name + '/candidate.json')
    os.symlink(target, 'candidates/' + name + '/oof.parquet')
candidate('mixed', table=False); os.symlink($vault + '/holdout_labels.parquet', 'candidates/mixed/oof.parquet')
""",
        nothing_read,
        Host(_links_are_followed),
    ),
    Attack(
        "link-to-folder",
        "Put a link to a folder of the host in the place of a folder that the host lists.",
        "os.symlink($outside, 'candidates')",
        nothing_read,
        Host(_folder_is_entered),
        before=_put_folder_outside,
    ),
    Attack(
        "swap-while-reading",
        "Swap a result, and the folder that it lies in, for links to a secret while the host reads it.",
        FLIP,
        never_swapped,
        Host(_checking_first_is_hit),
        lasting=True,
    ),
    Attack(
        "swap-at-start",
        "Swap a folder for a link while the host makes the work folder ready for another kernel.",
        FLIP,
        owners_stay,
        Host(_walking_by_path_is_hit),
        lasting=True,
    ),
    Attack(
        "no-files",
        "Put pipes, sockets, folders and devices where the host expects files, so that it waits for ever.",
        CANDIDATE
        + """
for name in ('pipe', 'socket', 'folder', 'null', 'locked'):
    for file in ('candidate.json', 'oof.parquet'):
        candidate(name + '-' + file[0], table=None if file[0] == 'c' else False)
        path = 'candidates/' + name + '-' + file[0] + '/' + file
        if os.path.exists(path): os.remove(path)
        if name == 'pipe': os.mkfifo(path)
        elif name == 'socket': socket.socket(socket.AF_UNIX).bind(path)
        elif name == 'folder': os.mkdir(path)
        elif name == 'null': os.symlink('/dev/zero', path)
        else: open(path, 'w').close(); os.chmod(path, 0)
print('PLANTED 10')
""",
        soon_rejected,
        Host(_open_waits),
    ),
    Attack(
        "socket-links",
        "Replace the sockets to the host by links to another socket of the host, and hang up, so that the host connects there.",
        """
from ipykernel.kernelapp import IPKernelApp
folder = os.path.dirname(IPKernelApp.instance().connection_file)
def replace(name): os.remove(f'{folder}/{name}'); os.symlink($service, f'{folder}/{name}')
for name in [n for n in os.listdir(folder) if n.startswith('k-')] if $sandboxed else []: replace(name)
kernel = get_ipython().kernel
kernel.control_stream.close(); kernel.iopub_thread.socket.close()
""",
        service_not_called,
        Host(_reconnecting_is_hit),
        timeout_s=3,
        lasting=True,
    ),
)
