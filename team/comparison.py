"""Compare runs: facts from their directories, and paired tests of what they scored.

Tests over folds take the fold scores that the host computed. Tests over holdout rows take the predictions that gave
the final score and the sealed labels, both from the vaults, of runs whose final score is in the ledger; nothing is
looked at that was not looked at before.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import combinations

from reports.comparison import TEST_TITLES, Comparison, CorrectedTest, Pair, agreed, differing, incomparable, label, same_folds
from reports.figures import compact, p_value
from reports.side import Side, read_side
from team.errors import MlteamError, UsageError
from team.rundir import RunDir
from team.vault import Scored, Vault
from tools.comparing import LEVEL, PairedTest, corrected_resampled_t, delong, mcnemar, paired_bootstrap, wilcoxon
from tools.metrics import find_metric
from tools.metrics.decision import called
from tools.multiplicity import holm

DECISIVE = ("delong", "mcnemar", "bootstrap", "corrected_t")
"""The first of these that a pair has carries its verdict: the holdout before the folds, the metric's own test first."""


def compare(runs: Sequence[RunDir]) -> Comparison:
    """Set runs side by side. Where their scores are not comparable, `why` says what differs and nothing is tested.

    Raises:
        UsageError: for fewer than two runs, or one that is named twice.
        MlteamError: when a run directory is damaged.
    """
    if len(runs) < 2:
        raise UsageError(f"{len(runs)} run to compare, expected two at least. `mlteam runs` lists them.")
    paths = [run.path.resolve() for run in runs]
    twice = next((run.name for run, path in zip(runs, paths, strict=True) if paths.count(path) > 1), None)
    if twice is not None:
        raise UsageError(f"run {twice!r} is named twice. Name each run once; `mlteam runs` lists them.")
    sides = tuple(_side(run, label(i)) for i, run in enumerate(runs))
    why = incomparable(sides)
    pairs = () if why else _pairs(sides, {side.label: Vault(run) for side, run in zip(sides, runs, strict=True)})
    return Comparison(
        comparable=not why,
        why=why,
        task=agreed(sides, "task"),
        target=agreed(sides, "target"),
        metric=agreed(sides, "metric"),
        direction=agreed(sides, "direction"),
        runs=sides,
        settings=differing([{**side.settings, "sandbox used": side.sandbox} for side in sides]),
        versions=differing([side.versions for side in sides]),
        parameters=differing([side.winner.flat if side.winner else {} for side in sides]),
        candidates=differing([side.candidates for side in sides]),
        pairs=pairs,
        notes=tuple(_notes(sides, pairs)),
    )


def _side(run: RunDir, label: str) -> Side:
    try:
        return read_side(run.path, label)
    except (OSError, ValueError) as error:
        raise MlteamError(f"run {run.name!r} cannot be read: {str(error).splitlines()[0]}. Leave it out.") from None


def _pairs(sides: Sequence[Side], vaults: dict[str, Vault]) -> tuple[Pair, ...]:
    holdouts: dict[str, Scored | str] = {side.label: _opened(vaults[side.label]) for side in sides}
    found: list[tuple[Side, Side, list[PairedTest], list[str]]] = []
    pairs = len(sides) * (len(sides) - 1) // 2
    for first, second in combinations(sides, 2):
        tests, untested = _over_folds(first, second, vaults[first.label])
        over_rows, why_not = _over_rows(first, second, holdouts, pairs)
        found.append((first, second, [*tests, *over_rows], [*untested, *why_not]))
    corrected = _corrected([tests for _, _, tests, _ in found])
    return tuple(_judged(first, second, corrected[i], untested) for i, (first, second, _, untested) in enumerate(found))


def _opened(vault: Vault) -> Scored | str:
    """What was scored on the holdout, or why there is nothing to test."""
    try:
        return vault.scored()
    except MlteamError as error:
        return str(error)


def _over_folds(first: Side, second: Side, vault: Vault) -> tuple[list[PairedTest], list[str]]:
    """Tests of the scores of folds, those of all repeats, and why others are left out.

    Args:
        vault: of the first run; both have the same folds.
    """
    if not same_folds(first, second):
        return [], ["over folds: the runs were validated on different folds"]
    mine, other = (side.winner.fold_scores if side.winner else () for side in (first, second))
    if len(mine) != len(other) or len(mine) < 2:
        return [], [f"over folds: {first.label} has {len(mine)} fold scores, {second.label} has {len(other)}"]
    assert first.contract is not None
    if first.contract.split.kind == "time":
        why = "corrected t-test: folds in order of time learn from different numbers of rows, which its formula does not know"
        return [wilcoxon(mine, other)], [why]
    from tools.folds import rows_ratio

    try:
        validation = vault.rows.validation()
    except OSError:
        return [wilcoxon(mine, other)], ["corrected t-test: the training rows are gone, and with them how many a fold learns from"]
    # Of one repeat, however many there are: dealing rows anew makes no fold's training set larger.
    ratio = rows_ratio(validation.folds[0], first.contract, validation.moments)
    return [corrected_resampled_t(mine, other, ratio), wilcoxon(mine, other)], []


