"""What every kind of sandbox must do. A suite subclasses `SandboxContract` and fills the `kind` fixture.

    class TestBubblewrap(SandboxContract):
        @pytest.fixture(scope="module")
        def kind(self) -> str:
            return "bubblewrap"

Where a kind differs, its suite overrides `owner`, `processes` or `swept` and says why.

The tests of a class share one kernel, which is itself a test: whatever one does to it, the next finds a kernel that works.
"""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
import pytest_asyncio

from team.errors import UsageError
from team.sandbox import CellResult, Kernel, Limits, open_kernel
from team.sandbox.contract import Launcher
from team.timings import Timings

LIMITS = Limits(memory_mb=600, processes=40, interrupt_s=0.5, output_bytes=100_000, rich_output_bytes=1_000_000)

IGNORES_INTERRUPTS = """
import time
print('started')
while True:
    try:
        while True:
            time.sleep(0.01)
    except KeyboardInterrupt:
        pass
"""

TIMED = """
from tools.abreast import abreast
from tools.deadline import Deadline
from tools.spans import timed

def fit(fold):
    def job(deadline):
        try:
            with timed("fit", fold=fold, family=None):
                if fold == 1:
                    raise ValueError
        except ValueError:
            pass
    return job

with timed("trial", trial=7) as timing:
    list(abreast([fit(fold) for fold in range(3)], 2, Deadline(10)))
    timing.tell(state="complete")
"""

CONNECTION = """
import os
from ipykernel.kernelapp import IPKernelApp
folder = os.path.dirname(IPKernelApp.instance().connection_file)
"""

HOST = """
import asyncio, sys
from pathlib import Path
from team.sandbox import open_kernel

async def main():
    async with open_kernel(sys.argv[1], work=Path(sys.argv[2])) as kernel:
        await kernel.execute('''
import subprocess
subprocess.Popen("setsid sleep 1000 & sleep 1000", shell=True, start_new_session=True)''')
        print("ready", flush=True)
        await kernel.execute("import time; time.sleep(1000)", timeout_s=1000)

asyncio.run(main())
"""


def sleeping(processes: Sequence[psutil.Process]) -> int:
    """How many of them are a `sleep` by now."""
    count = 0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            count += process.name() == "sleep"
    return count


class Events(list[tuple[str, dict[str, Any]]]):
    """What a kernel told its owner."""

    def __call__(self, kind: str | Launcher, facts: dict[str, Any]) -> None:
        self.append((kind, facts))

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _ in self]


