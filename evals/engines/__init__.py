"""Where independent jobs are done: in processes of this machine, or on the workers of a Dask scheduler.

Attempts of `mlteam eval`, trials of a search and fits of folds are all the same to an engine: a function that can be imported wherever
it runs, and one picklable argument.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import Protocol, TypeVar
from urllib.parse import urlsplit

from team.errors import UsageError

Job = TypeVar("Job")
Result = TypeVar("Result")

SPECS = "local, or dask://HOST:PORT of a Dask scheduler"
"""What `make_engine` takes, for help texts and messages."""


class WorkerLost(Exception):
    """The process that did a job died with it, as often as a job may do that. Nothing else of the job is known."""


class Engine(Protocol):
    """Does jobs, several at a time, and gives what each came to exactly once, whatever becomes of those who do them."""

    def run(
        self, function: Callable[[Job], Result], jobs: Iterable[Job], jobs_at_once: int | None = None
    ) -> Generator[tuple[Job, Result | Exception], None, None]:
        """Do every job, and give each with its result, or with the exception that it ended in, as they finish.

        A job whose process dies is begun again, three times in all, and then ends in `WorkerLost`: so a job must stand being done
        twice, and what lasts of it is what its caller keeps under the job's key. Closing the generator ends what is being done.

        Args:
            function: importable by its name wherever jobs are done.
            jobs: picklable. Asked for one by one, in the caller's thread, when there is room to do one: so a job may follow from the
                results that were given before. An iterator that has none now is asked again whenever a job has ended.
            jobs_at_once: how many are done at a time; what the engine has room for where it is left out.
        """
        ...

    def close(self) -> None:
        """Let go of what the engine holds. It can be called twice."""
        ...


def make_engine(spec: str, jobs: int | None = None, say: Callable[[str], None] = lambda line: None) -> Engine:
    """The engine that `spec` names.

    Args:
        spec: `local`, or `dask://HOST:PORT`.
        jobs: how many jobs are done at a time; left out, one here, and on a scheduler as many as its workers have threads.
        say: is told in a line what an engine waits for.

    Raises:
        UsageError: the spec is none, or `jobs` is below 1.
        PrerequisiteMissing: Dask is not installed here, no scheduler answers, or it is not one for this version of mlteam.
    """
    if jobs is not None and jobs < 1:
        raise UsageError(f"--jobs {jobs}: expected 1 or more")
    if spec == "local":
        from evals.engines.local import LocalEngine

        return LocalEngine(jobs or 1)
    address = urlsplit(spec)
    try:
        whole = address.scheme == "dask" and bool(address.hostname) and address.port is not None and address.path in ("", "/")
    except ValueError:  # a port that is no number
        whole = False
    if not whole:
        raise UsageError(f"--engine {spec!r}: expected {SPECS}, such as dask://10.0.0.5:8786")
    from evals.engines.dask import DaskEngine

    return DaskEngine(address.netloc, jobs, say=say)
