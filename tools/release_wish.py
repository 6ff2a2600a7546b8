"""Where the user wants a run released to, beside its own directory: a Git repository, a registry."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

SEMANTIC = re.compile(r"v?(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
"""Semantic Versioning 2.0.0, with the v that tags usually have."""
NEXT = "next"
"""As a tag: the minor version after the greatest that is there."""
OWN = "own"
"""As `repo`: a fresh repository in the run directory."""
LOCAL = "local"
"""As `registry`: the embedded one of the folder of runs."""

_CREDENTIALS = re.compile(r"https?://[^/\s]*@|\w+://[^/@\s]*:[^/@\s]*@")
"""In an address: a token, or a password; a name alone is what ssh takes."""


class Release(BaseModel):
    """What is released at the end of a run. Nothing by default: the package lies in the run directory."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    repo: str | None = None
    """Git repository that the run is committed to, as an absolute path; `own` makes a fresh one in the run directory."""
    tag: str | None = None
    """Semantic version, as v1.2.0, that tags the last commit; `next` takes the minor version after the greatest there."""
    push: str | None = None
    """Remote that branch and tag are pushed to."""
    pull_request: bool = False
    """Whether a pull request is opened there."""
    forge: Literal["github", "gitlab"] | None = None
    """Where the remote's address does not tell."""
    registry: str | None = None
    """Address of the MLflow server that gets the package; `local` for the embedded registry of the folder of runs."""
    name: str | None = Field(None, pattern=r"^[^/:\x00-\x1f]{1,100}$")
    """Of the registered model; None takes the target's."""

    @field_validator("repo")
    @classmethod
    def _absolute(cls, repo: str | None) -> str | None:
        """A run may go on from another folder."""
        return repo if repo in (None, OWN) else str(Path(str(repo)).expanduser().absolute())

    @field_validator("tag")
    @classmethod
    def _version(cls, tag: str | None) -> str | None:
        if tag is not None and tag != NEXT and not SEMANTIC.fullmatch(tag):
            raise ValueError(f"expected a semantic version such as v1.2.0, or {NEXT}")
        return tag

    @field_validator("push")
    @classmethod
    def _without_password(cls, push: str | None) -> str | None:
        if push is not None and _CREDENTIALS.match(push):
            raise ValueError("an address with a user name or a password would stand in settings and events; let git ask for them")
        return push

    @field_validator("registry")
    @classmethod
    def _address(cls, registry: str | None) -> str | None:
        from tools.trackers.mlflow_server import check_address

        return registry if registry in (None, LOCAL) else check_address(str(registry))

    @model_validator(mode="after")
    def _whole(self) -> Release:
        for needs, given in (("repo", self.tag or self.push), ("push", self.pull_request)):
            if given and getattr(self, needs) is None:
                asked = "pull_request" if needs == "push" else "tag" if self.tag else "push"
                raise ValueError(f"{asked} without {needs}: there is nothing to do that with")
        return self

    @property
    def tools(self) -> tuple[str, ...]:
        """The tools that do what is asked for, in their order."""
        return (*(["register_model"] if self.registry else []), *(["publish_run"] if self.repo else []))

    def command(self, tool: str, run: str) -> str:
        """What does the same as a tool, to be typed."""
        if tool == "register_model":
            registry = None if self.registry == LOCAL else self.registry
            return _typed("register", run, registry=registry, name=self.name)
        asked = ["--pull-request"] if self.pull_request else []
        repo = None if self.repo == OWN else self.repo
        return " ".join([_typed("publish", run, repo=repo, tag=self.tag, push=self.push, forge=self.forge), *asked])

    def published(self, run: str) -> str:
        """What `publish_run` would do outside the run directory, for a person; empty where that is nothing."""
        if self.repo is None or (self.repo == OWN and self.push is None):
            return ""
        tag = "" if self.tag is None else " and tag it with the next version" if self.tag == NEXT else f" and tag it {self.tag}"
        pushed = f", push that to {self.push}" if self.push else ""
        asked = " and open a pull request there" if self.pull_request else ""
        where = "a repository in the run directory" if self.repo == OWN else self.repo
        return f"commit the run to {where} on branch exp/{run}{tag}{pushed}{asked}"

    @property
    def registered(self) -> str:
        """What `register_model` would do outside the run directory, for a person; empty where that is nothing."""
        where = "the registry of the folder of runs" if self.registry == LOCAL else self.registry
        if where is None:
            return ""
        return f"put the model{f' as {self.name!r}' if self.name else ''} into {where}, as champion where it beats the one there"


def _typed(command: str, run: str, **options: str | None) -> str:
    given = [word for name, value in options.items() if value for word in (f"--{name}", shlex.quote(value))]
    return " ".join(["mlteam", command, shlex.quote(run), *given])
