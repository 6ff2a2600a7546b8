"""A worker: a process that does one job after another, and is started again when a job takes it along."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import cloudpickle
import psutil

from evals.engines import Job, Result, WorkerLost
from evals.engines.inside import DISMISSED_S

PROGRAM = Path(__file__).with_name("inside.py")
MOST_DEATHS = 3
"""So often a job may take its process along; then it is given up."""


class Worker:
    """One process, started when there is something to do. It has a process group of its own, which ends as a whole.

    The process is no child of a `multiprocessing` pool: whoever holds it may be a daemonic one, which could have none.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = self._asked = False
        self._changing = threading.Lock()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def do(self, function: Callable[[Job], Result], job: Job) -> Result:
        """What `function` makes of a job.

        Raises:
            WorkerLost: the process died `MOST_DEATHS` times, or the worker was closed meanwhile.
            Exception: what the function raised, with the traceback as a note; a RuntimeError in place of one that cannot be pickled.
        """
        return read(self.ask(cloudpickle.dumps((function, job))))

    def ask(self, asked: bytes) -> bytes:
        """The answer, for `read`, to a pickle of a function and its job.

        Raises:
            WorkerLost: as of `do`.
        """
        ends = []
        for _ in range(MOST_DEATHS):
            process = self._started()
            self._asked = True
            answer = _answer(process, asked)
            self._asked = False
            if answer is not None:
                return answer
            ends.append(self._buried(process))
        raise WorkerLost(f"its process died {MOST_DEATHS} times, and every time the job was begun again: {', '.join(ends)}")

    @property
    def is_open(self) -> bool:
        return not self._closed

    def close(self) -> None:
        """End the process and what it started, from whichever thread; a job that it does ends in `WorkerLost`, and without one the
        process has a moment to let go of what it holds."""
        with self._changing:
            self._closed = True
            process, self._process = self._process, None
        if process is not None:
            if not self._asked:
                _dismiss(process)
            _end(process)

    def _started(self) -> subprocess.Popen[bytes]:
        with self._changing:
            if self._closed:
                raise WorkerLost("the worker was closed before the job was done")
            if self._process is None:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", str(PROGRAM)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    start_new_session=True,  # Ctrl-C in the terminal reaches the caller alone, which then ends this
                )
                with contextlib.suppress(OSError):  # it may have died already
                    _put(self._process.stdin, [str(Path(entry).absolute()) for entry in sys.path])
            return self._process

    def _buried(self, process: subprocess.Popen[bytes]) -> str:
        """How a process ended; nothing of it is left."""
        with self._changing:
            if self._process is process:
                self._process = None
        code = _end(process, at_once=False)
        if code >= 0:
            return f"it ended with exit code {code}"
        name = signal.Signals(-code).name if -code in signal.valid_signals() else str(-code)
        return f"killed by {name}"


def read(answer: bytes) -> Any:
    """A job's result, of the answer that a process gave.

    Raises:
        Exception: what the job raised.
    """
    well, told = pickle.loads(answer)
    if well:
        return told
    raise told


def _answer(process: subprocess.Popen[bytes], asked: bytes) -> bytes | None:
    """The answer of a process; None when it is gone."""
    assert process.stdout is not None
    try:
        _put(process.stdin, asked)
        answer: bytes = pickle.load(process.stdout)
    except (EOFError, OSError, ValueError, pickle.UnpicklingError):
        return None
    return answer


def _dismiss(process: subprocess.Popen[bytes]) -> None:
    """Have a process end that has nothing to do."""
    assert process.stdin is not None
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        process.stdin.close()
        process.wait(DISMISSED_S)


def _put(pipe: IO[bytes] | None, value: Any) -> None:
    assert pipe is not None
    pickle.dump(value, pipe)
    pipe.flush()


def _end(process: subprocess.Popen[bytes], at_once: bool = True) -> int:
    """End a process, its group and all else below it, and give its exit code. It is waited for last: until then nobody else can have its
    number."""
    below: list[psutil.Process] = []
    with contextlib.suppress(psutil.Error):  # groups of their own are none of this one's
        below = psutil.Process(process.pid).children(recursive=True)
    if at_once or not hasattr(os, "killpg"):
        process.kill()
    elif hasattr(os, "waitid"):
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    for each in below:
        with contextlib.suppress(psutil.Error):
            each.kill()
    code = process.wait()
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(OSError, ValueError):
            if pipe is not None:
                pipe.close()
    return code
