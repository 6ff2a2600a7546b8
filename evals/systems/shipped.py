"""The systems that ship, by name."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from evals.environments import AIDE, AIDE_NEEDS, ENVIRONMENTS
from evals.model_door import addresses
from evals.systems.contract import SYSTEM_NAME, System
from team.casting import split_specs
from team.errors import UsageError
from team.models.endpoint import HOST_KEYS, KEYS, parts_of

HERE = Path(__file__).parent
EVALS = HERE.parent
SUPERVISED = ("binary", "multiclass", "ordinal", "regression", "count")
CAPTURE = ("MLTEAM_CAPTURE_CONTENT", "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT")
"""Whether the content of messages stands in traces, which the eval hands on."""
ENDPOINT = (*(name for names in KEYS.values() for name in names), *HOST_KEYS.values(), *(f"{name.upper()}_BASE_URL" for name in KEYS))
"""Where keys and addresses of models stand, which are handed on to those who ask one."""
PLACES = ("{table}", "{seconds}", "{seed}", "{out}")
TEAM = ("{python}", "-m", "evals.our_run", "team", *PLACES)


def _program(name: str, called: str) -> tuple[str, ...]:
    return "{python}", str(EVALS / name), called, *PLACES


def _own(name: str, called: str, package: str, why: str) -> System:
    """A model of a library that the project needs itself."""
    program = "quality_rivals.py" if called in ("lightgbm", "catboost") else "quality_simple.py"
    return System(name=name, command=_program(program, called), versions=(package,), tasks=SUPERVISED, why=why)


def _rival(name: str, called: str, environment: str, why: str, programs: dict[str, str] | None = None) -> System:
    return System(
        name=name,
        command=_program("quality_rivals.py", called),
        packages=ENVIRONMENTS[environment],
        environment=environment,
        tasks=SUPERVISED,
        why=why,
        programs=programs or {},
    )


def _probe(called: str, why: str) -> System:
    return System(name=f"probe-{called}", command=("{python}", "-I", "-S", str(HERE / "probes.py"), called, *PLACES), why=why)


PLAIN = {
    system.name: system
    for system in (
        System(name="playbook", command=(*TEAM, "--model=playbook"), variables=CAPTURE, why="this team without a language model"),
        _own("dummy", "dummy", "scikit-learn", "the prior, or the mean: what any score is held against"),
        _own("linear", "linear", "scikit-learn", "logistic or ridge regression over imputed, scaled and one-hot columns"),
        _own("lightgbm", "lightgbm", "lightgbm", "its defaults"),
        _own("catboost", "catboost", "catboost", "its defaults"),
        _rival("autogluon", "autogluon_best", "autogluon_best", "AutoGluon, best_quality"),
        _rival("flaml", "flaml", "flaml", "FLAML"),
        _rival("mljar", "mljar", "mljar", "mljar-supervised, mode Compete"),
        _rival("h2o", "h2o", "h2o", "H2O AutoML; needs Java", {"java": "apt-get install default-jre-headless"}),
        _rival("tpot", "tpot", "tpot", "TPOT"),
        _probe("labels", "looks for the labels of the rows to predict wherever it can read"),
        _probe("boast", "prints a perfect score and predicts nothing"),
        _probe("short", "returns one prediction less than there are rows"),
        _probe("nan", "returns predictions that are no numbers"),
        _probe("constant", "returns the same for every row, which is allowed and worth as much as it is"),
    )
}
PROBES = tuple(name for name in PLAIN if name.startswith("probe-"))


def llm(spec: str) -> System:
    """This team with a language model in its roles.

    Args:
        spec: as `mlteam run --model` takes it.

    Raises:
        UsageError: when it is no such thing.
    """
    why = f"this team with {_named('llm', spec)}"
    addresses(spec)
    command = (*TEAM, f"--model={spec}", "--no-probe")
    return System(name=f"llm:{spec}", command=command, network="model", model=spec, variables=(*ENDPOINT, *CAPTURE), why=why)


def aide(spec: str) -> System:
    """AIDE with a language model.

    Args:
        spec: of one model at one endpoint; a list is what AIDE cannot ask.

    Raises:
        UsageError: when it is no such thing.
    """
    if len(split_specs(_named("aide", spec))) > 1 or not addresses(spec):
        raise UsageError(f"system 'aide' asks one language model, and {spec!r} is none or several; name one as aide:openai:MODEL[@URL].")
    parts_of(spec)
    return System(
        name=f"aide:{spec}",
        command=("{python}", str(EVALS / "quality_aide.py"), "aide", *PLACES, spec),
        packages=AIDE_NEEDS,
        bare=AIDE,
        environment="aide",
        network="model",
        model=spec,
        variables=ENDPOINT,
        tasks=SUPERVISED,
        why=f"AIDE with {spec}",
    )


def _named(kind: str, spec: str) -> str:
    """The spec, where there is one that a name can hold."""
    if not spec:
        raise UsageError(
            f"system '{kind}:' names no model; expected {kind}:SPEC, such as {kind}:openai:MODEL, or {kind} with --model SPEC."
        )
    if not re.fullmatch(SYSTEM_NAME, f"{kind}:{spec}"):
        raise UsageError(f"system '{kind}:{spec}' has no name that pages can show; expected up to 200 letters, digits and ._:@/+,?=&~%-.")
    return spec


WITH_ARGUMENT: dict[str, Callable[[str], System]] = {"llm": llm, "aide": aide}
