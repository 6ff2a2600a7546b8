"""Roles and stage texts, loaded from `prompts/`: data, not code."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from team.stages import Stage

NAMES = ("planner", "data_scientist", "engineer", "critic", "writer", "release_manager")

# A role is shown only the tools that can serve the stage it speaks in.
STAGE_TOOLS: dict[Stage, frozenset[str]] = {
    Stage.PLAN: frozenset({"record_plan"}),
    Stage.ACQUIRE: frozenset({"fetch_data", "seal_holdout"}),
    Stage.ANALYSE: frozenset({"inspect_table", "profile_table", "run_python"}),
    Stage.PREPARE: frozenset({"prepare", "try_steps", "run_python"}),
    Stage.BASELINE: frozenset({"train_baselines"}),
    Stage.TRAIN: frozenset({"train", "submit_candidate", "find_slices", "compare_models", "run_python", "review"}),
    Stage.OPTIMISE: frozenset({"tune", "submit_candidate", "find_slices", "compare_models", "run_python"}),
    Stage.SELECT: frozenset(
        {
            "ensemble",
            "evaluate",
            "find_slices",
            "compare_models",
            "nested_score",
            "learning_curve",
            "explain",
            "examine_structure",
            "run_python",
            "review",
            "score_holdout",
        }
    ),
    Stage.DOCUMENT: frozenset({"write_section", "build_report"}),
    Stage.RELEASE: frozenset({"open_holdout", "finish", "export_model", "package_model", "track_run", "register_model", "publish_run"}),
}


@dataclass(frozen=True)
class Role:
    """One member of the team."""

    name: str
    title: str
    version: int
    tools: frozenset[str]
    prompt: str

    @property
    def system_message(self) -> str:
        """What the role is told in every request: its own brief, then the rules of all roles."""
        return f"# {self.title}\n\n{self.prompt}\n\n{rules()}"

    def tools_in(self, stage: Stage) -> frozenset[str]:
        return self.tools & STAGE_TOOLS[stage]


@cache
def roles() -> dict[str, Role]:
    """The six roles by name."""
    return {name: _load(name) for name in NAMES}


@cache
def rules() -> str:
    """What holds for every role."""
    return _read("rules.md")[1]


@cache
def stage_text(stage: Stage) -> str:
    """What the conductor says at the head of a turn in `stage`."""
    return _read(f"stages/{stage}.md")[1]


@cache
def prompts_version() -> str:
    """Twelve digits that change with any word that models are told, for the record of a run."""
    texts = [rules(), *(role.system_message for role in roles().values()), *map(stage_text, Stage)]
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]


def _load(name: str) -> Role:
    head, prompt = _read(f"roles/{name}.md")
    return Role(name=head["name"], title=head["title"], version=head["version"], tools=frozenset(head["tools"]), prompt=prompt)


def _read(path: str) -> tuple[dict[str, Any], str]:
    """Front matter and text of a file below `prompts/`."""
    _, front, text = files("prompts").joinpath(path).read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(front), text.strip()
