"""Where a kernel tool finds its inputs and leaves its files.

`data/` is read-only in the sandbox: `train.parquet` (features and target), `holdout.parquet` (features only),
`contract.json`, `schema.json`, and, once the final score is in the ledger, `all.parquet`. Everything a kernel tool
makes lies below `work/`, under the names below, so that a restarted kernel loses nothing but variables.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.spec import ToolRefused

if TYPE_CHECKING:
    import pandas as pd

    from tools.contract import Contract, TableSchema


@dataclass(frozen=True)
class Workspace:
    """The two folders of a run that kernel code sees."""

    data: Path
    work: Path
    recorded: Path | None = None
    """In a notebook that is executed again, the folder that the run itself wrote to; else None."""

    @property
    def contract(self) -> Contract:
        from tools.contract import Contract  # no more than converting a source needs at the start

        return Contract.model_validate_json((self.data / "contract.json").read_text())

    @property
    def schema(self) -> TableSchema:
        from tools.contract import TableSchema

        return TableSchema.model_validate_json((self.data / "schema.json").read_text())

    @property
    def candidates(self) -> Path:
        return self.work / "candidates"

    @property
    def lineage(self) -> Path:
        return self.work / "lineage"

    @property
    def preparations(self) -> Path:
        return self.work / "preparations"

    @property
    def predictions(self) -> Path:
        return self.work / "predictions"

    @property
    def plots(self) -> Path:
        return self.work / "plots"

    @property
    def model(self) -> Path:
        return self.work / "model"

    @property
    def fitted(self) -> Path:
        """Models as they were fitted on the training rows for their holdout predictions, by candidate."""
        return self.work / "fitted"

    @property
    def studies(self) -> Path:
        """SQLite file that holds the Optuna studies."""
        return self.work / "studies.db"

    def table(self, name: str) -> pd.DataFrame:
        """Read `data/<name>.parquet`.

        Raises:
            ToolRefused: when there is no such table, naming those there are.
        """
        import pandas as pd

        path = self.data / f"{name}.parquet"
        if not path.is_file() or path.parent != self.data:
            there = ", ".join(sorted(p.stem for p in self.data.glob("*.parquet"))) or "none"
            raise ToolRefused(f"no table {name!r}; tables here: {there}")
        return pd.read_parquet(path)


def workspace() -> Workspace:
    """The workspace of this kernel.

    A sandbox names its folders in MLTEAM_DATA and MLTEAM_WORK. A notebook opened from a run directory has neither:
    it reads `data/` and writes to `replay/`, so that executing it again never touches what the run left. What a search
    by the clock does not make again there is taken from the run's own `work/`.
    """
    data = Path(os.environ.get("MLTEAM_DATA", "data")).absolute()
    if "MLTEAM_WORK" in os.environ:
        return Workspace(data, Path(os.environ["MLTEAM_WORK"]).absolute())
    return Workspace(data, Path("replay").absolute(), recorded=Path("work").absolute())


def write_text(path: Path, text: str) -> None:
    """Write a file under a temporary name and rename it, so that a reader never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def write_json(path: Path, value: Any) -> None:
    """Like `write_text`, for a JSON document; NaN is refused because other readers would."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False))
