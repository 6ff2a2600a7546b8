"""Kernel tools: fit baselines, and fit model families over the contract's folds within a time limit."""

from __future__ import annotations

from typing import Annotated, Any

from annotated_types import Ge, Le
from pydantic import BaseModel

from tools.attempt import Attempts
from tools.candidates import CandidateFacts, Skipped, facts, leaderboard
from tools.constraints import FLOORS
from tools.degradation import Degradation
from tools.spec import ToolRefused, tool
from tools.workspace import workspace

FIRST_S = 10.0
"""Seconds beyond the call's own for a first model where the time was over before any family had learnt."""
FIRST_TRIED, QUICKEST = 3, "tree"
"""Families that are tried for it, and which of them goes first."""
FLOOR_S = 60.0
"""Seconds for a model that knows nothing of the columns, which takes milliseconds on a machine that has nothing else to do."""


class TrainingResult(BaseModel):
    """What a search trained and what it did not."""

    candidates: list[CandidateFacts]
    """Made by this call, the best first."""
    skipped: list[Skipped]
    best: str | None
    """The best candidate of the workspace, those of earlier calls included."""
    best_score: float | None
    metric: str
    direction: str
    seconds: float
    stopped: str | None = None
    """`deadline` or `interrupted` when work was left undone."""
    degraded: list[Degradation] = []
    """Families that were fitted smaller, not on the device asked for, or not at all, for want of time or memory or because they failed."""


@tool(where="kernel", timeout_s=3600, searches=True, over_s=FLOOR_S + FIRST_S)
def train_baselines(
    preparation: Annotated[str, "Preparation to use."] = "default",
    time_s: Annotated[float, "Wall-clock seconds for the call.", Ge(1), Le(86400)] = 15.0,
) -> TrainingResult:
    """Fit the baselines on the contract's folds: dummy, linear model and small tree, or what stands for them in the problem type."""
    from tools.families import BASELINES

    contract = workspace().contract
    allowed = contract.constraints.allowed(BASELINES[contract.task])
    return _search("train_baselines", {"preparation": preparation, "time_s": time_s}, allowed, most=1)


@tool(where="kernel", timeout_s=3600, searches=True, over_s=FIRST_S)
def train(
    families: Annotated[
        list[str],
        "Families to fit, of those that `families` in the briefing names, most promising first.",
    ],
    preparation: Annotated[str, "Preparation to use."] = "default",
    time_s: Annotated[float, "Wall-clock seconds for the call.", Ge(1), Le(86400)] = 60.0,
    per_family: Annotated[int | None, "Most configurations of one family; leave out to go on while time is left.", Ge(1)] = None,
) -> TrainingResult:
    """Fit each family's best-known configuration on the contract's folds, then further ones while time is left."""
    from tools.families import NAMES, learners

    contract = workspace().contract
    known = learners(contract.task)
    strange = [name for name in families if name not in known]
    if len(strange) == len(families) or any(name in NAMES for name in strange):
        asked = ", ".join(map(repr, strange)) or "named"
        raise ToolRefused(f"no family {asked} for a {contract.task} task; families: {', '.join(known)}.")
    constraints = contract.constraints
    if (barred := [(name, reason) for name in families if (reason := constraints.refuses(name))]) and len(barred) == len(set(families)):
        raise ToolRefused(f"{', '.join(name for name, _ in barred)}: {barred[0][1]}. Families: {', '.join(constraints.allowed(known))}.")
    # One that a package brings where the call was made may be missing in this kernel: it must not cost the others.
    ordered = [name for name in known if name in families] + strange
    arguments = {"families": families, "preparation": preparation, "time_s": time_s, "per_family": per_family}
    return _search("train", arguments, ordered, most=1 if "portfolio" in constraints.without else per_family, crosses=True)


def _search(
    tool_name: str,
    arguments: dict[str, Any],
    names: list[str],
    *,
    most: int | None,
    crosses: bool = False,
) -> TrainingResult:
    from tools.crossing import with_crosses
    from tools.deadline import Deadline, DeadlineReached
    from tools.families import NAMES, TABULAR, family, load_libraries
    from tools.preparation import load_preparation
    from tools.problem import load_problem
    from tools.searching import Search

    deadline = Deadline(arguments["time_s"])
    space = workspace()
    problem = load_problem(space)
    attempts = Attempts(space, tool_name, arguments)
    search = Search(space, problem, load_preparation(space, arguments["preparation"], problem), deadline, attempts)
    stopped = None
    names = search.affordable(names)
    load_libraries(names)
    if crosses and any(family(name).crossable for name in names if name in NAMES):
        search.setting = with_crosses(search.setting, problem, deadline.remaining())
    try:
        with attempts:
            search.floors([name for name in names if name in FLOORS])
            try:
                with deadline.alarm():
                    search.run([name for name in names if name not in FLOORS], most)
            except DeadlineReached:
                stopped = "deadline"
                search.late = True
            if problem.contract.task in TABULAR:
                quick = sorted((name for name in names if name not in FLOORS), key=lambda name: name != QUICKEST)
                # After the baselines the other families have their time still, which none but a quick one may take from them.
                once_more = tool_name != "train_baselines" or quick[:1] == [QUICKEST]
                search.first_learner(quick[:FIRST_TRIED], once_more=once_more)
    except DeadlineReached:
        stopped = "deadline"
    except KeyboardInterrupt:
        stopped = "interrupted"
    board = leaderboard(space)
    made = {candidate.name for candidate in search.made}
    return TrainingResult(
        candidates=[facts(candidate) for candidate in board if candidate.name in made],
        skipped=search.skipped + search.left_over(),
        best=board[0].name if board else None,
        best_score=board[0].score if board else None,
        metric=problem.contract.metric,
        direction=problem.contract.direction,
        seconds=round(deadline.elapsed(), 2),
        stopped=stopped or ("deadline" if search.left_over() else None),
        degraded=search.degradations(),
    )
