"""What is wrong with a setting, in words that say what to change."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any

from team.casting import Models
from team.sandbox_settings import KINDS, DockerSandbox
from tools.release_wish import Release


def told(detail: Any, known: Iterable[str]) -> str:
    """One wrong setting in a sentence: what it is, what was expected, and what to change.

    Args:
        detail: one error as pydantic tells it.
        known: names of all settings.
    """
    where = ".".join(str(part) for part in detail["loc"] if part not in KINDS)
    if where == "constraint" and detail["type"] != "value_error":
        return f"constraint: {detail['msg']}. Say it in a sentence, or by `kind`: change --constraint, or where it is set."
    if detail["type"] == "extra_forbidden":
        there = sorted(
            [
                *known,
                *(f"sandbox.{name}" for name in DockerSandbox.model_fields),
                *(f"models.{name}" for name in Models.model_fields),
                *(f"release.{name}" for name in Release.model_fields),
            ]
        )
        near = difflib.get_close_matches(where, there, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        return f"unknown setting {where!r}.{hint} Known settings: {', '.join(there)}."
    if detail["type"] == "missing":
        return f"setting {where!r} is missing."
    if detail["type"] == "union_tag_invalid":
        kinds = f"{', '.join(KINDS[:-1])} or {KINDS[-1]}"
        return f"sandbox={detail['input'].get('kind')!r}: expected {kinds}. `mlteam doctor` shows what works here."
    if not where:
        said = detail["msg"].removeprefix("Value error, ")
        return f"{said}." if "--" in said else f"{said}. Change --constraint, or the options that say otherwise."
    if where.partition(".")[0] == "release":  # so may an address among these
        return f"{where}: {detail['msg'].removeprefix('Value error, ')}. Change --repo, --tag, --push, --pull-request or --registry."
    where = re.sub(r"\.\d+$", "", where)  # one of several values, which one option takes
    flag = "--" + where.partition(".tools")[0].removesuffix(".default").replace("_", "-")
    if where == "tracker":  # its value may hold a password
        return f"tracker: {detail['msg'].removeprefix('Value error, ')}. Change --tracker, MLTEAM_TRACKER or MLFLOW_TRACKING_URI."
    return f"{where}={detail['input']!r}: {detail['msg'].removeprefix('Value error, ')}. Change {flag}, or where it is set."
