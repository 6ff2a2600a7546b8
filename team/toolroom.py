"""What all roles' workbenches share: one call from check to log.

In order: the role may call it, the arguments are valid, budget and deadline are left, the call is logged, it runs, its
artefacts are checked, the observation is cut to head and tail, the result is logged. What must end the run is kept in `fatal`.
"""

from __future__ import annotations

import asyncio
import errno
import inspect
import json
import math
import os
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel

from team.approval import ApprovalRequest
from team.approvals import Approvals, refusal
from team.budget import Meter
from team.cells import CellJournal
from team.consequences import OUT_OF_BOUNDS, Consequences
from team.errors import BudgetExceeded, MlteamError, PrerequisiteMissing, SandboxUnavailable, UsageError
from team.events import CellExecuted, Event, FellBack, ProgressMade, ToolCalled, ToolReturned
from team.evidence import Evidence, HandedIn
from team.guidance import own_share
from team.host import Host
from team.journal import Journal
from team.outcome import Outcome
from team.reading import from_outside, loss_of, printable, read_cell, recorded_cell
from team.roles import Role
from team.sandbox import CellResult, Kernel
from team.scales import CannotTell, Scales
from team.stages import Stage, State
from tools.candidates import CODE
from tools.constraints import Constraints
from tools.predictions import PredictionError
from tools.show import PROGRESS_MIME
from tools.spec import InputRefused, ToolArgumentError, ToolFailed, ToolRefused, ToolSpec, registry

OBSERVATION_CHARS = 12_000
"""What a role is shown of one result."""
MOST_PROGRESS = 2_000
"""Progress of one call that is logged: the log is not the sandbox's to fill."""
PROGRESS_EVERY_S = 0.5
"""How often a call on the host is heard at most."""
SEARCH_GRACE_S = 2.0
"""Beyond its own `time_s` a search call gets this long, and a twentieth of it, before the cell is interrupted."""
SEARCH_ENDING_S = 10.0
"""What a search on the host gets beyond that to end its sandboxes and say what was going on, before it is cancelled."""

LOOSE_FACTOR, LOOSE_S = 2.0, 60.0
"""Other calls that name their own time end themselves by it too; so many times that, and so many seconds more, is the limit."""

KILLED_REPEATS = 2
"""How often a tool is called again whose kernel somebody else killed. After that it is taken for the call's own doing."""

INTAKE = ("fetch_data", "seal_holdout")
"""Tools that read the user's own table: what fails there is the table's fault, whoever called."""
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class Running(NamedTuple):
    """The call that is going on."""

    call: str
    role: str
    stage: Stage


