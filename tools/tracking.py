"""Host tool of the release manager: put the run into MLflow, one parent run with a child run per candidate."""

from __future__ import annotations

from pydantic import BaseModel

from tools.host import HostContext
from tools.spec import Outside, tool


class RunTracked(BaseModel):
    store: str
    """The run's own store."""
    experiment: str
    run_id: str
    candidates: int
    server: str | None = None
    """The tracking server that has the record too, or shall have it."""
    kept: str | None = None
    """The file of the run directory that keeps the record for the server; None when it was sent, or there is no server."""
    why: str = ""
    """Why the server did not take it."""


def _sends(ctx: HostContext) -> Outside | None:
    """The run's own store is within it; a server is not, and is named by the user alone."""
    return Outside(f"send the run to the tracking server {ctx.tracker}", named_by="the tracker setting") if ctx.tracker else None


@tool(where="host", timeout_s=300, lasting=True, outside=_sends)
def track_run(ctx: HostContext) -> RunTracked:
    """Record parameters, scores and artefacts of the run and of every candidate in its MLflow store, and on the tracking server."""
    from tools import outbox
    from tools.recording import write_embedded
    from tools.tracker import IN_A_RUN, NotSent

    record = ctx.run_record()
    kept = outbox.Kept(server=ctx.tracker, record=record) if ctx.tracker else None
    if kept:
        outbox.keep(ctx.run, kept)
    run_id = write_embedded(record, ctx.run)
    tracked = RunTracked(
        store=ctx.run.tracking.name, experiment=record.experiment, run_id=run_id, candidates=len(record.candidates), server=ctx.tracker
    )
    if kept:
        try:
            outbox.deliver(ctx.run, kept, IN_A_RUN)
        except NotSent as error:
            waits = str(outbox.place(ctx.run).relative_to(ctx.run.path))
            return tracked.model_copy(update={"kept": waits, "why": str(error)})
    return tracked
