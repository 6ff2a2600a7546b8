"""TabICL (Qu et al. 2025) and TabPFN (Hollmann et al. 2025): networks that were trained before, and learn a table by reading it.

A fit keeps the rows, and a prediction reads them again with the rows that are asked for: so what takes time is predicting, and a model on
file holds its training rows but not the checkpoint, which must be at hand where it predicts. Checkpoints come from the user's folder alone:
the libraries are told to stay offline before they are imported, and are given a path that exists.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.deadline import sheltered
from tools.families.appetite import Appetite
from tools.families.base import Family
from tools.families.fitted import Raw
from tools.families.matrix import encoder_for
from tools.families.setting import Array, FitContext, Params, Setting
from tools.families.weights import OFFLINE, Kind, checkpoint, expected, folder
from tools.features import TableEncoder

if TYPE_CHECKING:
    import optuna
    import pandas as pd

COPIES = 4
"""Passes over a table whose columns and classes are dealt anew, which are averaged; the libraries take eight, which takes twice as long."""


class WeightsMissing(RuntimeError):
    """A model was asked to predict where its checkpoint is not at hand; the message says where it is expected."""


@dataclass
class FoundationModel:
    """Training rows, and which checkpoint reads them."""

    family: str
    kind: Kind
    encoder: TableEncoder
    rows: Array
    """Shape (n, columns), float32."""
    y: Array
    categorical: list[int]
    file: str
    """Name of the checkpoint."""
    threads: int
    seed: int
    device: str = "cpu"

    def predict(self, X: pd.DataFrame) -> Array:
        reader = self._reader()
        matrix = self.encoder.transform(X)
        with sheltered():
            found = reader.predict_proba(matrix) if self.kind == "classifier" else reader.predict(matrix)
        return np.asarray(found, dtype=np.float64)

    def _reader(self) -> Any:
        """The library's estimator, fitted, which lies in memory from the first prediction on."""
        if getattr(self, "_made", None) is None:
            where = folder()
            path = where / self.file if where and (where / self.file).is_file() else checkpoint(self.family, self.kind, where)
            if path is None:
                raise WeightsMissing(expected(self.family, self.kind, where))
            made = READERS[self.family](self.kind, path, self)
            with sheltered():
                made.fit(self.rows, self.y)
            self._made = made
        return self._made

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_made"} | {"device": "cpu"}


def _tabicl(kind: Kind, path: Path, model: FoundationModel) -> Any:
    os.environ.update(OFFLINE)
    from tabicl import TabICLClassifier, TabICLRegressor

    made = TabICLClassifier if kind == "classifier" else TabICLRegressor
    shared = {"n_estimators": COPIES, "model_path": str(path), "allow_auto_download": False}
    return made(**shared, device=model.device, random_state=model.seed, n_jobs=model.threads)


def _tabpfn(kind: Kind, path: Path, model: FoundationModel) -> Any:
    os.environ.update(OFFLINE)
    import torch
    from tabpfn import TabPFNClassifier, TabPFNRegressor

    torch.set_num_threads(model.threads)
    made = TabPFNClassifier if kind == "classifier" else TabPFNRegressor
    return made(
        n_estimators=COPIES,
        model_path=str(path),
        device=model.device,
        random_state=model.seed,
        categorical_features_indices=model.categorical or None,
    )


READERS = {"tabicl": _tabicl, "tabpfn": _tabpfn}
"""What makes a library's estimator."""


class Foundation(Family):
    """A family that reads the table."""

    reads = True
    weight = 1.5
    most = 0.5
    bags = 1
    cuda, cuda_rows = True, 0
    # A guess: no checkpoint was at hand to measure one.
    appetite = Appetite(table=2.0, matrix=40.0, fixed_mb=800)
    most_rows: int
    most_columns: int
    most_classes: int | None = None

    def unsuited(self, setting: Setting) -> str | None:
        kind: Kind = "classifier" if setting.n_classes else "regressor"
        path = checkpoint(self.name, kind, folder())
        if path is None:
            return expected(self.name, kind, folder())
        rows = self.rows(path, setting)
        for what, there, most in (
            ("rows", setting.n_rows, rows),
            ("columns", len(setting.columns), self.most_columns),
            ("classes", setting.n_classes, self.most_classes),
        ):
            if most is not None and there > most:
                return f"its documentation names {most:,} {what} as the most that it is for, and there are {there:,}"
        return None

    def rows(self, path: Path, setting: Setting) -> int:
        """The most rows that a checkpoint is for."""
        return self.most_rows

    def no_cuda(self, setting: Setting) -> str | None:
        import torch

        return None if torch.cuda.is_available() else f"the installed torch {torch.__version__} cannot use it"

    def default(self, setting: Setting) -> list[Params]:
        return [{"log_target": setting.log_target}]

    def space(self, trial: optuna.Trial, setting: Setting) -> Params:
        return self.default(setting)[0]

    def _fit(
        self, X: pd.DataFrame, y: Array, valid: tuple[pd.DataFrame, Array] | None, params: Params, setting: Setting, context: FitContext
    ) -> Raw:
        kind: Kind = "classifier" if setting.n_classes else "regressor"
        path = checkpoint(self.name, kind, folder())
        if path is None:
            raise WeightsMissing(expected(self.name, kind, folder()))
        encoder = encoder_for(setting, "codes")
        matrix = encoder.fit_transform(X, y).astype(np.float32)
        device = "cuda" if setting.device == "cuda" else "cpu"
        model = FoundationModel(
            self.name, kind, encoder, matrix, y, list(encoder.categorical_positions), path.name, setting.threads, context.seed, device
        )
        model._reader()
        return Raw(model)


class TabICL(Foundation):
    """TabICL: more than ten classes are told apart step by step."""

    name = "tabicl"
    most_rows, most_columns = 100_000, 2000


class TabPFN(Foundation):
    """TabPFN: up to ten classes."""

    name = "tabpfn"
    most_rows, most_columns, most_classes = 10_000, 500, 10

    def rows(self, path: Path, setting: Setting) -> int:
        """On the processor as many as the library allows there: 5,000 with version 3, 1,000 with those before."""
        on_cuda = setting.device != "cpu" and self.no_cuda(setting) is None
        return self.most_rows if on_cuda else 5000 if "v3" in path.name else 1000


FAMILIES = {"tabicl": TabICL(), "tabpfn": TabPFN()}
