"""Make usable calls of what a model answers: read them out of its text, mend their arguments, ask again when they cannot be made.

A model is told twice, in one short message with the shape that was expected, what was wrong. What it still gets wrong then is
given up, and whoever runs the turn goes on without it. Replies and repairs stay out of the conversation that later requests
repeat; the event log has them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from autogen_core import FunctionCall
from autogen_core.models import (
    AssistantMessage,
    ChatCompletionClient,
    CreateResult,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    RequestUsage,
    SystemMessage,
    UserMessage,
)

from team.errors import EmptyReply, ReplyCut
from team.guidance import Invitation, call_text
from team.models.delegating import DelegatingClient
from team.models.lenient import Unreadable, read_value
from team.models.modules import handed_in
from team.models.offers import Offer, offer_of, same_name, unknown_name
from team.models.reply import usage_of
from team.models.textcalls import Reading, TextCall, read_calls
from tools.shapes import shape
from tools.spec import registry

REPAIRS = 2
"""How often a model is told what was wrong with its calls before they are given up."""
CUT = "the reply was cut off at its longest: make one call at a time, and be shorter"
NOTHING_SAID = "(The model ended its turn without a word.)"
IN_VAIN = 2
"""Rounds of well-made calls that did not work, after which the model is taken at its word."""
ECHOED = "(The model repeated its instructions.)"
LEAST_ECHO = 40
"""Characters of words that stand in the instructions just so, from which on they are an echo."""
REPEATED = "(The model made the same call once more, whose result it had; that ends its turn.)"
NO_WORDS = (NOTHING_SAID, ECHOED, REPEATED)
"""What stands for a model's words where it had none of its own."""
EXPECTED = "expected"
"""Key of a refused call's result that says how it should have been; only calls that did not fit their schema have it."""
MOST_REPEATED_CHARS = 1_500
"""Of a reply that is shown to its model once more."""


class NoUsableCall(Exception):
    """A model was told twice what was wrong and made no call that can be made."""


class Desk(Protocol):
    """Where the client asks how the stage stands, and tells what it did."""

    def missing(self, role: str) -> str | None:
        """What the stage still needs from this role, when words alone would leave it where it is."""

    def example(self, role: str) -> tuple[str, dict[str, Any]] | None:
        """Name and arguments of a call that would bring the stage on."""

    def invitation(self, role: str) -> Invitation | None:
        """What else the role may do in its turn, which it is asked for once and may leave."""

    def recovered(self, role: str, tools: list[str], form: str) -> None: ...
    def asked_again(self, role: str, problem: str) -> None: ...
    def gave_up(self, role: str, problem: str) -> None: ...


