"""How a candidate errs, worked out here from its out-of-fold predictions and the labels of the training rows.

Nothing of this is the kernel's word: predictions are read as hostile files are, labels and folds come from `data/`, which no sandbox
can write to. It is the same for the same run, and every number of it belongs to the file that `source` names.
"""

from __future__ import annotations

import hashlib
from typing import Any

from reports.class_errors import class_errors
from reports.error_facts import Diagnosis, Worst
from reports.facts import RunFacts
from reports.label_errors import label_errors
from reports.survival_errors import survival_errors
from reports.value_errors import value_errors
from team.rows import Rows
from team.rundir import RunDir
from tools.files import read_regular

MOST_COLUMNS = 3
MOST_BYTES = 1 << 30


def diagnose(run: RunDir, facts: RunFacts) -> Diagnosis | None:
    """The diagnosis of the candidate that a report is about; None where its predictions or rows are gone, damaged, or of another task."""
    from tools.predictions import PredictionError, read_predictions

    contract, chosen = facts.contract, facts.selected
    if contract is None or chosen is None or contract.predicts not in ("classes", "values", "quantiles", "labels", "risk"):
        return None
    path = run.work / "candidates" / chosen.name / "oof.parquet"
    try:
        rows = Rows(run)
        validation = rows.validation()
        partial = bool((validation.folds[0] < 0).any())
        values = read_predictions(path, contract, contract.rows_train * validation.repeats, partial=partial, inside=run.work)
        digest = hashlib.sha256(read_regular(path, MOST_BYTES, run.work)).hexdigest()
    except (PredictionError, OSError, ValueError):
        return None
    first, folds = validation.by_repeat(values)[0], validation.folds[0]
    scored = folds >= 0
    if contract.predicts in ("classes", "labels"):
        from tools.corrections import decided

        tilted = validation.by_repeat(decided(contract, rows.labels(), values, folds)[1])[0]
        errors = class_errors if contract.predicts == "classes" else label_errors
        parts = errors(contract, rows, first, tilted, folds)
    elif contract.predicts == "risk":
        parts = survival_errors(contract, rows, first, folds)
    else:
        parts = value_errors(contract, rows, first, scored)
    parts["worst"] = _with_values(parts["worst"], rows, facts)
    source = str(path.relative_to(run.path))
    return Diagnosis(candidate=chosen.name, source=source, sha256=digest, rows=int(scored.sum()), **parts)


def _with_values(worst: tuple[Worst, ...], rows: Rows, facts: RunFacts) -> tuple[Worst, ...]:
    """The rows with their values of the columns that matter most."""
    known = set(facts.contract.features) if facts.contract else set()
    names = [i.column for i in facts.evaluation.importance if i.column in known][:MOST_COLUMNS] if facts.evaluation else []
    if not names:
        return worst
    table = rows.columns("train", names)
    return tuple(one.model_copy(update={"values": tuple((name, _value(table[name].iloc[one.row])) for name in names)}) for one in worst)


def _value(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
