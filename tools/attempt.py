"""What is being fitted now, on file: when a fit takes its kernel with it, the host reads there which one it was.

`work/attempt.json` is written under a temporary name and renamed before every fit of a candidate, and again after it. What
stood in the folder and in the study before the call is kept with it, so that a call which was cut off can be told from one
that never began. The sandbox writes the file, so the host takes nothing from it but which family to be careful with.
"""

from __future__ import annotations

import faulthandler
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tools.candidates import CANDIDATE_NAME, CODE, CandidateSpec
from tools.casualties import Share
from tools.deadline import end_process_after
from tools.files import read_regular
from tools.workspace import Workspace, write_text

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = "attempt.json"
MAX_BYTES = 1 << 20


class Fit(BaseModel):
    """One fit of one configuration."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    candidate: str = Field(max_length=80)
    """The candidate that it is for; `trial` in a search of parameters."""
    family: str = Field(max_length=40)
    params: dict[str, Any]
    preparation: str = Field(max_length=40)
    share: Share = 1.0


class Attempt(BaseModel):
    """One call of a tool that fits."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    tool: str = Field(max_length=40)
    arguments: dict[str, Any]
    current: Fit | None = None
    """None between two fits, and when the call has ended."""
    candidates_before: list[str] = []
    """Candidates that were there when the call began."""
    trials_before: dict[str, int] = {}
    """Trials of the call's study when it began, by the name of the study."""


class Attempts:
    """Keeps the file of one call, which is its block.

    Args:
        arguments: all of the call, by name.
    """

    def __init__(self, space: Workspace, tool: str, arguments: Mapping[str, Any]) -> None:
        self._path = space.work / FILE
        self._in_sandbox = space.recorded is None and _in_kernel()
        before = sorted(path.name for path in space.candidates.iterdir()) if space.candidates.is_dir() else []
        before = [name for name in before if CANDIDATE_NAME.fullmatch(name)]
        self._attempt = Attempt(tool=tool, arguments=dict(arguments), candidates_before=before)

    def __enter__(self) -> Attempts:
        self._write()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        # An alarm may have struck on the way out of a fit, before its own clean-up: nothing may end this process later.
        faulthandler.cancel_dump_traceback_later()
        self._now(None)

    def studies(self, trials: Mapping[str, int]) -> None:
        """File how many trials a study has before the call adds its own."""
        self._attempt = self._attempt.model_copy(update={"trials_before": dict(trials)})
        self._write()

    @contextmanager
    def fitting(self, spec: CandidateSpec, most_s: float | None = None) -> Iterator[None]:
        """File a fit while the block runs.

        Args:
            most_s: seconds after which a fit that does not even answer a signal ends the kernel it runs in, so that the
                others still get their time; None leaves that to the host. It does nothing outside a sandbox.
        """
        fit = Fit(candidate=spec.name, family=spec.family, params=spec.params, preparation=spec.preparation, share=spec.share)
        self._now(fit)
        try:
            with end_process_after(most_s if self._in_sandbox else None):
                yield
        finally:
            self._now(None)

    def _now(self, fit: Fit | None) -> None:
        self._attempt = self._attempt.model_copy(update={"current": fit})
        self._write()

    def _write(self) -> None:
        write_text(self._path, self._attempt.model_dump_json())


def read_attempt(work: Path) -> Attempt | None:
    """What the last call in a work folder was doing; None when it left no file that can be read as one.

    For the host, which does not trust the folder: no link is followed, the size is limited, and the family must be one.
    """
    from tools.families import all_names

    try:
        attempt = Attempt.model_validate_json(read_regular(work / FILE, MAX_BYTES, inside=work))
    except (OSError, ValidationError, RecursionError):
        return None
    if attempt.current is not None and attempt.current.family not in (*all_names(), CODE):
        return None
    return attempt


def _in_kernel() -> bool:
    try:
        from IPython.core.getipython import get_ipython
    except ImportError:
        return False
    return get_ipython() is not None
