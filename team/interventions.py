"""What people ask for while a run goes on, carried out between two turns: words, more time, a pause, more that must be kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal

from team.caps import Caps
from team.constraining import carry_out, constraints_of, plan
from team.constraint import Constraint, distinct
from team.events import ConstraintAdded, Event, ModelCalled, RunContinued, RunPaused, TimeAdded, UserSpoken
from team.journal import Journal
from team.kernels import Kernels
from team.resources import ResourceMeter
from team.run_clock import RunClock
from team.rundir import write_atomic
from team.settings import Settings
from team.stages import State
from team.steering import Steering
from team.toolroom import Toolroom

Leave = Callable[[State, State, str], None]
"""Puts on record that the first state's stage has ended and the second one's begins, and why."""


class Interventions:
    """Does what people want of one run.

    Attributes:
        settings: those of the run, as they are by now.
        words: what the user has said to the team, oldest first.
    """

    def __init__(
        self,
        steering: Steering | None,
        settings: Settings,
        words: Sequence[str],
        *,
        room: Toolroom,
        log: Journal,
        kernels: Kernels,
        resources: ResourceMeter,
        caps: Caps,
        clock: RunClock,
        turn: Callable[[], int],
        leave: Leave,
    ) -> None:
        """Keep what carrying out takes.

        Args:
            steering: where the user has a say; None where nobody listens to one.
            words: what was said before.
            turn: number of the turn that is going on, or that ended last.
        """
        self.settings, self.words = settings, list(words)
        self._steering, self._room, self._log, self._kernels = steering, room, log, kernels
        self._resources, self._caps, self._clock, self._turn, self._leave = resources, caps, clock, turn, leave

    async def take_up(self) -> bool:
        """Between two turns: wait where the user wants that, and take up what the user asked for. Returns whether there was anything."""
        if self._steering is None:
            return False
        await self.hold()
        # What is gone through again after a cut keeps its briefing; and until it is through, no checkpoint may pass it over.
        if self._log.recovering or not (asked := self._steering.take()):
            return False
        for note in asked.notes:
            self.note(note)
        for words in asked.words:
            self.words.append(words)
            self._log.append(UserSpoken(turn=self._turn() + 1, text=words))
        if asked.seconds:
            self._add_time(asked.seconds)
        if asked.constraints:
            await self._constrain(asked.constraints)
        return True

    async def hold(self) -> None:
        """Wait while the user holds the run; the time that it stands is nobody's."""
        if self._steering is None or not self._steering.pausing:
            return
        self._resources.tell(self._log.append)
        self._log.append(RunPaused(turn=self._turn(), stage=str(self._room.state.stage)))
        self._log.sync()
        stood = await self._steering.hold()
        self._resources.tell(self._log.append, idle=True)
        self._clock.stood(stood)
        self._log.append(RunContinued(seconds=stood))

    def note(self, note: Event) -> None:
        """Log what happened beside the turns, and charge what it cost."""
        self._log.append(note)
        if isinstance(note, ModelCalled):
            meter = self._room.meter
            usd = None if note.usd is None else Decimal(str(note.usd))
            meter.charge_model(note.input_tokens, note.output_tokens, usd)
            for warned in self._caps.crossed(meter.usage, meter.limits):
                self._log.append(warned)

    async def carry_out(self, event: ConstraintAdded) -> None:
        """Do what an event says, once more where the run was cut off within."""
        if event.refused:
            return
        room, host = self._room, self._room.host
        self._settle({"constraint": distinct([*self.settings.constraint, *constraints_of(event)])})
        host.wish = replace(host.wish, constraints=self.settings.constraints)
        await self._kernels.rebind(self.settings)
        before = room.state
        room.state = carry_out(event, before, host.run, host.vault, self.settings.constraints)
        room.evidence.forget(event.excluded)
        room.evidence.write_leaderboard(room.state)
        if event.back_to:
            self._leave(before, room.state, "a constraint was added")

    def _add_time(self, seconds: float) -> None:
        """Give the search more time, in the settings too, so that it holds after a resume."""
        meter = self._room.meter
        self._settle({"time": self.settings.time + seconds})
        meter.limits = replace(meter.limits, search_s=self.settings.time)
        self._room.state = self._room.state.model_copy(update={"search_spent": meter.search_spent})
        self._log.append(TimeAdded(seconds=seconds, search_s=self.settings.time))

    async def _constrain(self, added: list[Constraint]) -> None:
        """Hold the run to more from here on: put on record what follows, and do it."""
        room = self._room
        event = self._log.append(plan(room.state, room.host.vault, room.meter, self.settings.constraints, added, self.settings.preparers))
        assert isinstance(event, ConstraintAdded)
        self._log.sync()
        await self.carry_out(event)

    def _settle(self, changed: dict[str, object]) -> None:
        self.settings = self.settings.model_copy(update=changed)
        write_atomic(self._room.host.run.settings, self.settings.to_yaml())
