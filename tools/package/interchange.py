"""The model in formats that other programs read: skops, which runs nothing when it is read, and ONNX. Each is checked before it counts."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from zipfile import ZIP_DEFLATED

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from tools.deadline import Deadline, DeadlineReached

if TYPE_CHECKING:
    import pandas as pd

    from tools.model import FittedModel

Name = Literal["skops", "onnx"]
SKOPS_FILE, ONNX_FILE = "pipeline.skops", "model.onnx"
OPTIONAL_FILES = (SKOPS_FILE, ONNX_FILE)
EQUAL = 1e-4
"""Most that a prediction may differ from the pipeline's: of a probability, and of a value by the spread of the predictions."""
CHECKED_ROWS = 500
MOST_S = 10.0
"""Seconds for a format, checking included, where nobody says how many: large forests take minutes, and a run is not held up for that."""
LIBRARIES = {
    "skops": ("skops.io",),
    "onnx": ("onnx", "onnxruntime"),
}
"""What each format imports, before an alarm is set: one that strikes while a compiled module is made takes the process along."""
UNASKED = ("torch", "dask")
"""What skops imports for nothing: it lists scikit-learn's estimators by a walk through its packages, some of which adapt these to it."""


class Format(BaseModel):
    """One format, and whether the model is in it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    file: Literal["pipeline.skops", "model.onnx"]
    made: bool
    why: str = Field("", max_length=500)
    """Why it was not made."""
    rows_checked: int = Field(0, ge=0)
    """Real rows that both predicted."""
    largest_difference: FiniteFloat | None = None
    """Between the two, in the unit of `EQUAL`."""

    @property
    def told(self) -> str:
        if not self.made:
            return f"not made: {self.why}"
        return f"equal to the pipeline within {EQUAL:g} on {self.rows_checked} rows (largest difference {self.largest_difference:.1e})"


class Formats(BaseModel):
    """`formats.json`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    formats: list[Format] = Field(max_length=2)

    @classmethod
    def none(cls, why: str) -> Formats:
        return cls(
            formats=[Format(name="skops", file=SKOPS_FILE, made=False, why=why), Format(name="onnx", file=ONNX_FILE, made=False, why=why)]
        )

    def without(self, missing: list[str]) -> Formats:
        """The same where some files are not there, whatever is said of them."""
        gone = {"made": False, "why": "its file is not there"}
        return Formats(formats=[one.model_copy(update=gone) if one.made and one.file in missing else one for one in self.formats])

    @property
    def files(self) -> list[str]:
        return [one.file for one in self.formats if one.made]

    @property
    def told(self) -> dict[str, str]:
        return {one.name: one.told for one in self.formats}


class NotPossible(Exception):
    """The model cannot be had in a format; the message says why, in words for the package."""


def write_formats(
    folder: Path, model: FittedModel, rows: pd.DataFrame, most_s: float = MOST_S, names: Sequence[Name] = ("skops", "onnx")
) -> Formats:
    """Write the model beside its `pipeline.joblib` in every format that can hold it.

    Args:
        rows: raw rows; predictions of `CHECKED_ROWS` of them decide whether a format counts, of a forecast those of the horizon after them.
        most_s: seconds for each format, after which the package does without it.
        names: the formats that are wanted.
    """
    import numpy as np

    forecast = model.contract.forecast
    shown = rows if forecast is None else forecast.moved_ahead(rows)
    checked = shown.iloc[np.linspace(0, len(shown) - 1, min(len(shown), CHECKED_ROWS)).astype(int)].reset_index(drop=True)
    expected = model.predict_table(checked)
    levels = _levels(model, rows)
    makers: dict[Name, tuple[str, Callable[[Path], Any]]] = {
        "skops": (SKOPS_FILE, lambda path: _skops(path, model, checked)),
        "onnx": (ONNX_FILE, lambda path: _onnx(path, model, checked, levels)),
    }
    written = []
    for name in names:
        file, make = makers[name]
        written.append(_write(name, folder / file, make, checked, expected, most_s, model.contract.constraints.max_size_mb))
    return Formats(formats=written)