class Toolroom:
    """The run's services, its state, and the turn that is going on."""

    def __init__(
        self,
        *,
        host: Host,
        evidence: Evidence,
        meter: Meter,
        cells: CellJournal,
        record: Journal,
        kernel: Callable[[], Awaitable[Kernel]],
        state: State,
        gate: Callable[[], Awaitable[None]] | None = None,
        approvals: Approvals | None = None,
        scales: Scales | None = None,
        writes_models: bool = False,
    ) -> None:
        """Keep what calls need.

        Args:
            gate: waited for before each call, where a user may hold the run.
            approvals: a person's words on calls; None asks nobody and allows everything.
            scales: measures fitted models where the contract bounds them; None takes the kernel's word.
            writes_models: whether language models play, which are to have time for a model of their own.
        """
        self.host, self.evidence, self.meter, self.cells, self.kernel = host, evidence, meter, cells, kernel
        self.state = state
        self._record, self._gate, self._approvals = record, gate, approvals
        self.turn = 0
        self.fatal: BaseException | None = None
        self.trouble = "nothing was done"
        """The last thing that did not work, in a line."""
        self._consequences = Consequences(host.run, evidence, record.append)
        self.tuned: list[str] = []
        """Families that were worked on in this turn: tuned, or written as code."""
        self.done_well: list[str] = []
        """Tools whose calls went well in this turn."""
        self._scales, self._writes_models = scales, writes_models
        self._touched = False
        """Whether code of a role ran in the kernel since it was started."""
        self._running: Running | None = None
        self._told = 0
        self._specs = registry()
        # A model may ask for several tools in one message, and AutoGen would run them at once: two looks at the
        # holdout, two kernels, twice the budget. One after another, each sees what the last one did.
        self._turnstile = asyncio.Lock()

    def spec(self, name: str) -> ToolSpec | None:
        return self._specs.get(name)

    def of_no_use(self) -> frozenset[str]:
        """Tools that need not be shown in this run: they answer what it does not ask."""
        vault = self.host.vault
        untargeted = vault.sealed and vault.contract.predicts in ("groups", "scores")
        hidden = set() if untargeted else {"examine_structure"}
        return frozenset(hidden if self.host.wish.validation == "nested" else hidden | {"nested_score"})

    def settled(self, tool: str) -> frozenset[str]:
        """Arguments of a tool that need not be shown in this run: the user fixed them, or gave nothing for them."""
        wish = self.host.wish
        if tool == "seal_holdout":
            may_be_survival = wish.event is None and (wish.named_task == "survival" or (wish.named_task is None and wish.goal is not None))
            fixed = {"target": wish.target, "metric": wish.metric, "task": wish.named_task, "event": not may_be_survival}
            return frozenset(name for name, value in fixed.items() if value)
        if tool == "prepare":
            return frozenset() if wish.preparers else frozenset({"preparers"})
        return frozenset(self._wished(spec)) if (spec := self.spec(tool)) else frozenset()

    def emit(self, event: Event) -> Event:
        return self._record.append(event)

    def begin_turn(self, turn: int) -> None:
        self.turn, self.tuned, self.lost_search, self.done_well = turn, [], False, []

    async def call(self, role: Role, name: str, arguments: Mapping[str, Any]) -> Outcome:
        """Run one call from check to log, after those before it."""
        async with self._turnstile:
            if self._gate is not None:
                await self._gate()
            return await self._call(role, name, arguments)

    async def _call(self, role: Role, name: str, arguments: Mapping[str, Any]) -> Outcome:
        spec = self.spec(name)
        where = spec.where if spec else "host"
        called = ToolCalled(call=uuid.uuid4().hex[:12], turn=self.turn, role=role.name, tool=name, where=where, arguments=dict(arguments))
        announced = self.emit(called)
        call = announced.call if isinstance(announced, ToolCalled) else called.call
        if (before := self._record.returned(call)) is not None:
            return self._once_more(spec, arguments, before)
        start, waited = time.perf_counter(), self._approvals.waited_s if self._approvals else 0.0
        ran = True
        try:
            outcome = await self._checked(call, role, spec, name, arguments)
        except (ToolArgumentError, ToolRefused, MlteamError) as error:
            ran = False
            if isinstance(error, InputRefused):
                if not self._own_choices(name, arguments):
                    self.fatal = UsageError(str(error))
            elif isinstance(error, (UsageError, PrerequisiteMissing)):
                self.fatal = error  # no role can mend a machine or a setting
            expected = {"expected": error.expected} if isinstance(error, ToolArgumentError) else {}
            outcome = Outcome(status="refused", text=str(error), facts=expected)
        if outcome.status == "error" and name in INTAKE and not self._own_choices(name, arguments):
            self.fatal = UsageError(f"{self.host.wish.source}: the table cannot be used as it is ({outcome.text.strip()}).")
        seconds = time.perf_counter() - start - ((self._approvals.waited_s if self._approvals else 0.0) - waited)
        searched = seconds if spec is not None and spec.searches and ran else 0.0
        self._charge(searched, outcome)
        if outcome.status == "ok":
            self.done_well.append(name)
        else:
            self.trouble = f"{name} did not work: {outcome.last_line}"
        if outcome.result is None:  # facts stay whole: half a document of JSON is none, and models are shown them shortened
            outcome.text = cut(outcome.text)
        self.emit(
            ToolReturned(
                call=call,
                tool=name,
                status=outcome.status,
                seconds=seconds,
                search_seconds=searched,
                result=outcome.result,
                text=outcome.text if outcome.result is None else "",
                facts=outcome.facts,
            )
        )
        return outcome

    def _own_choices(self, name: str, arguments: Mapping[str, Any]) -> list[str]:
        """Of a call that takes the user's data in, what the role chose where it might have left it out.

        Such a call is refused like any other: the user's input is at fault only where nothing else can be. Somebody has to name a
        target, so the one that a role names counts as the user's.
        """
        if name not in INTAKE:
            return []
        wish = self.host.wish
        fixed = {"source": wish.source, "task": wish.named_task, "event": wish.event, "metric": wish.metric}
        columns = (wish.group, wish.time_column)
        own = {key: value for key, value in arguments.items() if key != "target" and value is not None and value != fixed.get(key)}
        return [key for key, value in own.items() if not (key == "column" and value in columns)]

    def _once_more(self, spec: ToolSpec | None, arguments: Mapping[str, Any], before: ToolReturned) -> Outcome:
        """What a call brought that returned before the run was cut off: it is not made again."""
        text = before.text if before.result is None else json.dumps(before.result, ensure_ascii=False)
        outcome = Outcome(status=before.status, text=text, result=before.result, facts=before.facts)
        if spec is not None and before.status != "refused":
            self.state = self.evidence.of_recorded(self.state, self._record.scored_before(before))
            outcome = self._taken_over(spec, spec.validate(arguments), outcome)
        self.state = self._consequences.state(self.state, before.tool, arguments, outcome)
        if outcome.status == "ok":
            self.done_well.append(before.tool)
        self._charge(before.search_seconds, outcome)
        self.emit(before)
        return outcome

    def _charge(self, searched: float, outcome: Outcome) -> None:
        if searched:
            self.meter.charge_search(searched, _trials(outcome))
            trials_left = self.meter.trials_left
            self.state = self.state.model_copy(update={"search_spent": self.meter.search_spent, "trials_spent": trials_left == 0})

    async def _checked(self, call: str, role: Role, spec: ToolSpec | None, name: str, arguments: Mapping[str, Any]) -> Outcome:
        assert self.state.stage is not None
        allowed = role.tools_in(self.state.stage)
        if spec is None or name not in allowed:
            raise ToolRefused(
                f"{name!r} is no tool of the {role.name} in stage {self.state.stage}; there are: {', '.join(sorted(allowed))}."
            )
        strays = spec.strays(arguments)
        values = spec.validate({**{key: value for key, value in arguments.items() if key not in strays}, **self._wished(spec)})
        if spec.searches:
            self.meter.check_search()
            values = self._within_budget(spec, values)
        await self._approved(call, role, spec, values)
        self._running, self._told = Running(call, role.name, self.state.stage), 0
        try:
            self._unchanged(spec, values)
            outcome = await (self._on_host(spec, values) if spec.where == "host" else self._in_kernel(spec, values))
            outcome = await self._weighed(spec, values, outcome)
            outcome = self._recorded(spec, values, outcome)
            self._seal_files(spec, values)
            self._consequences.tell(self.state, role.name, spec, values, outcome)
            self.state = self._consequences.state(self.state, spec.name, values, outcome)
            if spec.name == "submit_candidate" and outcome.status == "ok" and self.state.attempts:
                outcome.text = json.dumps({**(outcome.result or {}), "lesson": self.state.attempts[-1].lesson}, ensure_ascii=False)
            if strays and outcome.result is not None:
                said = f"{spec.name} has no argument {', '.join(repr(name[:60]) for name in strays[:6])}"
                outcome.text = json.dumps({**outcome.result, "left_out": said}, ensure_ascii=False)
            return outcome
        finally:
            self._running = None

    async def _approved(self, call: str, role: Role, spec: ToolSpec, values: dict[str, Any]) -> None:
        """Wait for a person's word on a call that needs one; no deadline runs meanwhile.

        Raises:
            ToolRefused: where the answer is no, or nobody could be asked.
        """
        if self._approvals is None:
            return
        outside = spec.acts_outside(self.host)
        request = ApprovalRequest(
            call=call,
            tool=spec.name,
            role=role.name,
            stage=str(self.state.stage),
            arguments=values,
            outside=outside is not None,
            what=outside.what if outside else f"be called ({spec.description[:1].lower()}{spec.description[1:]})",
        )
        decision = await self._approvals.word(request, outside.named_by if outside else "")
        if not decision.allowed:
            raise ToolRefused(refusal(request, decision))

    def progress(self, facts: Mapping[str, Any]) -> None:
        """Tell whoever watches how far the call that is going on has come."""
        assert self._running is not None, "progress is made by a call that is going on"
        self._told += 1
        if self._told > MOST_PROGRESS:
            return
        self.emit(ProgressMade(call=self._running.call, facts=_small(facts)))

    def journal(self, tool: str, code: str, cell: CellResult, names: list[str] | None = None) -> None:
        """Keep a cell that was executed for the call that is going on, whatever sandbox it ran in.

        Args:
            names: variables of the run's own kernel after it, where they may be wanted again.
        """
        assert self._running is not None, "cells are executed for a call that is going on"
        call, role, stage = self._running
        number = self.cells.add(call, role, stage, tool, code, cell, names)
        self.emit(CellExecuted(call=call, cell=number, status=cell.status, seconds=cell.seconds, cause=cell.cause))

    def _wished(self, spec: ToolSpec) -> dict[str, Any]:
        """Arguments that the user fixed, which no role chooses."""
        wish = self.host.wish
        if spec.name != "tune":
            return {}
        weighed = list(wish.objectives) if len(wish.objectives) > 1 else None
        fixed = {"sampler": wish.sampler, "pruner": wish.pruner, "objectives": weighed}
        return {name: value for name, value in fixed.items() if value}

    def _within_budget(self, spec: ToolSpec, values: dict[str, Any]) -> dict[str, Any]:
        left = self.meter.trials_left
        if "time_s" in values:
            share = own_share(self.state, spec.name) if self._writes_models else 1.0
            values["time_s"] = round(min(float(values["time_s"]), share * self.meter.search_left_s), 2)
        if left is not None and "trials" in values:
            if left == 0:
                raise BudgetExceeded("trials", self.meter.usage.trials, self.meter.limits.trials or 0, "trials")
            values["trials"] = left if values["trials"] is None else min(int(values["trials"]), left)
        return values

    async def _on_host(self, spec: ToolSpec, values: dict[str, Any]) -> Outcome:
        deadline = _deadline(spec, values)
        if inspect.iscoroutinefunction(spec.function):
            work, deadline = spec.function(self.host, **values), deadline + SEARCH_ENDING_S * spec.searches
        else:
            work = asyncio.to_thread(_guarded, spec.function, self.host, values)
        over = self._listen()
        try:
            result = await asyncio.wait_for(work, deadline)
        except TimeoutError:
            return Outcome(status="timeout", text=f"{spec.name} took longer than its {deadline:g} s.")
        except (ToolRefused, MlteamError):
            raise
        except ToolFailed as error:
            return Outcome(status="error", text=str(error))
        except Exception as error:  # a tracker or a library may fail in any way; only a disk that takes nothing ends the run
            if isinstance(error, OSError) and error.errno in DISK_ERRORS:
                raise
            return Outcome(status="error", text=f"{type(error).__name__}: {error}")
        finally:
            over.set()
        facts = json.loads(result.model_dump_json())
        return Outcome(status="ok", text=json.dumps(facts, ensure_ascii=False), result=facts)

    def _listen(self) -> threading.Event:
        """Let the host tell progress of this call, from any thread, until the event is set; from then on its telling raises."""
        loop, over, running = asyncio.get_running_loop(), threading.Event(), self._running
        told = -math.inf

        def emit(facts: Mapping[str, Any]) -> None:
            if self._running is running and running is not None:
                self.progress(facts)

        def tell(facts: Mapping[str, Any]) -> None:
            if over.is_set():
                raise ToolFailed("the call is over: nobody waits for it any more.")
            nonlocal told
            if (now := time.monotonic()) - told < PROGRESS_EVERY_S:
                return
            told = now
            loop.call_soon_threadsafe(emit, dict(facts))

        self.host.tell = tell
        return over

    async def _in_kernel(self, spec: ToolSpec, values: dict[str, Any]) -> Outcome:
        code = spec.cell(values)
        if self._touched and not spec.free_form and self._constraints.by_family:
            await self._begin_afresh()
        self._touched |= spec.free_form

        def on_output(output: dict[str, Any]) -> None:
            facts = output.get("data", {}).get(PROGRESS_MIME)
            if isinstance(facts, dict):
                self.progress(facts)

        try:
            cell = await self._cell(spec, code, _deadline(spec, values), on_output)
        except SandboxUnavailable as error:
            return self._without_kernel(error)
        outcome = read_cell(spec, cell).model_copy(update={"loss": loss_of(cell)})
        if outcome.status == "error" and os.strerror(errno.ENOSPC) in outcome.text:
            self.host.run.probe()  # the sandbox's word does not count: only a disk that takes nothing from the host ends the run
        return outcome

    async def _cell(self, spec: ToolSpec, code: str, timeout_s: float, on_output: Callable[[dict[str, Any]], None]) -> CellResult:
        assert self._running is not None, "cells are executed for a call that is going on"
        kernel = await self.kernel()
        # Cells may have ended before the run was cut off, without their call having returned.
        done = self.cells.of_call(self._running.call)
        for d in done:
            self.emit(CellExecuted(call=self._running.call, cell=d["cell"], status=d["status"], seconds=d["seconds"], cause=d["cause"]))
        cell = recorded_cell(done[-1]) if done else None
        made = len(done)
        while cell is None or (_killed(cell) and not spec.free_form and made <= KILLED_REPEATS):
            # Not the call's own doing, and tools can be called again: what they finished is on disk.
            cell = await kernel.execute(code, timeout_s=timeout_s, on_output=on_output)
            self.journal(spec.name, code, cell, self._typed(kernel.names) if spec.free_form else None)
            made += 1
        return cell

    @property
    def _constraints(self) -> Constraints:
        """What the sealed contract holds models to."""
        vault = self.host.vault
        return vault.contract.constraints if vault.sealed else Constraints()

    async def _begin_afresh(self) -> None:
        """Throw the kernel away that code of a role ran in, since that code may have changed what tools do or left something running; and
        take nothing for a candidate that it wrote. Where families are bound, a record says which one a candidate is."""
        await (await self.kernel()).restart()
        self._touched = False
        for name in self.evidence.bar_unknown(self.state):
            reason = f"candidate {name!r} does not count: code wrote it, and the contract binds what a model may be"
            self._emit_degraded(name, reason)

    def _emit_degraded(self, what: str, reason: str) -> None:
        role = self._running.role if self._running else "engineer"
        self.emit(FellBack(stage=str(self.state.stage), role=role, reason=reason[:400], what=what[:80]))

    async def _weighed(self, spec: ToolSpec, values: dict[str, Any], outcome: Outcome) -> Outcome:
        """The outcome of a fit whose model the contract bounds: with what the host measured, or an error where that is too much."""
        if self._scales is None or outcome.result is None or spec.name not in ("evaluate", "finish") or not self._constraints.bounded:
            return outcome
        candidate = str(values["candidate"])
        folder = self.host.run.work / ("model" if spec.name == "finish" else f"fitted/{candidate}")
        try:
            weighed = await self._scales.weigh(folder, self._constraints)
        except CannotTell as error:
            told = f"it cannot be measured ({error})"
        else:
            exceeded = self._constraints.exceeded(weighed.latency_ms, weighed.size_mb)
            if exceeded is None:
                measured = {"size_mb": round(weighed.size_mb, 6)}
                if weighed.latency_ms is not None:
                    measured["latency_ms"] = round(weighed.latency_ms, 4)
                result = {**outcome.result, **(measured if spec.name == "evaluate" else {})}
                return outcome.model_copy(update={"result": result, "text": json.dumps(result, ensure_ascii=False)})
            told = f"it takes {exceeded}, as the host measured"
        reason = f"{candidate} is left out: {told}"
        self._emit_degraded(candidate, reason)
        return Outcome(status="error", text=f"{reason}. Hand over another candidate.", facts={OUT_OF_BOUNDS: candidate})

    def _seal_files(self, spec: ToolSpec, values: Mapping[str, Any]) -> None:
        """Remember what trusted code has just written of a candidate, where it matters what that is."""
        candidate = str(values.get("candidate"))
        if spec.name == "evaluate" and self._constraints.by_family and candidate in self.state.evaluated:
            digests = {**self.state.digests, candidate: self.evidence.digest_of(candidate)}
            self.state = self.state.model_copy(update={"digests": digests})

    def _unchanged(self, spec: ToolSpec, values: Mapping[str, Any]) -> None:
        """Refuse to score or package what is not what `evaluate` wrote.

        Raises:
            ToolRefused: naming the candidate.
        """
        if not self._constraints.by_family or spec.name not in ("evaluate", "score_holdout", "package_model"):
            return
        if spec.name == "evaluate":
            if (name := str(values["candidate"])) not in {c.name for c in self.state.candidates}:
                raise ToolRefused(f"the host has scored no candidate {name!r}; train it with the tools, so that it is known what it is.")
            return
        final = self.state.holdout
        candidate = str(values.get("candidate") or (final.candidate if final else ""))
        if spec.name == "package_model" and not values.get("as_scored"):
            return
        if self.state.digests.get(candidate) != self.evidence.digest_of(candidate):
            raise ToolRefused(
                f"what `evaluate` wrote of {candidate!r} has been changed since, and the contract binds what a model may be:"
                f" evaluate({candidate!r}) again."
            )

    def _typed(self, names: list[str]) -> list[str]:
        """Variables that a role made, without what the cells of tools import."""
        return [name for name in names if name != "show" and name not in self._specs]

    def _without_kernel(self, error: SandboxUnavailable) -> Outcome:
        """Raise, unless what is left of the run can do without a kernel: scoring, reporting, packaging the model that was scored."""
        if not self.state.evaluated:
            raise error
        return Outcome(status="error", text=str(error))

    def _recorded(self, spec: ToolSpec, values: dict[str, Any], outcome: Outcome) -> Outcome:
        """Take over what the call left, also when it was cut short: a finished candidate counts."""
        if spec.searches:
            self.state, problems = self.evidence.of_candidates(self.state, _handed_in(spec, outcome))
            if problems:
                outcome.text += "\n" + "\n".join(problems)
        return self._taken_over(spec, values, outcome)

    def _taken_over(self, spec: ToolSpec, values: dict[str, Any], outcome: Outcome) -> Outcome:
        if spec.searches and outcome.status in ("died", "timeout", "error"):
            self.lost_search = True
        elif spec.name in ("tune", "submit_candidate"):
            self.tuned.append(str(values.get("family", CODE)))
        if outcome.status == "ok" and outcome.result is not None:
            try:
                self.state = self.evidence.of_result(self.state, spec.name, outcome.result)
            except PredictionError as error:
                return Outcome(status="error", text=f"the result of {spec.name} is not taken: {error}")
        return outcome


