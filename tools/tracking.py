"""Host tool of the release manager: put the run into MLflow, one parent run with a child run per candidate."""

from __future__ import annotations

from pydantic import BaseModel

from tools.host import HostContext
from tools.spec import tool


class RunTracked(BaseModel):
    store: str
    experiment: str
    run_id: str
    candidates: int


@tool(where="host", timeout_s=300)
def track_run(ctx: HostContext) -> RunTracked:
    """Record parameters, scores and artefacts of the run and of every candidate in its MLflow store."""
    from tools.recording import write_embedded

    record = ctx.run_record()
    run_id = write_embedded(record, ctx.run)
    return RunTracked(store=ctx.run.tracking.name, experiment=record.experiment, run_id=run_id, candidates=len(record.candidates))
