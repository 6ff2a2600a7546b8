"""The program of a worker process: does one job at a time, and ends with all that it started when nobody listens any more.

It is started by its path, without the project on its path, and told by whoever started it where modules are found. Jobs and answers are
pickles on what were its standard input and output; what jobs print goes to standard error.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import sys
import threading
import traceback
from typing import Any, BinaryIO

DISMISSED_S = 20.0
"""For an idle process to let go of what it holds."""


def main() -> None:
    asked, told = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    sys.path[:] = pickle.load(asked)
    jobs: queue.Queue[bytes | None] = queue.Queue()
    idle = threading.Event()
    threading.Thread(target=_listen, args=(asked, jobs, idle), daemon=True).start()
    idle.set()
    while (job := jobs.get()) is not None:
        idle.clear()
        pickle.dump(_answer(job), told)
        told.flush()
        idle.set()


def _listen(asked: BinaryIO, jobs: queue.Queue[bytes | None], idle: threading.Event) -> None:
    """Take jobs in until whoever gives them is gone, also where it was killed. Then a job that is going on is of use to nobody; without
    one the process ends as usual, and what it holds is let go."""
    try:
        while True:
            jobs.put(pickle.load(asked))
    except (EOFError, OSError, pickle.UnpicklingError):
        pass
    if idle.is_set() and jobs.empty():
        jobs.put(None)
        threading.Event().wait(DISMISSED_S)
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _answer(asked: bytes) -> bytes:
    """A pickle of whether a job went well, and of its result or the exception that it ended in."""
    import cloudpickle

    try:
        function, job = pickle.loads(asked)
        return cloudpickle.dumps((True, function(job)))
    except BaseException as error:  # a job that asks to leave, or is interrupted, has failed like any other
        return _failure(error)


def _failure(error: BaseException) -> bytes:
    import cloudpickle

    error.add_note("".join(traceback.format_exception(error)).rstrip())
    try:
        told: bytes = cloudpickle.dumps((False, error))
        read: tuple[bool, Any] = pickle.loads(told)  # some exceptions can be written and not be read
        if isinstance(read[1], Exception):
            return told
    except Exception:  # one that cannot be written, or whose reading fails in any way, is told in words below
        pass
    plain = RuntimeError(f"{type(error).__name__}: {error}")
    plain.add_note("\n".join(error.__notes__))
    return cloudpickle.dumps((False, plain))


if __name__ == "__main__":
    main()