class RecoveringClient(DelegatingClient):
    """Hands on calls that can be made, or the model's last words, or raises.

    Keeps no state: how often a model was told is read from the messages, so that a turn that is gone through again goes the same way.
    """

    component_provider_override = "team.models.recovering.RecoveringClient"

    def __init__(self, inner: ChatCompletionClient, role: str, desk: Desk) -> None:
        super().__init__(inner)
        self._role, self._desk = role, desk

    async def create(self, messages: Sequence[LLMMessage], **options: Any) -> CreateResult:
        """One reply of the model, made usable.

        Raises:
            NoUsableCall: when the model was told twice what was wrong with its calls and made no other.
        """
        shapes = {tool["name"]: tool for tool in options.get("tools", ())}
        offers = [offer_of(schema) for schema in shapes.values()]
        told = refused_rounds(messages)
        if told > REPAIRS:
            raise self._give_up("its calls do not fit their tools")
        asked, spent = list(messages), RequestUsage(prompt_tokens=0, completion_tokens=0)
        invited = False
        while True:
            try:
                reply = await self._inner.create(asked, **options)
            except (ReplyCut, EmptyReply) as error:
                why = "length" if isinstance(error, ReplyCut) else "stop"
                reply = CreateResult(finish_reason=why, content="", usage=usage_of(error.spent), cached=False)
            spent = _sum(spent, reply.usage)
            written, calls, problem = self._read(reply, offers)
            cut = reply.finish_reason == "length" and not calls and isinstance(reply.content, str)
            if cut and (problem or not reply.content):
                problem = f"{problem}; {CUT}" if problem else CUT
            again = [call.name for call in calls] if is_repeated(calls, messages) else []
            if again:
                calls = []
            if calls:
                content = _as_calls(calls, reply.content, f"{self._role}-{len(messages)}")
                thought = _sound(written) or reply.thought
                return CreateResult(finish_reason="function_calls", content=content, usage=spent, cached=reply.cached, thought=thought)
            if problem is None and isinstance(reply.content, list):
                return reply.model_copy(update={"usage": spent})
            missing = None if _tried_in_vain(messages) else self._desk.missing(self._role)
            if problem is not None and missing is None and told and _went_well(messages):
                problem = None  # what the stage needs is there: words will do
            if problem is None:
                invitation = self._desk.invitation(self._role) if missing is None and not invited and offers else None
                if invitation is not None:
                    invited = True
                    self._desk.asked_again(self._role, invitation.told)
                    asked += [_shown(written), UserMessage(content=invitation.words, source="conductor")]
                    continue
                if missing is None or not offers:
                    return reply.model_copy(
                        update={
                            "content": _said(_words(reply, written), messages) or (REPEATED if again else NOTHING_SAID),
                            "finish_reason": "stop",
                            "usage": spent,
                        }
                    )
                done = f"{', '.join(again)} was called already and went well" if again else "no tool was called"
                problem = f"{done}, and {missing}" + (f"; {CUT}" if cut else "")
            if told >= REPAIRS:
                raise self._give_up(problem)
            told += 1
            self._desk.asked_again(self._role, problem)
            asked += _told(written, problem, shapes, self._desk.example(self._role))

    def _give_up(self, problem: str) -> NoUsableCall:
        self._desk.gave_up(self._role, problem)
        return NoUsableCall(f"{problem}; it was told {REPAIRS} times")

    def _read(self, reply: CreateResult, offers: Sequence[Offer]) -> tuple[str, list[TextCall], str | None]:
        """The reply's words, calls to be made instead of those it holds, and why there are none."""
        complete = reply.finish_reason != "length"
        if isinstance(reply.content, str):
            reading = read_calls(reply.content, offers, complete=complete)
            if not reading.calls and (module := handed_in(reply.content, offers)) is not None:
                reading = Reading((module,), reading.prose)
            if reading.calls:
                self._desk.recovered(self._role, [call.name for call in reading.calls], reading.calls[0].form)
                return reading.prose, list(reading.calls), None
            return reply.content if reading.problem else reading.prose, [], reading.problem
        known = {offer.name: offer for offer in offers}
        calls, problem = [], None
        for call in reply.content:
            try:
                calls.append(_mended(call, known))
            except ValueError as error:
                problem = str(error)
                break  # what comes after it may rest on it
        if calls and all(_as_it_was(call, before) for call, before in zip(calls, reply.content, strict=False)) and problem is None:
            return "", [], None
        if calls:
            self._desk.recovered(self._role, [call.name for call in calls], "mended")
        written = "\n".join(f"{call.name}({call.arguments})" for call in reply.content)
        return (reply.thought or "") if calls else written, calls, problem


def _unwrapped(words: str) -> str:
    """The text of `{"role": ..., "text": ...}`: a small model speaks in the form in which it was told what others said."""
    parts, seen = words.partition("}"), _as_object(words.partition("}")[0] + "}")
    if isinstance(seen.get("text"), str) and seen.keys() <= {"role", "text"}:
        return "\n\n".join(part for part in (seen["text"].strip(), parts[2].strip()) if part)
    return words


def _words(reply: CreateResult, written: str) -> str:
    """What a reply says beside calls that are not made."""
    return written if isinstance(reply.content, str) else reply.thought or ""


def _said(words: str, messages: Sequence[LLMMessage]) -> str:
    """The words without what its instructions say just so, or that there are none: a small model answers with the example that it was
    given, figures included."""
    told = " ".join(" ".join(m.content.split()) for m in messages if isinstance(m, SystemMessage))
    parts = [part for part in _sound(_unwrapped(words)).split("\n\n") if part.strip()]
    own = [part for part in parts if not _echoes(part, told)]
    return "\n\n".join(own).strip() or (ECHOED if parts else "")


def _echoes(part: str, told: str) -> bool:
    plain = " ".join(part.split()).strip("\"'`")
    return (len(plain) >= LEAST_ECHO and plain in told) or plain.strip("()") == ECHOED.strip("()")


def _as_calls(calls: Sequence[TextCall], before: str | list[FunctionCall], ids: str) -> list[FunctionCall]:
    """Calls for the group: those that came as calls keep their id and what their provider keeps with them."""
    found = []
    for place, call in enumerate(calls):
        plain = FunctionCall(id=f"{ids}-{place}", name=call.name, arguments="") if isinstance(before, str) else before[place]
        found.append(replace(plain, name=call.name, arguments=json.dumps(_sound_arguments(call.arguments))))
    return found


