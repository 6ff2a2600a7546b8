"""RealMLP, the tuned-default perceptron of Holzmüller et al. 2024 ("Better by default: strong pre-tuned MLPs and boosted trees").

What the paper's section 3 and appendix A describe, on the project's own loop, so that a fit ends in time: robust scaling and smooth
clipping (`tools.features.DenseScaler`), one-hot columns for categories of up to nine levels and embeddings for others, periodic embeddings
of numbers with biases and a linear path (PBLD), a layer that scales each input, linear layers in the neural tangent parametrisation whose
first weights and biases are taken from the data, activations with a learnt share of the identity, dropout and weight decay that fall to
nothing over the second half, the learning rate `coslog4`, a rate of its own for each kind of parameter, the weights of the best epoch.
Not as there: the best epoch is the one with the least loss, and predicted values are kept in the range that `Family` keeps all in.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from tools.families.appetite import Appetite
from tools.families.network import Inputs, Network, outputs_of
from tools.families.network_training import NetworkFamily, coslog4
from tools.families.setting import Params, Setting

if TYPE_CHECKING:
    import optuna

PERIODS, EMBEDDED = 16, 4
ONE_HOT, EMBEDDED_LEVELS = 9, 8
"""Categories of at most so many levels become one column each; others an embedding of so many numbers."""
SETTLED_ROWS = 2000
"""Rows that the first weights and biases are taken from, at most."""
CORNERS = 5
"""Rows whose random mixtures the first biases put a kink at (`he+5`)."""
FACTORS = {"scale": 6.0, "weights": 1.0, "biases": 0.1, "slopes": 0.1, "periodic": 0.1, "tables": 1.0}
"""Learning rates of parameters by kind, relative to the one that is set."""
LABEL_METRICS = ("accuracy", "balanced_accuracy", "f1", "f1_macro", "recall_macro", "mcc", "kappa")
"""Metrics of called classes. Label smoothing helps these, and harms those that look at the level of probabilities."""


class RealMLPNetwork(Network):
    """One perceptron."""

    def __init__(
        self, numbers: int, levels: list[int], hidden: list[int], outputs: int, values: bool, dropout: float, spread: float, seed: int
    ):
        """`values`: whether it learns values, with Mish for its activations, rather than classes, with SELU."""
        recipe: Params = {"numbers": numbers, "levels": levels, "hidden": hidden, "outputs": outputs}
        super().__init__(recipe | {"values": values, "dropout": dropout, "spread": spread, "seed": seed}, seed)
        self.draw = torch.Generator().manual_seed(seed)
        self.levels, self.share = levels, dropout
        self.activation = nn.functional.mish if values else nn.functional.selu
        self.frequencies = nn.Parameter(torch.randn(numbers, PERIODS, generator=self.draw) * spread)
        self.phases = nn.Parameter((2 * torch.rand(numbers, PERIODS, generator=self.draw) - 1) * math.pi)
        self.mix = self._uniform(numbers, PERIODS, EMBEDDED - 1)
        self.shift = self._uniform(numbers, EMBEDDED - 1)
        self.tables = nn.ParameterList(
            [nn.Parameter(torch.randn(size + 1, EMBEDDED_LEVELS, generator=self.draw)) for size in levels if size > ONE_HOT]
        )
        width = numbers * EMBEDDED + sum(EMBEDDED_LEVELS if size > ONE_HOT else size + 1 for size in levels)
        sizes = [width, *hidden, outputs]
        self.scale = nn.Parameter(torch.ones(width))
        drawn = [torch.randn(a, b, generator=self.draw) for a, b in itertools.pairwise(sizes)]
        self.weights = nn.ParameterList([nn.Parameter(weight) for weight in drawn])
        self.biases = nn.ParameterList([nn.Parameter(torch.zeros(b)) for b in sizes[1:]])
        self.slopes = nn.ParameterList([nn.Parameter(torch.ones(b)) for b in hidden])

    def _uniform(self, *shape: int) -> nn.Parameter:
        return nn.Parameter((2 * torch.rand(*shape, generator=self.draw) - 1) / math.sqrt(PERIODS))

    def settle(self, numbers: torch.Tensor, codes: torch.Tensor) -> None:
        """Scale the first weights so that each neuron's values spread by 1 on rows, and put its kink at a mixture of some of them."""
        with torch.no_grad():
            some = torch.randperm(len(numbers), generator=self.draw)[:SETTLED_ROWS]
            x = self._embedded(numbers[some], codes[some]) * self.scale
            for place, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
                reached = x @ weight / math.sqrt(len(weight))
                spread = reached.std(dim=0, correction=0)
                weight /= torch.where(spread > 1e-6, spread, torch.ones_like(spread))
                reached = x @ weight / math.sqrt(len(weight))
                corners = torch.randint(len(x), (CORNERS, len(bias)), generator=self.draw)
                shares = torch.rand(CORNERS, len(bias), generator=self.draw).clamp_min(1e-9).log().neg()
                bias.copy_(-(reached.gather(0, corners) * shares / shares.sum(dim=0)).sum(dim=0))
                x = self._activated(reached + bias, place)

    def _embedded(self, numbers: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        parts = []
        if numbers.shape[1]:
            waves = torch.cos(2 * math.pi * numbers[:, :, None] * self.frequencies + self.phases)
            mixed = torch.einsum("nfp,fpd->nfd", waves, self.mix) + self.shift
            parts.append(torch.cat([mixed, numbers[:, :, None]], dim=2).flatten(1))
        tables = iter(self.tables)
        for place, size in enumerate(self.levels):
            column = codes[:, place]
            parts.append(next(tables)[column] if size > ONE_HOT else nn.functional.one_hot(column, size + 1).to(torch.float32))
        return torch.cat(parts, dim=1)

    @property
    def ending(self) -> nn.Parameter:
        return self.biases[-1]

    def _activated(self, x: torch.Tensor, place: int) -> torch.Tensor:
        return x if place == len(self.slopes) else x + self.slopes[place] * (self.activation(x) - x)

    def forward(self, numbers: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        x = self._embedded(numbers, codes) * self.scale
        for place, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = self._activated(x @ weight / math.sqrt(len(weight)) + bias, place)
            if place < len(self.slopes):
                x = self.dropped(x, self.share)
        return x[None]


class RealMLP(NetworkFamily):
    """RealMLP with its tuned defaults (RealMLP-TD)."""

    name = "realmlp"
    weight = 1.8
    most = 0.25
    fewest_epochs = 24
    appetite = Appetite(table=3.5, matrix=5.0, fixed_mb=120)

    def default(self, setting: Setting) -> list[Params]:
        return [
            {
                # The paper has none for counts, which are learnt by a likelihood as classes are.
                "learning_rate": 0.04 if setting.n_classes or setting.poisson_loss else 0.2,
                "hidden": 256,
                "layers": 3,
                "dropout": 0.15,
                "weight_decay": 0.02,
                "spread": 0.1,
                "label_smoothing": 0.1 if setting.metric in LABEL_METRICS else 0.0,
                "batch": 256,
                "epochs": 256,
                "log_target": setting.log_target,
            }
        ]

    def space(self, trial: optuna.Trial, setting: Setting) -> Params:
        base = self.default(setting)[0]
        rate = base["learning_rate"]
        return {
            "learning_rate": trial.suggest_float("learning_rate", rate / 2, rate * 2, log=True),
            "hidden": trial.suggest_categorical("hidden", [64, 128, 256]),
            "layers": trial.suggest_int("layers", 1, 4),
            "dropout": trial.suggest_categorical("dropout", [0.0, 0.15, 0.3]),
            "weight_decay": trial.suggest_categorical("weight_decay", [0.0, 0.02]),
            "spread": trial.suggest_float("spread", 0.05, 0.5, log=True),
            "label_smoothing": base["label_smoothing"],
            "batch": base["batch"],
            "epochs": base["epochs"],
            "log_target": base["log_target"],
        }

    def network(self, inputs: Inputs, numbers: torch.Tensor, codes: torch.Tensor, params: Params, setting: Setting, seed: int) -> Network:
        hidden = [params["hidden"]] * params["layers"]
        outputs, values = outputs_of(setting), not setting.n_classes
        made = RealMLPNetwork(numbers.shape[1], inputs.levels, hidden, outputs, values, params["dropout"], params["spread"], seed)
        made.settle(numbers, codes)
        if setting.poisson_loss:  # outputs are logarithms: random ones would begin far beyond any count
            with torch.no_grad():
                made.weights[-1].zero_()
                made.biases[-1].zero_()
        return made

    def groups(self, network: Any, params: Params) -> list[dict[str, Any]]:
        kinds = {
            "scale": [network.scale],
            "weights": list(network.weights),
            "biases": list(network.biases),
            "slopes": list(network.slopes),
            "periodic": [network.frequencies, network.phases, network.mix, network.shift],
            "tables": list(network.tables),
        }
        made = [(kind, {"params": found, "factor": FACTORS[kind]}) for kind, found in kinds.items() if found]
        return [group | {"weight_decay": 0.0, "decays": False} if kind == "biases" else group | {"decays": True} for kind, group in made]

    def rate(self, progress: float) -> float:
        return coslog4(progress)

    def step(self, network: Any, optimizer: Any, progress: float, params: Params) -> None:
        falling = flat_cos(progress)
        network.share = params["dropout"] * falling
        for group in optimizer.param_groups:
            if group["decays"]:
                group["weight_decay"] = params["weight_decay"] * falling


def flat_cos(progress: float) -> float:
    """1 over the first half, then half a cosine down to 0."""
    return 1.0 if progress < 0.5 else 0.5 * (1 + math.cos(math.pi * (2 * min(progress, 1.0) - 1)))


FAMILIES = {"realmlp": RealMLP()}
