"""BibTeX entries of the libraries and methods that a run used; only what was used is cited."""

from __future__ import annotations

import re
from collections.abc import Iterable

from reports.facts import RunFacts
from reports.pages import TEMPLATES

LIBRARY = (TEMPLATES / "references.bib").read_text(encoding="utf-8")
ENTRIES = {re.match(r"@\w+\{([^,]+),", entry)[1]: entry for entry in LIBRARY.strip().split("\n\n")}  # type: ignore[index]
OF_FAMILY = {
    "lightgbm": "lightgbm",
    "ordered_lightgbm": "lightgbm",
    "xgboost": "xgboost",
    "catboost": "catboost",
    "random_forest": "forest",
    "extra_trees": "extra_trees",
    "mlp": "torch",
    "realmlp": "torch",
    "tabm": "torch",
    "ensemble": "selection",
}


def cited(facts: RunFacts) -> list[str]:
    """Keys of the entries that this run has a use for, in their order."""
    keys = {"scikit-learn", "autogen"} | {OF_FAMILY[row.family] for row in facts.leaderboard if row.family in OF_FAMILY}
    if facts.holdout or facts.evaluation:
        keys.add("bootstrap")
    if facts.standings:
        tests = {test.test.removesuffix("_chi2") for rival in facts.standings.rivals for test in rival.tests}
        keys |= {"corrected_t"} | {test for test in tests if test in ENTRIES}
        keys |= {facts.standings.correction} & set(ENTRIES)
    if any(call.tool == "tune" and call.status == "ok" for turn in facts.turns for call in turn.calls):
        keys.add("optuna")
    if facts.nested:
        keys.add("nested")
    if facts.explanation and any(row.contribution is not None for row in facts.explanation.reliance):
        keys.add("shapley")
    return [key for key in ENTRIES if key in keys]


def bibtex(keys: Iterable[str]) -> str:
    """The entries of these keys as a BibTeX file."""
    return "\n\n".join(ENTRIES[key] for key in keys) + "\n"
