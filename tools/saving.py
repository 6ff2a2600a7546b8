"""A fitted model on file: the pipeline, and beside it in words and figures what it is."""

from __future__ import annotations

import os
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.preparation import OWN
from tools.workspace import write_json

if TYPE_CHECKING:
    from tools.calibration import Calibration
    from tools.model import FittedModel

LIBRARIES = ("catboost", "joblib", "lightgbm", "numpy", "pandas", "scikit-learn", "scipy", "torch", "xgboost", "xgboost-cpu")
FORMAT = 1


def save_model(folder: Path, model: FittedModel, candidate: str, *, refitted: bool) -> None:
    """Write `pipeline.joblib` and `model.json` into a folder that appears with both of them, in the place of one that was there.

    Args:
        refitted: whether the rows of the holdout are among those that it was fitted on. Such a model is compressed; one that
            is kept in case a refit fails is not, which takes seconds less.
    """
    import joblib

    staging = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    joblib.dump(model, staging / "pipeline.joblib", compress=3 if refitted else 0)
    write_json(staging / "model.json", {**describe(model, candidate), "refitted": refitted})
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(staging, folder)


def describe(model: FittedModel, candidate: str) -> dict[str, Any]:
    """What `model.json` says of a model: everything needed to judge or rebuild it, and no row of data."""
    from tools.modelcode import CodeModel

    return {
        "format": FORMAT,
        "candidate": candidate,
        "contract": model.contract.model_dump(mode="json"),
        "schema": model.schema.model_dump(mode="json"),
        "rows": model.rows,
        "members": [
            {
                "name": member.candidate.name,
                "family": member.candidate.family,
                "weight": member.weight,
                "params": member.candidate.params,
                "preparation": member.preparation.model_dump(mode="json"),
                "fits": len(member.fits),
                "share": member.candidate.share,
                "calibration": _plain(member.candidate.calibration),
                "iterations": [fitted.iterations for fitted in member.fits],
                **({"code": member.fits[0].code} if isinstance(member.fits[0], CodeModel) else {}),
            }
            for member in model.members
        ],
        "stack": model.stack.stack.model_dump(mode="json") if model.stack else None,
        "calibration": _plain(model.calibration),
        "decision": list(model.decision),
        "importance": model.importance,
        "python": ".".join(map(str, sys.version_info[:3])),
        "libraries": {name: found for name in (*LIBRARIES, *_brought(model)) if (found := _version(name))},
    }


def _plain(calibration: Calibration | None) -> dict[str, Any] | None:
    return calibration.model_dump(mode="json") if calibration else None


def _brought(model: FittedModel) -> list[str]:
    """Other packages whose families or preparers the model is made of: it cannot be loaded without them."""
    from tools.families import brought
    from tools.families.custom import FAMILIES_BROUGHT

    families = FAMILIES_BROUGHT.brought()
    needed = {families[member.candidate.family] for member in model.members if member.candidate.family in brought()}
    return sorted(needed | {used.package for member in model.members for used in member.preparation.preparers} - {OWN})


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
