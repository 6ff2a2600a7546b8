"""Roles and stage texts, loaded from `prompts/`: data, not code."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import yaml

from team.stages import Stage

NAMES = ("planner", "data_scientist", "engineer", "critic", "writer", "release_manager")

# A role is shown only the tools that can serve the stage it speaks in.
STAGE_TOOLS: dict[Stage, frozenset[str]] = {
    Stage.PLAN: frozenset({"record_plan"}),
    Stage.ACQUIRE: frozenset({"fetch_data", "seal_holdout"}),
    Stage.ANALYSE: frozenset({"inspect_table", "profile_table", "run_python"}),
    Stage.PREPARE: frozenset({"prepare", "run_python"}),
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
    Stage.RELEASE: frozenset({"open_holdout", "finish", "package_model", "track_run"}),
}


@dataclass(frozen=True)
class Role:
    """One member of the team."""

    name: str
    title: str
    tools: frozenset[str]
    prompt: str

    @property
    def system_message(self) -> str:
        return f"# {self.title}\n\n{self.prompt}"

    def tools_in(self, stage: Stage) -> frozenset[str]:
        return self.tools & STAGE_TOOLS[stage]


@cache
def roles() -> dict[str, Role]:
    """The six roles by name."""
    return {name: _load(name) for name in NAMES}


@cache
def stage_text(stage: Stage) -> str:
    """What the conductor says at the head of a turn in `stage`."""
    return files("prompts").joinpath(f"stages/{stage}.md").read_text(encoding="utf-8").strip()


def _load(name: str) -> Role:
    text = files("prompts").joinpath(f"roles/{name}.md").read_text(encoding="utf-8")
    _, front, prompt = text.split("---\n", 2)
    head = yaml.safe_load(front)
    return Role(name=head["name"], title=head["title"], tools=frozenset(head["tools"]), prompt=prompt.strip())
