"""Which configuration a search asks for next, and which trials it ends early: Optuna's samplers and pruners by name.

A trial reports the mean score of its folds after each fold, so a pruner's resource is the number of folds that are done. Iterations
are none: the learning rate is searched as well, and after so many iterations a slow learner that ends better looks worse.
"""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Any, Literal

from tools.studies import orphans

if TYPE_CHECKING:
    import optuna

Sampler = Literal["tpe", "random", "grid", "nsga2"]
Pruner = Literal["median", "hyperband", "successive_halving", "none"]

HALVING = 2
"""Of the trials that reach a rung, one in so many goes on: with few folds, a larger number would leave one rung."""
POPULATION = 12
"""Of NSGA-II: searches have tens of trials, not thousands."""
STARTUP_TRIALS = 8
"""Trials that TPE draws at random before it has something to learn from."""


def sampler_for(kind: Sampler, seed: int, *, abreast: bool = False) -> optuna.samplers.BaseSampler:
    """A sampler for one trial. Points of a grid are put in line one by one; what they leave open is drawn at random.

    TPE is the multivariate one of Falkner et al. 2018, after Bergstra et al. 2011; NSGA-II that of Deb et al. 2002. Both take several
    objectives, TPE as Ozaki et al. 2022. Parameters that only some branches of a space ask for are learnt of in groups that come together.

    Args:
        abreast: whether other trials are running. TPE then takes them for bad ones (the constant liar of Ginsbourger et al. 2010), or it
            would ask for nearly the same again; the other samplers learn of nothing that is not finished.
    """
    import optuna

    if kind == "tpe":
        return optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True, n_startup_trials=STARTUP_TRIALS, constant_liar=abreast)
    if kind == "nsga2":
        return optuna.samplers.NSGAIISampler(seed=seed, population_size=POPULATION)
    return optuna.samplers.RandomSampler(seed=seed)


def pruner_for(kind: Pruner, folds: int, study: optuna.Study) -> optuna.pruners.BasePruner:
    """The pruner of a study whose trials report after each of `folds` folds, counted from 1.

    Median: worse than half of the trials before it at the same fold (Golovin et al. 2017). Successive halving: not in the better half
    of those that reached 1, 2, 4 ... folds (ASHA, Li et al. 2020). Hyperband: the same from a first rung that differs between trials
    (Li et al. 2018).
    """
    import optuna

    if kind == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=0)
    if kind == "successive_halving":
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=HALVING)
    if kind == "hyperband":
        return _hyperband(folds, orphans(study))
    return optuna.pruners.NopPruner()


def _hyperband(folds: int, lost: list[int]) -> optuna.pruners.HyperbandPruner:
    import optuna

    class Hyperband(optuna.pruners.HyperbandPruner):  # type: ignore[misc]
        """A trial's bracket follows from its number. Numbers that killed processes left unused do not count, so that a search that
        was cut off goes on as an undisturbed one would."""

        def _get_bracket_id(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> int:
            counted: Any = copy.copy(trial)
            counted.number = trial.number - sum(number < trial.number for number in lost)
            found: int = super()._get_bracket_id(study, counted)
            return found

    return Hyperband(min_resource=1, max_resource=max(folds, HALVING), reduction_factor=HALVING)


def brackets(folds: int) -> int:
    """In how many brackets hyperband divides the trials."""
    return math.floor(math.log(max(folds, HALVING), HALVING)) + 1
