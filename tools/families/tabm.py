"""TabM (Gorishniy et al. 2024), by its authors' package `tabm`: many perceptrons that share most of their weights and are averaged.

Numbers go in as piecewise-linear embeddings (Gorishniy et al. 2022) by the package `rtdl_num_embeddings`. What the packages draw at random
comes from a seed of its own, and dropout from the network's generator, so that fits in threads stay alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from tools.families.appetite import Appetite
from tools.families.network import Inputs, Network, outputs_of, seeded
from tools.families.network_training import NetworkFamily
from tools.families.setting import Array, Params, Setting

if TYPE_CHECKING:
    import optuna

BINS, EMBEDDED = 48, 16
MOST_LEVELS = 1000
"""Levels of all categories together, each of which becomes a column: with more, other families serve better."""
CLIPPED = 1.0
"""Norm that a step's gradients have at most."""


class TabMNetwork(Network):
    """A TabM of the package, with columns left out that are the same in all rows, which have no bins."""

    def __init__(
        self,
        bins: list[list[float]],
        varying: list[int],
        levels: list[int],
        members: int,
        width: int,
        blocks: int,
        outputs: int,
        dropout: float,
        seed: int,
    ) -> None:
        """`bins`: edges of each varying column, in the order of `varying`."""
        recipe: Params = {"bins": bins, "varying": varying, "levels": levels, "members": members, "width": width, "blocks": blocks}
        super().__init__(recipe | {"outputs": outputs, "dropout": dropout, "seed": seed}, seed)
        from rtdl_num_embeddings import PiecewiseLinearEmbeddings
        from tabm import TabM

        self.members, self.varying, self.levels = members, varying, levels

        def make() -> nn.Module:
            edges = [torch.tensor(column) for column in bins]
            embeddings = PiecewiseLinearEmbeddings(edges, EMBEDDED, activation=False, version="B") if bins else None
            shape = {"n_num_features": len(bins), "cat_cardinalities": [size + 1 for size in levels], "num_embeddings": embeddings}
            return TabM.make(**shape, d_out=outputs, k=members, d_block=width, n_blocks=blocks, dropout=0.0)

        self.tabm = seeded(seed, make)
        for block in self.tabm.backbone.blocks:
            block[2] = _Dropout(self, dropout)

    @property
    def ending(self) -> nn.Parameter:
        return self.tabm.output.bias

    def forward(self, numbers: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        x_num = numbers[:, self.varying] if self.varying else None
        return self.tabm(x_num, codes if self.levels else None).transpose(0, 1)


def _edges(values: Array) -> list[float]:
    """Edges of at most `BINS` bins at quantiles of a column that varies; of two bins at least, as the package wants them."""
    found = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)).astype(np.float32))
    low, high = values.min(), values.max()
    return found.tolist() if len(found) > 2 else [float(low), float((low + high) / 2), float(high)]


class _Dropout(nn.Module):  # type: ignore[misc]
    def __init__(self, network: Network, share: float) -> None:
        super().__init__()
        # In a list, so that it is no part of the part.
        self._network, self._share = [network], share

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self._network[0].dropped(x, self._share)


class TabM(NetworkFamily):
    """TabM with piecewise-linear embeddings."""

    name = "tabm"
    weight = 2.0
    most = 0.25
    fewest_epochs = 16
    clipped = CLIPPED
    appetite = Appetite(table=3.5, matrix=5.0, fixed_mb=500)

    def unsuited(self, setting: Setting) -> str | None:
        levels = sum(column.unique for column in setting.columns if column.kind == "categorical")
        return (
            f"the categories have {levels:,} levels together, at most {MOST_LEVELS:,} become columns of TabM"
            if levels > MOST_LEVELS
            else None
        )

    def default(self, setting: Setting) -> list[Params]:
        return [
            {
                "learning_rate": 0.002,
                "members": 32,
                "width": 128,
                "blocks": 2,
                "dropout": 0.1,
                "weight_decay": 0.0003,
                "batch": 64 if setting.n_rows < 2000 else 256,
                "epochs": 100,
                "log_target": setting.log_target,
            }
        ]

    def space(self, trial: optuna.Trial, setting: Setting) -> Params:
        base = self.default(setting)[0]
        return {
            "learning_rate": trial.suggest_float("learning_rate", 1e-4, 5e-3, log=True),
            "members": base["members"],
            "width": trial.suggest_categorical("width", [64, 128, 256]),
            "blocks": trial.suggest_int("blocks", 1, 4),
            "dropout": trial.suggest_float("dropout", 0.0, 0.5),
            "weight_decay": trial.suggest_float("weight_decay", 1e-5, 0.1, log=True),
            "batch": base["batch"],
            "epochs": base["epochs"],
            "log_target": base["log_target"],
        }

    def network(self, inputs: Inputs, numbers: torch.Tensor, codes: torch.Tensor, params: Params, setting: Setting, seed: int) -> Network:
        varying = [place for place in range(numbers.shape[1]) if bool((numbers[:, place] != numbers[0, place]).any())]
        bins = [_edges(numbers[:, place].numpy()) for place in varying]
        if not varying and not inputs.levels:
            # The package makes no network without columns.
            varying, bins = [0], [[-1.0, 0.0, 1.0]]
        shape = params["members"], params["width"], params["blocks"]
        return TabMNetwork(bins, varying, inputs.levels, *shape, outputs_of(setting), params["dropout"], seed)

    def groups(self, network: Any, params: Params) -> list[dict[str, Any]]:
        return [{"params": list(network.parameters())}]

    def patience(self, epochs: int) -> int:
        return 16


FAMILIES = {"tabm": TabM()}