def refused_rounds(messages: Sequence[LLMMessage]) -> int:
    """How many rounds of calls at the end of the turn so far did not fit their tools' schemas, one after the other."""
    count = 0
    for message in reversed(messages):
        if isinstance(message, UserMessage):
            break
        if isinstance(message, FunctionExecutionResultMessage):
            if not all(result.is_error and EXPECTED in _as_object(result.content) for result in message.content):
                break
            count += 1
    return count


def is_repeated(calls: Sequence[TextCall], messages: Sequence[LLMMessage]) -> bool:
    """Whether the calls are those of the round before, which went well: a weak model says what it did by doing it again.

    Searches and code may well be asked for twice: they go on where they were.
    """
    if len(messages) < 2 or not isinstance(messages[-1], FunctionExecutionResultMessage) or any(r.is_error for r in messages[-1].content):
        return False
    before = messages[-2].content
    if not isinstance(before, list) or len(before) != len(calls):
        return False
    specs = [registry().get(call.name) for call in calls]
    if any(spec is None or spec.searches or spec.free_form for spec in specs):
        return False
    return all(
        isinstance(old, FunctionCall) and new.name == old.name and _as_object(old.arguments) == new.arguments
        for new, old in zip(calls, before, strict=True)
    )


def _tried_in_vain(messages: Sequence[LLMMessage]) -> bool:
    """Whether calls that were well made did not work, twice in a row: then to say so is an answer."""
    rounds = _rounds(messages)
    return len(rounds) >= IN_VAIN and all(any(_in_vain(result) for result in one.content) for one in rounds[-IN_VAIN:])


def _in_vain(result: FunctionExecutionResult) -> bool:
    return bool(result.is_error) and EXPECTED not in _as_object(result.content)


def _went_well(messages: Sequence[LLMMessage]) -> bool:
    return any(not result.is_error for one in _rounds(messages) for result in one.content)


def _rounds(messages: Sequence[LLMMessage]) -> list[FunctionExecutionResultMessage]:
    """Results of the turn that is going on."""
    opening = max((i for i, m in enumerate(messages) if isinstance(m, UserMessage)), default=0)
    return [m for m in messages[opening:] if isinstance(m, FunctionExecutionResultMessage)]


def _told(written: str, problem: str, shapes: Mapping[str, Any], example: tuple[str, dict[str, Any]] | None) -> list[LLMMessage]:
    """The model's own words and what was wrong with them, with a call that would do."""
    meant = [name for name in shapes if name in written or name in problem] or list(shapes)
    would_do = None
    if example is not None and example[0] in shapes:
        meant, would_do = list(dict.fromkeys([*meant[:1], example[0]])), call_text(*example)
    expected = "\n".join(shape(name, shapes[name]["parameters"]) for name in meant[:3])
    as_json = would_do or (json.dumps({"name": meant[0], "arguments": {}})[:-2] + "...}}" if meant else "")
    text = f"Not done: {problem}.\nExpected:\n{expected}\nAnswer with the call alone, as JSON: {as_json}"
    return [_shown(written), UserMessage(content=text, source="conductor")]


def _shown(written: str) -> AssistantMessage:
    return AssistantMessage(content=written[:MOST_REPEATED_CHARS].strip() or "(nothing)", source="assistant")


def _mended(call: FunctionCall, offers: Mapping[str, Offer]) -> TextCall:
    """A call that came as one, with an argument text that is an object of JSON and a name that exists.

    Raises:
        ValueError: when it cannot be had without guessing.
    """
    offer = same_name(call.name, offers)
    if offer is None:
        raise ValueError(unknown_name(call.name, offers))
    try:
        arguments = read_value(call.arguments).value if call.arguments.strip() else {}
    except Unreadable as unreadable:
        raise ValueError(f"the arguments of {offer.name} cannot be read: {unreadable}") from None
    if arguments is None:
        arguments = {}
    if not isinstance(arguments, dict):
        raise ValueError(f"the arguments of {offer.name} must be one object, not {type(arguments).__name__}")
    return TextCall(offer.name, _sound_arguments(arguments), "native")


def _as_it_was(call: TextCall, before: FunctionCall) -> bool:
    try:
        return call.name == before.name and json.loads(before.arguments) == call.arguments
    except (ValueError, RecursionError):
        return False


def _as_object(content: str) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _sum(one: RequestUsage, other: RequestUsage) -> RequestUsage:
    return RequestUsage(one.prompt_tokens + other.prompt_tokens, one.completion_tokens + other.completion_tokens)


def _sound_arguments(arguments: dict[str, Any]) -> dict[str, Any]:
    return json.loads(_sound(json.dumps(arguments, ensure_ascii=False)))


def _sound(text: str) -> str:
    """Text without halves of surrogate pairs, which no file takes."""
    return text.encode("utf-8", "replace").decode()
