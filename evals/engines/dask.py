"""The engine of many machines: jobs go to the workers of a Dask scheduler, each into a process of its own there.

Dask carries jobs to whoever is there and begins them again where a worker died or was cut off (Rocklin 2015; `dask.distributed`). What
it does not know is done here: a job's result is taken once, whoever else may still be at it; a client that was away asks for its jobs
again; and a job that nobody waits for any more is ended where it runs, with all that it started.
"""

from __future__ import annotations

import asyncio
import contextlib
import platform
import queue
import threading
import time
import uuid
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import CancelledError
from typing import Any

import cloudpickle

import team
from evals.engines import Job, Result, WorkerLost
from evals.engines.tracing import traced, untraced
from evals.engines.worker import Worker, read
from team.errors import MlteamError, PrerequisiteMissing

INSTALL = "pip install 'mlteam[dask]'"
MOST_LOSSES = 3
"""So often a job may be lost with the connection to the scheduler."""
SCHEDULER = "Scheduler"
CLOSED_S = 5.0
LOST = object()
LOOK_S = 2.0
"""How often a wait looks whether there is anything left to wait for."""


class DaskEngine:
    """Jobs on the workers of a scheduler. Their environment is that of the workers: variables, folders, programs, the version of mlteam.

    Args:
        address: HOST:PORT of the scheduler. Where Dask's own settings name certificates (`distributed.comm.tls`), it is spoken to by TLS.
        jobs_at_once: how many jobs are on their way at a time; left out, one for each thread of a worker that is there.
        patience_s: seconds to wait for a worker where there is none, and for a scheduler that went away.
        answer_s: seconds to wait for the scheduler's first answer.
        say: is told in a line what is waited for.

    Raises:
        PrerequisiteMissing: Dask is not installed here, no scheduler answers, or a worker differs in its Python or its mlteam.
    """

    def __init__(
        self,
        address: str,
        jobs_at_once: int | None = None,
        *,
        patience_s: float = 60.0,
        answer_s: float = 10.0,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        try:
            import dask
            import distributed
        except ImportError:
            raise PrerequisiteMissing(f"--engine dask://{address}: Dask is not installed here. Type: {INSTALL}") from None
        self.address, self._jobs_at_once, self._patience_s, self._say = address, jobs_at_once, patience_s, say
        self._had_workers = False
        say(f"asking the Dask scheduler at {address}")
        scheme = "tls" if dask.config.get("distributed.comm.tls.ca-file", None) else "tcp"
        start = f"Start one there, then type the command again: dask scheduler --port {address.rpartition(':')[2]}"
        try:
            kind = asyncio.run(_kind(f"{scheme}://{address}", answer_s))
            if kind == SCHEDULER:
                self.client = distributed.Client(f"{scheme}://{address}", timeout=patience_s, set_as_default=False)
        except (OSError, ValueError) as error:  # a timeout is an OSError
            why = "" if isinstance(error, TimeoutError) else f" ({type(error).__name__})"
            told = f"--engine dask://{address}: no scheduler answered in {answer_s:.0f} s{why}"
            raise PrerequisiteMissing(f"{told}. {start}") from None
        if kind != SCHEDULER:
            raise PrerequisiteMissing(f"--engine dask://{address}: what answers there is {kind}. {start}")
        try:
            self._check_versions()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        with contextlib.suppress(OSError, RuntimeError, AssertionError):  # a scheduler that went, a loop that was interrupted
            self.client.close(timeout=CLOSED_S)
        self.client.status = "closed"  # else it is tried again, and longer, when the object goes

    def run(
        self, function: Callable[[Job], Result], jobs: Iterable[Job], jobs_at_once: int | None = None
    ) -> Generator[tuple[Job, Result | Exception], None, None]:
        waiting, again = iter(jobs), list[tuple[Job, int]]()
        pending: dict[Any, tuple[Job, int]] = {}
        finished: queue.SimpleQueue[Any] = queue.SimpleQueue()
        try:
            while True:
                room = jobs_at_once or self._jobs_at_once or self._threads()
                while len(pending) < room and (following := again.pop() if again else next(((job, 0) for job in waiting), None)):
                    job, losses = following
                    # A key of its own each time: what was lost may still be done somewhere, and is not to be taken for this.
                    key = f"mlteam-{uuid.uuid4().hex}"
                    future = self.client.submit(_done, cloudpickle.dumps((traced(function), job)), key=key, pure=False)
                    pending[future] = job, losses
                    future.add_done_callback(finished.put)
                if not pending:
                    return
                future = self._next(finished)
                job, losses = pending.pop(future)
                found = _outcome(future)
                if found is LOST:
                    self._wait_for_scheduler(len(pending) + len(again) + 1)
                    if losses + 1 < MOST_LOSSES:
                        again.append((job, losses + 1))
                        continue
                    found = WorkerLost(f"the connection to dask://{self.address} was lost {MOST_LOSSES} times before it was done")
                yield job, untraced(found)
        finally:
            if pending and self.client.status == "running":
                with contextlib.suppress(OSError):  # a scheduler that is gone forgets them as well
                    self.client.cancel(list(pending), force=True)

    def _next(self, finished: queue.SimpleQueue[Any]) -> Any:
        """The next job that ended.

        Raises:
            PrerequisiteMissing: there was never anybody to do any.
            MlteamError: nobody is left to do any.
        """
        since, waits = time.monotonic(), False
        while True:
            try:
                return finished.get(timeout=LOOK_S)
            except queue.Empty:
                if self.client.status != "running" or self._threads(none=0):
                    since, waits = time.monotonic(), False
                    continue
            start = f"dask worker {self.address} --nthreads 1"
            if not waits:
                waits = True
                self._say(f"dask://{self.address} has no worker; waiting {self._patience_s:.0f} s for one. Start one: {start}")
            if time.monotonic() - since > self._patience_s:
                told = f"dask://{self.address} has had no worker for {self._patience_s:.0f} s"
                gone = MlteamError if self._had_workers else PrerequisiteMissing
                raise gone(f"{told}. Start one, then type the command again: {start}")

    def _threads(self, none: int = 1) -> int:
        """How many jobs the workers that are there do at a time; `none` where nobody is, or knows."""
        try:
            threads = sum(self.client.nthreads().values())
            self._had_workers |= threads > 0
            return threads or none
        except (OSError, ValueError, AttributeError):  # between a scheduler that went and one that comes
            return none

    def _wait_for_scheduler(self, left: int) -> None:
        until, nobody = time.monotonic() + self._patience_s, threading.Event()
        while self.client.status != "running":
            if self.client.status == "closed" or time.monotonic() > until:
                raise MlteamError(
                    f"the scheduler dask://{self.address} went away, and {left} jobs were not done. The same command goes on."
                )
            nobody.wait(0.2)

    def _check_versions(self) -> None:
        """Hold the workers that are there against this process: what they unpickle has to be what is here."""
        here = {"Python": platform.python_version(), "mlteam": team.__version__}
        for worker, there in self.client.run(versions, on_error="return").items():
            if isinstance(there, OSError):  # it has just left
                continue
            if isinstance(there, Exception):
                told = f"--engine dask://{self.address}: the worker {worker} has no mlteam ({there})"
                raise PrerequisiteMissing(f"{told}. Start it where this is installed: {INSTALL}")
            differs = [f"{name} {there[name]} in place of {here[name]}" for name in here if _series(there[name]) != _series(here[name])]
            if differs:
                told = f"--engine dask://{self.address}: the worker {worker} has {' and '.join(differs)}"
                raise PrerequisiteMissing(f"{told}. Start it from the same environment as this command.")


async def _kind(url: str, answer_s: float) -> str:
    """What answers at an address, in a word. It is asked before there is a client, which cannot be got rid of where it got no good answer.

    Raises:
        OSError: nothing did.
    """
    from distributed import Security
    from distributed.core import rpc

    async with asyncio.timeout(answer_s), rpc(url, connection_args=Security().get_connection_args("client"), timeout=answer_s) as there:
        try:
            kind = (await there.identity())["type"]
        except OSError:
            raise
        except Exception:  # whatever reading the words of another protocol ends in
            kind = ""
    return SCHEDULER if kind == SCHEDULER else "a worker" if kind == "Worker" else "no Dask scheduler"


def versions() -> dict[str, str]:
    """What has to agree between the processes of a cluster."""
    return {"Python": platform.python_version(), "mlteam": team.__version__}


def _series(version: str) -> str:
    return version.rpartition(".")[0]


def _outcome(future: Any) -> Any:
    """What a job came to; `LOST` where nobody knows, since the connection was."""
    import distributed

    try:
        answer = future.result(timeout=None)
    except CancelledError:
        return LOST
    except distributed.KilledWorker as error:
        times, last = error.allowed_failures + 1, error.last_worker.address
        return WorkerLost(f"{times} times the worker that had it died or was cut off, the last time {last}")
    except Exception as error:  # of the job: it is the job's result, and whoever asked for it decides
        return error
    try:
        return read(answer)
    except Exception as error:  # the same, as the worker wrote it down
        return error


_idle: list[Worker] = []
"""In a Dask worker: processes that wait for the next job. They end with it, whatever ends it."""


def _done(asked: bytes) -> bytes:
    """In a Dask worker: do a job in a process beside it, for as long as somebody waits for it."""
    import distributed

    here = distributed.get_worker()
    key = here.get_current_task()

    def wanted() -> bool:
        task = here.state.tasks.get(key)
        return task is not None and task.state == "executing"

    while True:
        worker = _idle.pop() if _idle else Worker()
        over = threading.Event()
        watching = threading.Thread(target=_watch, args=(worker, wanted, over), name=f"watch-{key}", daemon=True)
        watching.start()
        try:
            return worker.ask(asked)
        except WorkerLost:
            if worker.is_open or not wanted():  # else it was given up, and asked for again
                raise
        finally:
            over.set()
            watching.join()
            if worker.is_open:
                _idle.append(worker)


def _watch(worker: Worker, wanted: Callable[[], bool], over: threading.Event) -> None:
    """End a worker's process when its job is not wanted any more: by a caller who left, or whom the scheduler lost."""
    while not over.wait(LOOK_S):
        if not wanted():
            worker.close()
            return
