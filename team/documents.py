"""The views of a run that has ended: its report and its notebook."""

from __future__ import annotations

from team.rundir import RunDir


def write_documents(run: RunDir) -> list[str]:
    """The report and the notebook once more, now that everything that happened is in the log.

    Returns:
        What could not be written and how to try again: the run has ended as its summary says, its views can be built again.
    """
    from reports.html import write_report
    from reports.notebook import write_notebook

    problems = []
    for name, write in (("report", write_report), ("notebook", write_notebook)):
        try:
            write(run.path)
        except Exception as error:
            problems.append(f"no {name}: {type(error).__name__}: {error}. Type: mlteam report {run.path}")
    return problems
