"""The parts of an explanation, each sized by how fast the model predicts and how much time is left."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.deadline import Deadline
from tools.effects import BINS, Curve, categorical, ordered
from tools.explaining import ColumnReliance, Effect, Example, Part
from tools.families.fitted import Contributions
from tools.importance import loss_of_metric, permutation_importance, shuffled_moments
from tools.labels import told
from tools.problem import Problem
from tools.shapley import exact, raw_scale, sampled
from tools.standing import Standing
from tools.subject import MOST_ROWS, Subject
from tools.surrogate import Surrogate, surrogate
from tools.survival import null_residuals
from tools.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, np.dtype[Any]]

REPEATS = 5
MOST_SHUFFLED = 60
MOST_EFFECTS, MOST_CLASSES = 6, 3
EFFECT_ROWS, DEPENDENCE_ROWS, FEWEST_ROWS = 600, 150, 40
WRONG, CONFIDENT = 3, 2
MOST_PARTS = 8
CELL_CHARS = 40
MOST_PLAYERS = 24
"""Columns whose Shapley values are sampled one by one; the others are one player together."""
MOST_ROUNDS, FEWEST_ROUNDS = 40, 2
BACKGROUND = 200
SIZED_EXACTLY, SIZED_BY_SAMPLES = 400, 60
"""Rows over which the mean size of contributions is taken."""


class Explainer:
    """Explains one model. `measure` comes first, since the other parts take the most important columns."""

    def __init__(self, problem: Problem, subject: Subject, deadline: Deadline) -> None:
        # Of quantiles, the median is explained.
        self.model = subject.model.of_median() if problem.contract.quantiles else subject.model
        self.problem = problem.of_median() if problem.contract.quantiles else problem
        self.subject = subject
        self._deadline = deadline
        self._rng = np.random.default_rng(problem.contract.seed)
        self.X = problem.ahead(problem.X.iloc[subject.rows].reset_index(drop=True))
        self.y = problem.y[subject.rows]
        started = time.monotonic()
        self.predictions = self.model.predict_table(self.X)
        self._pace = (time.monotonic() - started) / len(self.X)
        """Seconds to predict a row."""
        used = list(dict.fromkeys(column.name for member in self.model.members for column in member.preparation.columns))
        if forecast := problem.contract.forecast:  # the past is in the model; what it is asked with are series, moment and known columns
            asked = [*([", ".join(forecast.series)] if forecast.series else []), forecast.time]
            used = asked + [name for name in used if name in self.X and name not in forecast.keys]
        own = [name for name in self.model.importance if name in used]
        self.columns = own + [name for name in used if name not in own]
        """What the model uses, the most important first as far as that is known."""
        self._shuffled: dict[str, list[float]] = {}
        self._sizes: dict[str, float] = {}
        self._curves: dict[str, Curve] = {}
        self.exact = self._try(self.X.iloc[:1]) is not None

    @property
    def scale(self) -> str:
        return raw_scale(self.model) if self.exact else self.scale_of_predictions

    @property
    def scale_of_predictions(self) -> str:
        told = {"classes": "probability", "labels": "probability", "risk": "risk", "scores": "anomaly score", "groups": "group"}
        return told.get(self.problem.contract.predicts, self.problem.contract.target)

    def measure(self, share: float) -> None:
        """Permutation importance of every column."""
        part = self._deadline.share(share * self._deadline.remaining())
        columns = self.columns[:MOST_SHUFFLED]
        n = self._affordable(part, len(columns), len(self.X))
        rows = np.sort(self._rng.permutation(len(self.X))[:n])
        X, y, forecast = self.X.iloc[rows].reset_index(drop=True), self.y[rows], self.problem.contract.forecast
        units = None if self.problem.units is None else self.problem.units[self.subject.rows][rows]

        def loss(predictions: Array) -> float:
            return loss_of_metric(self.problem, y, predictions, units, self.model.decision)

        shuffle = None if forecast is None else lambda table, name: shuffled_moments(table, name, forecast, self._rng)
        with part.alarm(grace=1.0):
            shuffled = permutation_importance(self.model.predict_table, X, loss, columns, self._rng, REPEATS, part, shuffle)
        self._shuffled = {name: losses for name, losses in shuffled.items() if losses}
        measured = sorted(self._shuffled, key=lambda name: -float(np.mean(self._shuffled[name])))
        self.columns = measured + [name for name in self.columns if name not in measured]

    def reliance(self) -> list[ColumnReliance]:
        """The columns that were measured, the most important first."""
        found = []
        for name in (name for name in self.columns if name in self._shuffled or name in self._sizes):
            losses = self._shuffled.get(name, [])
            error = float(np.std(losses, ddof=1) / np.sqrt(len(losses))) if len(losses) > 1 else None
            size = self._sizes.get(name)
            found.append(
                ColumnReliance(
                    column=name,
                    importance=rounded(float(np.mean(losses))) if losses else None,
                    std_error=None if error is None else rounded(error),
                    contribution=None if size is None else rounded(size),
                )
            )
        return found

    def effects(self, share: float) -> list[Effect]:
        """Partial dependence and accumulated local effects of the most important columns."""
        part = self._deadline.share(share * self._deadline.remaining())
        kinds = {column.name: column.kind for column in self.problem.schema.columns}
        able = [name for name in self.columns if kinds[name] != "text"][:MOST_EFFECTS]
        outputs = self._outputs()
        found = []
        for place, name in enumerate(able):
            left = part.share(part.remaining() / (len(able) - place))
            n = self._affordable(left, 2 + (BINS + 1) * DEPENDENCE_ROWS / EFFECT_ROWS, EFFECT_ROWS)
            rows = self.X.iloc[self._rng.permutation(len(self.X))[:n]].reset_index(drop=True)
            how = categorical if kinds[name] in ("categorical", "boolean") else ordered
            with left.alarm(grace=2.0):
                curve = how(self._told, rows, name, max(FEWEST_ROWS, n * DEPENDENCE_ROWS // EFFECT_ROWS))
            if curve is None:
                continue
            self._curves[name] = curve
            found += [self._effect(name, curve, output, outputs[output]) for output in range(len(outputs))]
            if part.expired():
                break
        return found

    def examples(self, asked: list[int], share: float) -> list[Example]:
        """Rows that stand out, and those asked for, each taken apart."""
        chosen = self._standing_out()
        rows = [int(self.subject.rows[row]) for row in chosen]
        why = {self.subject.rows[row]: reason for row, reason in chosen.items()}
        rows += [row for row in dict.fromkeys(asked) if row not in rows]
        X = self.problem.X.iloc[rows].reset_index(drop=True)
        part = self._deadline.share(share * self._deadline.remaining())
        with part.alarm(grace=2.0):
            predictions = self.model.predict_table(X)
            contributions = self._contributions(X, part)
        scores = contributions.values.sum(axis=1) + contributions.base
        own = set(self.subject.rows.tolist())
        found = []
        for place, row in enumerate(rows):
            output, label = self._explained(predictions[place], scores.shape[1], row)
            parts, rest = self._parts(contributions, place, output, row)
            found.append(
                Example(
                    row=row,
                    why=why.get(row, "asked"),
                    unseen=self.subject.unseen and row in own,
                    actual=self._actual(row),
                    predicted=self._predicted(predictions[place]),
                    output=label,
                    score=rounded(scores[place, output]),
                    base=rounded(contributions.base[output]),
                    parts=parts,
                    rest=rest,
                )
            )
        return found

    def sizes(self, share: float) -> None:
        """The mean size of each column's contribution over rows and outputs."""
        part = self._deadline.share(share * self._deadline.remaining())
        most = SIZED_EXACTLY if self.exact else SIZED_BY_SAMPLES
        n = min(most, len(self.X))
        if not self.exact:
            n = self._affordable(part, 2 * FEWEST_ROUNDS * (len(self._players()) + 1), n)
        X = self.X.iloc[np.sort(self._rng.permutation(len(self.X))[:n])].reset_index(drop=True)
        with part.alarm(grace=2.0):
            found = self._contributions(X, part)
        sizes = np.abs(found.values).mean(axis=(0, 2))
        self._sizes = {name: float(size) for name, size in zip(found.columns, sizes, strict=True) if name in self.columns}

    def rules(self) -> Surrogate | None:
        """A shallow tree that says the groups, and how well it does. It is the tree that must not have seen the rows it is judged on, and
        not the model, so it gets all rows of the table."""
        rows = np.random.default_rng(self.problem.contract.seed).permutation(self.problem.n_rows)[: 2 * MOST_ROWS]
        X = self.problem.X.iloc[rows].reset_index(drop=True)
        return surrogate(self.problem.schema, X, self.model.predict_table(X).astype(np.int64), self.problem.contract.seed)

    def plot(self, space: Workspace, candidate: str) -> list[str]:
        """One plot a column."""
        from tools import plots

        classes = self.problem.contract.classes
        labels = [classes[code] if classes else "" for code in self._outputs()]
        one = len(classes) == 2 and self.problem.contract.predicts == "classes"
        unit = f"Probability of {classes[1]}" if one else "Probability" if classes else self.scale_of_predictions
        reach = 1.1 * max(float(np.abs(_centred(curve)).max()) for curve in self._curves.values()) if self._curves else 0.0
        made = []
        for number, (name, curve) in enumerate(self._curves.items(), 1):
            path = space.plots / f"{candidate}-effect-{number}.png"
            plots.effect(path, name, curve.at, curve.partial, curve.accumulated, labels, unit, reach or 1.0)
            made.append(f"plots/{path.name}")
        return made

    def _affordable(self, part: Deadline, times: float, most: int) -> int:
        """How many rows can be predicted `times` times before `part` is over, between a few and `most`."""
        possible = part.remaining() / max(self._pace * times, 1e-12)
        return int(min(most, len(self.X), max(FEWEST_ROWS, possible)))

    def _outputs(self) -> list[int]:
        """Outputs whose effects are told: the value, the positive class, or the commonest classes."""
        if self.problem.contract.predicts == "labels":
            return [int(place) for place in np.argsort(-self.problem.y.sum(axis=0), kind="stable")[:MOST_CLASSES]]
        if self.problem.n_classes <= 2:
            return [0] if self.problem.n_classes == 0 else [1]
        counts = np.bincount(self.problem.y, minlength=self.problem.n_classes)
        return [int(code) for code in np.argsort(-counts, kind="stable")[:MOST_CLASSES]]

    def _told(self, X: pd.DataFrame) -> Array:
        predictions = self.model.predict_table(X)
        return predictions if predictions.ndim == 1 else predictions[:, self._outputs()]

    def _effect(self, name: str, curve: Curve, place: int, output: int) -> Effect:
        classes = self.problem.contract.classes
        accumulated = [] if curve.accumulated is None else [rounded(value) for value in curve.accumulated[:, place]]
        return Effect(
            column=name,
            output=classes[output] if classes else "",
            at=[shown(value) for value in curve.at],
            partial=[rounded(value) for value in curve.partial[:, place]],
            accumulated=accumulated,
        )

    def _standing_out(self) -> dict[int, Any]:
        """Positions among the explained rows, with why they stand out."""
        predicts = self.problem.contract.predicts
        if predicts == "scores":
            return {int(row): "highest" for row in np.argsort(-self.predictions, kind="stable")[: WRONG + CONFIDENT]}
        if predicts == "labels":
            wrong = np.argsort(-((self.predictions - self.y) ** 2).mean(axis=1), kind="stable")
            rest = [(row, "most confident") for row in np.argsort(-np.abs(self.predictions - 0.5).min(axis=1), kind="stable")]
        elif self.problem.n_classes:
            own = self.predictions[np.arange(len(self.y)), self.y]
            wrong = np.argsort(own, kind="stable")
            sure = np.argsort(-self.predictions.max(axis=1), kind="stable")
            rest = [(row, "most confident") for row in sure]
        else:
            wrong = np.argsort(-self._errors(), kind="stable")
            order = np.argsort(self.predictions, kind="stable")
            rest = [(order[-1], "highest"), (order[0], "lowest")]
        chosen: dict[int, Any] = {int(row): "most wrong" for row in wrong[:WRONG]}
        for row, reason in rest:
            if len(chosen) < WRONG + CONFIDENT and int(row) not in chosen:
                chosen[int(row)] = reason
        return chosen

    def _errors(self) -> Array:
        """How wrong each prediction is, shape (n,): a risk by how far it stands from the row's own residual."""
        if self.problem.contract.predicts != "risk":
            return np.abs(self.predictions - self.y)
        seen = null_residuals(self.y)
        return np.abs(Standing.among(seen)(seen) - Standing.among(self.predictions)(self.predictions))

    def _try(self, X: pd.DataFrame) -> Contributions | None:
        return exact(self.model, X)

    def _players(self) -> dict[str, list[str]]:
        alone = self.columns[:MOST_PLAYERS]
        together = self.columns[MOST_PLAYERS:]
        return {name: [name] for name in alone} | ({f"the other {len(together)} columns": together} if together else {})

    def _contributions(self, X: pd.DataFrame, part: Deadline) -> Contributions:
        if self.exact and (found := self._try(X)) is not None:
            return found
        players = self._players()
        each = max(self._pace * len(X) * 2 * (len(players) + 1), 1e-12)
        rounds = int(min(MOST_ROUNDS, max(FEWEST_ROUNDS, part.remaining() / each)))
        background = self.X.iloc[self._rng.permutation(len(self.X))[:BACKGROUND]]
        return sampled(self.model.predict_table, X, background, players, rounds, self._rng).contributions

    def _explained(self, prediction: Array, outputs: int, row: int) -> tuple[int, str]:
        """Which output of a row is taken apart, and the name of its class: the likeliest of many, the positive one of two; of labels the
        one that is furthest off."""
        classes = self.problem.contract.classes
        if self.problem.contract.predicts == "labels":
            place = int(np.abs(prediction - self.problem.y[row]).argmax())
            return place, classes[place]
        if not classes:
            return 0, ""
        code = 1 if len(classes) == 2 else int(prediction.argmax())
        return (0 if outputs == 1 else code), classes[code]

    def _parts(self, contributions: Contributions, place: int, output: int, row: int) -> tuple[list[Part], float]:
        values = contributions.values[place, :, output]
        order = np.argsort(-np.abs(values), kind="stable")
        cells = self.problem.X.iloc[row]
        parts = [
            Part(column=name, value=shown(cells[name]) if name in cells else "", contribution=rounded(values[at]))
            for at in order[:MOST_PARTS]
            for name in [contributions.columns[at]]
        ]
        return parts, rounded(values[order[MOST_PARTS:]].sum())

    def _actual(self, row: int) -> str:
        classes, predicts = self.problem.contract.classes, self.problem.contract.predicts
        if predicts == "labels":
            return told(self.problem.y[[row]], classes)[0] or "none"
        if predicts == "scores" and self.problem.y.ndim == 2:  # nobody knows
            return ""
        if predicts == "risk":
            return f"{abs(self.problem.y[row]):.6g}{', censored' if np.signbit(self.problem.y[row]) else ', event'}"
        return classes[self.problem.y[row]] if classes else f"{self.problem.y[row]:.6g}"

    def _predicted(self, prediction: Array) -> str:
        classes = self.problem.contract.classes
        if not classes:
            return f"{float(prediction):.6g}"
        if self.problem.contract.predicts == "labels":
            return self.model.called(prediction[None])[0] or "none"
        called = self.model.called(prediction[None])[0]
        return f"{called} ({prediction[classes.index(called)]:.2f})"


def _centred(curve: Curve) -> Array:
    return curve.partial - curve.partial.mean(axis=0) if curve.accumulated is None else curve.accumulated


def shown(value: object) -> str:
    """A cell as text."""
    if value is None or value != value:
        return "missing"
    if isinstance(value, (float, np.floating)):
        return f"{value:.6g}"
    text = str(value)[:26].removesuffix(".000000000").replace("T", " ") if isinstance(value, np.datetime64) else str(value)
    text = text.removesuffix(" 00:00:00")
    return text if len(text) <= CELL_CHARS else text[: CELL_CHARS - 1] + "…"


def rounded(value: float) -> float:
    """Seven significant digits, which is what single precision knows."""
    return float(f"{value:.7g}")
