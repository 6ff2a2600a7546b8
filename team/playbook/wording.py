"""Figures as the playbook says them."""

from __future__ import annotations

from typing import Any

from tools.candidates import ENSEMBLE
from tools.contract import Task
from tools.coverage import coverage_told

_BASELINES: dict[Task, str] = {
    "forecast": "the seasonal naive forecast",
    "survival": "one risk for all rows and a Cox regression",
    "cluster": "one group for all rows and k-means",
    "anomaly": "the same score for every row and principal components",
}


def score(value: float) -> str:
    """A score with four significant digits, or thousands separated when it is large."""
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def spread(std_error: float) -> str:
    """A standard error with two significant digits, or whole when it is large."""
    return f"{std_error:,.0f}" if abs(std_error) >= 100 else f"{std_error:.2g}"


def plus_minus(value: float, std_error: float) -> str:
    return f"{score(value)} ± {spread(std_error)}"


def called(candidate: str, *, first: bool = False) -> str:
    """A candidate within a sentence, or where it begins one: the blend is no name."""
    if candidate != ENSEMBLE:
        return candidate
    return f"{'The' if first else 'the'} {candidate}"


def joined(items: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""


def sentence(text: str) -> str:
    """The text with a full stop, unless it ends in a mark of its own."""
    return text if text.endswith((".", "?", "!")) else text + "."


def baselines_said(task: Task) -> str:
    """What any model must beat, in words."""
    return _BASELINES.get(task, "a dummy, a linear model and a small tree")


def coverage_sentence(scored: dict[str, Any]) -> str:
    """What intervals around predicted values hold, as a sentence that follows another; empty where there are none."""
    told = coverage_told(scored.get("intervals") or [])
    return f" {told[0].upper()}{told[1:]}." if told else ""
