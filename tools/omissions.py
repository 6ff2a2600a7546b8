"""Parts of the engine that a run can do without, so that what each is worth can be measured: see `evals/ablation.py`.

A run names them in its contract (`Constraints.without`), beside the names of families; each part asks there whether it is wanted.
"""

from __future__ import annotations

INSTEAD: dict[str, str] = {
    "ensemble": "the best single candidate is handed over",
    "second_layer": "the blend is a weighted average and nothing else",
    "bagged_weights": "the weights of a blend are one greedy choice, however few the rows",
    "folds": "one fold is validated, by a model of the other rows",
    "tuning": "its time goes to more configurations of the portfolio",
    "portfolio": "one configuration a family; the rest of the time goes to tuning",
    "pilot": "learning rates and epochs are not suited to the time there is",
    "abreast": "fits run one after the other, each on all cores",
    "refit": "the model that was fitted without the holdout is packaged",
    "seeds": "the final fit has one seed",
    "growth": "the final fit has as many iterations as the folds, though it has more rows",
    "texts": "columns of text take no part",
    "text_reading": "texts are lengths, words and components alone, without the linear reading",
    "native_categories": "boosters and the network get categories as forests do",
    "target_means": "categories of many levels are numbered by their frequency where they became means of the target",
    "crosses": "pairs of columns are no columns of their own, however much their cells say",
    "date_parts": "a date is the days since 1970 and nothing else",
    "class_weights": "no fit weighs classes",
    "calibration": "probabilities stay as they are",
    "decision": "the most probable class is called",
}
"""What stands in the place of each part that is left out."""
