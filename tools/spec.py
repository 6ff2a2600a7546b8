"""Declare a tool once: `@tool` files a `ToolSpec` and gives the function back unchanged.

The schema that a model sees, the validation of its arguments and the cell that a kernel executes are all
derived from the function's type hints, its `Annotated` texts and its docstring.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from tools.shapes import mended, nearest, shape

Where = Literal["kernel", "host"]
F = TypeVar("F", bound=Callable[..., Any])

_REGISTRY: dict[str, ToolSpec] = {}

# Modules that declare tools. They import heavy libraries inside their functions only, so that listing the
# tools costs milliseconds.
CATALOGUE = (
    "tools.planning",
    "tools.intake",
    "tools.conversion",
    "tools.sealing",
    "tools.eda",
    "tools.preparation",
    "tools.gaining",
    "tools.training",
    "tools.tuning",
    "tools.submission",
    "tools.ensembling",
    "tools.evaluation",
    "tools.slices",
    "tools.standings",
    "tools.nesting",
    "tools.learning_curve",
    "tools.explaining",
    "tools.structure",
    "tools.scoring",
    "tools.finishing",
    "tools.exporting",
    "tools.freeform",
    "tools.reviewing",
    "tools.documents",
    "tools.tracking",
    "tools.packaging",
    "tools.releasing",
)


MOST_PROBLEMS = 5
"""Wrong arguments of one call that are named."""
MOST_SHOWN = 80
"""Characters of a wrong value that are repeated."""


class ToolDeclarationError(TypeError):
    """A function decorated with `@tool` cannot be described to a model; the message lists every reason."""


class ToolArgumentError(ValueError):
    """Arguments do not fit the tool's schema; the message is written for the model that sent them.

    Attributes:
        expected: the call as it should be, in a line.
    """

    def __init__(self, message: str, expected: str) -> None:
        super().__init__(message)
        self.expected = expected


class ToolRefused(Exception):
    """A tool will not do what was asked; the message says why and what to do instead.

    Raised by tools for expected refusals (no such column, no such candidate). It goes back to the caller as
    an error result, without a traceback.
    """


class ToolFailed(Exception):
    """What was asked for was tried and did not work; the message says how it went and what may help.

    Unlike a refusal it counts: the seconds it took are charged, and the call is an error. The message goes back as it is.
    """


class InputRefused(ToolRefused):
    """The user's own input cannot be used, and no role can mend that; it ends the run as bad input."""


@dataclass(frozen=True)
class Outside:
    """What a call does outside the run directory."""

    what: str
    """In a sentence for a person who is asked whether it may."""
    named_by: str = ""
    """The setting in which the user named that very place; empty where nobody did."""


ActsOutside = bool | Callable[[Any], Outside | None]
"""Whether calls of a tool act outside the run directory; of the run's `HostContext`, where that depends."""


