"""Host tool: which candidates can be told apart from the one that leads, by paired tests of out-of-fold predictions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel

from tools.comparing import PairedTest, corrected_resampled_t, delong, mcnemar, mcnemar_chi2, paired_bootstrap, wilcoxon, wilcoxon_rows
from tools.contract import Contract
from tools.host import HostContext
from tools.multiplicity import bonferroni, holm
from tools.predictions import PredictionError
from tools.spec import ToolRefused, tool

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    import numpy as np

    from tools.deciding import Decided

    Array = np.ndarray[Any, np.dtype[Any]]

LEVEL = 0.05
"""Chance of telling any two candidates apart that are alike, at most."""
MOST_RIVALS = 12
RESAMPLES, FEWEST_RESAMPLES = 400, 100
ROWS_RESAMPLED = 20_000_000
"""Rows drawn for one pair at most, about a second; where that makes fewer than the fewest resamples, none are drawn."""

Correction = Literal["holm", "bonferroni"]


class StandingTest(PairedTest):
    """A paired test whose p-value was also corrected for the pairs that might have been tested."""

    p_corrected: float | None


class Rival(BaseModel):
    """A candidate beside the leader. Differences are the leader's score minus its own."""

    name: str
    family: str
    score: float
    p: float | None
    """Of the corrected t-test over folds, after the correction; None where that says nothing."""
    apart: bool
    """Whether it can be told apart from the leader at the level."""
    tests: list[StandingTest]


class Standings(BaseModel):
    """Who can be told apart from the leader."""

    leader: str
    score: float
    metric: str
    direction: str
    level: float
    correction: Correction
    pairs: int
    """Pairs of candidates that the correction counts."""
    rivals: list[Rival]
    """The best first."""
    decided: bool = True
    """Whether the test that decides was made; it needs two folds."""
    alike: list[str]
    """Rivals that cannot be told apart from the leader; none where nothing decides."""
    untested: list[str]
    """Which tests were left out, and why."""


@tool(where="host", timeout_s=300)
def compare_models(
    ctx: HostContext,
    leader: Annotated[str | None, "Candidate that the others are compared with; leave out for the best one."] = None,
    candidates: Annotated[list[str] | None, "Candidates to compare with it; leave out for the best of every other family."] = None,
    correction: Annotated[Correction, "Correction for the number of pairs."] = "holm",
) -> Standings:
    """Test which candidates can be told apart from the leading one, on the folds and rows that all of them predicted."""
    board: dict[str, str] = {row["name"]: row["family"] for row in _leaderboard(ctx)}
    if not board:
        raise ToolRefused("there are no candidates to compare; call train_baselines or train first.")
    for name in [*([leader] if leader else []), *(candidates or [])]:
        if name not in board:
            raise ToolRefused(f"no candidate {name!r}; candidates here: {', '.join(list(board)[:40])}.")
    leader = leader or next(iter(board))
    chosen = [name for name in dict.fromkeys(candidates or _best_of_others(board, leader)) if name != leader][:MOST_RIVALS]
    if not chosen:
        raise ToolRefused(f"{leader!r} is the only candidate; there is nothing to compare it with.")
    labels, validation = ctx.vault.rows.labels(), ctx.vault.rows.validation()
    groups = ctx.vault.rows.groups("train")

    def scored(name: str) -> Decided:
        try:
            return ctx.vault.out_of_fold.score(ctx.run.work / "candidates" / name / "oof.parquet")
        except PredictionError as error:
            raise ToolRefused(f"the predictions of {name!r} cannot be read any more: {error}. Compare others.") from None

    from tools.folds import rows_ratio

    contract, mine = ctx.vault.contract, scored(leader)
    validated = validation.folds[0] >= 0
    ratio = rows_ratio(validation.folds[0], contract, validation.moments)
    by_row = validation.averaged(mine.values)[validated]
    scores: dict[str, float] = {}
    tests: dict[str, list[PairedTest]] = {}
    untested: list[str] = []
    for name in chosen:
        other = scored(name)
        scores[name], others = other.score, validation.averaged(other.values)[validated]
        of_folds, why = over_folds(mine.fold_scores, other.fold_scores, ratio)
        of_rows, why_not = over_rows(contract, labels[validated], by_row, others, grouped=groups is not None)
        tests[name] = of_folds + of_rows
        untested += [line for line in (*why, *why_not) if line not in untested]
    count = len(chosen) + 1
    pairs = count * (count - 1) // 2
    return judged(
        Standings(
            leader=leader,
            score=mine.score,
            metric=contract.metric,
            direction=contract.direction,
            level=LEVEL,
            correction=correction,
            pairs=pairs,
            rivals=[],
            alike=[],
            untested=untested,
        ),
        {name: (board[name], scores[name], tests[name]) for name in chosen},
    )


