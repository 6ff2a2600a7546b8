"""How much memory the fits of a family take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tools.contract import Column
from tools.families.setting import Setting

Encoding = Literal["codes", "target", "one_hot"]
"""How a family turns categories into numbers: one code a column; one column a level where there are few; one column a level."""
DATE_WIDTH, TEXT_WIDTH = 7, 66
"""Columns of numbers that a date and a text become."""
MOST_ONE_HOT = {"codes": 0, "target": 10, "one_hot": 100}
"""Categories with more levels than this become one column of numbers."""


@dataclass(frozen=True)
class Appetite:
    """How much memory a fit takes at its peak, beside the loaded table. Measured by `python -m evals.fit_memory`."""

    table: float
    """Times that the table's cells lie in memory, eight bytes each."""
    matrix: float = 0.0
    """The same of the matrix of numbers that the family makes of them."""
    encoding: Encoding = "codes"
    category: float = 0.0
    """Columns of numbers that a category counts for where it becomes one code."""
    classes: float = 0.0
    """Numbers a row for each of three and more classes, or for each level of quantiles."""
    text_bytes: float = 57.0
    """Bytes for each character of text, which is taken apart into n-grams."""
    fixed_mb: float = 0.0

    def mb(self, rows: int, setting: Setting) -> float:
        """MiB of a fit on `rows` rows."""
        used = [c for c in setting.columns if (setting.text or c.kind != "text") and (setting.dates or c.kind != "datetime")]
        numbers = self.table * len(used) + self.matrix * sum(self._width(column) for column in used)
        numbers += self.classes * (setting.n_classes if setting.n_classes > 2 else len(setting.quantiles))
        texts = setting.text_chars if any(column.kind == "text" for column in used) else 0.0
        return self.fixed_mb + rows * (8 * numbers + self.text_bytes * texts) / 2**20

    def _width(self, column: Column) -> float:
        if column.kind != "categorical":
            return {"datetime": DATE_WIDTH, "text": TEXT_WIDTH}.get(column.kind, 1)
        if self.encoding == "codes":
            return self.category
        return column.unique if column.unique <= MOST_ONE_HOT[self.encoding] else 1 if self.encoding == "target" else TEXT_WIDTH
