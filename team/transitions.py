"""What a turn means for its stage: whether that ends, what the run goes on without, and what stands on record between two stages."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from team.cast import Cast
from team.casting import PLAYBOOK
from team.errors import DeadEnd, MlteamError
from team.events import Event, FellBack, StageEnded, StageEntered
from team.grace import dead_end, left_out, surrender, verdict
from team.journal import Journal
from team.objections import overruled, unanswered
from team.run_clock import RunClock
from team.stages import ROUNDS, SPEAKERS, Stage, State, after_turn, most_turns, outcome, skip, speaker, stuck
from team.toolroom import Toolroom
from tools.candidates import ENSEMBLE
from tools.trackers.mlflow_store import load_tracker


class Transitions:
    """Takes one run from stage to stage."""

    def __init__(self, room: Toolroom, log: Journal, cast: Cast, clock: RunClock) -> None:
        self._room, self._log, self._cast, self._clock = room, log, cast, clock

    def advance(self, before: State, state: State) -> None:
        """Draw what follows from a turn, and put the run there.

        Args:
            before: where the run stood when the turn began.
            state: what the turn has made of it.

        Raises:
            MlteamError: where a stage has no facts and the run cannot go on without them.
        """
        assert before.stage is not None
        if unanswered(state.objections) and before.objections and state.turns_in_visit + 1 >= ROUNDS * len(SPEAKERS[before.stage]):
            state = self._overrule(before.stage, state)
        ended = outcome(state)
        after = after_turn(state)
        if ended is None and stuck(after):
            if self._cast.model(speaker(before)) != PLAYBOOK:
                self._cast.takeover = True
                reason = f"{most_turns(before.stage)} turns brought no fact that ends the stage"
                self._log.append(FellBack(stage=before.stage, role=speaker(before), reason=reason))
                after = after.model_copy(update={"turns_in_visit": 0})
            else:
                ended, after = self._give_up(after)
        if before.stage is Stage.RELEASE and after.stage is None and not after.tracked:
            self._log.append(FellBack(stage=Stage.RELEASE, role="release_manager", reason="the tracker did not take the run"))
        self._room.state = after
        if after.stage != before.stage or after.visit != before.visit:
            self.leave(before, after, ended or "", self._left_out(before, after))
            if after.stage is Stage.RELEASE:
                # A failing import is met again, and told, by the tool that needs it.
                self._loading = asyncio.ensure_future(asyncio.gather(asyncio.to_thread(load_tracker), return_exceptions=True))

    def leave(self, before: State, after: State, outcome: str, told: Sequence[Event] = ()) -> None:
        """Put on record that a stage has ended, and that another begins.

        Args:
            told: what is said between the two.
        """
        assert before.stage is not None
        self._cast.takeover = False
        searched = self._room.meter.usage.search_s
        self._log.append(
            StageEnded(
                stage=before.stage,
                visit=before.visit,
                outcome=outcome,
                seconds=self._clock.stage_seconds,
                search_seconds=searched - self._clock.searched,
            )
        )
        self._clock.begin_stage(searched)
        for event in told:
            self._log.append(event)
        if after.stage is not None:
            self._room.begin_stage()
            self._log.append(StageEntered(stage=after.stage, visit=after.visit))

    def _overrule(self, stage: Stage, state: State) -> State:
        """Close the objections that nobody answered."""
        why = f"nobody answered it in {state.turns_in_visit + 1} turns"
        for one in unanswered(state.objections):
            reason = f"{one.id} of the critic was not answered: {why}, so the work goes on"
            self._log.append(FellBack(stage=stage, role="critic", reason=reason, what=one.id))
        return self._room.evidence.of_answer(state, lambda one: overruled(one, why))

    def _left_out(self, before: State, after: State) -> list[FellBack]:
        """What the stage that ends was to bring and did not."""
        assert before.stage is not None
        wish = self._room.host.wish
        found = left_out(
            before.stage,
            after,
            self._room.meter.search_left_s,
            nested=wish.validation == "nested",
            blends=wish.constraints.refuses(ENSEMBLE) is None,
            release=wish.release,
            troubles=self._room.troubles,
            run=self._room.host.run.path,
        )
        return [FellBack(stage=before.stage, role=speaker(before), reason=reason, what=what) for what, reason in found]

    def _give_up(self, state: State) -> tuple[str, State]:
        """Leave a stage without its facts where the run can still end well.

        Raises:
            MlteamError: where it cannot, with the last thing that failed.
        """
        assert state.stage is not None
        given_up = surrender(state, self._room.trouble, self._room.host.run.path)
        if given_up is None:
            told = verdict(state, self._room.trouble, self._room.host.wish.constraints)
            raise DeadEnd(f"{told} What was done is in {self._room.host.run.path}.") if dead_end(state) else MlteamError(told)
        self._log.append(FellBack(stage=state.stage, role=PLAYBOOK, reason=given_up.reason, what=given_up.what))
        return given_up.outcome, skip(state)
