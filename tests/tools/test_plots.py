from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from tests.tools.conftest import Open
from tools import plots


def size(path: Path) -> tuple[int, int]:
    """Width and height of a PNG, in pixels."""
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG")
    return struct.unpack(">II", data[16:24])  # type: ignore[return-value]


def test_many_classes_and_strange_names_are_drawn(open_workspace: Open, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    contract = open_workspace("wine").contract.model_copy(update={"classes": [f"${i}_x^🙂" * 9 for i in range(30)], "target": "$a_{b}$ 🙂"})
    y, proba = rng.integers(30, size=400), rng.dirichlet(np.ones(30), 400)
    for name in ("confusion", "roc", "precision_recall", "calibration"):
        getattr(plots, name)(tmp_path / f"{name}.png", contract, y, proba)
        assert max(size(tmp_path / f"{name}.png")) < 1500
    plots.target_distribution(tmp_path / "target.png", contract, y)
    plots.bars(tmp_path / "bars.png", "$x", ["a\nb", "$_^", "🙂" * 80], [1.0, -2.0, 0.0], "Units")
    assert max(size(tmp_path / "bars.png")) < 1500


def test_regression_plots_take_one_row(open_workspace: Open, tmp_path: Path) -> None:
    contract = open_workspace("diabetes").contract
    for name in ("predicted_actual", "residuals"):
        getattr(plots, name)(tmp_path / f"{name}.png", contract, np.array([1.0]), np.array([2.0]))
        assert size(tmp_path / f"{name}.png")[0] > 100