def cut(text: str, limit: int = OBSERVATION_CHARS) -> str:
    """Head and tail of a long text, and how much is missing between them."""
    if len(text) <= limit:
        return text
    head, tail = text[: limit * 2 // 3], text[-limit // 3 :]
    return f"{head}\n… {len(text) - len(head) - len(tail)} characters left out …\n{tail}"


def _deadline(spec: ToolSpec, values: Mapping[str, Any]) -> float:
    """Seconds until a call is cut off. A search ends itself by its `time_s`; this is for one that does not."""
    if spec.searches and "time_s" in values:
        return float(values["time_s"]) * 1.05 + SEARCH_GRACE_S
    if "time_s" in values:
        return float(values["time_s"]) * LOOSE_FACTOR + LOOSE_S
    return spec.timeout_s


def _killed(cell: CellResult) -> bool:
    return cell.status == "died" and from_outside(cell.cause)


def _guarded(function: Callable[..., BaseModel], host: Host, values: dict[str, Any]) -> BaseModel:
    """Call a host tool. A StopIteration could not leave the thread: the future would never be done."""
    try:
        return function(host, **values)
    except StopIteration as error:
        raise RuntimeError("StopIteration") from error


def _handed_in(spec: ToolSpec, outcome: Outcome) -> HandedIn | None:
    if spec.name != "submit_candidate" or outcome.result is None:
        return None
    return HandedIn(outcome.result["candidate"]["name"], outcome.result["candidate"]["score"])


def _trials(outcome: Outcome) -> int:
    facts = outcome.result or {}
    return max(0, int(facts.get("trials_done", 0))) + max(0, int(facts.get("trials_pruned", 0)))


def _small(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Progress as an event: short texts and sane numbers only, since the kernel can send anything."""
    kept = {}
    for key, value in list(facts.items())[:12]:
        if not isinstance(value, (int, float)):
            value = str(value)[:80] if printable(value) else "…"
        if isinstance(value, str) or (math.isfinite(value) if isinstance(value, float) else printable(value)):
            kept[str(key)[:40]] = value
    return kept