@pytest.mark.asyncio(loop_scope="module")
class SandboxContract:
    """The promises of `team/sandbox/contract.py`, one or more tests each."""

    @pytest.fixture(scope="module")
    @classmethod
    def kind(cls) -> str | Launcher:
        raise NotImplementedError("a suite names its kind of sandbox here")

    @property
    def name(self) -> str:
        """The kind's name on a command line."""
        raise NotImplementedError("a suite names its kind of sandbox here")

    @property
    def owner(self) -> int:
        """Whose a file is outside that a cell wrote."""
        return os.geteuid()

    def processes(self, host: int) -> list[psutil.Process]:
        """All processes of the sandboxes of a host process."""
        return psutil.Process(host).children(recursive=True)

    async def swept(self, tmp_path: Path) -> None:
        """Do what removes the rest of a host process that was killed; nothing where all goes by itself."""

    @pytest.fixture(scope="module")
    @classmethod
    def work(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        return tmp_path_factory.mktemp("work")

    @pytest.fixture(scope="module")
    @classmethod
    def events(cls) -> Events:
        return Events()

    @pytest_asyncio.fixture(scope="module", loop_scope="module")
    @classmethod
    async def shared(cls, kind: str | Launcher, work: Path, events: Events) -> AsyncIterator[Kernel]:
        async with open_kernel(kind, work=work, limits=LIMITS, on_event=events) as kernel:
            yield kernel

    @pytest_asyncio.fixture(loop_scope="module")
    async def kernel(self, shared: Kernel, events: Events) -> Kernel:
        """The shared kernel after a cell that made the variable `kept`, with no events told so far."""
        await shared.execute("kept = 1")
        events.clear()
        return shared

    @pytest.fixture
    def temporary(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
        """A folder for temporary files that nobody else uses, with a name short enough for sockets."""
        folder = tempfile.mkdtemp(prefix="t", dir="/tmp")
        monkeypatch.setattr(tempfile, "tempdir", folder)
        monkeypatch.setenv("TMPDIR", folder)
        yield Path(folder)
        shutil.rmtree(folder)

    # What a cell comes back as

    async def test_output_and_value_come_back_in_order(self, kernel: Kernel) -> None:
        result = await kernel.execute("import sys\nprint('one')\nprint('two', file=sys.stderr)\nprint('three')\n40 + 2")
        assert result.status == "ok"
        assert result.ok
        assert set(result.text.split()) == {"one", "two", "three", "42"}
        assert [o["output_type"] for o in result.outputs][-1] == "execute_result"
        assert result.outputs[-1]["data"] == {"text/plain": "42"}
        assert (result.ename, result.cause, result.result, result.fresh, result.lost_variables) == (None, None, None, False, [])

    async def test_state_is_kept_between_cells(self, kernel: Kernel) -> None:
        first = await kernel.execute("state = [1]")
        second = await kernel.execute("state.append(2); print(state)")
        assert second.text == "[1, 2]\n"
        assert second.execution_count == (first.execution_count or 0) + 1
        assert "state" in kernel.names

    async def test_what_was_printed_before_an_exception_is_kept(self, kernel: Kernel) -> None:
        result = await kernel.execute("print('accuracy 0.9')\ndef f():\n    raise KeyError('no such column')\nf()")
        assert result.status == "error"
        assert result.text == "accuracy 0.9\n"
        assert (result.ename, result.evalue) == ("KeyError", "'no such column'")
        assert result.traceback is not None
        assert "in f()" in result.traceback
        assert "\x1b" not in result.traceback

    async def test_a_syntax_error_is_an_error(self, kernel: Kernel) -> None:
        result = await kernel.execute("if:")
        assert (result.status, result.ename) == ("error", "SyntaxError")

    async def test_a_typed_result_comes_back_beside_its_text(self, kernel: Kernel) -> None:
        result = await kernel.execute(
            "from pydantic import BaseModel\nfrom tools.show import progress, show\n"
            "class Facts(BaseModel):\n    rows: int\n"
            "show(Facts(rows=1)); show(Facts(rows=891))"
        )
        assert result.result == {"rows": 891}
        assert result.text == "rows: 1\nrows: 891\n"

    @pytest.mark.parametrize("value", ["[1, 2]", "'text'", "7", "None"])
    async def test_a_result_that_is_no_object_is_not_taken(self, kernel: Kernel, value: str) -> None:
        result = await kernel.execute(f"display({{'application/vnd.mlteam.result+json': {value}}}, raw=True)")
        assert result.result is None
        assert "no JSON object" in result.text

    async def test_progress_is_told_at_once_and_only_the_last_is_kept(self, kernel: Kernel) -> None:
        told: list[dict[str, Any]] = []
        code = "from tools.show import progress\nfor fold in range(20): progress(fold=fold)\nprint('done')"
        result = await kernel.execute(code, on_output=told.append)
        mime = "application/vnd.mlteam.progress+json"
        assert [o["data"][mime]["fold"] for o in told if mime in o.get("data", {})] == list(range(20))
        assert [o["data"][mime] for o in result.outputs if mime in o.get("data", {})] == [{"fold": 19}]
        assert result.text == "done\n"

    async def test_a_cell_tells_whoever_names_a_trace_what_took_its_time_and_nobody_else(self, kernel: Kernel) -> None:
        traceparent = f"00-{'a' * 32}-{'b' * 16}-01"
        heard, unheard = Timings(), Timings()
        result = await kernel.execute(TIMED, on_output=heard.take, metadata={"traceparent": traceparent})
        assert (result.status, result.outputs) == ("ok", [])
        again = await kernel.execute(TIMED, on_output=unheard.take)
        assert (again.status, again.outputs, unheard.spans, unheard.left_out) == ("ok", [], [], 0)
        by_fact = {(span.kind, span.facts.get("fold")): span for span in heard.spans}
        trial = by_fact["trial", None]
        assert (trial.parent, trial.facts, trial.error) == ("b" * 16, {"trial": 7, "state": "complete"}, "")
        folds = [by_fact["fit", fold] for fold in range(3)]
        assert {span.parent for span in folds} == {trial.id}
        assert all(trial.start <= span.start <= span.end <= trial.end for span in folds)
        assert [span.error for span in folds] == ["", "ValueError", ""]
        assert heard.left_out == 0

    async def test_a_plot_comes_back_as_png(self, kernel: Kernel) -> None:
        result = await kernel.execute("import matplotlib.pyplot as plt\nplt.plot([1, 2]);")
        image = next(o["data"]["image/png"] for o in result.outputs if "image/png" in o.get("data", {}))
        assert base64.b64decode(image).startswith(b"\x89PNG")

    async def test_outputs_make_a_valid_notebook(self, kernel: Kernel) -> None:
        result = await kernel.execute("print(1)\ndisplay({'text/html': '<b>x</b>', 'application/json': {'a': 1}}, raw=True)\n1/0")
        cell = nbformat.v4.new_code_cell("", outputs=[nbformat.from_dict(o) for o in result.outputs])
        nbformat.validate(nbformat.v4.new_notebook(cells=[cell]))

    async def test_output_that_is_not_utf8_is_shown_as_far_as_it_can_be(self, kernel: Kernel) -> None:
        result = await kernel.execute(r"import os; _ = os.write(1, b'caf\xe9 \xff\xfe\n'); print('\udcff')")
        assert result.status in ("ok", "error")
        assert "caf" in result.text
        result.text.encode("utf-8")

    async def test_output_of_child_processes_is_kept(self, kernel: Kernel) -> None:
        result = await kernel.execute("import subprocess\n_ = subprocess.run('echo from a child', shell=True)\n!echo from a shell")
        assert "from a child" in result.text
        assert "from a shell" in result.text

    async def test_input_is_refused_with_what_to_do(self, kernel: Kernel) -> None:
        result = await kernel.execute("input('your name? ')", timeout_s=10)
        assert (result.status, result.ename) == ("error", "NoInput")
        assert "Write the value into the code" in (result.evalue or "")

    async def test_a_first_cell_finds_an_empty_namespace(self, kind: str | Launcher, tmp_path: Path) -> None:
        async with open_kernel(kind, work=tmp_path) as kernel:
            result = await kernel.execute("%who")
            assert result.text == "Interactive namespace is empty.\n"
            assert kernel.names == []

    # Size

    async def test_many_small_prints_do_not_fall_behind(self, kernel: Kernel) -> None:
        result = await kernel.execute("for i in range(100_000): print(i)", timeout_s=30)
        assert result.status == "ok"
        assert result.text.startswith("0\n1\n2\n")
        assert result.text.endswith("99998\n99999\n")
        assert "488,890 bytes cut" in result.text
        assert len(result.outputs) == 1

    async def test_huge_text_is_cut_and_the_session_goes_on(self, kernel: Kernel) -> None:
        before = psutil.Process().memory_info().rss
        result = await kernel.execute("print('head' + 'x' * 50 * 2**20 + 'tail')", timeout_s=30)
        assert result.text.startswith("headxxx")
        assert result.text.endswith("xxxtail\n")
        assert len(result.text) < LIMITS.output_bytes + 200
        assert "52,328,809 bytes cut" in result.text
        assert psutil.Process().memory_info().rss - before < 60 * 2**20
        assert (await kernel.execute("kept")).text == "1\n"

    async def test_a_huge_display_is_left_out_and_the_session_goes_on(self, kernel: Kernel) -> None:
        result = await kernel.execute("display({'text/html': 'x' * 50 * 2**20, 'text/plain': 'a table'}, raw=True)", timeout_s=30)
        assert result.status == "ok"
        assert "a table\n[left out of this display: text/html of 52,428,800 bytes" in result.text
        assert (await kernel.execute("kept")).text == "1\n"

    async def test_displays_are_limited_together(self, kernel: Kernel) -> None:
        code = "for i in range(50): display({'text/html': 'x' * 100_000, 'text/plain': 'small'}, raw=True)"
        result = await kernel.execute(code, timeout_s=30)
        kept = [o for o in result.outputs if "text/html" in o.get("data", {})]
        assert 5 < len(kept) < 10
        assert "left out" in result.text

    async def test_a_huge_exception_is_cut(self, kernel: Kernel) -> None:
        result = await kernel.execute("raise ValueError('x' * 50 * 2**20)", timeout_s=30)
        assert (result.status, result.ename) == ("error", "ValueError")
        assert len(result.evalue or "") + len(result.traceback or "") < 3_000_000

    # Deadlines

    @pytest.mark.parametrize("code", ["import time; time.sleep(60)", "while True: pass", "while True: print('still here')"])
    async def test_a_deadline_interrupts_and_keeps_the_variables(self, kernel: Kernel, events: Events, code: str) -> None:
        result = await kernel.execute(code, timeout_s=0.3)
        assert (result.status, result.ename) == ("timeout", "KeyboardInterrupt")
        assert result.cause == "interrupted after 0.3 s; the variables are kept"
        assert 0.3 <= result.seconds < 30
        assert events.kinds == ["interrupt", "wait"]
        after = await kernel.execute("kept")
        assert (after.text, after.fresh) == ("1\n", False)

    async def test_what_was_printed_before_a_deadline_is_kept(self, kernel: Kernel) -> None:
        result = await kernel.execute("import time\nprint('fold 1: 0.8')\ntime.sleep(60)", timeout_s=0.3)
        assert result.text == "fold 1: 0.8\n"

    async def test_a_cell_that_ignores_the_interrupt_loses_its_kernel(self, kernel: Kernel, events: Events, work: Path) -> None:
        (work / "model.txt").write_text("precious")
        result = await kernel.execute(IGNORES_INTERRUPTS, timeout_s=0.3)
        assert (result.status, result.text) == ("timeout", "started\n")
        assert "went on for 0.5 s more; its kernel was ended" in (result.cause or "")
        assert "kept" in result.lost_variables
        assert events.kinds == ["interrupt", "wait", "restart", "died"]
        after = await kernel.execute("print(open('model.txt').read(), 'kept' in dir())")
        assert after.text == "precious False\n"
        assert after.fresh
        assert "kept" in after.lost_variables
        again = await kernel.execute("1")
        assert (again.fresh, again.lost_variables) == (False, [])

    async def test_a_cell_that_ignores_every_signal_is_killed(self, kernel: Kernel, events: Events) -> None:
        code = "import signal\nfor s in (signal.SIGINT, signal.SIGTERM): signal.signal(s, signal.SIG_IGN)\nwhile True: pass"
        result = await kernel.execute(code, timeout_s=0.3)
        assert result.status == "timeout"
        assert "killed" in (result.cause or "")
        assert events.kinds == ["interrupt", "wait", "restart", "kill", "died"]
        assert (await kernel.execute("2")).text == "2\n"

    @pytest.mark.parametrize(
        "attack",
        [
            f"{CONNECTION}for name in os.listdir(folder): os.remove(os.path.join(folder, name))",
            "get_ipython().kernel.control_stream.close()",
            "get_ipython().kernel.iopub_thread.socket.close()",
            "get_ipython().kernel.shell_stream.close()",
        ],
        ids=["files", "control", "iopub", "shell"],
    )
    async def test_cutting_the_line_to_the_host_does_not_hang_it(self, kernel: Kernel, attack: str) -> None:
        result = await asyncio.wait_for(kernel.execute(f"{attack}\nimport time; time.sleep(300)", timeout_s=0.5), 120)
        assert result.status in ("timeout", "died")
        assert (await kernel.execute("print('alive')", timeout_s=10)).text in ("alive\n", "")
        await kernel.restart()

    async def test_forged_messages_are_dropped(self, kernel: Kernel) -> None:
        code = """
import jupyter_client
kernel = get_ipython().kernel
parent = kernel.get_parent()
def forge(kind, content):
    jupyter_client.session.Session.send(kernel.session, kernel.iopub_socket, kernel.session.msg(kind, content, parent=parent))
for content in ({"name": 5, "text": None}, {"name": "stdout", "text": ["x"]}, {}):
    forge("stream", content)
forge("display_data", {"data": [1], "metadata": {}})
forge("display_data", {"data": {"text/plain": "y"}, "metadata": 3})
forge("update_display_data", {"data": {}})
kernel.iopub_thread.send_multipart([b"stream", b"<IDS|MSG>", b"no signature", b"{", b"}", b"x", b"y"])
kernel.iopub_thread.send_multipart([b"nonsense"])
print("end")
"""
        result = await kernel.execute(code)
        assert result.status == "ok"
        assert "end\n" in result.text
        assert "6 outputs that follow no format were dropped" in result.text

    # Death

    @pytest.mark.parametrize(
        ("code", "cause"),
        [
            ("import os; os._exit(3)", "exit code 3"),
            ("import ctypes; ctypes.string_at(0)", "killed by signal 11 (SIGSEGV)"),
            ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "killed by signal 9 (SIGKILL)"),
        ],
        ids=["exit", "segfault", "sigkill"],
    )
    async def test_death_is_told_as_what_it_was(self, kernel: Kernel, events: Events, code: str, cause: str) -> None:
        result = await kernel.execute(f"print('last words')\nimport time; time.sleep(0.2)\n{code}", timeout_s=30)
        assert (result.status, result.cause, result.text) == ("died", cause, "last words\n")
        assert result.seconds < 30
        assert "kept" in result.lost_variables
        assert events.kinds == ["died"]
        after = await kernel.execute("print('kept' in dir())")
        assert (after.status, after.text, after.fresh) == ("ok", "False\n", True)
        assert "kept" in after.lost_variables

    async def test_a_crash_says_where_it_happened(self, kernel: Kernel) -> None:
        result = await kernel.execute("import ctypes\ndef innermost():\n    ctypes.string_at(0)\ninnermost()")
        assert result.traceback is not None
        assert "in innermost" in result.traceback

    async def test_an_end_by_the_clock_is_known_however_many_threads_there_were(self, kernel: Kernel) -> None:
        code = """
import faulthandler, os, threading
def deeper(n):
    return threading.Event().wait() if n == 0 else deeper(n - 1)
for _ in range(6):
    threading.Thread(target=deeper, args=(60,), daemon=True).start()
faulthandler.dump_traceback_later(0.5, exit=True, file=int(os.environ.get("MLTEAM_STDERR", "2")))
threading.Event().wait()
"""
        result = await kernel.execute(code, timeout_s=60)
        assert (result.status, result.cause) == ("died", "exit code 1")
        assert (result.traceback or "").startswith("Timeout (")

    @pytest.mark.parametrize(
        "code",
        [
            "hoard = []\nwhile True: hoard.append(bytearray(2**20))",
            "import os, time\nfor _ in range(4):\n    if os.fork() == 0: b = bytearray(200 * 2**20); time.sleep(60)\ntime.sleep(60)",
        ],
        ids=["kernel", "children"],
    )
    async def test_too_much_memory_is_told_as_such(self, kernel: Kernel, code: str) -> None:
        result = await kernel.execute(code, timeout_s=30)
        assert result.status == "died"
        assert (result.cause or "").startswith("out of memory: ")
        assert "600 MiB allowed" in (result.cause or "")

    async def test_memory_shared_after_a_fork_counts_once(self, kernel: Kernel) -> None:
        code = """
import os
block = bytearray(os.urandom(1)) * (200 * 2**20)
pipes = [os.pipe() for _ in range(4)]
for r, w in pipes:
    if os.fork() == 0:
        os.close(w); os.read(r, 1); os._exit(0)
import time
time.sleep(0.5)
for r, w in pipes: os.write(w, b'x')
for _ in pipes: os.wait()
print('survived')
"""
        result = await kernel.execute(code, timeout_s=30)
        assert (result.status, result.text) == ("ok", "survived\n")

    async def test_an_absurd_allocation_is_an_ordinary_error(self, kernel: Kernel) -> None:
        result = await kernel.execute("bytearray(100 * 2**30)")
        assert (result.status, result.ename) == ("error", "MemoryError")
        assert (await kernel.execute("kept")).text == "1\n"

    async def test_too_many_processes_are_told_as_such(self, kernel: Kernel) -> None:
        code = "import os, time\nfor _ in range(60):\n    if os.fork() == 0: time.sleep(60)\ntime.sleep(60)"
        result = await kernel.execute(code, timeout_s=30)
        assert result.status == "died"
        assert (result.cause or "").startswith("too many processes: ")

    async def test_too_much_disk_is_told_as_such_and_can_be_tidied_up(self, kind: str | Launcher, tmp_path: Path) -> None:
        fill = "for i in range(200):\n    with open(f'part{i}', 'wb') as file: file.write(bytes(2**20))\nimport time; time.sleep(20)"
        async with open_kernel(kind, work=tmp_path, limits=Limits(disk_mb=100)) as kernel:
            result = await kernel.execute(fill, timeout_s=30)
            assert result.status == "died"
            assert (result.cause or "").startswith("disk full: ")
            assert "100 allowed" in (result.cause or "")
            tidied = await kernel.execute("import os\nfor name in os.listdir(): os.remove(name)\nprint(os.listdir())")
            assert tidied.text == "[]\n"

    async def test_a_file_larger_than_the_disk_allowed_is_an_ordinary_error(self, kind: str | Launcher, tmp_path: Path) -> None:
        async with open_kernel(kind, work=tmp_path, limits=Limits(disk_mb=50)) as kernel:
            result = await kernel.execute("with open('big', 'wb') as file: file.truncate(60 * 2**20)")
            assert (result.status, result.ename) == ("error", "OSError")
            assert "File too large" in (result.evalue or "")

    async def test_too_many_files_are_told_as_such(self, kind: str | Launcher, tmp_path: Path) -> None:
        code = "for i in range(5_000): open(f'f{i}', 'w').close()\nimport time; time.sleep(20)"
        async with open_kernel(kind, work=tmp_path, limits=Limits(files=2_000)) as kernel:
            result = await kernel.execute(code, timeout_s=40)
            assert result.status == "died"
            assert (result.cause or "").startswith("too many files: ")

    async def test_a_folder_that_hides_its_size_ends_the_sandbox(self, kind: str | Launcher, tmp_path: Path) -> None:
        code = "import os\nfor _ in range(60):\n    os.mkdir('d' * 200); os.chdir('d' * 200)\n"
        code += "for i in range(200):\n    with open(f'part{i}', 'wb') as file: file.write(bytes(2**20))\nimport time; time.sleep(20)"
        async with open_kernel(kind, work=tmp_path, limits=Limits(disk_mb=100)) as kernel:
            result = await kernel.execute(code, timeout_s=30)
            assert result.status == "died"
            assert "cannot be measured" in (result.cause or "") or "disk full" in (result.cause or "")
        shutil.rmtree(tmp_path / ("d" * 200))

    async def test_a_spare_kernel_takes_the_place_of_a_lost_one(self, kind: str | Launcher, tmp_path: Path) -> None:
        events = Events()
        async with open_kernel(kind, work=tmp_path, on_event=events, warm=True) as kernel:
            await kernel.execute("kept = 1")
            before = kernel.pid
            result = await kernel.execute("import os; os._exit(3)")
            assert (result.status, result.cause) == ("died", "exit code 3")
            after = await kernel.execute("print('kept' in dir())")
            assert (after.text, after.fresh, after.lost_variables) == ("False\n", True, ["kept"])
            assert kernel.pid not in (None, before)
            assert events.kinds == ["started", "died", "started"]

    async def test_a_kernel_that_died_between_cells_is_replaced(self, kernel: Kernel, events: Events) -> None:
        await kernel.execute("import os, threading\nthreading.Timer(0.05, os._exit, (7,)).start()")
        assert kernel.pid is not None
        await gone(kernel.pid)
        result = await kernel.execute("5")
        assert (result.text, result.fresh) == ("5\n", True)
        assert "kept" in result.lost_variables
        assert events[0] == ("died", {"cause": "exit code 7", "log": ""})

    # Cancelling, concurrency, ending

    async def test_cancelling_interrupts_the_cell_and_keeps_the_kernel(self, kernel: Kernel) -> None:
        started = asyncio.Event()
        code = "print('go', flush=True)\nimport time; time.sleep(60)"
        task = asyncio.create_task(kernel.execute(code, on_output=lambda _: started.set()))
        await asyncio.wait_for(started.wait(), 60)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 60)
        after = await kernel.execute("kept")
        assert (after.text, after.fresh) == ("1\n", False)

    async def test_cancelling_twice_kills_a_cell_that_does_not_end(self, kernel: Kernel) -> None:
        started = asyncio.Event()
        task = asyncio.create_task(kernel.execute(IGNORES_INTERRUPTS, on_output=lambda _: started.set()))
        await asyncio.wait_for(started.wait(), 60)
        task.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 60)
        after = await kernel.execute("print('kept' in dir())")
        assert (after.text, after.fresh) == ("False\n", True)
        assert "kept" in after.lost_variables

    async def test_an_exception_in_the_callback_is_raised_and_the_kernel_goes_on(self, kernel: Kernel) -> None:
        def fail(output: dict[str, Any]) -> None:
            raise LookupError("the console is gone")

        with pytest.raises(LookupError, match="console"):
            await kernel.execute("print(1, flush=True)\nimport time; time.sleep(60)", on_output=fail)
        assert (await kernel.execute("kept")).text == "1\n"

    async def test_cells_sent_together_run_one_after_another(self, kernel: Kernel) -> None:
        results = await asyncio.gather(*(kernel.execute(f"print({i})") for i in range(5)))
        assert sorted(result.text for result in results) == [f"{i}\n" for i in range(5)]
        counts = [result.execution_count or 0 for result in results]
        assert sorted(counts) == list(range(min(counts), min(counts) + 5))

    async def test_two_kernels_run_side_by_side(self, kind: str | Launcher, kernel: Kernel, tmp_path: Path) -> None:
        async with open_kernel(kind, work=tmp_path) as other:
            one, two = await asyncio.gather(kernel.execute("name = 'one'; print(name)"), other.execute("name = 'two'; print(name)"))
            assert (one.text, two.text) == ("one\n", "two\n")
            assert (await kernel.execute("name")).text == "'one'\n"

    async def test_nothing_is_left_behind(self, kind: str | Launcher, tmp_path: Path, temporary: Path) -> None:
        tasks, files = asyncio.all_tasks(), open_files()
        async with open_kernel(kind, work=tmp_path) as kernel:
            await kernel.execute(
                f"{CONNECTION}os.makedirs(f'{{folder}}/locked/inner'); os.chmod(f'{{folder}}/locked', 0)\n"
                "import subprocess\n"
                "subprocess.Popen('setsid sleep 1000 & sleep 1000', shell=True, start_new_session=True)\n"
                "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0: os.execlp('sleep', 'sleep', '1000')\n    os._exit(0)\n"
                "os.wait()"
            )
            assert kernel.pid is not None
            async with asyncio.timeout(60):
                while sleeping(processes := psutil.Process(kernel.pid).children(recursive=True)) < 3:
                    await asyncio.sleep(0.01)  # what was forked is a `sleep` from its exec on
            assert sleeping(processes) == 3
        assert psutil.wait_procs(processes, timeout=0)[1] == []
        assert asyncio.all_tasks() == tasks
        assert open_files() == files
        assert list(temporary.iterdir()) == []
        with pytest.raises(RuntimeError, match="closed"):
            await kernel.execute("1")

    @asynccontextmanager
    async def host(self, folder: Path) -> AsyncIterator[tuple[subprocess.Popen[str], list[psutil.Process]]]:
        """A process whose kernel is at work, and all that belongs to its sandbox; it is killed where it has not ended."""
        host = subprocess.Popen(
            [sys.executable, "-c", HOST, self.name, str(folder)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert host.stdout is not None
        try:
            assert await asyncio.wait_for(asyncio.to_thread(host.stdout.readline), 120) == "ready\n"
            processes = self.processes(host.pid)
            assert len(processes) >= 5
            yield host, processes
        finally:
            host.kill()
            host.wait(60)
            host.stdout.close()

    async def test_the_sandbox_dies_with_its_host(self, tmp_path: Path, temporary: Path) -> None:
        async with self.host(tmp_path) as (host, processes):
            host.kill()
        assert psutil.wait_procs(processes, timeout=60)[1] == []
        await self.swept(tmp_path)
        assert list(temporary.iterdir()) == []

    async def test_ctrl_c_ends_the_sandbox_cleanly(self, tmp_path: Path, temporary: Path) -> None:
        async with self.host(tmp_path) as (host, processes):
            host.send_signal(2)
            host.wait(60)
        assert psutil.wait_procs(processes, timeout=60)[1] == []
        assert list(temporary.iterdir()) == []

    # The surroundings

    async def test_files_in_work_last_and_belong_to_the_caller(self, kernel: Kernel, work: Path) -> None:
        result = await kernel.execute(
            "import os\nos.makedirs('plots', exist_ok=True)\nopen('plots/a.txt', 'w').write('x')\nos.environ['MLTEAM_WORK']"
        )
        assert result.status == "ok"
        written = work / "plots" / "a.txt"
        assert written.read_text() == "x"
        assert written.stat().st_uid == self.owner
        written.unlink()

    async def test_data_can_be_read(self, kind: str | Launcher, tmp_path: Path) -> None:
        work, data = tmp_path / "work", tmp_path / "data"
        work.mkdir()
        data.mkdir()
        (data / "train.csv").write_text("a,b\n")
        async with open_kernel(kind, work=work, data=data) as kernel:
            result = await kernel.execute("import os; print(open(os.environ['MLTEAM_DATA'] + '/train.csv').read())")
            assert result.text == "a,b\n\n"

    async def test_the_callers_environment_stays_outside(
        self, kind: str | Launcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SERVICE_TOKEN", "host-secret")
        async with open_kernel(kind, work=tmp_path, env={"FOR_THE_KERNEL": "yes"}, limits=Limits(cpus=1)) as kernel:
            result = await kernel.execute("!cat /proc/1/environ /proc/self/environ /proc/$PPID/environ | tr '\\0' '\\n'")
            assert "FOR_THE_KERNEL=yes" in result.text
            assert "OMP_NUM_THREADS=1" in result.text
            assert "host-secret" not in result.text or self.name == "unsafe-local"
            result = await kernel.execute("import os; 'SERVICE_TOKEN' in os.environ, len(os.sched_getaffinity(0))")
            assert result.text == "(False, 1)\n"

    async def test_a_module_in_work_can_be_imported_but_hides_none(self, kernel: Kernel, work: Path) -> None:
        (work / "random.py").write_text("raise RuntimeError('shadowed')")
        (work / "my_features.py").write_text("answer = 42")
        await kernel.restart()
        result = await kernel.execute("import my_features, random; print(my_features.answer, random.random() < 1)")
        assert result.text == "42 True\n"
        (work / "random.py").unlink()

    async def test_a_folder_that_is_missing_is_refused(self, kind: str | Launcher, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="mkdir -p"):
            async with open_kernel(kind, work=tmp_path / "missing"):
                raise AssertionError("opened")

    @pytest.mark.parametrize("timeout_s", [0, -1, float("nan")])
    async def test_a_deadline_that_makes_no_sense_is_refused(self, kernel: Kernel, timeout_s: float) -> None:
        with pytest.raises(UsageError, match="timeout_s"):
            await kernel.execute("1", timeout_s=timeout_s)


async def gone(pid: int) -> None:
    """Wait until a child of ours has ended and was collected."""
    async with asyncio.timeout(60):
        while psutil.pid_exists(pid):
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


async def told(kernel: Kernel, code: str) -> CellResult:
    """Run a cell that must not fail."""
    result = await kernel.execute(code)
    assert result.status == "ok", result.traceback or result.cause
    return result
