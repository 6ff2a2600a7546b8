"""The real `HostContext`: what host tools get, made from the run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from team.rundir import RunDir
from team.settings import Settings
from team.stages import State, may_send_back
from team.vault import Vault
from tools.host import Wish

if TYPE_CHECKING:
    from tools.submission import Scored

CrossValidate = Callable[[str, str, float], "Awaitable[Scored]"]
"""Scores a module in quarantine: its name, its text, and the seconds it may take."""


class Host:
    """Services for host tools. Holds no state of its own: `state` is asked each time."""

    def __init__(self, run: RunDir, settings: Settings, vault: Vault, state: Callable[[], State], cross_validate: CrossValidate) -> None:
        self.run = run
        self.vault = vault
        self._settings = settings
        self._state = state
        self._cross_validate = cross_validate
        self.wish = Wish(
            source=settings.source,
            target=settings.target,
            goal=settings.goal,
            metric=settings.metric,
            seed=settings.seed,
            holdout=settings.holdout,
            folds=settings.folds,
            group=settings.group,
            time_column=settings.time_column,
        )

    def send_back_to(self) -> list[str]:
        return [stage.value for stage in may_send_back(self._state())]

    def accepted(self) -> bool:
        review = self._state().review()
        return review is not None and review.verdict == "accept"

    def refitted(self) -> str | None:
        return self._state().refitted

    def candidates(self) -> list[str]:
        return [candidate.name for candidate in self._state().candidates]

    async def cross_validate(self, name: str, code: str, time_s: float) -> Scored:
        return await self._cross_validate(name, code, time_s)

    def build_report(self) -> Path:
        from reports.html import write_report

        return write_report(self.run.path)

    def tracked_facts(self) -> dict[str, Any]:
        state, contract = self._state(), self.vault.contract
        holdout = state.holdout
        at_ms = int(self.run.settings.stat().st_mtime * 1000)
        return {
            "experiment": "mlteam",
            "run": self.run.name,
            "at_ms": at_ms,
            "params": {
                "source": self._settings.source,
                "target": contract.target,
                "task": contract.task,
                "metric": contract.metric,
                "seed": contract.seed,
                "folds": contract.folds,
                "rows_train": contract.rows_train,
                "rows_holdout": contract.rows_holdout,
                "model": self._settings.model,
                "time_s": self._settings.time,
                "trials": self._settings.trials,
            },
            "metrics": {}
            if holdout is None
            else {"holdout_score": holdout.score, "holdout_low": holdout.low, "holdout_high": holdout.high, "holdout_looks": holdout.looks},
            "tags": {"candidate": holdout.candidate if holdout else "", "refitted": state.refitted or ""},
            "candidates": [
                {
                    "name": c.name,
                    "at_ms": at_ms,
                    "metrics": {"cv_score": c.score, "cv_std_error": c.std_error, "fit_seconds": c.seconds},
                    "params": {"family": c.family, "stage": c.stage.value},
                    "fold_scores": c.fold_scores,
                }
                for c in state.candidates
            ],
            "artefacts": [str(path) for path in (self.run.contract, self.run.report, self.run.leaderboard) if path.exists()],
        }
