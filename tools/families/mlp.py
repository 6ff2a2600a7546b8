"""A small ensemble of multilayer perceptrons over embedded columns.

After RealMLP (Holzmüller et al. 2024, "Better by default"): robust scaling with smooth clipping, periodic embeddings
of numbers (Gorishniy et al. 2022), learned embeddings of categories, a multi-cycle learning rate. Several networks
train side by side as one batched computation and are averaged (as in TabM, Gorishniy et al. 2024, without sharing).
"""

from __future__ import annotations

import itertools
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import nn

from tools.deadline import DeadlineReached
from tools.families.appetite import Appetite
from tools.families.base import Family
from tools.families.fitted import Raw
from tools.families.matrix import encoder_for
from tools.families.setting import Array, FitContext, Params, Setting
from tools.features import TableEncoder

if TYPE_CHECKING:
    import optuna
    import pandas as pd

MEMBERS = 4
BATCH_ROWS = 4096
"""Rows that are predicted at one time. Each of their numbers becomes `MEMBERS` × `PERIODS` of them on the way."""
FEWEST_EPOCHS = 12
PERIODS = 16
EMBEDDED = 4


MOST_LOG_RATE = 15.0
"""Beyond which the logarithm of an expected count is held, in either direction from that of the mean."""
Link = Literal["softmax", "identity", "exp"]
"""How outputs become predictions."""


