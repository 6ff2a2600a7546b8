"""`mlteam sandbox`: build the image of the Docker sandbox, and say what there is."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from team.options import Json
from team.terminal import print_json

if TYPE_CHECKING:
    from team.sandbox.choose import Choice

app = typer.Typer(help="The image of the Docker sandbox.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def build(
    base: Annotated[str | None, typer.Option(metavar="IMAGE", help="Image to build on.  [default: python:3.11-slim]")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Fetch wheels with pip here, once, and build without network.")] = False,
    torch: Annotated[bool | None, typer.Option("--torch/--no-torch", help="Put torch in.  [default: whether it is installed here]")] = None,
    keep_old: Annotated[bool, typer.Option("--keep-old", help="Leave the images of other versions of mlteam.")] = False,
) -> None:
    """Build the image that fits this installation, prove it, and print its tag."""
    from team.sandbox.build import build as build_image
    from team.sandbox.daemon import connect
    from team.sandbox.image import DEFAULT_BASE

    if torch is None:
        torch = _installed("torch")
    client = connect()
    try:
        base = base or DEFAULT_BASE
        built = build_image(client, base=base, torch=torch, offline=offline, keep_old=keep_old, progress=_tell)
    finally:
        client.close()
    print(f"built in {built.seconds:.0f} s, {built.size_bytes / 1e6:,.0f} MB with its base", file=sys.stderr)
    print(built.tag)


@app.command()
def status(as_json: Json = False) -> None:
    """Show which sandbox is used here, and whether the image is there and fits."""
    facts = _status()
    if as_json:
        print_json(facts)
        return
    for name, value in facts.items():
        print(f"{name:8} {value}")


def _status() -> dict[str, Any]:
    from team.errors import MlteamError, SandboxUnavailable
    from team.sandbox.choose import choose
    from team.sandbox.daemon import connect
    from team.sandbox.image import find, tag

    try:
        choice: Choice | None = choose("auto", trusted_code=False)
    except SandboxUnavailable:
        choice = None
    facts: dict[str, Any] = {"kind": choice.kind if choice else None, "image": tag(_installed("torch")), "state": "", "mb": None}
    try:
        client = connect()
    except MlteamError as error:
        return facts | {"state": str(error)}
    try:
        found = find(client)
        if found.current is None:
            return facts | {"state": ("stale" if found.stale else "missing") + ": mlteam sandbox build"}
        size = client.images.get(found.current).attrs["Size"]
        return facts | {"image": found.current, "state": "current", "mb": round(size / 1e6)}
    finally:
        client.close()


def _tell(line: str) -> None:
    print(line, file=sys.stderr)


def _installed(distribution: str) -> bool:
    from importlib.util import find_spec

    return find_spec(distribution) is not None
