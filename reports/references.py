"""BibTeX entries of the libraries and methods that a run used; only what was used is cited."""

from __future__ import annotations

import re
from collections.abc import Iterable

from reports.facts import RunFacts
from reports.pages import TEMPLATES

LIBRARY = (TEMPLATES / "references.bib").read_text(encoding="utf-8")
ENTRIES = {re.match(r"@\w+\{([^,]+),", entry)[1]: entry for entry in LIBRARY.strip().split("\n\n")}  # type: ignore[index]
OF_FAMILY: dict[str, tuple[str, ...]] = {
    "lightgbm": ("lightgbm",),
    "ordered_lightgbm": ("lightgbm",),
    "lags_lightgbm": ("lightgbm",),
    "xgboost": ("xgboost",),
    "catboost": ("catboost",),
    "lags_catboost": ("catboost",),
    "random_forest": ("forest",),
    "extra_trees": ("extra_trees",),
    "mlp": ("torch",),
    "realmlp": ("torch", "realmlp"),
    "tabm": ("torch", "tabm"),
    "tabpfn": ("torch", "tabpfn"),
    "tabicl": ("torch", "tabicl"),
    "coxnet": ("coxnet",),
    "survival_forest": ("survival_forest",),
    "arima": ("auto_arima",),
    "ets": ("auto_arima",),
    "theta": ("theta",),
    "hdbscan": ("hdbscan",),
    "isolation_forest": ("isolation",),
    "local_outlier": ("lof",),
    "one_class_svm": ("one_class",),
    "copod": ("copod",),
    "ecod": ("ecod",),
    "ensemble": ("selection",),
}
MODELS = {"scikit-learn", *(key for keys in OF_FAMILY.values() for key in keys)} - {"selection"}
"""Entries of libraries and methods that models are made by."""
ALWAYS = ("autogen", "matplotlib", "numpy", "pandas", "scikit-learn", "scipy")
"""What every run and its paper are made with."""


def of_the_table(facts: RunFacts) -> dict[str, str]:
    """What published methods found out about the table, in words, by the key of each; those alone that ran."""
    if facts.profile is None:
        return {}
    found = facts.profile.understanding
    ran = {
        "little": ("gaps", found.missingness is not None and found.missingness.p_value is not None),
        "lilliefors": ("shapes of distributions", any(one.shape == "normal" for one in found.moments)),
        "cramers_v": ("associations of categories", any(one.measure == "cramers_v" for one in found.relations)),
        "ljung_box": ("dependence of rows on each other", found.dependence is not None),
        "isolation": ("outlying rows", found.outliers is not None and found.outliers.isolation is not None),
    }
    return {key: what for key, (what, did) in ran.items() if did}


def cited(facts: RunFacts) -> list[str]:
    """Keys of the entries that this run has a use for, in their order."""
    keys = {*ALWAYS, *of_the_table(facts)} | {key for row in facts.leaderboard for key in OF_FAMILY.get(row.family, ())}
    if facts.holdout or facts.evaluation:
        keys.add("bootstrap")
    if facts.standings:
        tests = {test.test.removesuffix("_chi2") for rival in facts.standings.rivals for test in rival.tests}
        keys |= {"corrected_t"} | {test for test in tests if test in ENTRIES}
        keys |= {facts.standings.correction} & set(ENTRIES)
    if any(call.tool == "tune" and call.status == "ok" for turn in facts.turns for call in turn.calls):
        keys.add("optuna")
    if facts.explanation and facts.explanation.without:
        keys.add("corrected_t")
    if facts.nested:
        keys.add("nested")
    if facts.explanation and any(row.contribution is not None for row in facts.explanation.reliance):
        keys.add("shapley")
    return [key for key in ENTRIES if key in keys]


def bibtex(keys: Iterable[str]) -> str:
    """The entries of these keys as a BibTeX file."""
    return "\n\n".join(ENTRIES[key] for key in keys) + "\n"
