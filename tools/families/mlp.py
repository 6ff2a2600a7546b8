"""A small ensemble of multilayer perceptrons over embedded columns.

After RealMLP (Holzmüller et al. 2024, "Better by default"): robust scaling with smooth clipping, periodic embeddings
of numbers (Gorishniy et al. 2022), learned embeddings of categories, a multi-cycle learning rate. Several networks
train side by side as one batched computation and are averaged (as in TabM, Gorishniy et al. 2024, without sharing).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from tools.families.appetite import Appetite
from tools.families.network import Inputs, Network, outputs_of
from tools.families.network_training import NetworkFamily, coslog4
from tools.families.setting import Params, Setting

if TYPE_CHECKING:
    import optuna

MEMBERS = 4
PERIODS = 16
EMBEDDED = 4
MOST_WAVED_BITS = 200
"""Columns of two values up to which they get waves like others."""


class Perceptrons(Network):
    """`MEMBERS` independent networks.

    Args:
        numbers: how many there are.
        plain: places of those that are read as they are; the others get a periodic embedding.
    """

    members = MEMBERS

    def __init__(
        self,
        numbers: int,
        levels: list[int],
        hidden: list[int],
        outputs: int,
        dropout: float,
        spread: float,
        seed: int,
        plain: Sequence[int] = (),
    ) -> None:
        recipe = {
            "numbers": numbers,
            "levels": levels,
            "hidden": hidden,
            "outputs": outputs,
            "dropout": dropout,
            "spread": spread,
            "seed": seed,
            "plain": plain,
        }
        super().__init__(recipe, seed)
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape: int, scale: float) -> nn.Parameter:
            return nn.Parameter(torch.randn(*shape, generator=generator) * scale)

        self.waved, self.plain = sorted(set(range(numbers)) - set(plain)), list(plain)
        self.frequencies = normal(MEMBERS, len(self.waved), PERIODS, scale=spread)
        self.phases = nn.Parameter(torch.rand(MEMBERS, len(self.waved), PERIODS, generator=generator) * 2 * math.pi)
        self.mix = normal(MEMBERS, len(self.waved), PERIODS, EMBEDDED - 1, scale=1 / math.sqrt(PERIODS))
        self.tables = nn.ParameterList([normal(MEMBERS, size + 1, min(8, max(2, size)), scale=0.5) for size in levels])
        width = len(self.waved) * EMBEDDED + len(self.plain) + sum(min(8, max(2, size)) for size in levels)
        sizes = [width, *hidden]
        self.weights = nn.ParameterList([normal(MEMBERS, a, b, scale=math.sqrt(2 / max(a, 1))) for a, b in itertools.pairwise(sizes)])
        self.biases = nn.ParameterList([nn.Parameter(torch.zeros(MEMBERS, 1, b)) for b in hidden])
        self.last = nn.Parameter(torch.zeros(MEMBERS, hidden[-1], outputs))
        self.shift = nn.Parameter(torch.zeros(MEMBERS, 1, outputs))
        self.dropout = dropout

    @property
    def ending(self) -> nn.Parameter:
        return self.shift

    def forward(self, numbers: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        rows = numbers.shape[0]  # of tensors, so that an export keeps it open
        parts = []
        if self.waved:
            chosen = numbers[:, self.waved] if self.plain else numbers
            waves = torch.cos(chosen[None, :, :, None] * self.frequencies[:, None] * (2 * math.pi) + self.phases[:, None])
            mixed = torch.einsum("enfp,efpd->enfd", waves, self.mix)
            embedded = torch.cat([mixed, chosen[None, :, :, None].expand(MEMBERS, -1, -1, 1)], dim=3)
            parts.append(embedded.reshape(MEMBERS, rows, -1))
        if self.plain:
            parts.append(numbers[None, :, self.plain].expand(MEMBERS, -1, -1))
        parts += [table[:, codes[:, i]] for i, table in enumerate(self.tables)]
        x = torch.cat(parts, dim=2)
        for weight, bias in zip(self.weights, self.biases, strict=True):
            x = self.dropped(nn.functional.mish(torch.baddbmm(bias, x, weight)), self.dropout)
        return torch.baddbmm(self.shift, x, self.last)


def without_waves(numbers: torch.Tensor) -> list[int]:
    """Places of columns that get no waves: those of two values or one, where there are very many of these.

    Waves at two points are only more weights for the same bit. A few such columns learn better by them; hundreds take most of the time.
    """
    few = ((numbers == numbers.amin(dim=0)) | (numbers == numbers.amax(dim=0))).all(dim=0)
    return torch.nonzero(few)[:, 0].tolist() if few.sum() > MOST_WAVED_BITS else []


class MLP(NetworkFamily):
    """Neural networks in PyTorch."""

    name = "mlp"
    weight = 1.8
    fewest_epochs = 12
    appetite = Appetite(table=3.5, matrix=5.0, fixed_mb=120)

    def default(self, setting: Setting) -> list[Params]:
        skewed = setting.log_target or setting.skewed
        batch = 64 if setting.n_rows < 2000 else 128 if setting.n_rows < 10_000 else 256
        base: Params = {
            "learning_rate": 0.004,
            "hidden": 96,
            "layers": 2,
            "dropout": 0.15,
            "weight_decay": 0.02,
            "spread": 0.2,
            "batch": batch,
            "epochs": 96,
            "log_target": skewed,
        }
        return [base, {**base, "hidden": 192, "layers": 3, "dropout": 0.25, "learning_rate": 0.002, "log_target": setting.log_target}]

    def space(self, trial: optuna.Trial, setting: Setting) -> Params:
        base = self.default(setting)[0]
        return {
            "learning_rate": trial.suggest_float("learning_rate", 5e-4, 2e-2, log=True),
            "hidden": trial.suggest_categorical("hidden", [48, 96, 192]),
            "layers": trial.suggest_int("layers", 1, 3),
            "dropout": trial.suggest_float("dropout", 0.0, 0.5),
            "weight_decay": trial.suggest_float("weight_decay", 1e-4, 0.2, log=True),
            "spread": trial.suggest_float("spread", 0.02, 1.0, log=True),
            "batch": base["batch"],
            "epochs": base["epochs"],
            "log_target": trial.suggest_categorical("log_target", [False, True]) if setting.may_log else False,
        }

    def network(self, inputs: Inputs, numbers: torch.Tensor, codes: torch.Tensor, params: Params, setting: Setting, seed: int) -> Network:
        hidden = [params["hidden"]] * params["layers"]
        outputs = outputs_of(setting)
        plain = without_waves(numbers)
        return Perceptrons(numbers.shape[1], inputs.levels, hidden, outputs, params["dropout"], params["spread"], seed, plain)

    def groups(self, network: Any, params: Params) -> list[dict[str, Any]]:
        return [{"params": list(network.parameters())}]

    def rate(self, progress: float) -> float:
        return max(coslog4(progress), 0.01)

    def patience(self, epochs: int) -> int:
        return epochs // 3


FAMILIES = {"mlp": MLP()}