def _levels(model: FittedModel, rows: pd.DataFrame) -> dict[str, list[str]]:
    """Every level of the columns of categories, sorted."""
    from tools.columns import coerce

    schema = model.schema.without(model.contract.sealed_columns)
    table = coerce(rows, schema)
    return {one.name: sorted(table[one.name].dropna().unique()) for one in schema.columns if one.kind == "categorical"}


def _write(
    name: Name, path: Path, make: Callable[[Path], Any], rows: pd.DataFrame, expected: Any, most_s: float, most_mb: float | None
) -> Format:
    facts: dict[str, Any] = {"name": name, "file": path.name}
    temporary = path.with_name(f".{path.name}.tmp")
    with _as_if_missing(UNASKED):
        for library in LIBRARIES[name]:
            with suppress(ImportError):  # what needs it says so
                import_module(library)
    deadline = Deadline(most_s)
    why = f"writing and checking it was not done in {most_s:g} s; a longer --time gives it longer, that of `mlteam export` too"
    late = Format(**facts, made=False, why=why)
    try:
        with deadline.alarm():
            said = make(temporary)
        if deadline.expired():  # a converter may take the alarm for one of its own exceptions, and go on
            return late
        taken = temporary.stat().st_size / 1e6
        if most_mb is not None and taken > most_mb:
            raise NotPossible(f"its file takes {taken:.3g} MB, where the contract allows {most_mb:g} MB")
        apart = difference(expected, said)
        if not apart <= EQUAL:
            raise NotPossible(f"its predictions differ from the pipeline's by up to {apart:.2g}, and {EQUAL:g} is the most that is taken")
        temporary.replace(path)
        return Format(**facts, made=True, rows_checked=len(rows), largest_difference=apart)
    except NotPossible as error:
        return Format(**facts, made=False, why=str(error)[:500])
    except DeadlineReached:
        return late
    except Exception as error:  # a converter of somebody else's may fail in any way, and the package does without
        if deadline.expired():  # an alarm that strikes in compiled code can come out as any exception
            return late
        return Format(**facts, made=False, why=f"the converter failed: {type(error).__name__}: {error}"[:500])
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _as_if_missing(names: tuple[str, ...]) -> Iterator[None]:
    """Have an import of these fail within, but for those that were imported before: a model that needs one brought it along."""
    unknown = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(unknown))  # type: ignore[arg-type]  # None is what tells the import system so
    try:
        yield
    finally:
        for name in unknown:
            sys.modules.pop(name, None)


def difference(expected: Any, said: Any) -> float:
    """Largest difference between predictions, values by the spread of the expected ones; infinite where one is missing."""
    import numpy as np

    expected, said = np.asarray(expected, dtype=np.float64), np.asarray(said, dtype=np.float64)
    if expected.shape != said.shape or not np.isfinite(said).all():
        return float("inf")
    scale = max(1.0, float(expected.std())) if expected.ndim == 1 else 1.0
    return float(np.abs(expected - said).max(initial=0.0)) / scale


def _skops(path: Path, model: FittedModel, rows: pd.DataFrame) -> Any:
    try:
        from skops import io
    except ImportError:
        raise NotPossible("skops is not installed where the model was fitted (pip install 'mlteam[serve]')") from None
    io.dump(model, path, compression=ZIP_DEFLATED, compresslevel=1)
    again: FittedModel = io.load(path, trusted=io.get_untrusted_types(file=path))
    return again.predict_table(rows)


def _onnx(path: Path, model: FittedModel, rows: pd.DataFrame, levels: dict[str, list[str]]) -> Any:
    from tools.package.onnx_model import build

    graph = build(model, levels)
    path.write_bytes(graph.SerializeToString())
    return predict_onnx(path, rows, model)


def predict_onnx(path: Path, rows: pd.DataFrame, model: FittedModel) -> Any:
    """What the ONNX file says of raw rows: values (n,) or probabilities (n, k)."""
    import numpy as np
    import onnxruntime

    from tools.columns import coerce
    from tools.package.inputs import as_numbers

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # it warns of constants that a library left unused
    session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    table = coerce(rows, model.schema.without(model.contract.sealed_columns))
    given = {}
    for one in session.get_inputs():
        values = table[one.name]
        if one.type == "tensor(string)":
            given[one.name] = np.array(["" if value is None else value for value in values], dtype=object)[:, None]
        else:
            given[one.name] = as_numbers(values)[:, None]
    return session.run(None, given)[0]
