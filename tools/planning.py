"""Host tool of the planner: put the plan on record."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from tools.host import HostContext
from tools.spec import tool
from tools.workspace import write_json


class Plan(BaseModel):
    """The plan as recorded in `plan.json`."""

    approach: str
    steps: list[str]
    families: list[str]
    risks: list[str]


@tool(where="host", timeout_s=10)
def record_plan(
    ctx: HostContext,
    approach: Annotated[str, "The approach in two or three sentences, for the user to read.", Field(min_length=1, max_length=2000)],
    steps: Annotated[list[str], "What will be done, one sentence a step.", Field(min_length=1, max_length=20)],
    families: Annotated[list[str], "Model families to consider, most promising first."],
    risks: Annotated[list[str], "What could make the result wrong or useless, one sentence each."],
) -> Plan:
    """Record the plan of the experiment. The plan stage ends when this is done."""
    plan = Plan(approach=approach, steps=steps, families=families, risks=risks)
    write_json(ctx.run.plan, plan.model_dump())
    return plan
