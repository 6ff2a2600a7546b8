"""A folder of checkpoints, as kernels see it."""

from __future__ import annotations

from pathlib import Path

import pytest

from team.sandbox import open_kernel
from team.sandbox.choose import make_launcher

LOOK = """
import os
folder = os.environ["MLTEAM_WEIGHTS"]
print(os.listdir(folder), open(folder + "/tabicl-classifier.ckpt").read())
"""


@pytest.mark.parametrize("kind", ["unsafe-local", pytest.param("bubblewrap", marks=pytest.mark.bubblewrap)])
async def test_weights_can_be_read_and_in_isolation_not_written(tmp_path: Path, kind: str) -> None:
    work, weights = tmp_path / "work", tmp_path / "weights"
    work.mkdir()
    weights.mkdir()
    (weights / "tabicl-classifier.ckpt").write_text("numbers")
    async with open_kernel(make_launcher(kind, weights=weights), work=work) as kernel:
        result = await kernel.execute(LOOK)
        assert result.text == "['tabicl-classifier.ckpt'] numbers\n"
        if kind == "bubblewrap":
            result = await kernel.execute("open(folder + '/more', 'w')")
            assert result.ename == "OSError"
            assert "Read-only" in str(result.evalue)
    async with open_kernel(make_launcher(kind), work=work) as kernel:
        assert (await kernel.execute("import os; print('MLTEAM_WEIGHTS' in os.environ)")).text == "False\n"
