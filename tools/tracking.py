"""Host tool of the release manager: put the run into its trackers, a parent run with a child run per candidate and fold."""

from __future__ import annotations

from pydantic import BaseModel

from tools.host import HostContext
from tools.spec import Outside, ToolFailed, tool


class RunTracked(BaseModel):
    store: str
    """The run's own store."""
    experiment: str
    run_id: str
    candidates: int
    server: str | None = None
    """The trackers that have the record too, or shall have it, with commas between them."""
    kept: str | None = None
    """The file of the run directory that keeps the record for those that did not take it; None when all did, or there are none."""
    waits: list[str] = []
    """Trackers that did not take it."""
    why: str = ""
    """Why they did not."""


def _sends(ctx: HostContext) -> Outside | None:
    """What lies in the run directory is within it; a server is not, and is named by the user alone."""
    if not ctx.trackers_outside:
        return None
    return Outside(f"send the run to {_listed(ctx.trackers_outside)}", named_by="the tracker setting")


def _listed(places: tuple[str, ...]) -> str:
    servers = [f"the tracking server {name}" if "://" in name else f"the tracker {name}" for name in places]
    return " and ".join(servers)


@tool(where="host", timeout_s=300, lasting=True, outside=_sends)
def track_run(ctx: HostContext) -> RunTracked:
    """Record parameters, scores and artefacts of the run and of every candidate in its MLflow store, and with its other trackers."""
    from tools.trackers import outbox
    from tools.trackers.contract import IN_A_RUN, NotSent
    from tools.trackers.places import OWN
    from tools.trackers.sending import record_everywhere, told

    record = ctx.run_record()
    found = record_everywhere(ctx.run, record, IN_A_RUN, ctx.trackers)
    own = found.pop(OWN)
    if isinstance(own, NotSent):
        raise ToolFailed(str(own))
    tracked = RunTracked(
        store=ctx.run.tracking.name,
        experiment=record.experiment,
        run_id=own.run_id,
        candidates=len(record.candidates),
        server=", ".join(found) or None,
    )
    if waits := [name for name, outcome in found.items() if isinstance(outcome, NotSent)]:
        kept = str(outbox.place(ctx.run).relative_to(ctx.run.path))
        return tracked.model_copy(update={"kept": kept, "waits": waits, "why": told(found)})
    return tracked
