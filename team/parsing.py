"""Read the user's files in a sandbox of their own, which ends before the team's starts: no role's code is near them, and no library
of the host parses what somebody else wrote."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import ValidationError

from team.rundir import RunDir
from team.sandbox import CellResult, Limits, open_kernel
from team.sandbox.contract import Launcher
from team.sandbox.ending import to_the_end
from tools.conversion import TABLE, SourceRead, by_its_own_name, choice_of, convert, take_over
from tools.files import remove_tree
from tools.sources.contract import FOLDER, files_folder, record
from tools.sources.spelling import spelt
from tools.spec import InputRefused, registry
from tools.tables import TableError

TIMEOUT_S = 3600.0
SMALL_BYTES = 16 * 2**20
"""Up to this size a source is read in the host's own process where the sandbox keeps nothing off anyway."""
MADE_HERE = ("sklearn", "frame")
"""Schemes whose files this host wrote itself, from a package or a DataFrame: nobody else's bytes are parsed."""


class Parser:
    """Turns what was fetched into the vault's table."""

    def __init__(self, run: RunDir, launcher: Callable[[], Launcher], limits: Limits, loop: asyncio.AbstractEventLoop) -> None:
        self._run, self._launcher, self._limits, self._loop = run, launcher, limits, loop

    def read(self) -> SourceRead:
        """Read what was fetched. Called from a thread beside the event loop, where the sandbox is served.

        Raises:
            InputRefused: when it is no table, by the user's own name of it.
        """
        fetched = record(self._run.vault)
        small = fetched.bytes <= SMALL_BYTES and self._launcher().kind == "unsafe-local"
        if small or spelt(fetched.source).scheme in MADE_HERE:
            return read_here(self._run.vault)
        return asyncio.run_coroutine_threadsafe(self._in_sandbox(), self._loop).result()

    async def _in_sandbox(self) -> SourceRead:
        vault = self._run.vault
        fetched = record(vault)
        folder = Path(tempfile.mkdtemp(prefix=".fold-", dir=self._run.path))
        try:
            data, work = folder / FOLDER, folder / "work"
            work.mkdir()
            await to_the_end(asyncio.to_thread(_link, files_folder(vault), data))
            code = registry()["read_source"].cell(choice_of(spelt(fetched.source).options))
            async with open_kernel(self._launcher(), work=work, data=data, limits=self._limits) as kernel:
                cell = await kernel.execute(code, timeout_s=TIMEOUT_S)
            told = _told(
                cell, lambda text: by_its_own_name(text, fetched.source, [file.name for file in fetched.files], "data"), fetched.source
            )
            return await to_the_end(asyncio.to_thread(take_over, work / TABLE, work, told, vault))
        finally:
            await to_the_end(asyncio.to_thread(remove_tree, folder))


def read_here(vault: Path) -> SourceRead:
    """Read what was fetched in this process.

    Raises:
        InputRefused: when it is no table, by the user's own name of it.
    """
    fetched = record(vault)
    work = Path(tempfile.mkdtemp(prefix=".reading-", suffix=".tmp", dir=vault))
    try:
        told = convert(files_folder(vault), work / TABLE, choice_of(spelt(fetched.source).options))
        return take_over(work / TABLE, work, told, vault)
    except TableError as error:
        raise InputRefused(by_its_own_name(str(error), fetched.source, [file.name for file in fetched.files], FOLDER)) from None
    finally:
        remove_tree(work)


def _told(cell: CellResult, named: Callable[[str], str], source: str) -> SourceRead:
    """What a cell that went well says.

    Raises:
        InputRefused: how it went otherwise.
    """
    if cell.status == "timeout":
        raise InputRefused(f"{source}: reading it took longer than {TIMEOUT_S:g} s. Give it as Parquet, or a part of it.")
    if cell.status == "died":
        raise InputRefused(f"{source}: reading it took its sandbox with it ({cell.cause}). Give it as Parquet, or raise sandbox.memory_mb.")
    if cell.ename == "ToolRefused":
        raise InputRefused(named((cell.evalue or "")[:2000]))
    try:
        result: Mapping[str, object] = cell.result or {}
        return SourceRead.model_validate(result)
    except ValidationError:
        raise InputRefused(f"{source}: reading it failed ({(cell.ename or 'no result')[:100]}: {(cell.evalue or '')[:500]}).") from None


def _link(folder: Path, target: Path) -> None:
    """The files of a folder at another place of the same disk, without copying them where it can be helped."""

    def linked(path: str, copy: str) -> None:
        try:
            os.link(path, copy)
        except OSError:
            shutil.copyfile(path, copy)

    shutil.copytree(folder, target, copy_function=linked)
