"""Start a run, go on with one that was cut off, or with a fork, and what becomes of what fails."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from team.approval import Approve
from team.cast import Clients
from team.checkpoint import CutOff, read_cut_off
from team.conductor import Conductor, Subscriber
from team.constraint import Constraint
from team.documents import write_documents
from team.errors import MlteamError, PrerequisiteMissing, UsageError
from team.events import CostForecast, ModelCalled, RunEnded
from team.frame_source import FrameSource
from team.models import maker
from team.preflight import preflight
from team.pricing import with_prices
from team.rundir import RunDir, create_run, write_atomic
from team.sandbox.private import sweep_folders
from team.settings import Settings, read_settings
from team.steering import Steering
from team.stoppable import stoppable
from team.summary import read_summary
from tools.sources.spelling import spelt


def start(
    settings: Settings,
    subscribers: Sequence[Subscriber] = (),
    clients: Clients | None = None,
    approve: Approve | None = None,
    before: Sequence[ModelCalled | CostForecast] = (),
) -> dict[str, Any]:
    """Make a run directory, run the team to its end, and return the summary.

    SIGTERM and SIGHUP stop the run as Ctrl-C does: cleanly, with everything saved.

    Args:
        settings: what is asked for.
        subscribers: called with every event, in order.
        clients: makes the model client of a spec, where whoever calls has one of their own.
        approve: asks a person for a word on a call that needs one; None where nobody can be asked, and such calls are refused.
        before: what models were asked before the run began, which it is charged for, and what was foreseen.

    Raises:
        UsageError: for input that cannot be used; the run directory is removed again.
        MlteamError: when the run fails; the run directory is kept and named.
    """
    return asyncio.run(stoppable(astart(settings, subscribers, clients, approve=approve, before=before)))


async def astart(
    settings: Settings,
    subscribers: Sequence[Subscriber] = (),
    clients: Clients | None = None,
    steering: Steering | None = None,
    frame: FrameSource | None = None,
    approve: Approve | None = None,
    before: Sequence[ModelCalled | CostForecast] = (),
) -> dict[str, Any]:
    """Like `start`, inside a running event loop, whose signals are left alone.

    Args:
        steering: how the user has a say while the run goes on.
        frame: the table that the settings' source names, where that is no place to fetch it from.
    """
    settings = with_prices(settings)
    preflight(settings, clients)
    missing = _missing_folders(settings.out)
    run = create_run(settings.out, spelt(settings.source).title)
    conductor = None
    try:
        with run.lock():
            if frame is not None:
                frame.put(run.vault)
            conductor = Conductor(
                run, settings, subscribers, clients or maker(settings.models), steering=steering, approve=approve, before=before
            )
            return await conductor.go()
    except (UsageError, PrerequisiteMissing, OSError) as error:
        if conductor is not None:
            conductor.close()
        if conductor is None or not conductor.vault.sealed:
            run.remove()
            for folder in missing:
                if folder.is_dir() and not any(folder.iterdir()):
                    folder.rmdir()
        kept = run.path if run.path.exists() else None
        raise _disk_error(error, settings.out, kept) if isinstance(error, OSError) else error from None


def resume(
    run: RunDir,
    *,
    sandbox: str | None = None,
    subscribers: Sequence[Subscriber] = (),
    clients: Clients | None = None,
    approve: Approve | None = None,
    constraints: Sequence[Constraint] = (),
    metrics_port: int | None = None,
) -> dict[str, Any]:
    """Go on with a run that was stopped, killed or failed, to its end, and return the summary.

    Args:
        sandbox: kind of sandbox from here on; None for the one of the settings.
        approve: as `start` takes it.
        constraints: what must be kept from here on, beside what is kept already.
        metrics_port: where metrics are served from here on; None for where the settings say.

    Raises:
        UsageError: the run has ended, is in use, or has not begun.
        MlteamError: when the run fails again.
    """
    steering = Steering() if constraints else None
    if steering is not None:
        steering.constrain(*constraints)
    return asyncio.run(
        stoppable(
            aresume(
                run,
                sandbox=sandbox,
                subscribers=subscribers,
                clients=clients,
                steering=steering,
                approve=approve,
                metrics_port=metrics_port,
            )
        )
    )


async def aresume(
    run: RunDir,
    *,
    sandbox: str | None = None,
    subscribers: Sequence[Subscriber] = (),
    clients: Clients | None = None,
    steering: Steering | None = None,
    approve: Approve | None = None,
    metrics_port: int | None = None,
) -> dict[str, Any]:
    """Like `resume`, inside a running event loop, whose signals are left alone."""
    with run.lock():
        if not run.settings.exists():
            raise UsageError(f"run {run.name!r} was cut off before it began: there is nothing to go on with. Start it again: mlteam run")
        cut_off = read_cut_off(run)
        done = next((event for event in cut_off.events if isinstance(event, RunEnded) and event.status == "done"), None)
        if done is not None and all(path.exists() and path.stat().st_mtime >= done.at for path in (run.report, run.notebook)):
            raise UsageError(f"run {run.name!r} has ended: there is nothing to go on with. See it: mlteam show {run.path}")
        if done is not None:  # it was cut off while its documents were written
            sweep_folders()
            problems = write_documents(run)
            summary = read_summary(run)
            return {**summary, "fallbacks": [*summary["fallbacks"], *problems]}
        return await _continue(run, cut_off, {"sandbox": sandbox, "metrics_port": metrics_port}, subscribers, clients, steering, approve)


def go_on(
    run: RunDir,
    cut_off: CutOff,
    subscribers: Sequence[Subscriber] = (),
    clients: Clients | None = None,
    approve: Approve | None = None,
) -> dict[str, Any]:
    """Run a fork to its end, from what `forking.fork` gave, and return the summary.

    Raises:
        UsageError: a setting of the fork cannot be used.
        MlteamError: when the run fails.
    """

    return asyncio.run(stoppable(ago_on(run, cut_off, subscribers, clients, approve=approve)))


async def ago_on(
    run: RunDir,
    cut_off: CutOff,
    subscribers: Sequence[Subscriber] = (),
    clients: Clients | None = None,
    steering: Steering | None = None,
    approve: Approve | None = None,
) -> dict[str, Any]:
    """Like `go_on`, inside a running event loop, whose signals are left alone."""
    with run.lock():
        return await _continue(run, cut_off, {}, subscribers, clients, steering, approve)


async def _continue(
    run: RunDir,
    cut_off: CutOff,
    changes: dict[str, Any],
    subscribers: Sequence[Subscriber],
    clients: Clients | None,
    steering: Steering | None = None,
    approve: Approve | None = None,
) -> dict[str, Any]:
    as_written = read_settings(run.settings, {**changes, "out": run.path.parent})
    settings = with_prices(as_written)
    preflight(settings, clients)
    if settings is not as_written:  # a model that came with a fork, or one whose price nobody knew when the run began
        write_atomic(run.settings, settings.to_yaml())
    conductor = None
    try:
        conductor = Conductor(run, settings, subscribers, clients or maker(settings.models), cut_off, steering, approve)
        return await conductor.go()
    except (UsageError, PrerequisiteMissing):
        if conductor is not None:
            conductor.close()
        raise
    except OSError as error:
        if conductor is not None:
            conductor.close()
        raise _disk_error(error, run.path.parent, run.path) from None


def _missing_folders(out: Path) -> list[Path]:
    """`out` and its parents that are not there yet, the deepest first."""
    return [folder for folder in (out, *out.parents) if not folder.exists()]


def _disk_error(error: OSError, out: Path, kept: Path | None = None) -> MlteamError:
    """What a disk that takes nothing means to the user.

    Args:
        kept: the run that can go on when the disk takes something again; None when nothing was kept.
    """
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        found = f"no room for more on the disk of {str(out)!r} ({error.strerror})"
        remedy, instead = "Free some space", "Free some space, or name another folder with --out DIR."
    elif error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        found = f"cannot write {error.filename or str(out)!r} ({error.strerror})"
        remedy, instead = "Make it writable", "Name a folder you may write to with --out DIR."
    else:
        return MlteamError(f"{type(error).__name__}: {error}")
    if kept is None:
        return UsageError(f"{found}. {instead}")
    return MlteamError(f"{found}. What was done is saved. {remedy}, then go on with: mlteam resume {kept}")
