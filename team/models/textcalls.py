"""Tool calls that a model wrote into its text: found, read, and never guessed where a guess could do harm. Pure.

Many local models are trained to call tools but answer through servers that do not know their way of writing it. Read here:
objects of JSON or Python, bare, fenced or in tags (Hermes, Qwen, Mistral, Llama, DeepSeek), `name(arg=...)` on a line of its own,
and arguments in tags of their own (Qwen coder, GLM). Several calls in one reply are made in their order, up to the first that
cannot be read: the model sees what came of those and goes on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from team.models.lenient import TooDeep, Unreadable, read_value
from team.models.offers import Offer, Refused, same_name, unknown_name

MOST_CALLS = 8
"""Calls of one reply that are made."""
LONGEST_REPLY = 60_000
"""Characters that are looked at."""
MOST_STARTS = 300
"""Places of a reply that are looked at: no reply, however odd, takes long."""

_NAME_KEYS = ("name", "tool", "tool_name", "function", "function_name", "action", "recipient_name")
_ARGUMENT_KEYS = ("arguments", "parameters", "args", "input", "kwargs", "params", "action_input", "tool_input")
_LIST_KEYS = ("tool_calls", "function_calls", "calls", "actions")
_BESIDE = ("type", "id", "call_id", "index", "thought", "reason")
"""Keys that may stand beside the name of a call and are no arguments."""

_THOUGHT = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)|\A(?:(?!<think).)*?</think(?:ing)?>", re.DOTALL)
# From here on a model makes up the answer of the tool, or goes on as somebody else.
_MADE_UP = re.compile(r"<tool_response>|<\|im_(?:start|end)\|>|<\|eot_id\|>|^\s*(?:Observation|User|Human)\s*:", re.MULTILINE)
_CELL_END = re.compile(r"```|</?(?:tool_call|function|tool|invoke)\b[^>]*>|<[|｜]")
_TAGGED = re.compile(
    r"<(?:function=|invoke\s+name=|tool_call>\s*)[\"']?(?P<name>[\w.-]+)[\"']?\s*>?\s*(?P<body>(?:<(?:parameter|arg_key)\b.*?)?)</(?:function|invoke|tool_call)>",
    re.DOTALL,
)
_TAGGED_ARGUMENT = re.compile(
    r"<parameter(?:=|\s+name=)[\"']?(?P<key>[\w-]+)[\"']?\s*>(?P<value>.*?)</parameter>"
    r"|<arg_key>\s*(?P<key2>[\w-]+)\s*</arg_key>\s*<arg_value>(?P<value2>.*?)</arg_value>",
    re.DOTALL,
)
_START = re.compile(r"[\[{]|<(?:function=|invoke\s+name=|tool_call>\s*\w)|(?<![\w.])(?:functions\.|tools\.)?[A-Za-z_]\w*[ ]?\(")
_MENTION = re.compile(
    r"(?<![\w.])([A-Za-z_][\w.-]*)\s*(?:>|:|=|`|\*\*)*\s*"
    r"(?:(?:Action[ _]Input|arguments|args|input)\s*:|```\w*|<[|｜][^>]*>|json|\s)*\Z",
    re.IGNORECASE,
)
_ALONE_BEFORE = re.compile(r"\s*(?:<[^<>]*>)?\s*(?:\[|`+|Action:|Call:|await |print\(|[a-z_]\w* ?= ?)?\s*|.*\)\s*[;,]\s*")
_ALONE_AFTER = re.compile(r"[ \t]*[`\]),;.]*[ \t]*(?:#[^\n]*)?(?:\n|\Z|```|</?\w+>|<[|｜]|[a-z_]\w*\()")
_KEYWORD = re.compile(r"\s*([A-Za-z_]\w*)\s*=(?!=)")
_LEFTOVER = re.compile(
    r"```\w*\s*```|</?(?:tool_call|function_call|function|tool|invoke|tools)\b[^>]*>|\[/?TOOL_CALLS\]|<[|｜][\w▁ ]*[|｜]>"
    r"|^```\w*$|^Action(?: Input)?:\s*(?:\w+$)?|\[\]|print\(\)",
    re.MULTILINE,
)


@dataclass(frozen=True)
class TextCall:
    """A call, and in which form it was written."""

    name: str
    arguments: dict[str, Any]
    form: str


@dataclass(frozen=True)
class Reading:
    """What a reply holds."""

    calls: tuple[TextCall, ...] = ()
    prose: str = ""
    """The text around the calls."""
    behind: str = ""
    """The text behind the last call."""
    made_up: bool = False
    """Whether the model went on to write the answer of the tool, or the part of somebody else; that is left out."""
    problem: str | None = None
    """Why what looks like a call is none, for the model that wrote it."""


def read_calls(text: str, offers: Sequence[Offer], *, complete: bool = True) -> Reading:
    """Calls in a reply, in their order, each once.

    Args:
        complete: False when the reply was cut off at its longest.
    """
    said = _THOUGHT.sub("", text[:LONGEST_REPLY])
    made_up = _MADE_UP.search(said)
    cut = made_up is not None and made_up.start() > 0
    if made_up is not None and cut:
        said = said[: made_up.start()]
    calls: list[TextCall] = []
    spans: list[tuple[int, int]] = []
    problem = None
    try:
        for found, start, end in _scan(said, {offer.name: offer for offer in offers}, complete):
            calls += [call for call in found if call not in calls]
            spans.append((start, end))
            if len(calls) >= MOST_CALLS:
                break
    except Refused as refused:
        problem = str(refused)
    behind = said[spans[-1][1] :] if spans else said
    return Reading(tuple(calls[:MOST_CALLS]), _around(said, spans), behind, cut, problem)


def _scan(text: str, offers: Mapping[str, Offer], complete: bool) -> Iterator[tuple[list[TextCall], int, int]]:
    at = 0
    for _ in range(MOST_STARTS):
        if (begins := _START.search(text, at)) is None:
            return
        start = begins.start()
        tagged = _TAGGED.match(text, start)
        if tagged is not None:
            if (offer := same_name(tagged["name"], offers)) is None:
                raise Refused(unknown_name(tagged["name"], offers))
            yield [TextCall(offer.name, _tagged_arguments(tagged["body"], offer), "tags")], start, tagged.end()
            at = tagged.end()
        elif text[start] in "{[":
            found, at = _object_at(text, start, offers, complete)
            if found:
                yield found, start, at
        elif text[start] == "<":
            at = start + 1
        else:
            call, at = _written_out(text, start, offers)
            if call is not None:
                yield [call], start, at


def _tagged_arguments(body: str, offer: Offer) -> dict[str, Any]:
    found = {}
    for argument in _TAGGED_ARGUMENT.finditer(body):
        key, raw = argument["key"] or argument["key2"], argument["value"] if argument["key"] else argument["value2"]
        found[key] = _tagged_value(raw.strip("\n"), key in offer.texts)
    return found


def _tagged_value(raw: str, is_text: bool) -> Any:
    if is_text:
        return raw
    try:
        value = read_value(raw.strip(), complete=False)
    except Unreadable:
        return raw
    return value.value if value.end == len(raw.strip()) else raw


def _object_at(text: str, start: int, offers: Mapping[str, Offer], complete: bool) -> tuple[list[TextCall], int]:
    """Calls of the object or list that begins here, none when it is something else, and where to look on."""
    stop = _CELL_END.search(text, start)
    end_of_cell = stop.start() if stop else len(text)
    whole = complete or stop is not None
    try:
        try:
            value = read_value(text, start, complete=False)
        except Unreadable:
            value = read_value(text[:end_of_cell], start, complete=whole)
    except TooDeep as deep:
        raise Refused(str(deep)) from None
    except Unreadable as unreadable:
        if text[start] == "{" and _means_a_call(text, start, end_of_cell, offers):
            cut = "" if complete or stop else " (the reply was cut off at its longest: be shorter)"
            raise Refused(f"the call cannot be read: {unreadable}{cut}") from None
        return [], start + 1
    form = "fenced" if _fenced(text, start) else "tags" if stop and stop[0] != "```" else "bare"
    calls = _calls_of(value.value, offers, form)
    if not calls and isinstance(value.value, dict):
        calls = _by_context(value.value, text[:start], offers, form)
    if calls and not value.closed and any(offers[call.name].lasting for call in calls):
        raise Refused("a closing bracket is missing")
    if not calls and isinstance(value.value, list):
        return [], start + 1  # `[name(...)]`, or a list whose parts are looked at one by one
    return calls, value.end


def _fenced(text: str, at: int) -> bool:
    return text.count("```", 0, at) % 2 == 1


def _means_a_call(text: str, start: int, end: int, offers: Mapping[str, Offer]) -> bool:
    body = text[start:end]
    return any(re.search(rf"[\"']{re.escape(name)}[\"']", body) for name in offers) or _mentioned(text[:start], offers) is not None


def _calls_of(value: Any, offers: Mapping[str, Offer], form: str) -> list[TextCall]:
    """Calls that a value is, or none."""
    if isinstance(value, list):
        parts = [_calls_of(part, offers, form) for part in value]
        return [call for part in parts for call in part] if parts and all(parts) else []
    if not isinstance(value, dict):
        return []
    for key in _LIST_KEYS:
        if isinstance(value.get(key), list):
            return _calls_of(value[key], offers, form)
    if isinstance(value.get("function"), dict):
        return _calls_of(value["function"], offers, form)
    if (named := _named(value, offers, form)) is not None:
        return [named]
    if value and all(key in offers and isinstance(inner, dict) for key, inner in value.items()):
        return [TextCall(key, inner, form) for key, inner in value.items()]
    return []


def _named(value: dict[str, Any], offers: Mapping[str, Offer], form: str) -> TextCall | None:
    name_key = next((key for key in _NAME_KEYS if isinstance(value.get(key), str)), None)
    if name_key is None:
        return None
    offer = same_name(value[name_key], offers)
    arguments_key = next((key for key in _ARGUMENT_KEYS if key in value and key != name_key), None)
    if offer is None:
        if arguments_key is None or not isinstance(value[arguments_key], (dict, str)):
            return None  # an object that has a name, such as the arguments of a call
        raise Refused(unknown_name(value[name_key], offers))
    if arguments_key is None or arguments_key in offer.parameters:
        flat = {key: inner for key, inner in value.items() if key != name_key and (key not in _BESIDE or key in offer.parameters)}
        return TextCall(offer.name, flat, form)
    return TextCall(offer.name, _as_arguments(value[arguments_key], offer), form)


def _as_arguments(value: Any, offer: Offer) -> dict[str, Any]:
    if value in (None, "", []):
        return {}
    if isinstance(value, str):
        try:
            value = read_value(value, complete=False).value
        except Unreadable as unreadable:
            raise Refused(f"the arguments of {offer.name} cannot be read: {unreadable}") from None
    if not isinstance(value, dict):
        raise Refused(f"the arguments of {offer.name} must be one object, not {type(value).__name__}")
    return value


def _by_context(value: dict[str, Any], before: str, offers: Mapping[str, Offer], form: str) -> list[TextCall]:
    """A call whose name stands right before its arguments, or whose arguments fit one harmless tool alone."""
    if (offer := _mentioned(before, offers)) is not None and value.keys() <= set(offer.parameters):
        return [TextCall(offer.name, value, form)]
    fitting = [o for o in offers.values() if value and value.keys() <= set(o.parameters) and o.required <= value.keys()]
    if len(fitting) == 1 and not fitting[0].lasting and fitting[0].required:
        return [TextCall(fitting[0].name, value, f"{form}, without a name")]
    return []


def _mentioned(before: str, offers: Mapping[str, Offer]) -> Offer | None:
    found = _MENTION.search(before[-120:])
    return offers.get(found[1]) if found else None


def _written_out(text: str, start: int, offers: Mapping[str, Offer]) -> tuple[TextCall | None, int]:
    """`name(arg=value, ...)`: a call when it stands alone on its line, a mention inside a sentence."""
    opening = text.index("(", start)
    name = text[start:opening].strip()
    offer = offers.get(name.rpartition(".")[2])
    if offer is None or _ALONE_BEFORE.fullmatch(text[text.rfind("\n", 0, start) + 1 : start]) is None:
        return None, opening + 1
    try:
        arguments, end = _arguments(text, opening + 1, offer)
    except Unreadable as unreadable:
        raise Refused(f"the call {name}(...) cannot be read: {unreadable}") from None
    if _ALONE_AFTER.match(text, end) is None:
        return None, end
    return TextCall(offer.name, arguments, "written out"), end


def _arguments(text: str, at: int, offer: Offer) -> tuple[dict[str, Any], int]:
    found: dict[str, Any] = {}
    waiting = list(offer.parameters)
    while True:
        at = _past_space(text, at)
        if text[at : at + 1] == ")":
            return found, at + 1
        keyword = _KEYWORD.match(text, at)
        value = read_value(text, keyword.end() if keyword else at, complete=False)
        at = _past_space(text, value.end)
        if keyword:
            found[keyword[1]] = value.value
        elif isinstance(value.value, dict) and not found and text[at : at + 1] == ")":
            found |= value.value
        elif waiting:
            found[waiting[0]] = value.value
        else:
            raise Unreadable(f"{offer.name} takes {len(offer.parameters)} arguments")
        waiting = [name for name in waiting if name not in found]
        if text[at : at + 1] == ",":
            at += 1
        elif text[at : at + 1] != ")":
            raise Unreadable("a closing ) is missing")


def _past_space(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _around(text: str, spans: Sequence[tuple[int, int]]) -> str:
    kept, at = [], 0
    for start, end in spans:
        kept.append(text[at:start])
        at = end
    kept.append(text[at:])
    without = _LEFTOVER.sub("", "".join(kept)) if spans else text
    return re.sub(r"\n{3,}", "\n\n", without).strip()