class Network(nn.Module):  # type: ignore[misc]
    """`MEMBERS` independent networks; input (rows, numbers) and (rows, codes), output (members, rows, outputs)."""

    def __init__(self, numbers: int, levels: list[int], hidden: list[int], outputs: int, dropout: float, spread: float, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape: int, scale: float) -> nn.Parameter:
            return nn.Parameter(torch.randn(*shape, generator=generator) * scale)

        self.frequencies = normal(MEMBERS, numbers, PERIODS, scale=spread)
        self.phases = nn.Parameter(torch.rand(MEMBERS, numbers, PERIODS, generator=generator) * 2 * math.pi)
        self.mix = normal(MEMBERS, numbers, PERIODS, EMBEDDED - 1, scale=1 / math.sqrt(PERIODS))
        self.tables = nn.ParameterList([normal(MEMBERS, size + 1, min(8, max(2, size)), scale=0.5) for size in levels])
        width = numbers * EMBEDDED + sum(min(8, max(2, size)) for size in levels)
        sizes = [width, *hidden]
        self.weights = nn.ParameterList([normal(MEMBERS, a, b, scale=math.sqrt(2 / max(a, 1))) for a, b in itertools.pairwise(sizes)])
        self.biases = nn.ParameterList([nn.Parameter(torch.zeros(MEMBERS, 1, b)) for b in hidden])
        self.last = nn.Parameter(torch.zeros(MEMBERS, hidden[-1], outputs))
        self.shift = nn.Parameter(torch.zeros(MEMBERS, 1, outputs))
        self.dropout = dropout
        self.seed = seed + 1
        self.generator = torch.Generator().manual_seed(self.seed)

    def on(self, device: str) -> Network:
        """The same network with everything it draws from on a device."""
        self.generator = torch.Generator(device).manual_seed(self.seed)
        return self.to(device)

    def forward(self, numbers: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        rows = len(numbers)
        parts = []
        if numbers.shape[1]:
            waves = torch.cos(numbers[None, :, :, None] * self.frequencies[:, None] * (2 * math.pi) + self.phases[:, None])
            mixed = torch.einsum("enfp,efpd->enfd", waves, self.mix)
            embedded = torch.cat([mixed, numbers[None, :, :, None].expand(MEMBERS, -1, -1, 1)], dim=3)
            parts.append(embedded.reshape(MEMBERS, rows, -1))
        parts += [table[:, codes[:, i]] for i, table in enumerate(self.tables)]
        x = torch.cat(parts, dim=2)
        for weight, bias in zip(self.weights, self.biases, strict=True):
            x = nn.functional.mish(torch.baddbmm(bias, x, weight))
            if self.training and self.dropout > 0:
                kept = torch.rand(x.shape, generator=self.generator, device=x.device) >= self.dropout
                x = x * kept / (1 - self.dropout)
        return torch.baddbmm(self.shift, x, self.last)


@dataclass
class Inputs:
    """Rows as tensors: scaled numbers and one code per category column, 0 for missing or unseen."""

    dense: TableEncoder
    codes: TableEncoder
    numeric: bool

    def tensors(self, X: pd.DataFrame) -> tuple[torch.Tensor, torch.Tensor]:
        numbers = self.dense.transform(X) if self.numeric else np.empty((len(X), 0), dtype=np.float32)
        return _tensors(numbers, self.codes.transform(X) if self.codes.categorical else None)


def _tensors(numbers: Array, codes: Array | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Numbers as they are; codes one higher, so that 0 is for what is missing or was not seen."""
    known = np.empty((len(numbers), 0)) if codes is None else codes
    return torch.from_numpy(np.ascontiguousarray(numbers)), torch.from_numpy((np.nan_to_num(known, nan=-1.0) + 1).astype(np.int64))


@dataclass
class MLPModel:
    inputs: Inputs
    network: Network
    centre: float
    scale: float
    link: Link

    def predict(self, X: pd.DataFrame) -> Array:
        numbers, codes = self.inputs.tensors(X)
        values = _predicted(self.network, numbers, codes, self.link).numpy().astype(np.float64)
        return values * self.scale + self.centre

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        state["network"] = None
        numbers = len(self.network.frequencies[0])
        hidden = [int(bias.shape[2]) for bias in self.network.biases]
        levels = [int(table.shape[1]) - 1 for table in self.network.tables]
        state["_shape"] = (numbers, levels, hidden, int(self.network.last.shape[2]))
        state["_weights"] = [parameter.detach().numpy() for parameter in self.network.parameters()]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        numbers, levels, hidden, outputs = state.pop("_shape")
        weights = state.pop("_weights")
        self.__dict__.update(state)
        self.network = Network(numbers, levels, hidden, outputs, 0.0, 1.0, 0).eval()
        with torch.no_grad():
            for parameter, weight in zip(self.network.parameters(), weights, strict=True):
                parameter.copy_(torch.from_numpy(weight))


def _predicted(network: Network, numbers: torch.Tensor, codes: torch.Tensor, link: Link) -> torch.Tensor:
    """Probabilities (rows, classes), scaled quantiles (rows, levels) or scaled values (rows,), batch by batch."""
    with torch.no_grad():
        starts = range(0, len(numbers), BATCH_ROWS)
        return torch.cat([_average(network(numbers[i : i + BATCH_ROWS], codes[i : i + BATCH_ROWS]), link) for i in starts])


def _average(outputs: torch.Tensor, link: Link) -> torch.Tensor:
    if link == "softmax":
        return outputs.softmax(dim=2).mean(dim=0)
    mean = (_rate(outputs) if link == "exp" else outputs).mean(dim=0)
    return mean if mean.shape[1] > 1 else mean[:, 0]


def _rate(outputs: torch.Tensor) -> torch.Tensor:
    return outputs.clamp(-MOST_LOG_RATE, MOST_LOG_RATE).exp()


class MLP(Family):
    """Neural networks in PyTorch."""

    name = "mlp"
    iterative = True
    abreast = True
    weight = 1.8
    bags = 2
    cuda, cuda_rows = True, 10_000
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

    def paced(self, params: Params, pace: float, seconds: float, setting: Setting) -> Params:
        possible = int(0.9 * seconds / max(pace, 1e-9))
        if possible < FEWEST_EPOCHS:
            raise DeadlineReached(f"{possible} epochs a fold are possible, at least {FEWEST_EPOCHS} are needed")
        return {**params, "epochs": min(params["epochs"], possible)}

    def no_cuda(self, setting: Setting) -> str | None:
        return None if torch.cuda.is_available() else f"the installed torch {torch.__version__} cannot use it"

    def _fit(
        self, X: pd.DataFrame, y: Array, valid: tuple[pd.DataFrame, Array] | None, params: Params, setting: Setting, context: FitContext
    ) -> Raw:
        torch.set_num_threads(setting.threads)
        inputs, learnt = self._inputs(X, y, setting)
        numbers, codes = _tensors(learnt, inputs.codes.transform(X) if inputs.codes.categorical else None)
        link: Link = "softmax" if setting.n_classes else "exp" if setting.poisson_loss else "identity"
        centre, scale = 0.0, 1.0
        if link == "exp":
            scale = float(y.mean()) or 1.0
        elif link == "identity":
            centre, scale = float(y.mean()), float(y.std()) or 1.0
        target = torch.from_numpy(y) if setting.n_classes else torch.from_numpy(((y - centre) / scale).astype(np.float32))
        outputs = setting.n_classes or len(setting.quantiles) or 1
        levels = [len(inputs.codes.levels_[name]) for name in inputs.codes.categorical]
        network = Network(
            numbers.shape[1], levels, [params["hidden"]] * params["layers"], outputs, params["dropout"], params["spread"], context.seed
        )
        if setting.quantiles:  # it starts from the target's own quantiles
            with torch.no_grad():
                network.shift.copy_(torch.quantile(target, torch.tensor(setting.quantiles, dtype=target.dtype)).expand_as(network.shift))
        model = MLPModel(inputs, network, centre, scale, link)
        check = None
        if valid:
            check_numbers, check_codes = inputs.tensors(valid[0])
            check_target = valid[1] if setting.n_classes else (valid[1] - centre) / scale
            check = (check_numbers, check_codes, torch.from_numpy(np.asarray(check_target)))
        run = _Run(model, setting, params, context)
        network.on(setting.device)
        run.train(numbers, codes, target, check, setting.device)
        network.on("cpu").eval()
        return Raw(model, iterations=run.best_epoch, cut_short=run.cut_short, pace=run.pace)

    @staticmethod
    def _inputs(X: pd.DataFrame, y: Array, setting: Setting) -> tuple[Inputs, Array]:
        """Encoders fitted to rows, and the numbers of those rows, cross-fitted where they come from the target."""
        dense = encoder_for(setting, "dense", besides=setting.native)
        codes = TableEncoder([c for c in setting.columns if c.name in setting.native], "codes")
        matrix = dense.fit_transform(X, y)
        codes.fit_transform(X, y)
        numeric = bool(dense.blocks_) or not codes.categorical
        return Inputs(dense, codes, numeric), matrix if numeric else np.empty((len(X), 0), dtype=np.float32)


class _Run:
    """One training run: epochs, schedule, the best weights on the validation rows."""

    def __init__(self, model: MLPModel, setting: Setting, params: Params, context: FitContext) -> None:
        self.model, self.setting, self.params, self.context = model, setting, params, context
        self.best_epoch = 0
        self.cut_short = False
        self.pace: float | None = None

    def train(self, numbers: torch.Tensor, codes: torch.Tensor, target: torch.Tensor, check: Any, device: str) -> None:
        numbers, codes, target = (tensor.to(device) for tensor in (numbers, codes, target))
        check = check and tuple(tensor.to(device) for tensor in check)
        network, params, context = self.model.network, self.params, self.context
        n, batch, epochs = len(target), int(params["batch"]), int(params["epochs"])
        optimizer = torch.optim.AdamW(
            network.parameters(), lr=params["learning_rate"], betas=(0.9, 0.95), weight_decay=params["weight_decay"]
        )
        order = np.random.default_rng(context.seed)
        steps = max(1, math.ceil(n / batch))
        best, kept = math.inf, None
        started = time.monotonic()
        last = min(epochs, context.iterations or epochs)
        for epoch in range(last):
            network.train()
            rows = torch.from_numpy(order.permutation(n)).to(target.device)
            for step in range(steps):
                if context.deadline.expired() and (kept is not None or step > steps // 2 or context.deadline.ended):
                    break
                chosen = rows[step * batch : (step + 1) * batch]
                self._set_rate(optimizer, (epoch + step / steps) / epochs)
                loss = self._loss(network(numbers[chosen], codes[chosen]), target[chosen])
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
            if epoch == 0:
                # The first epoch holds set-up; it counts only when it is the only one.
                first, started = time.monotonic() - started, time.monotonic()
            self.pace = (time.monotonic() - started) / epoch if epoch else first
            self.best_epoch = epoch + 1 if check is None else self.best_epoch
            if check is not None:
                network.eval()
                value = self._check(check)
                if value < best:
                    best, self.best_epoch = value, epoch + 1
                    kept = [parameter.detach().clone() for parameter in network.parameters()]
                elif epoch + 1 - self.best_epoch > epochs // 3:
                    break
            if context.deadline.expired() and epoch + 1 < last:
                self.cut_short = True
                break
        if kept is not None:
            with torch.no_grad():
                for parameter, value in zip(network.parameters(), kept, strict=True):
                    parameter.copy_(value)

    def _set_rate(self, optimizer: Any, progress: float) -> None:
        """Cosine in the logarithm of time, four cycles (RealMLP's `coslog4`)."""
        factor = 0.5 * (1 - math.cos(2 * math.pi * math.log2(1 + 15 * min(progress, 1.0))))
        for group in optimizer.param_groups:
            group["lr"] = self.params["learning_rate"] * max(factor, 0.01)

    def _loss(self, outputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Sum over members of each member's own mean loss, so that members stay independent."""
        members = len(outputs)
        if self.setting.n_classes:
            repeated = target.repeat(members)
            return nn.functional.cross_entropy(outputs.reshape(-1, outputs.shape[2]), repeated) * members
        if self.model.link == "exp":
            return (_rate(outputs[:, :, 0]) - target * outputs[:, :, 0].clamp(-MOST_LOG_RATE, MOST_LOG_RATE)).mean() * members
        if self.setting.quantiles:
            return self._pinball(outputs, target[None]) * members
        errors = outputs[:, :, 0] - target
        return (errors.abs() if self.setting.absolute_loss else errors.square()).mean() * members

    def _check(self, check: Any) -> float:
        numbers, codes, target = check
        values = _predicted(self.model.network, numbers, codes, self.model.link)
        if self.setting.n_classes:
            return float(-values[torch.arange(len(target), device=target.device), target].clamp_min(1e-7).log().mean())
        if self.model.link == "exp":
            return float((values - target * values.log()).mean())
        if self.setting.quantiles:
            return float(self._pinball(values.reshape(len(target), -1), target))
        errors = values - target
        return float((errors.abs() if self.setting.absolute_loss else errors.square()).mean())

    def _pinball(self, outputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Mean pinball loss of outputs, whose last dimension is the level."""
        levels = torch.tensor(self.setting.quantiles, dtype=outputs.dtype, device=outputs.device)
        errors = target[..., None] - outputs
        return torch.maximum(levels * errors, (levels - 1) * errors).mean()


FAMILIES = {"mlp": MLP()}
