"""Programs that a sandbox is shown, read-only: the kernel's, and the guard that keeps its limits.

Nothing here imports the rest of the project, which the sandbox does not have.
"""
