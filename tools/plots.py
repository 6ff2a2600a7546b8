"""Plots as PNG files, shown in the cell too when there is one. All are drawn with matplotlib's Agg canvas."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.contract import Contract
from tools.metrics.decision import called
from tools.survival import survival_curve

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = np.ndarray[Any, np.dtype[Any]]

BLUE, ORANGE, GREY = "#2f6db5", "#d9822b", "#8a8f98"
MOST_POINTS = 5000
MOST_CLASSES = 12
RISK_GROUPS = 4


Line = tuple[Any, Array]
"""Moments and values."""


@dataclass(frozen=True)
class Lines:
    """One series as `forecasts` draws it, each line in the order of time."""

    history: Line
    backtests: list[Line]
    ahead: Line


@contextmanager
def figure(path: Path, title: str, size: tuple[float, float] = (6.0, 4.2), panels: int = 1, rows: int = 1) -> Iterator[Any]:
    """Axes to draw on; the file is written and shown when the block ends without an error."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawn = Figure(figsize=size, layout="constrained", dpi=110)
    FigureCanvasAgg(drawn)
    axes = drawn.subplots(rows, panels)
    drawn.suptitle(plain(title, 90), fontsize=11)
    yield axes
    path.parent.mkdir(parents=True, exist_ok=True)
    for axis in np.atleast_1d(axes):
        axis.spines[["top", "right"]].set_visible(False)
    drawn.savefig(path, format="png")
    _show(drawn)


def _show(drawn: Figure) -> None:
    try:
        from IPython.core.getipython import get_ipython
        from IPython.display import Image, display
    except ImportError:
        return
    if get_ipython() is None:
        return
    import io

    buffer = io.BytesIO()
    drawn.savefig(buffer, format="png")
    display(Image(data=buffer.getvalue()))


def plain(text: object, width: int = 24) -> str:
    """Text as matplotlib draws it: no mathematics, no characters that the font lacks, cut to `width`."""
    shown = "".join(c if c.isprintable() and ord(c) < 0x250 else "?" for c in str(text)).replace("$", r"\$")
    return shown if len(shown) <= width else shown[: width - 1] + "…"


def confusion(path: Path, contract: Contract, y: Array, proba: Array, codes: Array | None = None) -> None:
    """Rows of the true class by the class that is called, as shares of the true class; left out, as the contract calls them."""
    k = len(contract.classes)
    matrix = np.bincount(y * k + (called(contract, proba) if codes is None else codes), minlength=k * k).reshape(k, k)
    common = np.sort(np.argsort(-matrix.sum(axis=1), kind="stable")[:MOST_CLASSES])
    shares = (matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1))[np.ix_(common, common)]
    side = max(4.2, 0.55 * len(common) + 2)
    with figure(path, "Confusion matrix, out-of-fold", (side + 0.8, side)) as axis:
        axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        labels = [plain(contract.classes[i], 14) for i in common]
        axis.set_xticks(range(len(common)), labels, rotation=45 if len(common) > 4 else 0, ha="right" if len(common) > 4 else "center")
        axis.set_yticks(range(len(common)), labels)
        axis.set_xlabel("Predicted class")
        axis.set_ylabel("True class")
        for i, row in enumerate(common):
            for j, column in enumerate(common):
                text = f"{matrix[row, column]:,}\n{shares[i, j]:.0%}" if len(common) <= 6 else f"{shares[i, j]:.0%}"
                axis.text(j, i, text, ha="center", va="center", fontsize=8, color="white" if shares[i, j] > 0.55 else "black")


def roc(path: Path, contract: Contract, y: Array, proba: Array) -> None:
    """True against false positive rate, one curve a class (one for two classes)."""
    from sklearn.metrics import auc, roc_curve

    with figure(path, "ROC curve, out-of-fold", (4.8, 4.4)) as axis:
        for code, colour in _shown_classes(contract, y):
            false, true, _ = roc_curve(y == code, proba[:, code])
            axis.plot(false, true, color=colour, label=f"{plain(contract.classes[code])} (AUC {auc(false, true):.3f})")
        axis.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1)
        axis.set_xlabel("False positive rate")
        axis.set_ylabel("True positive rate")
        axis.legend(fontsize=8, frameon=False, loc="lower right")


