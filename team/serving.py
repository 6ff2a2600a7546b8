"""`mlteam serve`: a package behind HTTP, its model in a sandbox, where loading it can execute what it likes."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from team.errors import MlteamError, PrerequisiteMissing, UsageError
from team.predict import workplace
from team.rundir import RunDir, open_run
from tools.package.manifest import PACKAGE, PackageDamaged, verify
from tools.serving.backend import Answer, Backend, InProcess, ModelFailed, RowsRefused
from tools.serving.gate import Bounds
from tools.serving.worker import Answered

if TYPE_CHECKING:
    from team.sandbox import Kernel

KEY_VARIABLE = "MLTEAM_SERVE_KEY"
CHUNK_ROWS = 500
"""Rows of one cell: what a cell gives back is bounded."""
LOAD_S, ANSWER_S = 300.0, 120.0


class InSandbox:
    """A model in a kernel. When that is lost, the next request starts another, which loads the model again."""

    def __init__(self, kernel: Kernel, folder: str) -> None:
        self._kernel, self._folder = kernel, folder
        self.ready = False

    async def load(self) -> None:
        """Load the model before the first request.

        Raises:
            MlteamError: when it cannot be loaded.
        """
        try:
            await self._ask([], LOAD_S)
        except ModelFailed as error:
            raise MlteamError(f"the model cannot be loaded: {error}") from None
        self.ready = True

    async def answer(self, rows: list[dict[str, Any]]) -> list[Answer]:
        found: list[Answer] = []
        for start in range(0, len(rows), CHUNK_ROWS):
            found += await self._ask(rows[start : start + CHUNK_ROWS], ANSWER_S)
        return found

    async def _ask(self, rows: list[dict[str, Any]], timeout_s: float) -> list[Answer]:
        code = f"from tools.serving.worker import answer\nanswer({self._folder!r}, {json.dumps(rows)!r})"
        cell = await self._kernel.execute(code, timeout_s=timeout_s)
        if cell.result is None:
            raise ModelFailed(f"{cell.ename or cell.status}: {cell.evalue or cell.cause or ''}")
        try:
            found = Answered.model_validate(cell.result)
        except ValidationError as error:
            raise ModelFailed(f"an answer of the wrong shape: {error.errors()[0]['msg']}") from None
        if found.refused is not None:
            raise RowsRefused(found.refused)
        if len(found.answers) != len(rows):
            raise ModelFailed(f"{len(found.answers)} answers to {len(rows)} rows")
        return found.answers

    async def aclose(self) -> None:
        self.ready = False


def find_package(name: str, out: Path) -> Path:
    """The package folder that a run or a path names.

    Raises:
        UsageError: when there is none.
    """
    given = Path(name)
    if (given / PACKAGE).is_file():
        return given.absolute()
    run: RunDir = open_run(name, out)
    if not (run.model / PACKAGE).is_file():
        raise UsageError(
            f"run {run.name!r} has no packaged model: it did not reach its end. `mlteam show {run.path}` says how far it came."
        )
    return run.model


@asynccontextmanager
async def opened(package: Path, sandbox: str) -> AsyncIterator[tuple[Backend, Path]]:
    """A backend over a verified copy of a package, and that copy.

    Args:
        sandbox: `unsafe-local` loads the model into this process; any other kind keeps it in a kernel.

    Raises:
        UsageError: when a file of the package is not as it was packaged.
        MlteamError: when the model cannot be loaded.
    """
    from team.sandbox import open_kernel
    from team.sandbox.choose import choose, make_launcher
    from tools.families import weights

    with workplace() as work:
        folder = work / "model"
        folder.mkdir()
        try:
            # A package may be changed while it is served; what is loaded is what was checked.
            verify(package, inside=package.parent, into=folder)
        except PackageDamaged as error:
            raise UsageError(f"package {str(package)!r} is not served: {error}. Package the model again, or take another run.") from None
        kind = choose(sandbox, trusted_code=False).kind
        if kind == "unsafe-local":
            backend = await asyncio.to_thread(InProcess, folder)
            try:
                yield backend, folder
            finally:
                await backend.aclose()
            return
        shown = weights.folder()
        launcher = make_launcher(kind, weights=shown.resolve() if shown and shown.is_dir() else None)
        async with open_kernel(launcher, work=work) as kernel:
            kept = InSandbox(kernel, "model")
            await kept.load()
            yield kept, folder


def serve(name: str, *, out: Path, host: str, port: int, sandbox: str, bounds: Bounds) -> None:
    """Serve until a signal comes.

    Raises:
        UsageError: when the package is none or damaged, or the address cannot be had.
        PrerequisiteMissing: when the extra `serve` is not installed.
        MlteamError: when the model cannot be loaded.
    """
    from tools.serving.app import INSTALL

    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise PrerequisiteMissing(f"serving needs {error.name}, which is not installed. Type: {INSTALL}") from None
    asyncio.run(_serve(find_package(name, out), host, port, sandbox, bounds))


def write_deployment(name: str, *, out: Path, target: Path, image: str | None, host: str | None) -> None:
    """Write the folder of a container with a package in it.

    Raises:
        UsageError: when the package is none or damaged, or `target` is there or cannot be written.
    """
    from tools.deploying.folder import write_deployment as write

    package = find_package(name, out)
    try:
        write(package, target.absolute(), image, host)
    except PackageDamaged as error:
        raise UsageError(f"package {str(package)!r} is not deployed: {error}. Package the model again, or take another run.") from None
    except FileExistsError:
        raise UsageError(f"{str(target)!r} is there already. Name another folder with -o DIR.") from None
    except OSError as error:
        raise UsageError(f"cannot write {str(target)!r}: {error.strerror or error}. Name another folder with -o DIR.") from None


async def _serve(package: Path, host: str, port: int, sandbox: str, bounds: Bounds) -> None:
    from tools.serving.app import make_app, read_service
    from tools.serving.running import bind
    from tools.serving.running import serve as answer

    try:
        listening = bind(host, port)
    except (OSError, OverflowError) as error:
        raise UsageError(f"cannot listen on {host}:{port}: {error}. Name another place with --host and --port.") from None
    with listening:
        async with opened(package, sandbox) as (backend, folder):
            try:
                key = os.environ.get(KEY_VARIABLE) or secrets.token_urlsafe(24)
                service = read_service(folder, verify(folder, only=()), backend, key=key, bounds=bounds)
            except PackageDamaged as error:
                raise UsageError(f"package {str(package)!r} is not served: {error}.") from None
            if KEY_VARIABLE not in os.environ:
                print(f"X-API-Key: {key} (made for this time; set {KEY_VARIABLE} for one of your own)", file=sys.stderr)
            print(f"serving {service.manifest.run} on http://{host}:{listening.getsockname()[1]}/predict", file=sys.stderr)
            await answer(make_app(service), listening)
