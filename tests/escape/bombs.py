"""Files that are too large, too deep or too many for whoever reads or removes them without care."""

from __future__ import annotations

import inspect
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

from team.evidence import MOST_CANDIDATES
from team.rundir import RunDir
from team.sandbox import CellResult
from tests.escape import forge
from tests.escape.attack import Attack, Host, Verdict, got_through, held
from tests.escape.holdout import CANDIDATE, TRAIN, scores
from tests.escape.scene import Scene

MIB = 1 << 20
FORGE = inspect.getsource(forge).replace("from __future__ import annotations", "")
TOWER = """
def tower(top, levels):
    os.makedirs(top)
    here = os.open(top, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir('d', dir_fd=here); below = os.open('d', os.O_RDONLY, dir_fd=here); os.close(here); here = below
    os.close(here)
from ipykernel.kernelapp import IPKernelApp
tower('deep', 1200)
tower(os.path.dirname(IPKernelApp.instance().connection_file) + '/deep', 1200)
print('DEEP')
"""


def peak_of(work: object) -> int:
    """MiB by which this process grows at most while `work` is called."""

    def peak() -> int:
        return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) >> 10

    Path("/proc/self/clear_refs").write_text("5")
    before = peak()
    work()  # type: ignore[operator]  # a function without arguments
    return peak() - before


def stays_small(scene: Scene, result: CellResult) -> Verdict:
    """The host rejects all of them and takes little memory for it."""
    count = int(result.text.split("PLANTED")[1])
    found: list[tuple[dict[str, object], list[str]]] = []
    grown = peak_of(lambda: found.append(scores(scene)))
    board, problems = found[0]
    if board or grown > 150:
        return got_through(f"accepted {list(board)}; the host grew by {grown} MiB")
    assert len(problems) == count, problems
    return held(f"the host grew by {grown} MiB; " + "; ".join(sorted({problem.split(": ", 1)[1][:80] for problem in problems})))


def _file_is_huge(scene: Scene, result: CellResult) -> bool:
    return (scene.run.work / "candidates" / "sparse" / "oof.parquet").stat().st_size == 15 << 30


def _json_breaks_readers(scene: Scene, result: CellResult) -> bool:
    try:
        json.loads((scene.run.work / "candidates" / "nested" / "candidate.json").read_text())
    except RecursionError:
        return (scene.run.work / "candidates" / "huge" / "candidate.json").stat().st_size > 150 * MIB
    return False


def _arrow_is_hit(scene: Scene, result: CellResult) -> bool:
    """A process that opens the files with the library alone is ended by one and takes hundreds of MiB for the other."""
    look = "import sys, pyarrow.parquet as pq; pq.read_table(sys.argv[1])\n"
    look += "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    ends = {}
    for name in ("deep", "bomb"):
        path = scene.run.work / "candidates" / name / "oof.parquet"
        ends[name] = subprocess.run([sys.executable, "-c", look, str(path)], capture_output=True, text=True, check=False)
    return ends["deep"].returncode < 0 and int(ends["bomb"].stdout) > 400 * 1024


def bounded_flood(scene: Scene, result: CellResult) -> Verdict:
    began = time.monotonic()
    seen = 0
    for _ in range(3):
        state, problems = scene.room.evidence.of_candidates(scene.room.state)
        scene.room.state = state
        seen += len(problems)
    if seen + len(scene.room.state.candidates) > MOST_CANDIDATES or time.monotonic() - began > 20:
        return got_through(f"{seen} were looked at in {time.monotonic() - began:.0f} s")
    return held(f"{seen:,} of them were looked at in all, and no more will be in this run")


def _flood_is_there(scene: Scene, result: CellResult) -> bool:
    return len(list((scene.run.work / "candidates").iterdir())) > MOST_CANDIDATES


async def removed_all_the_same(scene: Scene, result: CellResult) -> Verdict:
    """The next kernel starts, the last one's folder is removed, and so is the work folder when it is time."""
    assert "DEEP" in result.text, result.traceback
    try:
        await scene.kernel.restart()
        after = await scene.kernel.execute("print('alive')")
        assert after.text == "alive\n", after
        RunDir(scene.run.work / "deep").remove()
    except RecursionError:
        return got_through("removing or handing over the folder ended in a RecursionError of the host")
    if (scene.run.work / "deep").exists():
        return got_through("the folder could not be removed")
    return held("folders are removed without recursion")


def _rmtree_is_hit(scene: Scene, result: CellResult) -> bool:
    try:
        shutil.rmtree(scene.run.work / "deep")
    except RecursionError:
        return True
    return False


ATTACKS = (
    Attack(
        "huge-files",
        "Leave files that are huge, or seem so: gigabytes of holes.",
        CANDIDATE
        + """
candidate('sparse'); os.truncate('candidates/sparse/oof.parquet', 15 << 30)
candidate('record'); os.truncate('candidates/record/candidate.json', 15 << 30)
candidate('real'); open('candidates/real/oof.parquet', 'ab').write(bytes(60 << 20))
print('PLANTED 3')
""",
        stays_small,
        Host(_file_is_huge),
    ),
    Attack(
        "json-bombs",
        "Leave records of 200 MB, nested a hundred thousand levels, with huge numbers, NaN, and names that appear twice.",
        CANDIDATE
        + """
candidate('huge', '{"name": "' + 'a' * (200 << 20) + '"}')
candidate('nested', '[' * 100_000 + ']' * 100_000); candidate('objects', '{"a":' * 100_000 + '1' + '}' * 100_000)
candidate('digits', record('digits').replace('1.0', '1' * 10_000, 1)); candidate('nan', record('nan', fit_seconds=float('nan')))
candidate('infinity', record('infinity', fit_seconds=float('inf'))); candidate('extra', record('extra', trusted=True))
candidate('twice', record('twice')[:-1] + ', "fit_seconds": "soon"}'); candidate('text', 'null'); candidate('bytes', '\\\\ud800')
open('candidates/bytes/candidate.json', 'wb').write(bytes(range(256)))
print('PLANTED 10')
""",
        stays_small,
        Host(_json_breaks_readers),
    ),
    Attack(
        "parquet-bombs",
        "Leave tables that end the library which reads them, or unpack to hundreds of megabytes: deep schemas, packed zeros, false counts.",
        CANDIDATE
        + FORGE
        + f"""
zeros, index = bytes(400 << 20), bytes([1]) + varint({TRAIN} << 1) + b'\\0'
packed, packed_index = pa.compress(zeros, codec='zstd', asbytes=True), pa.compress(index, codec='zstd', asbytes=True)
for name in ('deep', 'bomb', 'rows'): candidate(name, table=False)
deep('candidates/deep/oof.parquet', 150_000)
bomb('candidates/bomb/oof.parquet', {TRAIN}, zeros, packed, index, packed_index, {TRAIN})
bomb('candidates/rows/oof.parquet', {TRAIN}, bytes(80), pa.compress(bytes(80), codec='zstd', asbytes=True), index, packed_index, 1 << 33)
print('PLANTED 3')
""",
        stays_small,
        Host(_arrow_is_hit),
    ),
    Attack(
        "candidate-flood",
        "Leave more candidates than anybody can look at.",
        f"for i in range({MOST_CANDIDATES + 1000}): os.makedirs('candidates/c%d' % i)",
        bounded_flood,
        Host(_flood_is_there),
    ),
    Attack(
        "deep-folders",
        "Nest folders so deep that removing them ends the host.",
        TOWER,
        removed_all_the_same,
        Host(_rmtree_is_hit),
    ),
)
