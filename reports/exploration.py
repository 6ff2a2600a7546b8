"""The data page: what was found out about the training table in sentences, and the table itself to look around in.

The second half is skrub's TableReport over training rows, which selects, filters and draws with its own script. Cells are the data's
words, so it stands in a frame that can reach nothing: no network, no cookies, not even the page around it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from reports import pages
from reports.data_charts import data_charts
from reports.facts import RunFacts, read_facts
from reports.figures import compact
from reports.ledger import Ledger, check, read_ledger
from reports.plotly_page import claims
from team.errors import MlteamError, PrerequisiteMissing
from team.rundir import RunDir, write_atomic
from tools.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

    from tools.contract import TableSchema

ROWS = 2000
"""Training rows that are shown, every so many of them."""
MOST_COLUMNS, MOST_DRAWN = 100, 40
"""Columns that are shown, and up to how many are drawn and set against each other."""


def write_exploration(run: Path) -> Path:
    """Write `reports/data.html` of the run directory `run` and return its path.

    Raises:
        MlteamError: when there are no training rows yet, or the log is damaged.
        UnbackedFigure: when it would state a figure that is not on record, naming it.
        PrerequisiteMissing: when skrub is not installed.
    """
    place = RunDir(run)
    facts = read_facts(place.path)
    if facts.profile is None or facts.contract is None:
        raise MlteamError("the table of this run was not profiled; its data page tells of a profile.")
    whole = _read(place.data / "train.parquet")
    text = compose(facts, read_ledger(place.path), whole, Workspace(place.data, place.work).schema)
    place.reports.mkdir(exist_ok=True)
    target = place.reports / "data.html"
    write_atomic(target, text)
    return target


def compose(facts: RunFacts, ledger: Ledger, whole: pd.DataFrame, schema: TableSchema) -> str:
    """The page of a run with a profile as text. What it says is on record; its charts are counted in the training rows themselves.

    Args:
        whole: the training rows.

    Raises:
        UnbackedFigure: naming the first figure that is not on record.
    """
    assert facts.profile is not None
    assert facts.contract is not None
    frame, (rows, columns) = _shown(whole), whole.shape
    charts = data_charts(facts, facts.profile.understanding, whole, schema)
    said: list[str] = []
    text = (
        pages.environment(compact, said)
        .get_template("exploration.html")
        .render(
            facts=facts,
            profile=facts.profile,
            found=facts.profile.understanding,
            charts=charts,
            css=pages.stylesheet("report.css", "plots.css"),
            **pages.script(charts),
            table=table_report(frame, facts.contract.target),
            shown=(len(frame), rows, frame.shape[1], columns),
        )
    )
    counted = {told for chart in charts for told in (chart.note, *claims(chart))}
    counted |= {f"{n:,}" for n in (len(frame), rows)} | {str(n) for n in (frame.shape[1], columns)}
    check(ledger, "the data page", [one for one in said if one not in counted], cells=True)
    return text


def _read(path: Path) -> pd.DataFrame:
    import pandas as pd

    if not path.exists():
        raise MlteamError("the training rows of this run are gone (data/train.parquet).")
    return pd.read_parquet(path)


def _shown(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows and columns to show: the target stands wherever it stood, and of very many columns the first are shown."""
    return frame.iloc[:: max(1, len(frame) // ROWS), :MOST_COLUMNS].head(ROWS).reset_index(drop=True)


def table_report(frame: pd.DataFrame, target: str) -> str:
    """skrub's report of a table as a page of its own.

    Raises:
        PrerequisiteMissing: when skrub is not installed.
    """
    try:
        from skrub import TableReport
    except ImportError:
        raise PrerequisiteMissing("the data page needs skrub. Type: pip install skrub") from None

    few = frame.shape[1] <= MOST_DRAWN
    title = f"Training rows, target {target}" if target else "Training rows"
    made = TableReport(frame, title=title, verbose=0, plot_distributions=few, compute_associations=few)
    return str(made.html())
