from __future__ import annotations

import pytest

from tools.freeform import run_python
from tools.spec import registry


def test_the_cell_is_the_code_itself() -> None:
    spec = registry()["run_python"]
    assert spec.cell({"code": "print(1)"}) == "print(1)"
    with pytest.raises(TypeError, match="as the cell"):
        run_python("print(1)")
