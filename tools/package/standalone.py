"""`predict.py` of a package: verify it, load it, predict a file. Loading executes what the model's maker put into it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tools.package.manifest import PackageDamaged, verify

if TYPE_CHECKING:
    from tools.model import FittedModel


def load(folder: Path) -> FittedModel:
    """The model of a package whose files are as they were packaged.

    Raises:
        PackageDamaged: when they are not.
    """
    import joblib

    from tools.package.manifest import PIPELINE

    verify(folder)
    model: FittedModel = joblib.load(folder / PIPELINE)
    return model


def main(folder: Path, arguments: list[str]) -> None:
    """Entry point of a package's `predict.py`; ends the process with a message where rows or package cannot be used."""
    from tools.conversion import choice_of
    from tools.finishing import predict_rows
    from tools.sources.spelling import spelt
    from tools.spec import ToolRefused

    parser = argparse.ArgumentParser(prog="predict.py", description="Predict rows: one prediction per input row, in input order.")
    parser.add_argument("rows", help="a file, with options behind it as `mlteam predict` takes them: rows.csv#encoding=cp1252")
    parser.add_argument("-o", "--output", required=True, help="CSV file to write")
    given = parser.parse_args(arguments)
    try:
        manifest, spelling = verify(folder), spelt(given.rows)
        spelling.refuse_options()
        options = {name: value for name, value in choice_of(spelling.options).items() if value is not None}
        dialect = None if manifest.dialect is None else manifest.dialect.model_dump(exclude_none=True)
        done = predict_rows(str(folder), spelling.address, given.output, decision=manifest.decision, options=options, dialect=dialect)
    except (PackageDamaged, ToolRefused, OSError) as error:
        sys.exit(f"predict.py: {error}")
    for note in done.notes:
        print(f"predict.py: {note}", file=sys.stderr)
    print(f"{done.rows} rows predicted to {given.output}", file=sys.stderr)
