"""The conductor: go from turn to turn, keep the checkpoint, end a run in every case."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any

from team.approval import Approve
from team.approvals import Approvals
from team.briefing import known
from team.budget import Meter
from team.caps import Caps, limits_of
from team.cast import Cast, Clients
from team.casting import PLAYBOOK
from team.cells import CellJournal
from team.checkpoint import Checkpoint, CutOff
from team.documents import write_documents
from team.errors import Interrupted, MlteamError, PrerequisiteMissing, UsageError
from team.events import (
    ConstraintAdded,
    CostForecast,
    Event,
    FellBack,
    ModelCalled,
    RunEnded,
    RunStarted,
    StageEntered,
    UserSpoken,
)
from team.evidence import Evidence
from team.host import Host
from team.host_calls import DISK_ERRORS
from team.interventions import Interventions
from team.journal import Journal
from team.kernels import Kernels
from team.log import EventLog
from team.mlflow_traces import keep_in_store
from team.observers import Observers
from team.playbook import sections
from team.resources import ResourceMeter
from team.roles import prompts_version
from team.run_clock import RunClock
from team.rundir import RunDir, write_atomic
from team.sandbox.private import sweep_folders
from team.scales import Scales
from team.settings import Settings
from team.speaking import Speaking
from team.stages import Stage, State, speaker
from team.steering import Steering
from team.summary import summarise
from team.toolroom import Toolroom
from team.tracking import send_waiting
from team.transitions import Transitions
from team.vault import Vault
from team.versions import versions

Subscriber = Callable[[Event], None]


class Conductor:
    """Runs one team in one run directory."""

    def __init__(
        self,
        run: RunDir,
        settings: Settings,
        subscribers: Sequence[Subscriber],
        clients: Clients,
        cut_off: CutOff | None = None,
        steering: Steering | None = None,
        approve: Approve | None = None,
        before: Sequence[ModelCalled | CostForecast] = (),
    ) -> None:
        """Make everything that the run needs.

        Args:
            cut_off: where an earlier process left the run; None for a new one.
            steering: where the user has a say; None where nobody listens to one.
            approve: asks a person for a word on a call; None where nobody can be asked.
            before: what was asked of models before a new run began, and foreseen from it; it is charged to the run.
        """
        self.run_dir = run
        self._cut_off, self._steering = cut_off, steering
        at = cut_off.checkpoint if cut_off else Checkpoint(state=State(trials_spent=settings.trials == 0))
        # First, since it refuses a port that is taken, and nothing is open yet.
        self._observers = Observers(run, settings, cut_off)
        self.log = Journal(EventLog(run.events), run.replies, cut_off.tail if cut_off else (), at.turns)
        self._observers.follow(self.log)
        for subscriber in subscribers:
            self.log.subscribe(subscriber)
        self.vault = Vault(run)
        self.meter = Meter(limits_of(settings), at.usage)
        self._caps = Caps(cut_off.events if cut_off else ())
        self._before = before
        self.turns = at.turns
        self._stack = AsyncExitStack()
        self._clock = RunClock(at.seconds, at.stage_seconds, at.stage_searched)
        self._kernels = Kernels(
            run, self.vault, settings, self.log.append, lambda: self.room.ongoing, self._stack, resumed=cut_off is not None
        )
        self._resources = ResourceMeter(run.resources, self._kernels.containers)
        self._approvals = Approvals(settings.approval, approve, self.log.append, cut_off.events if cut_off else ())
        kernels = self._kernels
        host = Host(run, settings, self.vault, lambda: self.room.state, kernels.cross_validate, kernels.read_source, self._prose)
        self.room = Toolroom(
            host=host,
            evidence=Evidence(run, self.vault, self.log.append),
            meter=self.meter,
            cells=CellJournal(run.cells),
            record=self.log,
            kernel=kernels.open,
            state=at.state,
            gate=(lambda: self._interventions.hold()) if steering else None,
            approvals=self._approvals,
            scales=Scales(run, kernels.launcher, lambda: kernels.limits, kernels.variables),
            writes_models=not settings.playbook_alone,
            trace=lambda: self._observers.ids,
        )
        self._observers.track(self.log, host, settings.approval, lambda: self.vault.contract, lambda: self.room.state)
        self._cast = Cast(
            settings,
            clients,
            self.room,
            self.log,
            self._stack,
            lambda: self.turns,
            at.takeover,
            dict(at.failures),
            self._approvals,
            self._caps,
        )
        self._speaking = Speaking(self.room, self.log, self._cast, at.thread, lambda: self._interventions.words)
        self._transitions = Transitions(self.room, self.log, self._cast, self._clock)
        # Words that were logged after the checkpoint are not in it.
        words = [*at.words, *(one.text for one in (cut_off.tail if cut_off else ()) if isinstance(one, UserSpoken))]
        self._interventions = Interventions(
            steering,
            settings,
            words,
            room=self.room,
            log=self.log,
            kernels=self._kernels,
            resources=self._resources,
            caps=self._caps,
            clock=self._clock,
            turn=lambda: self.turns,
            leave=self._transitions.leave,
        )

    @property
    def settings(self) -> Settings:
        """Those of the run, as they are by now."""
        return self._interventions.settings

    async def go(self) -> dict[str, Any]:
        """From the first stage to the last; whatever happens, the log says how it ended."""
        try:
            if self._steering:
                self._steering.attach()
            async with self._stack:
                await (self._resume(self._cut_off) if self._cut_off else self._begin())
                while self.room.state.stage is not None:
                    if await self._interventions.take_up():
                        self._save()
                    await self._step()
            return self._end("done", "")
        except (asyncio.CancelledError, KeyboardInterrupt):
            self._end("interrupted", "stopped from outside")
            raise Interrupted(f"stopped; everything is saved. Go on with: mlteam resume {self.run_dir.path}") from None
        except UsageError:
            raise
        except PrerequisiteMissing as error:
            self._end("failed", str(error))
            if self.vault.sealed:
                raise PrerequisiteMissing(f"{error} Then: mlteam resume {self.run_dir.path}") from None
            raise
        except MlteamError as error:
            self._end("failed", str(error))
            raise type(error)(f"{error} {self._way_on}") if type(error) is MlteamError else error from None
        except Exception as error:  # a mistake of ours or of a library: the log says how the run ended all the same
            if isinstance(error, OSError) and error.errno in DISK_ERRORS:
                raise
            reason = f"{type(error).__name__}: {error}"
            self._end("failed", reason)
            raise MlteamError(f"{reason}. {self._way_on}") from error

    @property
    def _way_on(self) -> str:
        return f"The run is in {self.run_dir.path}. Try to go on with it: mlteam resume {self.run_dir.path}"

    def close(self) -> None:
        """Close the files of the run, and end what counts for it."""
        self._resources.stop()
        self._observers.close()
        self.log.close()

    async def _begin(self) -> None:
        write_atomic(self.run_dir.settings, self.settings.to_yaml())
        self._announce()
        for note in self._before:
            self._interventions.note(note)
        self._save()
        await self._kernels.begin()

    def _announce(self) -> None:
        made_by = {**versions(), "prompts": prompts_version()}
        self.log.append(RunStarted(run=self.run_dir.name, settings=self.settings.model_dump(mode="json"), versions=made_by))
        self._kernels.choose()
        self._count()
        self.log.append(StageEntered(stage=Stage.PLAN, visit=1))

    async def _resume(self, cut_off: CutOff) -> None:
        """Take the run up where an earlier process left it."""
        self.room.cells.keep(cut_off.is_kept)
        if (call := cut_off.in_flight) is not None and call.tool == "seal_holdout" and not self.room.state.sealed:
            self.vault.take_back()
        self.log.append(cut_off.event(self.room.state, self.run_dir.path))
        self.meter.usage.search_s += cut_off.lost_search_s
        if cut_off.checkpoint.events:
            self._kernels.choose()
            self._count()
        else:  # it was cut off before its first checkpoint
            self._announce()
        for event in cut_off.tail:
            if isinstance(event, ModelCalled) and event.turn == 0:  # beside the turns: no turn that is gone through again pays for it
                self._interventions.note(event)
            if isinstance(event, ConstraintAdded):
                await self._interventions.carry_out(event)

    def _count(self) -> None:
        """Begin to count what the machine gives, with what the process before could not tell any more."""
        left = self._resources.start(self._cut_off.events if self._cut_off else (), self._kernels.graphics_use())
        if left is not None:
            self.log.append(left)

    def _save(self) -> None:
        """Write the checkpoint and force everything to the disk: from here on, this turn is not lost."""
        checkpoint = Checkpoint(
            state=self.room.state,
            usage=self.meter.usage,
            turns=self.turns,
            thread=self._speaking.thread,
            words=self._interventions.words,
            takeover=self._cast.takeover,
            failures=self._cast.failures,
            seconds=self._clock.seconds,
            stage_seconds=self._clock.stage_seconds,
            stage_searched=self._clock.searched,
            events=self.log.length,
        )
        self.log.sync()
        self.run_dir.write_checkpoint(checkpoint.model_dump(mode="json"))

    async def _step(self) -> None:
        """One turn, and what follows from it."""
        before = self.room.state
        assert before.stage is not None
        role = speaker(before)
        self.turns += 1
        self._resources.turn(self.turns, role, before.stage)
        self.room.begin_turn(self.turns)
        trials_before = self.meter.usage.trials
        await self._speaking.turn(self.turns, role, before.stage)
        state = self.room.state
        # A turn whose tuning was lost with its kernel is no round: nothing is known of what it would have gained.
        if before.stage is Stage.OPTIMISE and (self.room.tuned or not self.room.lost_search):
            state = self.room.evidence.of_round(before, state, self.room.tuned, self.meter.usage.trials - trials_before)
        self._resources.tell(self.log.append)
        self._transitions.advance(before, state)
        self.log.settle(self.turns)
        self._save()

    def _lack(self, what: str, reason: str) -> None:
        """Put on record what the run goes without, between turns or at its end."""
        self.log.append(FellBack(stage=self.room.state.stage or Stage.RELEASE, role=PLAYBOOK, reason=reason[:400], what=what))

    def _prose(self) -> dict[str, str]:
        """What the playbook says in each slot of the documents."""
        if self.room.state.holdout is None:
            return {}
        return sections(known(self.room.state, self.room.host.wish, self.meter, self.vault.contract, self.run_dir.name))

    def _end(self, status: str, reason: str) -> dict[str, Any]:
        if self._steering:
            self._steering.detach()
        for trouble in self._observers.troubles():
            self._lack("traces", trouble)
        seconds = self._clock.seconds
        self._resources.tell(self.log.append)
        summary = summarise(self.run_dir, self.room.state, self.meter.usage, status, reason, seconds)
        self.log.append(RunEnded(status=status, reason=reason, seconds=seconds, summary=summary))
        self.log.sync()
        untold = self._observers.close()
        self.close()
        sweep_folders()
        if self.vault.sealed:
            summary["fallbacks"] += write_documents(self.run_dir)
            summary["report"] = str(self.run_dir.report) if self.run_dir.report.exists() else None
        self._observers.ended(status)
        if status == "done" and self.settings.trackers and "track_run" not in self._approvals.refused:
            summary["sent"] = send_waiting(self.run_dir, self.settings.trackers)
        summary["fallbacks"] += [*untold, *filter(None, [keep_in_store(self.run_dir)])]
        total = self._clock.seconds
        summary["seconds"] |= {"documents": round(total - seconds, 2), "total": round(total, 2)}
        return summary