def precision_recall(path: Path, contract: Contract, y: Array, proba: Array) -> None:
    """Precision against recall, one curve a class (one for two classes)."""
    from sklearn.metrics import average_precision_score, precision_recall_curve

    with figure(path, "Precision and recall, out-of-fold", (4.8, 4.4)) as axis:
        for code, colour in _shown_classes(contract, y):
            precision, recall, _ = precision_recall_curve(y == code, proba[:, code])
            area = average_precision_score(y == code, proba[:, code])
            axis.step(recall, precision, where="post", color=colour, label=f"{plain(contract.classes[code])} (AP {area:.3f})")
        axis.set_ylim(0, 1.02)
        axis.set_xlabel("Recall")
        axis.set_ylabel("Precision")
        axis.legend(fontsize=8, frameon=False, loc="best")


def calibration(path: Path, contract: Contract, y: Array, proba: Array, before: Array | None = None) -> None:
    """Observed share against predicted probability in ten bins of equal size; dashed as they were before they were calibrated."""
    with figure(path, "Calibration, out-of-fold", (4.8, 4.4)) as axis:
        for code, colour in _shown_classes(contract, y):
            axis.plot(*_reliability(y == code, proba[:, code]), marker="o", markersize=4, color=colour, label=plain(contract.classes[code]))
            if before is not None:
                dashed = {"color": ORANGE if len(contract.classes) == 2 else colour, "linestyle": "--", "linewidth": 1}
                axis.plot(*_reliability(y == code, before[:, code]), marker=".", label=f"{plain(contract.classes[code])}, before", **dashed)
        axis.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1)
        axis.set_xlabel("Mean predicted probability")
        axis.set_ylabel("Observed share")
        axis.legend(fontsize=8, frameon=False, loc="upper left")


