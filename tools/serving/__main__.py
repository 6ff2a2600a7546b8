"""`python -m tools.serving PACKAGE`: serve a package in this process. What a container runs; see docs/release.md.

Settings come from the environment: MLTEAM_SERVE_KEY (what X-API-Key must hold), HOST, PORT, MLTEAM_SERVE_ROWS, MLTEAM_SERVE_RATE.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from tools.package.manifest import PackageDamaged, verify
from tools.serving.app import INSTALL, make_app, read_service
from tools.serving.backend import InProcess
from tools.serving.gate import Bounds
from tools.serving.running import bind, serve


def main(arguments: list[str]) -> None:
    """Entry point; ends the process with one line where the package cannot be served."""
    if len(arguments) != 1:
        sys.exit("usage: python -m tools.serving PACKAGE")
    folder = Path(arguments[0])
    key = os.environ.get("MLTEAM_SERVE_KEY")
    if not key:
        sys.exit("MLTEAM_SERVE_KEY is not set: the key that requests must bring in X-API-Key. Set it, in Kubernetes from a Secret.")
    try:
        bounds = Bounds(rows=int(os.environ.get("MLTEAM_SERVE_ROWS", 10_000)), per_second=float(os.environ.get("MLTEAM_SERVE_RATE", 100)))
        manifest = verify(folder)
        service = read_service(folder, manifest, InProcess(folder), key=key, bounds=bounds)
        listening = bind(os.environ.get("HOST", "0.0.0.0"), int(os.environ.get("PORT", 8000)))
    except (PackageDamaged, OSError, ValueError) as error:
        sys.exit(f"{folder}: {error}")
    except ImportError as error:
        sys.exit(f"{error}. Type: {INSTALL}")
    asyncio.run(serve(make_app(service), listening))


if __name__ == "__main__":
    main(sys.argv[1:])
