"""How networks for tables learn: a loop of steps that ends in time, a timed probe, the best weights on the validation rows."""

from __future__ import annotations

import math
import time
from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from tools.deadline import TooSlow
from tools.families.base import Family
from tools.families.fitted import Raw
from tools.families.network import MOST_LOG_RATE, Inputs, Link, Network, NetworkModel, predicted, rate_of
from tools.families.setting import Array, FitContext, Params, Setting

if TYPE_CHECKING:
    import pandas as pd

PROBED, LEAST_PROBED = 12, 3
"""Steps whose pace tells how long an epoch takes, and how many it takes at least; the first one, which holds set-up, does not count."""


class NetworkFamily(Family):
    """A family of networks in PyTorch. Subclasses make the network and say how it learns; this class fits."""

    iterative = True
    abreast = True
    crossable = True
    bags = 2
    cuda, cuda_rows = True, 10_000
    fewest_epochs: int
    """With fewer it is not worth its start."""
    clipped: float = math.inf
    """Norm that a step's gradients have at most."""

    @abstractmethod
    def network(self, inputs: Inputs, numbers: torch.Tensor, codes: torch.Tensor, params: Params, setting: Setting, seed: int) -> Network:
        """A network for rows like these."""

    @abstractmethod
    def groups(self, network: Any, params: Params) -> list[dict[str, Any]]:
        """Parameters for the optimiser. A group's `factor` is what its learning rate is relative to that of the parameters, 1 if left out;
        its `weight_decay` that of the parameters, if left out."""

    def rate(self, progress: float) -> float:
        """The learning rate at a share of the epochs from 0 to 1, as a factor."""
        return 1.0

    def step(self, network: Any, optimizer: Any, progress: float, params: Params) -> None:
        """What else changes as learning goes on, before a step."""

    def patience(self, epochs: int) -> int:
        """Epochs without a gain after which to stop."""
        return epochs

    def paced(self, params: Params, pace: float, seconds: float, setting: Setting) -> Params:
        """The configuration with the epochs that a fit has time for.

        Raises:
            TooSlow: when they would be too few to be of use.
        """
        possible = int(0.9 * seconds / max(pace, 1e-9))
        if possible < self.fewest_epochs:
            raise TooSlow(
                f"an epoch takes about {pace:.2g} s here: {possible} epochs a fold are possible, at least {self.fewest_epochs} are needed"
            )
        return {**params, "epochs": min(params["epochs"], possible)}

    def no_cuda(self, setting: Setting) -> str | None:
        return None if torch.cuda.is_available() else f"the installed torch {torch.__version__} cannot use it"

    def _fit(
        self, X: pd.DataFrame, y: Array, valid: tuple[pd.DataFrame, Array] | None, params: Params, setting: Setting, context: FitContext
    ) -> Raw:
        torch.set_num_threads(setting.threads)
        inputs, numbers, codes = Inputs.fit(X, y, setting)
        link: Link = "softmax" if setting.n_classes else "exp" if setting.poisson_loss else "identity"
        centre, scale = 0.0, 1.0
        if link == "exp":
            scale = float(y.mean()) or 1.0
        elif link == "identity":
            centre, scale = float(y.mean()), float(y.std()) or 1.0
        target = torch.from_numpy(y) if setting.n_classes else torch.from_numpy(((y - centre) / scale).astype(np.float32))
        network = self.network(inputs, numbers, codes, params, setting, context.seed)
        if setting.quantiles:  # it starts from the target's own quantiles
            with torch.no_grad():
                levels = torch.tensor(setting.quantiles, dtype=target.dtype)
                network.ending.copy_(torch.quantile(target, levels).expand_as(network.ending))
        check = None
        if valid:
            check_target = valid[1] if setting.n_classes else (valid[1] - centre) / scale
            check = (*inputs.tensors(valid[0]), torch.from_numpy(np.asarray(check_target)))
        run = Run(self, network.on(setting.device), link, setting, params, context)
        rows = (numbers.to(setting.device), codes.to(setting.device), target.to(setting.device))
        run.train(*rows, check and tuple(tensor.to(setting.device) for tensor in check))
        model = NetworkModel(inputs, network.on("cpu").eval(), centre, scale, link)
        return Raw(model, iterations=run.best_epoch, cut_short=run.cut_short, pace=run.pace)


