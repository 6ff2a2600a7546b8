"""What a system is: a command that gets rows to learn from, rows to predict without their labels and a budget, and returns predictions.

Its words may hold places, which are filled for each attempt:

    {python}   the interpreter: of the system's own environment where it has packages, else of the project
    {table}    folder with train.csv, test.csv and meta.json (target, task, metric, classes, ...), for reading
    {out}      folder that gets predictions.csv, and usage.json where the system has something to tell
    {seconds}  seconds that it has        {seed}  seed
    {model}    what `--model` says        {threads}  cores that it may use

predictions.csv has one row a row of test.csv, in its order: `prediction`, or for classes `proba_<class>` for each. Exit code 2 is a
refusal of the data, with its reason as the last line of standard error; any other code but 0 is a failure.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from evals.suite import NAME

SYSTEM_NAME = r"[A-Za-z0-9][A-Za-z0-9._:@/+,?=&~%-]{0,199}"
"""Specs of models stand in names of systems: several of them, with addresses, ports and versions of an interface."""


class System(BaseModel):
    """One that is tried. As YAML it has these fields and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=f"^{SYSTEM_NAME}$")
    command: tuple[str, ...] = Field(min_length=1)
    packages: tuple[str, ...] = ()
    """What its environment is made of, as pip takes it; empty: it needs none."""
    bare: tuple[str, ...] = ()
    """Further packages of that environment, which come without what they say they need."""
    environment: str = Field("", pattern=f"^({NAME})?$")
    """Name of that environment, which systems may share; empty: the system's own."""
    shows: tuple[Path, ...] = ()
    """Files and folders of the host that it may read beside its own."""
    network: bool | Literal["model"] = False
    """Whether it has the machine's network. `model`: a proxy alone, in HTTP_PROXY and HTTPS_PROXY, that leads to the model's endpoints."""
    model: str = ""
    """Spec of the language model that it asks; empty: what `--model` says."""
    programs: dict[str, str] = {}
    """Programs of the machine that it needs, by name, each with the command that brings it."""
    variables: tuple[str, ...] = ()
    """Variables of the environment that are handed on, such as keys; all others are not."""
    versions: tuple[str, ...] = ()
    """Packages whose versions a row tells."""
    tasks: tuple[str, ...] = ()
    """Problem types that it can do; empty: all."""
    why: str = ""


class Usage(BaseModel):
    """What a system may tell of itself, in `usage.json`. It is the system's word and takes no part in the grade."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    tokens_in: int | None = Field(None, ge=0)
    tokens_out: int | None = Field(None, ge=0)
    dollars: float | None = Field(None, ge=0)
    report: str = Field("", max_length=4096)
    """Path of an HTML file that it wrote."""
    traces: str = Field("", max_length=4096)
    """Path of the spans that it wrote, as OpenTelemetry's SDK does, one a line."""
    warnings: list[Annotated[str, StringConstraints(max_length=1000)]] = Field([], max_length=50)
    """What it found wrong with the data, and learnt from nevertheless."""
    versions: dict[str, str] = Field({}, max_length=50)
