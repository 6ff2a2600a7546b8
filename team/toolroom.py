"""What all roles' workbenches share: one call from check to log.

In order: the role may call it, the arguments are valid, budget and deadline are left, the call is logged, it runs, its
artefacts are checked, the observation is cut to head and tail, the result is logged. What must end the run is kept in `fatal`.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from team.approval import ApprovalRequest
from team.approvals import Approvals, refusal
from team.bounds import Bounds
from team.budget import Meter
from team.cells import CellJournal
from team.choices import INTAKE, fixed, own_choices, settled, unproven
from team.consequences import Consequences
from team.errors import BudgetExceeded, MlteamError, PrerequisiteMissing, SandboxUnavailable, UsageError
from team.events import Event, ToolCalled, ToolReturned
from team.evidence import Evidence, HandedIn
from team.guidance import own_share
from team.host import Host
from team.host_calls import HostCalls
from team.journal import Journal
from team.kernel_calls import KernelCalls
from team.ongoing import Ongoing
from team.outcome import Outcome, cut
from team.roles import Role
from team.sandbox import Kernel
from team.scales import Scales
from team.stages import State
from team.trace_ids import TraceIds
from tools.candidates import CODE
from tools.predictions import PredictionError
from tools.spec import InputRefused, ToolArgumentError, ToolRefused, ToolSpec, registry

LEAST_ECHO = 40
"""Characters of a finding that stands in the instructions just so, from which on it is an echo."""
READ_DATA = frozenset({"inspect_table", "profile_table", "run_python", "explain", "find_slices", "examine_structure"})
"""Tools whose results hold words of the table."""
NOTHING_DONE = "nothing was done"


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
        trace: Callable[[], TraceIds | None] = lambda: None,
    ) -> None:
        """Keep what calls need.

        Args:
            gate: waited for before each call, where a user may hold the run.
            approvals: a person's words on calls; None asks nobody and allows everything.
            scales: measures fitted models where the contract bounds them; None takes the kernel's word.
            writes_models: whether language models play, which are to have time for a model of their own.
            trace: ids of the run's trace, which cells are told; None where there is none.
        """
        self.host, self.evidence, self.meter, self.cells, self.kernel = host, evidence, meter, cells, kernel
        self.state = state
        self._specs = registry()
        self.ongoing = Ongoing(cells, record, trace)
        self._on_host = HostCalls(host, self.ongoing)
        self._in_kernel = KernelCalls(host.run, lambda: self.kernel(), self.ongoing, self._specs)
        self._bounds = Bounds(host, lambda: self.evidence, self.ongoing, scales)
        self._record, self._gate, self._approvals = record, gate, approvals
        self.turn = 0
        self.fatal: BaseException | None = None
        self.trouble = NOTHING_DONE
        """The last thing that did not work in this stage, in a line."""
        self.troubles: dict[str, str] = {}
        """The same by tool, in the whole run."""
        self._consequences = Consequences(host.run, evidence, record.append)
        self.tuned: list[str] = []
        """Families that were worked on in this turn: tuned, or written as code."""
        self.done_well: list[str] = []
        """Tools whose calls went well in this turn."""
        self._writes_models = writes_models
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
        hidden |= {"register_model", "publish_run"} - set(self.host.wish.release.tools)
        return frozenset(hidden if self.host.wish.validation == "nested" else hidden | {"nested_score"})

    def settled(self, tool: str) -> frozenset[str]:
        """Arguments of a tool that need not be shown in this run: the user fixed them, or gave nothing for them."""
        return settled(self.host.wish, tool)

    def emit(self, event: Event) -> Event:
        return self._record.append(event)

    def begin_stage(self) -> None:
        """What did not work in the stage before says nothing of this one."""
        self.trouble = NOTHING_DONE

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
                if not own_choices(self.host.wish, name, arguments):
                    self.fatal = UsageError(str(error))
            elif isinstance(error, (UsageError, PrerequisiteMissing)):
                self.fatal = error  # no role can mend a machine or a setting
            expected = {"expected": error.expected} if isinstance(error, ToolArgumentError) else {}
            outcome = Outcome(status="refused", text=str(error), facts=expected)
        if outcome.status == "error" and name in INTAKE and not own_choices(self.host.wish, name, arguments):
            self.fatal = UsageError(f"{self.host.wish.source}: the table cannot be used as it is ({outcome.text.strip()}).")
        seconds = time.perf_counter() - start - ((self._approvals.waited_s if self._approvals else 0.0) - waited)
        searched = seconds if spec is not None and spec.searches and ran else 0.0
        self._charge(searched, outcome)
        if outcome.status == "ok":
            self.done_well.append(name)
        else:
            self.trouble = f"{name} did not work: {outcome.last_line}"
            self.troubles[name] = outcome.last_line
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
        given = {key: value for key, value in arguments.items() if key not in strays}
        values = spec.validate({**given, **fixed(self.host.wish, spec.name)})
        if spec.searches:
            self.meter.check_search()
            values = self._within_budget(spec, values)
        self._of_nobodys_data(spec)
        self._in_own_words(role, spec, values)
        if spec.name == "prepare" and (open_ := unproven(self.host.wish, self.state.results, values)):
            raise ToolRefused(
                f"nothing shows that {', '.join(map(repr, open_[:6]))} gains: call try_steps(steps={open_[:6]}, time_s=...) and use what it"
                " keeps, or prepare without."
            )
        await self._approved(call, role, spec, values)
        with self.ongoing.one(call, role.name, self.state.stage):
            self._bounds.check_unchanged(spec, values, self.state)
            outcome = await (self._on_host.call(spec, values) if spec.where == "host" else self._of_kernel(spec, values))
            outcome = await self._bounds.weighed(spec, values, outcome)
            outcome = self._recorded(spec, values, outcome)
            self.state = self._bounds.with_digest(spec, values, self.state)
            self._consequences.tell(self.state, role.name, spec, values, outcome)
            self.state = self._consequences.state(self.state, spec.name, values, outcome)
            if spec.name == "submit_candidate" and outcome.status == "ok" and self.state.attempts:
                outcome.text = json.dumps({**(outcome.result or {}), "lesson": self.state.attempts[-1].lesson}, ensure_ascii=False)
            if strays and outcome.result is not None:
                said = f"{spec.name} has no argument {', '.join(repr(name[:60]) for name in strays[:6])}"
                outcome.text = json.dumps({**outcome.result, "left_out": said}, ensure_ascii=False)
            return outcome

    def _in_own_words(self, role: Role, spec: ToolSpec, values: Mapping[str, Any]) -> None:
        """Refuse findings that are the example of the role's own brief, figures included: a small model copies it.

        Raises:
            ToolRefused: naming the finding.
        """
        said = " ".join(role.prompt.split())
        copied = [one for one in values.get("findings") or [] if len(one) > LEAST_ECHO and " ".join(one.split()) in said]
        if spec.name == "review" and copied:
            raise ToolRefused(f"{copied[0]!r} is the example of the instructions: say what holds of this run, by its leaderboard.")

    def _of_nobodys_data(self, spec: ToolSpec) -> None:
        """Refuse to act outside in a turn that has read the table: what asks for it then may be words that stand there.

        Raises:
            ToolRefused: naming what was read.
        """
        read = [tool for tool in self.done_well if tool in READ_DATA]
        if spec.outside and read:
            raise ToolRefused(
                f"{spec.name} acts outside the sandbox, and this turn has read the table ({read[0]}): call it in a turn of its own."
            )

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

    async def _of_kernel(self, spec: ToolSpec, values: dict[str, Any]) -> Outcome:
        if self._in_kernel.touched and not spec.free_form and self._bounds.constraints.by_family:
            await self._in_kernel.begin_afresh()
            self._bounds.bar_unknown(self.state)
        try:
            return await self._in_kernel.call(spec, values)
        except SandboxUnavailable as error:
            return self._without_kernel(error)

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


def _handed_in(spec: ToolSpec, outcome: Outcome) -> HandedIn | None:
    if spec.name != "submit_candidate" or outcome.result is None:
        return None
    return HandedIn(outcome.result["candidate"]["name"], outcome.result["candidate"]["score"])


def _trials(outcome: Outcome) -> int:
    facts = outcome.result or {}
    return max(0, int(facts.get("trials_done", 0))) + max(0, int(facts.get("trials_pruned", 0)))
