"""What networks for tables are made of: rows as tensors, a network of several members, and the model of it that can be pickled."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
import torch
from torch import nn

from tools.families.matrix import encoder_for
from tools.families.setting import Array, Params, Setting
from tools.features import TableEncoder

if TYPE_CHECKING:
    import pandas as pd

BATCH_VALUES, BATCH_NUMBERS = 16_384, 2**20
"""Rows times members that are predicted at one time, and these times columns of numbers: each of theirs becomes many on the way."""
MOST_LOG_RATE = 15.0
"""Beyond which the logarithm of an expected count is held, in either direction from that of the mean."""
Link = Literal["softmax", "identity", "exp"]
"""How outputs become predictions."""
N = TypeVar("N", bound="nn.Module")
_SEEDING = threading.Lock()


class Network(nn.Module):  # type: ignore[misc]
    """`members` networks in one: input (rows, numbers) and (rows, codes), output (members, rows, outputs).

    What it draws while it learns comes from `generator`: the process has one of its own for all threads, in which fits run abreast.
    """

    members: int = 1

    def __init__(self, recipe: Params, seed: int) -> None:
        """`recipe`: what its class is to be called with to make another one of the same shape."""
        super().__init__()
        self.recipe, self.seed = recipe, seed + 1
        self.generator = torch.Generator().manual_seed(self.seed)

    @property
    @abstractmethod
    def ending(self) -> nn.Parameter:
        """What is added to the outputs last, whose last dimension they are."""

    def on(self, device: str) -> Network:
        """The same network with everything it draws from on a device."""
        self.generator = torch.Generator(device).manual_seed(self.seed)
        return self.to(device)

    def dropped(self, x: torch.Tensor, share: float) -> torch.Tensor:
        """`x` with a share of its values at 0 while the network learns, the others raised in turn."""
        if not self.training or share <= 0:
            return x
        return x * (torch.rand(x.shape, generator=self.generator, device=x.device) >= share) / (1 - share)


def seeded(seed: int, make: Callable[[], N]) -> N:
    """What a library makes that draws from the generator of the process, alike for equal seeds and in any thread."""
    with _SEEDING, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


@dataclass
class Inputs:
    """Rows as tensors: scaled numbers and one code per category column, 0 for missing or unseen."""

    dense: TableEncoder
    codes: TableEncoder
    numeric: bool

    def tensors(self, X: pd.DataFrame) -> tuple[torch.Tensor, torch.Tensor]:
        numbers = self.dense.transform(X) if self.numeric else np.empty((len(X), 0), dtype=np.float32)
        return _tensors(numbers, self.codes.transform(X) if self.codes.categorical else None)

    @property
    def levels(self) -> list[int]:
        """Number of levels of each category column; codes run from 0 up to it."""
        return [len(self.codes.levels_[name]) for name in self.codes.categorical]

    @classmethod
    def fit(cls, X: pd.DataFrame, y: Array, setting: Setting) -> tuple[Inputs, torch.Tensor, torch.Tensor]:
        """Encoders fitted to rows, and those rows, cross-fitted where their numbers come from the target."""
        dense = encoder_for(setting, "dense", besides=setting.native)
        codes = TableEncoder([c for c in setting.columns if c.name in setting.native], "codes")
        matrix = dense.fit_transform(X, y)
        codes.fit_transform(X, y)
        numeric = bool(dense.blocks_) or not codes.categorical
        learnt = matrix if numeric else np.empty((len(X), 0), dtype=np.float32)
        return cls(dense, codes, numeric), *_tensors(learnt, codes.transform(X) if codes.categorical else None)


def _tensors(numbers: Array, codes: Array | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Numbers as they are; codes one higher, so that 0 is for what is missing or was not seen."""
    known = np.empty((len(numbers), 0)) if codes is None else codes
    return torch.from_numpy(np.ascontiguousarray(numbers)), torch.from_numpy((np.nan_to_num(known, nan=-1.0) + 1).astype(np.int64))


@dataclass
class NetworkModel:
    """A fitted network over raw rows. It is pickled as numbers and the recipe of its network."""

    inputs: Inputs
    network: Network
    centre: float
    scale: float
    link: Link

    def predict(self, X: pd.DataFrame) -> Array:
        values = predicted(self.network, *self.inputs.tensors(X), self.link).numpy().astype(np.float64)
        return values * self.scale + self.centre

    def __getstate__(self) -> dict[str, Any]:
        weights = {name: value.numpy() for name, value in self.network.state_dict().items()}
        return {**self.__dict__, "network": None, "_made": (type(self.network), self.network.recipe, weights)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        kind, recipe, weights = state.pop("_made")
        self.__dict__.update(state)
        self.network = kind(**recipe).eval()
        # Copied, since the arrays of a model that is mapped from its file cannot be written to.
        self.network.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in weights.items()})


def predicted(network: Network, numbers: torch.Tensor, codes: torch.Tensor, link: Link) -> torch.Tensor:
    """Probabilities (rows, classes), scaled quantiles (rows, levels) or scaled values (rows,), batch by batch."""
    most = min(BATCH_VALUES, BATCH_NUMBERS // max(1, numbers.shape[1]))
    rows = max(64, most // network.members)
    with torch.no_grad():
        starts = range(0, len(numbers), rows)
        return torch.cat([_average(network(numbers[i : i + rows], codes[i : i + rows]), link) for i in starts])


def _average(outputs: torch.Tensor, link: Link) -> torch.Tensor:
    if link == "softmax":
        return outputs.softmax(dim=2).mean(dim=0)
    mean = (rate_of(outputs) if link == "exp" else outputs).mean(dim=0)
    return mean if mean.shape[1] > 1 else mean[:, 0]


def rate_of(outputs: torch.Tensor) -> torch.Tensor:
    """Expected counts, of their logarithms within bounds."""
    return outputs.clamp(-MOST_LOG_RATE, MOST_LOG_RATE).exp()


def outputs_of(setting: Setting) -> int:
    """How many numbers a network gives for a row."""
    return setting.n_classes or len(setting.quantiles) or 1