@dataclass(frozen=True)
class ToolSpec:
    """What the workbench needs to know about one tool."""

    name: str
    module: str
    where: Where
    timeout_s: float
    """Wall-clock deadline of one call, in seconds, when the call itself names no shorter one."""
    searches: bool
    """Whether the call's seconds count against the search budget (`--time`)."""
    description: str
    arguments: type[BaseModel]
    result: type[BaseModel] | None
    """Model of the result, or None when the result is the cell's own output."""
    function: Callable[..., Any]
    free_form: bool = False
    """Whether the cell is the `code` argument itself rather than a call of the function."""
    lasting: bool = False
    """Whether a call leaves what cannot be taken back: then nobody guesses what was meant by one that is misspelt."""
    outside: ActsOutside = False
    """Whether a call acts outside the run directory: then a person may have to allow it first."""
    over_s: float = 0.0
    """Seconds that a search may take beyond its own `time_s`, for what a run cannot do without."""

    def acts_outside(self, ctx: Any) -> Outside | None:
        """What a call would do outside the run directory; None where it does nothing there."""
        if callable(self.outside):
            return self.outside(ctx)
        return Outside(self.description) if self.outside else None

    def schema(self) -> dict[str, Any]:
        """JSON schema of the arguments, flat and without titles, as models are shown it."""
        schema = self.arguments.model_json_schema()
        properties = {key: _plain(value) for key, value in schema.get("properties", {}).items()}
        return {"type": "object", "properties": properties, "required": schema.get("required", [])}

    def validate(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments as JSON types with defaults filled in.

        Raises:
            ToolArgumentError: naming each wrong argument, its value and what was expected.
        """
        try:
            return self.arguments.model_validate(mended(arguments, self.schema())).model_dump(mode="json")
        except ValidationError as error:
            details = error.errors()
            problems = "; ".join(_problem(detail, self.arguments.model_fields) for detail in details[:MOST_PROBLEMS])
            more = f"; and {len(details) - MOST_PROBLEMS} more" if len(details) > MOST_PROBLEMS else ""
            known = ", ".join(self.arguments.model_fields) or "none"
            raise ToolArgumentError(f"{self.name}: {problems}{more}. Arguments: {known}.", self.shape) from None

    def strays(self, arguments: Mapping[str, Any]) -> list[str]:
        """Names of arguments that the tool has not got and that are no slip of one that it has.

        They can be left out of a call that changes nothing that costs: a weak model repeats as arguments what it read as results. What
        searches, runs code, lasts or acts outside is refused with them, since there the caller must know what was asked.
        """
        if self.searches or self.free_form or self.lasting or self.outside:
            return []
        known = self.schema().get("properties", {})
        return [name for name in arguments if name not in known and not nearest(name, known)]

    @property
    def shape(self) -> str:
        """The call in a line, with the type of every argument."""
        return shape(self.name, self.schema())

    def cell(self, arguments: Mapping[str, Any]) -> str:
        """Render the call as the cell that a person would type. Arguments at their defaults are left out."""
        if self.free_form:
            return str(arguments["code"])
        fields = self.arguments.model_fields
        given = [f"{k}={v!r}" for k, v in arguments.items() if fields[k].is_required() or fields[k].default != v]
        imports = f"from {self.module} import {self.name}\nfrom tools.show import show"
        return f"{imports}\n\nshow({self.name}({', '.join(given)}))"


def tool(
    *,
    where: Where,
    timeout_s: float,
    searches: bool = False,
    free_form: bool = False,
    lasting: bool = False,
    outside: ActsOutside = False,
    over_s: float = 0.0,
) -> Callable[[F], F]:
    """File the decorated function as a tool and return it unchanged.

    Args:
        where: `kernel` for tools that run as a cell in the sandbox, `host` for tools that run beside the conductor
            and take a `HostContext` named `ctx` as their first parameter, which models never see. A host tool may be a
            coroutine function: it is awaited, and cancelled when its time is over or the turn ends.
        timeout_s: deadline of one call in seconds.
        searches: whether the seconds of a call count against the search budget.
        free_form: whether the cell is the tool's `code` argument itself.
        lasting: whether a call leaves what cannot be taken back, such as a look at the holdout.
        outside: whether a call writes outside the run directory, publishes or sends anything; a function of the `HostContext` where that
            depends on the run.
        over_s: seconds that a search may take beyond its `time_s`, for what a run cannot do without.

    Raises:
        ToolDeclarationError: naming every parameter without a type or a description, a missing docstring and a
            result that is no pydantic model, all at once.
    """

    def file(function: F) -> F:
        _REGISTRY[function.__name__] = describe(
            function, where, timeout_s, searches=searches, free_form=free_form, lasting=lasting, outside=outside, over_s=over_s
        )
        return function

    return file


def registry() -> dict[str, ToolSpec]:
    """All tools by name, in the order of the catalogue."""
    for module in CATALOGUE:
        importlib.import_module(module)
    return dict(_REGISTRY)


def describe(
    function: Callable[..., Any],
    where: Where,
    timeout_s: float,
    *,
    searches: bool = False,
    free_form: bool = False,
    lasting: bool = False,
    outside: ActsOutside = False,
    over_s: float = 0.0,
) -> ToolSpec:
    """What `tool` files of a function, with the same arguments.

    Raises:
        ToolDeclarationError: as `tool` does.
    """
    problems = []
    hints = get_type_hints(function, include_extras=True)
    parameters = list(inspect.signature(function).parameters.values())
    if where == "host":
        if not parameters or parameters[0].name != "ctx":
            problems.append("a host tool's first parameter is `ctx`")
        parameters = parameters[1:]
    fields: dict[str, Any] = {}
    for parameter in parameters:
        hint = hints.get(parameter.name)
        if get_origin(hint) is not Annotated or not any(isinstance(a, str) for a in get_args(hint)[1:]):
            problems.append(f"parameter `{parameter.name}` needs Annotated[type, 'what it means']")
            continue
        text = next(a for a in get_args(hint)[1:] if isinstance(a, str))
        constraints = [a for a in get_args(hint)[1:] if not isinstance(a, str)]
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        kind = Annotated[(get_args(hint)[0], *constraints)] if constraints else get_args(hint)[0]
        fields[parameter.name] = (kind, Field(default, description=text))
    description = inspect.getdoc(function) or ""
    if not description:
        problems.append("a docstring is the tool's description")
    result = hints.get("return")
    if result is type(None):
        result = None
    elif not (isinstance(result, type) and issubclass(result, BaseModel)):
        problems.append("the result must be a pydantic model")
    if problems:
        raise ToolDeclarationError(f"{function.__module__}.{function.__name__}:\n  " + "\n  ".join(problems))
    arguments = create_model(f"{function.__name__}_arguments", __config__=ConfigDict(extra="forbid"), **fields)
    return ToolSpec(
        name=function.__name__,
        module=function.__module__,
        where=where,
        timeout_s=timeout_s,
        searches=searches,
        description=description.split("\n\n")[0].replace("\n", " "),
        arguments=arguments,
        result=result,
        function=function,
        free_form=free_form,
        lasting=lasting,
        outside=outside,
        over_s=over_s,
    )


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """Drop what pydantic adds for people (titles) and write `X | None` as X: small models stumble over both."""
    schema = {key: value for key, value in schema.items() if key != "title"}
    options = [option for option in schema.pop("anyOf", []) if option != {"type": "null"}]
    if len(options) == 1:
        schema = {**options[0], **schema}
    elif options:
        schema["anyOf"] = options
    return schema


def _problem(detail: Any, known: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        return f"unknown argument {where[:MOST_SHOWN]!r}{nearest(where, known)}"
    if detail["type"] == "missing":
        return f"argument {where!r} is missing"
    given = repr(detail["input"])
    shown = given if len(given) <= MOST_SHOWN else f"{given[:MOST_SHOWN]}…"
    return f"{where}={shown}: {detail['msg'][0].lower()}{detail['msg'][1:]}"
