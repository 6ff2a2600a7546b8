"""Packages as pip leaves them, in a folder of their own."""

from __future__ import annotations

from pathlib import Path


def install(folder: Path, package: str, code: str, points: dict[str, dict[str, str]]) -> None:
    """What pip writes of a distribution with one module, as far as entry points need it.

    Args:
        points: entry points by group, each with the name of an object in the module.
    """
    module = package.replace("-", "_")
    (folder / f"{module}.py").write_text(code)
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    groups = [f"[{group}]\n" + "".join(f"{name} = {module}:{value}\n" for name, value in named.items()) for group, named in points.items()]
    (info / "entry_points.txt").write_text("\n".join(groups))