def _over_rows(first: Side, second: Side, holdouts: dict[str, Scored | str], pairs: int) -> tuple[list[PairedTest], list[str]]:
    """Tests of the predictions of holdout rows, and why others are left out.

    Args:
        pairs: of runs, which p-values are corrected for.
    """
    import numpy as np

    mine, other = holdouts[first.label], holdouts[second.label]
    if isinstance(mine, str) or isinstance(other, str):
        return [], [f"over holdout rows: {why}" for why in (mine, other) if isinstance(why, str)]
    if not np.array_equal(mine.labels, other.labels):
        return [], ["over holdout rows: the labels differ, so one version of the split must have drawn other rows"]
    assert first.contract is not None
    contract, y = first.contract, mine.labels
    drawn = partial(paired_bootstrap, units=mine.units, groups=mine.groups, tests=pairs, seed=contract.seed)
    try:
        tests = [drawn(contract.metric, contract.task, y, mine.predictions, other.predictions)]
    except ValueError as error:
        return [], [f"over holdout rows: {error}"]
    if mine.groups is not None:
        return tests, ["over holdout rows: rows of one group are alike, so whole groups are drawn, and no test takes rows one by one"]
    if find_metric(contract.metric).needs == "label" and contract.predicts == "classes":
        tests.append(mcnemar(y, called(contract, mine.predictions), called(contract, other.predictions)))
    if contract.metric == "roc_auc" and contract.task == "binary" and min(np.bincount(y, minlength=2)) > 1:
        tests.append(delong(y, mine.predictions[:, 1], other.predictions[:, 1]))
    return tests, []


def _corrected(by_pair: Sequence[Sequence[PairedTest]]) -> list[tuple[CorrectedTest, ...]]:
    """Correct the p-values of each kind of test for the number of pairs it was made on."""
    places = [(i, j) for i, tests in enumerate(by_pair) for j in range(len(tests))]
    p_holm: dict[tuple[int, int], float | None] = {}
    for kind in dict.fromkeys(by_pair[i][j].test for i, j in places):
        mine = [(i, j) for i, j in places if by_pair[i][j].test == kind]
        p_holm |= dict(zip(mine, holm([by_pair[i][j].p for i, j in mine]), strict=True))
    return [
        tuple(CorrectedTest(**test.model_dump(), p_holm=p_holm[i, j]) for j, test in enumerate(tests)) for i, tests in enumerate(by_pair)
    ]


def _judged(first: Side, second: Side, tests: tuple[CorrectedTest, ...], untested: Sequence[str]) -> Pair:
    assert first.contract is not None
    usable = {test.test: test for test in tests if test.p_holm is not None}
    if first.contract.metric != "accuracy":
        usable.pop("mcnemar", None)  # it tests the share of right rows, which is no other metric
    decisive = next((usable[kind] for kind in DECISIVE if kind in usable), None)
    better: str | None = None
    if decisive is None or decisive.p_holm is None:
        verdict = "not tested"
    else:
        told = f"{TEST_TITLES[decisive.test]} over {decisive.over}, p {p_value(decisive.p_holm)}"
        if decisive.p_holm > 1 - LEVEL:
            verdict = f"no difference beyond chance ({told})"
        else:
            maximize = first.contract.direction == "maximize"
            better = first.label if (decisive.difference > 0) == maximize else second.label
            verdict = f"{better} is better by {compact(abs(decisive.difference))} ({told})"
    return Pair(
        first=first.label,
        second=second.label,
        tests=tests,
        untested=tuple(untested),
        decisive=decisive.test if decisive else None,
        better=better,
        verdict=verdict,
    )


def _notes(sides: Sequence[Side], pairs: Sequence[Pair]) -> list[str]:
    notes = []
    over = {test.over for pair in pairs for test in pair.tests}
    if len(pairs) > 1 and over:
        notes.append(f"Holm's correction is over the {len(pairs)} pairs, for each test by itself; intervals are not corrected.")
    if "folds" in over:
        notes.append("The folds also chose each run's candidate, so tests over folds lean towards the run that tried more.")
    if sum(side.holdout is not None for side in sides) > 1 and pairs:
        notes.append("Who chooses among runs by their holdout scores has looked once more: the chosen score is a little too good.")
    return notes
