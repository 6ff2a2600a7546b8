"""The real `HostContext`: what host tools get, made from the run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from team.after_the_look import kept_curves, kept_intervals, measure_curves, measure_intervals, other_scores
from team.errors import MlteamError
from team.events import ToolCalled, ToolReturned
from team.log import read_events
from team.rundir import RunDir
from team.settings import Settings
from team.stages import State, may_send_back
from team.tracking_record import run_record
from team.vault import Vault
from tools.families.weights import at_hand
from tools.holdout_score import OtherScores
from tools.host import Wish
from tools.release_wish import LOCAL, OWN
from tools.spec import ToolFailed
from tools.trackers.places import acts_outside
from tools.trackers.sending import fanout

if TYPE_CHECKING:
    from tools.conformal import Conformal
    from tools.conversion import SourceRead
    from tools.coverage import Coverage
    from tools.curves import Curves
    from tools.git.begun import Published
    from tools.releasing import Registered
    from tools.submission import Scored
    from tools.trackers.run_record import RunRecord

Prose = Callable[[], dict[str, str]]
"""Text by slot, from what is known by now."""
CrossValidate = Callable[[str, str, float], "Awaitable[Scored]"]
"""Scores a module in quarantine: its name, its text, and the seconds it may take."""


ReadSource = Callable[[], "SourceRead"]
"""Turns what was fetched into the vault's table."""


class Host:
    """Services for host tools. Holds no state of its own: `state` is asked each time."""

    def __init__(
        self,
        run: RunDir,
        settings: Settings,
        vault: Vault,
        state: Callable[[], State],
        cross_validate: CrossValidate,
        read_source: ReadSource,
        prose: Prose = dict,
    ) -> None:
        self.run = run
        self.vault = vault
        self.trackers = fanout(run, settings.trackers)
        self.trackers_outside = tuple(filter(acts_outside, settings.trackers))
        self._state = state
        self._cross_validate = cross_validate
        self._prose = prose
        self._read_source = read_source
        self.tell: Callable[[Mapping[str, Any]], None] = lambda facts: None
        """Takes progress of the call that is going on; `host_calls.py` sets it for each call."""
        self.wish = Wish(
            source=settings.source,
            max_download=settings.max_download,
            mask_pii=settings.mask_pii,
            target=settings.target,
            goal=settings.goal,
            metric=settings.metric,
            task=settings.task,
            classes=settings.classes,
            quantiles=tuple(settings.quantiles or ()),
            seed=settings.seed,
            memory_mb=settings.sandbox.model_dump().get("memory_mb"),
            holdout=settings.holdout,
            folds=settings.folds if isinstance(settings.folds, int) else None,
            validation=settings.validation,
            repeats=settings.repeats,
            leave_one_out=settings.folds == "loo",
            window=settings.window,
            gap=settings.gap,
            own_split=settings.own_split,
            group=settings.group,
            time_column=settings.time_column,
            constraints=settings.constraints,
            series=tuple(settings.series),
            horizon=settings.horizon,
            known=tuple(settings.known),
            event=settings.event,
            sampler=settings.sampler,
            pruner=settings.pruner,
            objectives=tuple(settings.objectives),
            preparers=tuple(settings.preparers),
            foundation=tuple(at_hand(settings.weights)),
            release=settings.release,
        )

    def progress(self, **facts: Any) -> None:
        self.tell(facts)

    def send_back_to(self) -> list[str]:
        return [stage.value for stage in may_send_back(self._state())]

    def accepted(self) -> bool:
        review = self._state().review()
        return review is not None and review.verdict == "accept"

    def refitted(self) -> str | None:
        return self._state().refitted

    def scored(self) -> str | None:
        holdout = self._state().holdout
        return holdout.candidate if holdout else None

    def refit_failure(self) -> str | None:
        return self._state().refit_failure

    def decision(self, candidate: str) -> list[float]:
        return next((list(c.decision) for c in self._state().candidates if c.name == candidate), [])

    def candidates(self) -> list[str]:
        return [candidate.name for candidate in self._state().candidates]

    def failed_attempts(self) -> list[str]:
        return list(dict.fromkeys(attempt.name for attempt in self._state().attempts if attempt.score is None))

    def read_source(self) -> SourceRead:
        return self._read_source()

    async def cross_validate(self, name: str, code: str, time_s: float) -> Scored:
        return await self._cross_validate(name, code, time_s)

    def measure_intervals(self) -> list[Coverage]:
        return measure_intervals(self.run, self.vault)

    def kept_intervals(self) -> Conformal | None:
        return kept_intervals(self.run)

    def kept_curves(self) -> Curves | None:
        return kept_curves(self.run)

    def other_scores(self) -> OtherScores:
        found, curves = other_scores(self.vault), measure_curves(self.run, self.vault)
        return OtherScores(found.scores | curves.scores, found.ends | curves.ends)

    def build_report(self) -> Path:
        from reports.html import write_report

        return write_report(self.run.path)

    def unbacked(self, text: str) -> list[str]:
        from reports.ledger import read_ledger

        return read_ledger(self.run.path).unbacked(text)

    def refused_sections(self, slot: str) -> int:
        asked = {}
        for event in read_events(self.run.events):
            if isinstance(event, ToolCalled) and event.tool == "write_section" and event.arguments.get("slot") == slot:
                asked[event.call] = 0
            elif isinstance(event, ToolReturned) and event.call in asked:
                asked[event.call] = int(event.status == "refused")
        return sum(asked.values())

    def prose(self) -> dict[str, str]:
        return self._prose()

    def backed_prose(self, slot: str) -> str:
        from reports.ledger import read_ledger

        return read_ledger(self.run.path).without_unbacked(self._prose().get(slot, ""))

    def run_record(self) -> RunRecord:
        return run_record(self.run, self.vault.contract, self._state())

    def packaged(self) -> bool:
        return self._state().packaged

    def register(self) -> Registered:
        from team.registering import register

        wish = self.wish.release
        try:
            return register(self.run, registry=None if wish.registry == LOCAL else wish.registry, name=wish.name)
        except MlteamError as error:  # of any kind: the run has its package, and ends well without this
            raise ToolFailed(str(error)) from None

    def publish(self) -> Published:
        from reports.experiment_summary import write_summary
        from reports.model_card import write_card
        from team.publishing import publish_run

        wish = self.wish.release
        repo = None if wish.repo in (None, OWN) else Path(wish.repo)
        try:
            # They are written at the run's end too, with all that it says of itself by then.
            write_card(self.run.path)
            write_summary(self.run.path)
            return publish_run(self.run, repo=repo, tag=wish.tag, remote=wish.push, pull_request=wish.pull_request, forge=wish.forge)
        except MlteamError as error:
            raise ToolFailed(str(error)) from None
