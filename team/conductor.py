"""The conductor: go from turn to turn, keep the checkpoint, end a run in every case."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from decimal import Decimal
from typing import Any

from team.approval import Approve
from team.approvals import Approvals
from team.briefing import SAID_SHOWN, brief, known
from team.budget import Meter
from team.caps import Caps, limits_of
from team.cast import Cast, Clients, last_words
from team.casting import PLAYBOOK
from team.cells import CellJournal
from team.checkpoint import Checkpoint, CutOff
from team.constraining import carry_out, constraints_of, plan
from team.constraint import Constraint, distinct
from team.documents import write_documents
from team.errors import Interrupted, MlteamError, PrerequisiteMissing, UsageError
from team.events import (
    ConstraintAdded,
    CostForecast,
    Event,
    FellBack,
    ModelCalled,
    RunContinued,
    RunEnded,
    RunPaused,
    RunStarted,
    StageEnded,
    StageEntered,
    TimeAdded,
    TurnEnded,
    TurnStarted,
    UserSpoken,
)
from team.evidence import Evidence
from team.grace import left_out, surrender, verdict
from team.host import Host
from team.host_calls import DISK_ERRORS
from team.journal import Journal
from team.kernels import Kernels
from team.log import EventLog
from team.mlflow_traces import keep_in_store
from team.models.recovering import NO_WORDS
from team.objections import answered, overruled, unanswered
from team.observers import Observers
from team.playbook import sections
from team.resources import ResourceMeter
from team.roles import prompts_version
from team.rundir import RunDir, write_atomic
from team.sandbox.private import sweep_folders
from team.scales import Scales
from team.settings import Settings
from team.stages import ROUNDS, SPEAKERS, Stage, State, after_turn, most_turns, outcome, skip, speaker, stuck
from team.steering import Steering
from team.summary import summarise
from team.toolroom import Toolroom
from team.tracking import send_waiting
from team.vault import Vault
from team.versions import versions
from tools.candidates import ENSEMBLE
from tools.trackers.mlflow_store import load_tracker

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
        self.run_dir, self.settings = run, settings
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
        # Seconds are counted by a clock that nobody sets, and those of earlier processes are added.
        self._began = time.perf_counter() - at.seconds
        self._stage_began, self._stage_searched = time.perf_counter() - at.stage_seconds, at.stage_searched
        self._thread = at.thread
        # Words that were logged after the checkpoint are not in it.
        self._words = [*at.words, *(one.text for one in (cut_off.tail if cut_off else ()) if isinstance(one, UserSpoken))]
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
            gate=self._hold if steering else None,
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

    async def go(self) -> dict[str, Any]:
        """From the first stage to the last; whatever happens, the log says how it ended."""
        try:
            if self._steering:
                self._steering.attach()
            async with self._stack:
                await (self._resume(self._cut_off) if self._cut_off else self._begin())
                while self.room.state.stage is not None:
                    await self._safe_point()
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
        except Exception as error:
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
            self._note(note)
        self._save()

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
                self._note(event)
            if isinstance(event, ConstraintAdded):
                await self._carry_out(event)

    def _count(self) -> None:
        """Begin to count what the machine gives, with what the process before could not tell any more."""
        left = self._resources.start(self._cut_off.events if self._cut_off else (), self._kernels.graphics_use())
        if left is not None:
            self.log.append(left)

    async def _safe_point(self) -> None:
        """Between two turns: wait where the user wants that, and take up what the user asked for."""
        if self._steering is None:
            return
        await self._hold()
        # What is gone through again after a cut keeps its briefing; and until it is through, no checkpoint may pass it over.
        if self.log.recovering or not (asked := self._steering.take()):
            return
        for note in asked.notes:
            self._note(note)
        for words in asked.words:
            self._words.append(words)
            self.log.append(UserSpoken(turn=self.turns + 1, text=words))
        if asked.seconds:
            self._add_time(asked.seconds)
        if asked.constraints:
            await self._constrain(asked.constraints)
        self._save()

    def _note(self, note: Event) -> None:
        """Log what happened beside the turns, and charge what it cost."""
        self.log.append(note)
        if isinstance(note, ModelCalled):
            usd = None if note.usd is None else Decimal(str(note.usd))
            self.meter.charge_model(note.input_tokens, note.output_tokens, usd)
            for warned in self._caps.crossed(self.meter.usage, self.meter.limits):
                self.log.append(warned)

    async def _hold(self) -> None:
        """Wait while the user holds the run; the time that it stands is nobody's."""
        if self._steering is None or not self._steering.pausing:
            return
        self._resources.tell(self.log.append)
        self.log.append(RunPaused(turn=self.turns, stage=str(self.room.state.stage)))
        self.log.sync()
        stood = await self._steering.hold()
        self._resources.tell(self.log.append, idle=True)
        self._began += stood
        self._stage_began += stood
        self.log.append(RunContinued(seconds=stood))

    def _add_time(self, seconds: float) -> None:
        """Give the search more time, in the settings too, so that it holds after a resume."""
        self.settings = self.settings.model_copy(update={"time": self.settings.time + seconds})
        write_atomic(self.run_dir.settings, self.settings.to_yaml())
        self.meter.limits = replace(self.meter.limits, search_s=self.settings.time)
        self.room.state = self.room.state.model_copy(update={"search_spent": self.meter.search_spent})
        self.log.append(TimeAdded(seconds=seconds, search_s=self.settings.time))

    async def _constrain(self, added: list[Constraint]) -> None:
        """Hold the run to more from here on: put on record what follows, and do it."""
        event = self.log.append(plan(self.room.state, self.vault, self.meter, self.settings.constraints, added))
        assert isinstance(event, ConstraintAdded)
        self.log.sync()
        await self._carry_out(event)

    async def _carry_out(self, event: ConstraintAdded) -> None:
        """Do what an event says, once more where the run was cut off within."""
        if event.refused:
            return
        added = constraints_of(event)
        self.settings = self.settings.model_copy(update={"constraint": distinct([*self.settings.constraint, *added])})
        write_atomic(self.run_dir.settings, self.settings.to_yaml())
        self.room.host.wish = replace(self.room.host.wish, constraints=self.settings.constraints)
        await self._kernels.rebind(self.settings)
        before = self.room.state
        self.room.state = carry_out(event, before, self.run_dir, self.vault, self.settings.constraints)
        self.room.evidence.forget(event.excluded)
        self.room.evidence.write_leaderboard(self.room.state)
        if event.back_to:
            self._leave(before, self.room.state, "a constraint was added")

    def _save(self) -> None:
        """Write the checkpoint and force everything to the disk: from here on, this turn is not lost."""
        now = time.perf_counter()
        checkpoint = Checkpoint(
            state=self.room.state,
            usage=self.meter.usage,
            turns=self.turns,
            thread=self._thread,
            words=self._words,
            takeover=self._cast.takeover,
            failures=self._cast.failures,
            seconds=now - self._began,
            stage_seconds=now - self._stage_began,
            stage_searched=self._stage_searched,
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
        await self._speak(role, before.stage)
        state = self.room.state
        # A turn whose tuning was lost with its kernel is no round: nothing is known of what it would have gained.
        if before.stage is Stage.OPTIMISE and (self.room.tuned or not self.room.lost_search):
            state = self.room.evidence.of_round(before, state, self.room.tuned, self.meter.usage.trials - trials_before)
        self._resources.tell(self.log.append)
        self._advance(before, state)
        self.log.settle(self.turns)
        self._save()

    def _open_turn(self, role: str, stage: Stage, model: str) -> str:
        """The briefing of a turn that begins, which tells a model of what a turn before left, and the playbook all of it."""
        contract = self.vault.contract if self.vault.sealed else None
        briefing = self.log.briefing(self.turns) or brief(
            self.room.state,
            self.room.host.wish,
            self.meter,
            contract,
            self.run_dir.name,
            self._thread,
            words=self._words,
            short=model != PLAYBOOK,
        )
        self.log.append(TurnStarted(turn=self.turns, role=role, stage=stage, briefing=briefing))
        return briefing

    async def _speak(self, role: str, stage: Stage) -> None:
        """The role's turn; when its model fails, the playbook takes it over, from what the tools have done by then."""
        model = self._cast.model(role)
        briefing, begun = self._open_turn(role, stage, model), time.perf_counter()
        try:
            last = await self._cast.group(model).turn(role, briefing)
        except Exception as error:
            self._raise_fatal()
            reason = last_words(error)
            self.log.append(TurnEnded(turn=self.turns, role=role, status="failed", seconds=time.perf_counter() - begun, error=reason))
            if model == PLAYBOOK:
                self.room.trouble = f"the {role} failed: {reason}"
                return  # a turn without a fact: a few of them end the stage, one of them need not end the run
            self.log.append(FellBack(stage=stage, role=role, reason=self._cast.why_fallen_back(model, reason)))
            briefing, begun = self._open_turn(role, stage, PLAYBOOK), time.perf_counter()
            try:
                last = await self._cast.group(PLAYBOOK).turn(role, briefing)
            except Exception as second:
                self._raise_fatal()
                self.room.trouble = f"the {role} failed: {second}"
                return
        else:
            self._cast.succeeded(model)
        self._raise_fatal()
        self._thread = [*self._thread, (role, last)][-SAID_SHOWN:]
        if role != "critic":
            words = "" if last in NO_WORDS else last
            self.room.state = self.room.evidence.of_answer(self.room.state, lambda one: answered(one, role, self.room.done_well, words))
        self.log.append(TurnEnded(turn=self.turns, role=role, status="ok", seconds=time.perf_counter() - begun))

    def _raise_fatal(self) -> None:
        """Raise what a tool call met that no role can mend, or a replay that went another way than its recording."""
        if self.room.fatal is not None:
            raise self.room.fatal
        if self._cast.diverged is not None:
            raise self._cast.diverged

    def _advance(self, before: State, state: State) -> None:
        assert before.stage is not None
        if unanswered(state.objections) and before.objections and state.turns_in_visit + 1 >= ROUNDS * len(SPEAKERS[before.stage]):
            why = f"nobody answered it in {state.turns_in_visit + 1} turns"
            for one in unanswered(state.objections):
                reason = f"{one.id} of the critic was not answered: {why}, so the work goes on"
                self.log.append(FellBack(stage=before.stage, role="critic", reason=reason, what=one.id))
            state = self.room.evidence.of_answer(state, lambda one: overruled(one, why))
        ended = outcome(state)
        after = after_turn(state)
        if ended is None and stuck(after):
            if self._cast.model(speaker(before)) != PLAYBOOK:
                self._cast.takeover = True
                reason = f"{most_turns(before.stage)} turns brought no fact that ends the stage"
                self.log.append(FellBack(stage=before.stage, role=speaker(before), reason=reason))
                after = after.model_copy(update={"turns_in_visit": 0})
            else:
                ended, after = self._give_up(after)
        if before.stage is Stage.RELEASE and after.stage is None and not after.tracked:
            self.log.append(FellBack(stage=Stage.RELEASE, role="release_manager", reason="the tracker did not take the run"))
        self.room.state = after
        if after.stage != before.stage or after.visit != before.visit:
            wish, left = self.room.host.wish, []
            nested, blends = wish.validation == "nested", wish.constraints.refuses(ENSEMBLE) is None
            found = left_out(
                before.stage,
                after,
                self.meter.search_left_s,
                nested=nested,
                blends=blends,
                release=wish.release,
                troubles=self.room.troubles,
                run=self.run_dir.path,
            )
            for what, reason in found:
                left.append(FellBack(stage=before.stage, role=speaker(before), reason=reason, what=what))
            self._leave(before, after, ended or "", left)
            if after.stage is Stage.RELEASE:
                # A failing import is met again, and told, by the tool that needs it.
                self._loading = asyncio.ensure_future(asyncio.gather(asyncio.to_thread(load_tracker), return_exceptions=True))

    def _leave(self, before: State, after: State, outcome: str, told: Sequence[Event] = ()) -> None:
        """Put on record that a stage has ended, and that another begins.

        Args:
            told: what is said between the two.
        """
        assert before.stage is not None
        self._cast.takeover = False
        searched, now = self.meter.usage.search_s - self._stage_searched, time.perf_counter()
        self.log.append(
            StageEnded(stage=before.stage, visit=before.visit, outcome=outcome, seconds=now - self._stage_began, search_seconds=searched)
        )
        self._stage_began, self._stage_searched = now, self.meter.usage.search_s
        for event in told:
            self.log.append(event)
        if after.stage is not None:
            self.room.begin_stage()
            self.log.append(StageEntered(stage=after.stage, visit=after.visit))

    def _give_up(self, state: State) -> tuple[str, State]:
        """Leave a stage without its facts where the run can still end well.

        Raises:
            MlteamError: where it cannot, with the last thing that failed.
        """
        assert state.stage is not None
        given_up = surrender(state, self.room.trouble, self.run_dir.path)
        if given_up is None:
            raise MlteamError(verdict(state, self.room.trouble))
        self.log.append(FellBack(stage=state.stage, role=PLAYBOOK, reason=given_up.reason, what=given_up.what))
        return given_up.outcome, skip(state)

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
        seconds = time.perf_counter() - self._began
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
        total = time.perf_counter() - self._began
        summary["seconds"] |= {"documents": round(total - seconds, 2), "total": round(total, 2)}
        return summary
