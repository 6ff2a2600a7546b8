"""Kernel tool: code that a role writes itself."""

from __future__ import annotations

from typing import Annotated

from tools.spec import tool


@tool(where="kernel", timeout_s=300, free_form=True)
def run_python(
    code: Annotated[
        str, "Python to run as a cell. Tables lie in the folder os.environ['MLTEAM_DATA'], files are kept in os.environ['MLTEAM_WORK']."
    ],
) -> None:
    """Run Python in the kernel and see what it prints. A score printed here counts for nothing: write candidates with the tools."""
    raise TypeError("run_python has no body: the workbench executes its `code` as the cell. Write the code in a cell of its own.")
