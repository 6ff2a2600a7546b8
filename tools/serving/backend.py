"""Where the model is: in this process, or elsewhere. The application asks any of them in the same way."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

from tools.package.inputs import Inputs
from tools.package.manifest import INPUTS_FILE, read_learnt, read_manifest

Answer = dict[str, Any]


class RowsRefused(Exception):
    """The model cannot take these rows; the message says which and why."""


class ModelFailed(Exception):
    """The model did not answer; the next request may fare better."""


class Backend(Protocol):
    """A model that answers."""

    @property
    def ready(self) -> bool:
        """Whether a request would be answered now."""

    async def answer(self, rows: list[dict[str, Any]]) -> list[Answer]:
        """One answer a row, in their order.

        Raises:
            RowsRefused: when the model cannot take them.
            ModelFailed: when it fails.
        """

    async def aclose(self) -> None: ...


class InProcess:
    """The model in this process. Loading it executes what its maker put into it: for packages that are trusted, and in containers."""

    def __init__(self, folder: Path) -> None:
        """Verify and load a package.

        Raises:
            PackageDamaged: when a file is not as it was packaged; nothing of it is loaded then.
        """
        from tools.package.standalone import load

        self._inputs = read_learnt(folder, INPUTS_FILE, Inputs)
        self._model = load(folder)
        self._decision = read_manifest(folder).decision
        # One thread: the libraries below are not all safe for two, and one core is what a replica has.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self.ready = True

    async def answer(self, rows: list[dict[str, Any]]) -> list[Answer]:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._answer, rows)

    def _answer(self, rows: list[dict[str, Any]]) -> list[Answer]:
        from tools.answers import answers
        from tools.tables import TableError

        try:
            return answers(self._model, self._inputs, rows, self._decision)
        except TableError as error:
            raise RowsRefused(str(error)) from None
        except Exception as error:  # a library below may fail on a row in any way, and the server goes on
            raise ModelFailed(f"{type(error).__name__}: {error}") from error

    async def aclose(self) -> None:
        self.ready = False
        self._thread.shutdown(wait=True)
