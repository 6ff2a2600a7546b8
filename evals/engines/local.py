"""The engine of one machine: a few worker processes, and a thread beside each that waits for it."""

from __future__ import annotations

import queue
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor

from evals.engines import Job, Result
from evals.engines.tracing import traced, untraced
from evals.engines.worker import Worker


class LocalEngine:
    """Jobs in processes of this machine. A job that dies takes nothing along but its own process."""

    def __init__(self, jobs_at_once: int = 1) -> None:
        self._jobs_at_once = jobs_at_once

    def run(
        self, function: Callable[[Job], Result], jobs: Iterable[Job], jobs_at_once: int | None = None
    ) -> Generator[tuple[Job, Result | Exception], None, None]:
        idle = [Worker() for _ in range(jobs_at_once or self._jobs_at_once)]
        workers, waiting = list(idle), iter(jobs)
        finished: queue.SimpleQueue[tuple[Worker, Job, Result | Exception]] = queue.SimpleQueue()

        def do(worker: Worker, function: Callable[[Job], Result], job: Job) -> None:
            result: Result | Exception
            try:
                result = worker.do(function, job)
            except Exception as error:  # of the job: it is the job's result, and whoever asked for it decides
                result = error
            finished.put((worker, job, result))

        with ThreadPoolExecutor(len(workers), thread_name_prefix="worker") as pool:
            try:
                while True:
                    for job in waiting if idle else ():
                        pool.submit(do, idle.pop(), traced(function), job)
                        if not idle:
                            break
                    if len(idle) == len(workers):
                        return
                    worker, job, result = finished.get()
                    idle.append(worker)
                    yield job, untraced(result)
            finally:
                for worker in workers:
                    worker.close()

    def close(self) -> None:
        """Nothing is held between calls of `run`."""
