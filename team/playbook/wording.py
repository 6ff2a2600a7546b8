"""Figures as the playbook says them."""

from __future__ import annotations

from tools.contract import Predicts

BASELINES_SAID: dict[Predicts, str] = {
    "classes": "a dummy, a linear model and a small tree",
    "values": "a dummy, a linear model and a small tree",
    "labels": "a dummy and a linear model",
    "risk": "one risk for all and a Cox regression",
    "groups": "one group for all and k-means",
    "scores": "one score for all and principal components",
}
"""The baselines in words, by what is predicted."""


def score(value: float) -> str:
    """A score with four significant digits, or thousands separated when it is large."""
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def plus_minus(value: float, std_error: float) -> str:
    return f"{score(value)} ± {std_error:.2g}"


def joined(items: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""


def sentence(text: str) -> str:
    """The text with a full stop, unless it ends in a mark of its own."""
    return text if text.endswith((".", "?", "!")) else text + "."