class Run:
    """One training run: epochs, schedule, the best weights on the validation rows."""

    def __init__(self, family: NetworkFamily, network: Network, link: Link, setting: Setting, params: Params, context: FitContext) -> None:
        self.family, self.network, self.link, self.setting, self.params, self.context = family, network, link, setting, params, context
        self.best_epoch = 0
        self.cut_short = False
        self.pace: float | None = None

    def train(self, numbers: torch.Tensor, codes: torch.Tensor, target: torch.Tensor, check: Any) -> None:
        network, params, context = self.network, self.params, self.context
        n, batch, epochs = len(target), int(params["batch"]), int(params["epochs"])
        decay = params["weight_decay"]
        groups = self.family.groups(network, params)
        optimizer = torch.optim.AdamW(groups, lr=params["learning_rate"], betas=(0.9, 0.95), weight_decay=decay)
        order = np.random.default_rng(context.seed)
        steps = max(1, math.ceil(n / batch))
        best, kept = math.inf, None

        def step(rows: torch.Tensor, number: int, epoch: int) -> None:
            network.train()
            chosen = rows[number * batch : (number + 1) * batch]
            progress = (epoch + number / steps) / epochs
            for group in optimizer.param_groups:
                group["lr"] = params["learning_rate"] * group.get("factor", 1.0) * self.family.rate(progress)
            self.family.step(network, optimizer, progress, params)
            loss = self._loss(network(numbers[chosen], codes[chosen]), target[chosen])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            if math.isfinite(self.family.clipped):
                nn.utils.clip_grad_norm_(network.parameters(), self.family.clipped)
            optimizer.step()

        if context.probe:
            rows = torch.from_numpy(order.permutation(n)).to(target.device)
            self.pace = self._probe(lambda number: step(rows, number % steps, 0), steps, check)
            return
        started = time.monotonic()
        last = min(epochs, context.iterations or epochs)
        for epoch in range(last):
            rows = torch.from_numpy(order.permutation(n)).to(target.device)
            for number in range(steps):
                if context.deadline.expired() and (kept is not None or number > steps // 2 or context.deadline.ended):
                    break
                step(rows, number, epoch)
            if epoch == 0:
                # The first epoch holds set-up; it counts only when it is the only one.
                first, started = time.monotonic() - started, time.monotonic()
            self.pace = (time.monotonic() - started) / epoch if epoch else first
            self.best_epoch = epoch + 1 if check is None else self.best_epoch
            if check is not None:
                value = self._check(check)
                if value < best:
                    best, self.best_epoch = value, epoch + 1
                    kept = [parameter.detach().clone() for parameter in network.parameters()]
                elif epoch + 1 - self.best_epoch > self.family.patience(epochs):
                    break
            if context.deadline.expired() and epoch + 1 < last:
                self.cut_short = True
                break
        if kept is not None:
            with torch.no_grad():
                for parameter, value in zip(network.parameters(), kept, strict=True):
                    parameter.copy_(value)

    def _probe(self, step: Callable[[int], None], steps: int, check: Any) -> float:
        """Seconds that an epoch of `steps` steps takes, and a look at the validation rows, from a few steps that are timed."""
        step(0)
        started, done = time.monotonic(), 0
        while done < PROBED and not (done >= LEAST_PROBED and self.context.deadline.expired()):
            done += 1
            step(done)
        pace = (time.monotonic() - started) / done * steps
        if check is not None:
            started = time.monotonic()
            self._check(check)
            pace += time.monotonic() - started
        return pace

    def _loss(self, outputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Sum over members of each member's own mean loss, so that members stay independent."""
        members = len(outputs)
        if self.setting.n_classes:
            smoothing = float(self.params.get("label_smoothing", 0.0))
            repeated = target.repeat(members)
            return nn.functional.cross_entropy(outputs.reshape(-1, outputs.shape[2]), repeated, label_smoothing=smoothing) * members
        if self.link == "exp":
            return (rate_of(outputs[:, :, 0]) - target * outputs[:, :, 0].clamp(-MOST_LOG_RATE, MOST_LOG_RATE)).mean() * members
        if self.setting.quantiles:
            return self._pinball(outputs, target[None]) * members
        errors = outputs[:, :, 0] - target
        return (errors.abs() if self.setting.absolute_loss else errors.square()).mean() * members

    def _check(self, check: Any) -> float:
        self.network.eval()
        numbers, codes, target = check
        values = predicted(self.network, numbers, codes, self.link)
        if self.setting.n_classes:
            return float(-values[torch.arange(len(target), device=target.device), target].clamp_min(1e-7).log().mean())
        if self.link == "exp":
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


def coslog4(progress: float) -> float:
    """Cosine in the logarithm of time, four cycles (RealMLP's schedule)."""
    return 0.5 * (1 - math.cos(2 * math.pi * math.log2(1 + 15 * min(progress, 1.0))))