def _leaderboard(ctx: HostContext) -> list[dict[str, str]]:
    """What the host scored, the best first."""
    path = ctx.run.leaderboard
    return json.loads(path.read_text(encoding="utf-8"))["candidates"] if path.exists() else []


def _best_of_others(board: Mapping[str, str], leader: str) -> list[str]:
    """The best candidate of each family but the leader's, the best first: siblings differ by little and cost a pair each."""
    best: dict[str, str] = {}
    for name, family in board.items():
        if family != board[leader]:
            best.setdefault(family, name)
    return list(best.values())


def over_folds(mine: Sequence[float], others: Sequence[float], test_to_train: float) -> tuple[list[PairedTest], list[str]]:
    """The tests that fold scores allow, and why others are left out."""
    if len(mine) != len(others) or len(mine) < 2:
        return [], ["over folds: the metric has a value for both candidates in fewer than two of them"]
    return [corrected_resampled_t(mine, others, test_to_train), wilcoxon(mine, others)], []


def over_rows(contract: Contract, y: Array, mine: Array, other: Array, *, grouped: bool) -> tuple[list[PairedTest], list[str]]:
    """The tests that predictions of single rows allow, and why others are left out.

    They take the fitted models as they are. Whether a family would do as well with other training rows is nothing that they know,
    so they tell two families apart too readily that are equally good.

    Args:
        y: codes or values of the validated rows, shape (n,).
        mine: predictions for them as they are scored, (n, k) or (n,).
        other: those of the other candidate.
        grouped: whether rows belong together, so that they are not independent.
    """
    import numpy as np

    from tools.metrics import find_metric
    from tools.metrics.decision import called
    from tools.problem import levels_of_rows
    from tools.row_losses import losses_by_contract

    if grouped:
        return [], ["over rows: rows of one group are alike, and these tests take each for one of its own"]
    tests: list[PairedTest] = []
    untested = []
    if contract.metric == "roc_auc" and contract.task == "binary" and min(np.bincount(y, minlength=2)) > 1:
        tests.append(delong(y, mine[:, 1], other[:, 1]))
    elif len(y) * FEWEST_RESAMPLES <= ROWS_RESAMPLED:
        resamples = min(RESAMPLES, ROWS_RESAMPLED // len(y))
        at = levels_of_rows(contract, len(y))
        tests.append(
            paired_bootstrap(contract.metric, contract.task, y, mine, other, resamples=resamples, seed=contract.seed, normal=True, units=at)
        )
    else:
        untested.append(f"bootstrap: {len(y):,} rows are too many to be drawn again and again")
    if contract.predicts == "classes" and find_metric(contract.metric).needs == "label":
        calls = called(contract, mine), called(contract, other)
        tests += [mcnemar(y, *calls), mcnemar_chi2(y, *calls)]
    elif contract.predicts in ("groups", "scores"):
        untested.append(f"wilcoxon over rows: by itself no row of a {contract.task} task is right or wrong, so none has a loss")
    else:
        tests.append(wilcoxon_rows(*(losses_by_contract(contract, y, p)[0] for p in (mine, other))))
    return tests, untested


def judged(standings: Standings, found: Mapping[str, tuple[str, float, Sequence[PairedTest]]]) -> Standings:
    """The standings with their rivals, corrected and judged.

    The leader leads by the very scores that are tested, so any pair of candidates might have come to be the tested one: p-values
    are corrected for all pairs. The corrected t-test decides, since it alone counts what a model owes to its training rows.

    Args:
        found: family, score and tests of each rival by name.
    """
    correct = {"holm": holm, "bonferroni": bonferroni}[standings.correction]
    kinds = dict.fromkeys((test.test, test.over) for _, _, tests in found.values() for test in tests)
    corrected: dict[tuple[str, str, str], float | None] = {}
    for kind, over in kinds:
        p_values = {name: test.p for name, (_, _, tests) in found.items() for test in tests if (test.test, test.over) == (kind, over)}
        settled = correct(list(p_values.values()), of=max(standings.pairs, len(p_values)))
        corrected |= {(name, kind, over): p for name, p in zip(p_values, settled, strict=True)}
    rivals = []
    for name, (family, score, tests) in found.items():
        p = corrected.get((name, "corrected_t", "folds"))
        told = [StandingTest(**test.model_dump(), p_corrected=corrected[name, test.test, test.over]) for test in tests]
        rivals.append(Rival(name=name, family=family, score=score, p=p, apart=p is not None and p <= standings.level, tests=told))
    sign = -1.0 if standings.direction == "maximize" else 1.0
    rivals.sort(key=lambda rival: (sign * rival.score, rival.name))
    decided = any(test.test == "corrected_t" for _, _, tests in found.values() for test in tests)
    alike = [rival.name for rival in rivals if decided and not rival.apart]
    return standings.model_copy(update={"rivals": rivals, "alike": alike, "decided": decided})