def _reliability(happened: Array, said: Array) -> tuple[list[float], list[float]]:
    """Mean probability and observed share in bins of equal size."""
    order = np.argsort(said, kind="stable")
    bins = [part for part in np.array_split(order, min(10, max(1, len(said) // 20))) if len(part)]
    return [float(said[part].mean()) for part in bins], [float(happened[part].mean()) for part in bins]


def _shown_classes(contract: Contract, y: Array) -> list[tuple[int, Any]]:
    """Class codes with colours: the positive class, or up to six of the commonest."""
    from matplotlib import colormaps

    if len(contract.classes) == 2:
        return [(1, BLUE)]
    counts = np.bincount(y, minlength=len(contract.classes))
    codes = [int(c) for c in np.argsort(-counts, kind="stable")[:6] if 0 < counts[c] < len(y)]
    codes = sorted(codes) if contract.task == "ordinal" else codes
    return [(code, colormaps["tab10"](i)) for i, code in enumerate(codes)]


def predicted_actual(path: Path, contract: Contract, y: Array, values: Array) -> None:
    """Predicted against true values."""
    rows = _sample(len(y))
    with figure(path, "Predicted and actual, out-of-fold", (4.8, 4.4)) as axis:
        axis.scatter(y[rows], values[rows], s=9, alpha=0.4, color=BLUE, linewidths=0)
        ends = [float(min(y.min(), values.min())), float(max(y.max(), values.max()))]
        axis.plot(ends, ends, color=GREY, linestyle=":", linewidth=1)
        axis.set_xlabel(f"Actual {plain(contract.target)}")
        axis.set_ylabel(f"Predicted {plain(contract.target)}")


def predicted_median(path: Path, contract: Contract, y: Array, quantiles: Array) -> None:
    """Predicted medians with the outermost interval of each row, against true values, in the order of the medians."""
    rows = _sample(len(y))
    median, low, high = quantiles[rows, contract.median], quantiles[rows, 0], quantiles[rows, -1]
    with figure(path, "Predicted quantiles and actual, out-of-fold", (6.0, 4.4)) as axis:
        axis.vlines(median, low, high, color=BLUE, alpha=0.15, linewidth=1)
        axis.scatter(median, y[rows], s=9, alpha=0.5, color=ORANGE, linewidths=0, label="actual")
        ends = [float(median.min()), float(median.max())]
        told = f"{contract.quantiles[0]:g} to {contract.quantiles[-1]:g}"
        axis.plot(ends, ends, color=BLUE, linewidth=1, label=f"median; bars from {told}")
        axis.set_xlabel(f"Predicted median of {plain(contract.target)}")
        axis.set_ylabel(plain(contract.target))
        axis.legend(fontsize=8, frameon=False, loc="upper left")


def quantile_reliability(path: Path, contract: Contract, y: Array, quantiles: Array) -> None:
    """Share of true values at or below the predicted quantile, against its level."""
    levels = np.asarray(contract.quantiles)
    below = (y[:, None] <= quantiles).mean(axis=0)
    error = np.sqrt(levels * (1 - levels) / len(y))
    with figure(path, "Reliability of the quantiles, out-of-fold", (4.8, 4.4)) as axis:
        axis.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1)
        axis.errorbar(levels, below, yerr=1.96 * error, color=BLUE, ecolor=GREY, marker="o", markersize=4, elinewidth=1)
        axis.set_xlabel("Level")
        axis.set_ylabel("Share of actual values at or below")


def residuals(path: Path, contract: Contract, y: Array, values: Array) -> None:
    """Errors against predictions, and their distribution."""
    rows = _sample(len(y))
    errors = y - values
    with figure(path, "Residuals, out-of-fold", (8.4, 4.0), panels=2) as axes:
        axes[0].scatter(values[rows], errors[rows], s=9, alpha=0.4, color=BLUE, linewidths=0)
        axes[0].axhline(0, color=GREY, linestyle=":", linewidth=1)
        axes[0].set_xlabel(f"Predicted {plain(contract.target)}")
        axes[0].set_ylabel("Actual minus predicted")
        axes[1].hist(errors, bins=40, color=BLUE)
        axes[1].set_xlabel("Actual minus predicted")
        axes[1].set_ylabel("Rows")


def forecasts(path: Path, target: str, series: list[tuple[str, Lines]]) -> None:
    """History, what the backtests said of it, and the forecast of the sealed horizon; one panel a series."""
    height = min(0.8 + 2.2 * len(series), 4.8)  # flat enough for a row of its own in the report
    with figure(path, f"{plain(target, 40)}: history, backtests and forecast", (9.0, height), rows=len(series)) as axes:
        for axis, (name, lines) in zip(np.atleast_1d(axes), series, strict=True):
            axis.plot(*lines.history, color=GREY, linewidth=1.2, label="history")
            for number, (when, values) in enumerate(lines.backtests):
                axis.plot(when, values, color=BLUE, linewidth=1.4, label="" if number else "backtests, each from what came before")
            axis.plot(*lines.ahead, color=ORANGE, linewidth=1.6, marker="o" if len(lines.ahead[0]) == 1 else "", label="sealed horizon")
            axis.set_title(plain(name, 60), fontsize=9, loc="left")
            axis.tick_params(labelsize=8)
        np.atleast_1d(axes)[0].legend(fontsize=8, frameon=False, loc="upper left")


def survival_by_risk(path: Path, contract: Contract, y: Array, risk: Array) -> None:
    """Share without the event by time, of the quarters of rows from the lowest to the highest out-of-fold risk."""
    from matplotlib import colormaps

    quarters = np.array_split(np.argsort(risk, kind="stable"), RISK_GROUPS)
    with figure(path, "Without the event by predicted risk, out-of-fold", (6.0, 4.2)) as axis:
        for place, rows in enumerate(quarters):
            name = {0: "lowest quarter of risk", RISK_GROUPS - 1: "highest quarter of risk"}.get(place, f"quarter {place + 1}")
            _outliving(axis, y[rows], colormaps["viridis"](0.9 * place / (RISK_GROUPS - 1)), f"{name} ({len(rows)} rows)")
        axis.set_xlabel(plain(contract.target, 50))
        axis.legend(fontsize=8, frameon=False, loc="best")


def _outliving(axis: Any, y: Array, colour: Any, label: str) -> None:
    """The curve of Kaplan and Meier, drawn on to the last row that was seen."""
    moments, outlive = survival_curve(y)
    times, shares = np.concatenate([[0.0], moments, [np.abs(y).max()]]), np.concatenate([[1.0], outlive, outlive[-1:]])
    axis.step(times, shares if len(outlive) else np.ones(2), where="post", color=colour, label=label)
    axis.set_ylim(0, 1.02)
    axis.set_ylabel("Share without the event")


def plane(path: Path, title: str, points: Array, codes: Array, names: list[str]) -> None:
    """Rows in a plane, coloured by what they belong to.

    Args:
        points: shape (n, 2), or (n, 1).
        codes: places in `names`, shape (n,).
    """
    from matplotlib import colormaps

    down = points[:, 1] if points.shape[1] > 1 else np.zeros(len(points))
    with figure(path, title, (6.0, 4.6)) as axis:
        for code, name in enumerate(names[:MOST_CLASSES]):
            rows = codes == code
            if rows.any():
                colour = [GREY, ORANGE][code] if len(names) == 2 and name != "group 1" else colormaps["tab10"](code % 10)
                few = rows.mean() < 0.1  # what stands out must be seen
                size, alpha = (24, 0.9) if few else (9, 0.6)
                axis.scatter(points[rows, 0], down[rows], s=size, alpha=alpha, linewidths=0, color=colour, label=plain(name))
        axis.set_xlabel("First component")
        axis.set_ylabel("Second component")
        axis.legend(fontsize=8, frameon=False, loc="best", markerscale=2)


def bars(path: Path, title: str, names: list[str], values: list[float], unit: str, errors: list[float] | None = None) -> None:
    """Horizontal bars, the first on top."""
    with figure(path, title, (6.4, max(2.0, 0.28 * len(names) + 1.2))) as axis:
        places = range(len(names))[::-1]
        axis.barh(places, values, xerr=errors, color=BLUE, error_kw={"ecolor": GREY, "elinewidth": 1})
        axis.set_yticks(places, [plain(name, 32) for name in names], fontsize=8)
        axis.set_xlabel(unit)


def target_distribution(path: Path, contract: Contract, y: Array) -> None:
    """Rows per class, a histogram of the target, or the share that outlives each time."""
    if contract.predicts == "risk":
        with figure(path, f"Without the event, by {plain(contract.target, 50)}") as axis:
            _outliving(axis, y, BLUE, "")
            axis.set_xlabel(plain(contract.target, 50))
        return
    if contract.plain_numbers:
        with figure(path, f"Distribution of {plain(contract.target, 50)}") as axis:
            axis.hist(y, bins=min(50, max(5, len(np.unique(y)))), color=BLUE)
            axis.set_xlabel(plain(contract.target, 50))
            axis.set_ylabel("Rows")
        return
    counts = y.sum(axis=0) if y.ndim == 2 else np.bincount(y, minlength=len(contract.classes))
    order = np.argsort(-counts, kind="stable")[:30]
    title = "Rows of each label" if y.ndim == 2 else f"Classes of {plain(contract.target, 50)}"
    if contract.task == "ordinal":  # in their own order
        order = np.sort(order)
    bars(path, title, [contract.classes[i] for i in order], [float(counts[i]) for i in order], "Rows")


def learning_curve(path: Path, metric: str, rows: Array, scores: Array, grid: Array, curve: Array, now: float) -> None:
    """Scores by number of rows, and the law through them, drawn on beyond the rows there are.

    Args:
        scores: one line a fold, shape (folds, len(rows)).
        curve: middle and the two ends of the interval for each of `grid`, shape (len(grid), 3).
    """
    with figure(path, "Score by number of training rows", (6.4, 4.2)) as axis:
        axis.fill_between(grid, curve[:, 1], curve[:, 2], color=BLUE, alpha=0.15, linewidth=0)
        seen = grid <= now
        axis.plot(grid[seen], curve[seen, 0], color=BLUE)
        axis.plot(grid[grid >= now], curve[grid >= now, 0], color=BLUE, linestyle="--", label="if the law goes on")
        axis.errorbar(
            rows, scores.mean(axis=0), yerr=scores.std(axis=0, ddof=1) / np.sqrt(len(scores)), color=GREY, marker="o", linestyle="none",
            markersize=4, markerfacecolor=BLUE, markeredgecolor=BLUE, elinewidth=1, label=f"mean of {len(scores)} folds",
        )  # fmt: skip
        axis.axvline(now, color=GREY, linestyle=":", linewidth=1)
        axis.set_xscale("log")
        ticks = [*rows[::2], rows[-1], 2 * now]
        axis.set_xticks(ticks, [f"{tick:,.0f}" for tick in ticks])
        axis.minorticks_off()
        axis.set_xlabel("Training rows of a fold")
        axis.set_ylabel(metric)
        axis.legend(fontsize=8, frameon=False, loc="best")


def effect(
    path: Path, column: str, at: Array, partial: Array, accumulated: Array | None, labels: list[str], unit: str, reach: float
) -> None:
    """How the prediction moves with a column: accumulated local effects as lines, partial dependence dashed, or dots for categories.

    Args:
        at: values, or levels where `accumulated` is None.
        partial: mean prediction with the column set there, shape (len(at), len(labels)).
        labels: classes; one empty label for a single output.
        reach: of the axis to either side of the mean, the same for all columns, so that their effects can be compared.
    """
    from matplotlib import colormaps

    colours = [BLUE] if len(labels) == 1 else [colormaps["tab10"](i) for i in range(len(labels))]
    with figure(path, f"Effect of {plain(column, 50)}", (4.8, 3.6)) as axis:
        for place, (label, colour) in enumerate(zip(labels, colours, strict=True)):
            name = plain(label) if len(labels) > 1 else ""
            if accumulated is None:
                axis.plot(partial[:, place], range(len(at))[::-1], "o", color=colour, markersize=6, label=name)
                continue
            # Both have levels of their own: the dashed line is laid on the other, so that their shapes can be compared.
            lift = float((partial[:, place] - accumulated[:, place]).mean())
            axis.plot(at, accumulated[:, place], color=colour, marker="o", markersize=3, label=name or "accumulated local effects")
            dashed = {"color": colour if len(labels) > 1 else ORANGE, "linestyle": "--", "linewidth": 1}
            axis.plot(at, partial[:, place] - lift, label="" if name else "partial dependence", **dashed)
        if accumulated is None:
            axis.set_yticks(range(len(at))[::-1], [plain(level) for level in at], fontsize=8)
            axis.set_ylim(-0.5, len(at) - 0.5)
            if len(labels) == 1:
                axis.set_xlim(partial.mean() - reach, partial.mean() + reach)
            axis.set_xlabel(plain(unit, 50))
        else:
            axis.set_xlabel(plain(column, 50))
            axis.set_ylabel(f"{plain(unit, 40)}, difference to the mean", fontsize=8)
            axis.set_ylim(-reach, reach)
            axis.tick_params(axis="x", labelrotation=0 if at.dtype.kind == "f" else 30)
        if len(labels) > 1 or accumulated is not None:
            axis.legend(fontsize=8, frameon=False, loc="best")


def _sample(n: int) -> Array:
    return np.arange(n) if n <= MOST_POINTS else np.sort(np.random.default_rng(0).choice(n, MOST_POINTS, replace=False))
