"""Host tools of the release manager: the run into a Git repository and its package into a registry, where the user asked for that.

Both act outside the run directory, so the approval policy is asked, though the user named the place: what is pushed or promoted is seen by
others at once, and the run's score is known only now. Neither takes an argument: where to is no choice of a role.
"""

from __future__ import annotations

from pydantic import BaseModel

from tools.git.begun import Published
from tools.host import HostContext
from tools.spec import Outside, ToolRefused, tool

PUBLISH_S, REGISTER_S = 1200.0, 900.0


class Registered(BaseModel):
    """What became of a run's model in a registry."""

    name: str
    version: str
    alias: str
    """`champion`, or `challenger` where it did not beat the champion."""
    why: str
    """The test or the word that decided."""
    champion: str | None = None
    """Version that was champion before."""
    registry: str


def _publishes(ctx: HostContext) -> Outside | None:
    told = ctx.wish.release.published(ctx.run.path.name)
    return Outside(told) if told else None


def _registers(ctx: HostContext) -> Outside | None:
    told = ctx.wish.release.registered
    return Outside(told) if told else None


@tool(where="host", timeout_s=REGISTER_S, lasting=True, outside=_registers)
def register_model(ctx: HostContext) -> Registered:
    """Put the package into the registry that the user named; champion only where it beats the champion on the same sealed rows."""
    if ctx.wish.release.registry is None:
        raise ToolRefused("the user named no registry (--registry), so there is none to put the model into. Go on without it.")
    _packaged(ctx)
    return ctx.register()


@tool(where="host", timeout_s=PUBLISH_S, lasting=True, outside=_publishes)
def publish_run(ctx: HostContext) -> Published:
    """Commit the run on its own branch of the repository that the user named, with tag, push and pull request where asked for: all or
    nothing."""
    if ctx.wish.release.repo is None:
        raise ToolRefused("the user named no repository (--repo), so there is none to commit to. Go on without it.")
    _packaged(ctx)
    return ctx.publish()


def _packaged(ctx: HostContext) -> None:
    if not ctx.packaged():
        raise ToolRefused("there is no package yet: call package_model first.")
