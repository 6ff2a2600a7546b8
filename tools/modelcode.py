"""A model that a role wrote as code: make its module, fit it, and keep the fitted model together with its text.

A pickle names the classes of its objects by module and does not hold them. The module of a candidate lies in no package,
so the text is saved with the fitted estimator: loading makes the module again, under a name that the text alone decides,
and then the estimator. The text is kept rather than the module's byte code (as cloudpickle would), because byte code is
understood by one version of Python only, and because people can read it.
"""

from __future__ import annotations

import hashlib
import linecache
import pickle
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.deadline import DeadlineReached
from tools.families.fitted import Fitted
from tools.families.setting import Array
from tools.few_rows import FewRows
from tools.spec import ToolFailed

if TYPE_CHECKING:
    import pandas as pd

ENTRY = "make_model"
"""The function that a candidate's module defines."""
TRACEBACK_CHARS = 4000


@dataclass
class CodeModel(Fitted):
    """A fitted estimator of a candidate's module. What it predicts is taken as it is: whether it will do, the host says."""

    code: str = ""

    def predict(self, X: pd.DataFrame | FewRows) -> Array:
        """Probabilities (n, n_classes), 0 for classes that the fit was not shown, or values (n,). float64.

        Raises:
            ToolFailed: when the estimator fails or gives another shape.
        """
        if len(X) == 0:
            return super().predict(X)
        X = X.frame if isinstance(X, FewRows) else X
        with told("predicting failed", self.code):
            if self.n_classes == 0:
                return _shaped(self.predictor.predict(X), (len(X),), "predict")
            estimator: Any = self.predictor
            if not hasattr(estimator, "predict_proba"):
                raise ToolFailed(
                    f"{ENTRY}() gives a {type(estimator).__name__}, which has no predict_proba; classes are predicted as probabilities."
                    " Use another estimator, or wrap it in CalibratedClassifierCV."
                )
            proba = np.zeros((len(X), self.n_classes))
            proba[:, self.classes] = _shaped(estimator.predict_proba(X), (len(X), len(self.classes)), "predict_proba")
            return proba

    def __reduce__(self) -> tuple[Any, ...]:
        with told("the fitted model cannot be saved", self.code):
            return _restored, (self.code, pickle.dumps(self.predictor), self.classes, self.n_classes)


def fit_code(code: str, X: pd.DataFrame, y: Array, n_classes: int) -> CodeModel:
    """Make a candidate's module, call its `make_model()`, and fit what that gives.

    Args:
        X: rows in the schema's columns and dtypes, see `tools.columns.coerce`.
        y: codes of the contract's classes (int64) or values (float64), shape (n,).
        n_classes: number of the contract's classes; 0 for values.

    Raises:
        ToolFailed: when the code fails, with its own traceback, or gives no estimator.
        DeadlineReached: when an alarm strikes meanwhile.
    """
    with told("importing the module failed", code):
        module = load_module(code)
        make_model = getattr(module, ENTRY, None)
    if not callable(make_model):
        raise ToolFailed(f"the module defines no function {ENTRY}(). Define one that returns a new estimator.")
    with told(f"{ENTRY}() failed", code):
        estimator = make_model()
    if isinstance(estimator, type) or not hasattr(estimator, "fit"):
        raise ToolFailed(f"{ENTRY}() gave {_shown(estimator)}; expected a new scikit-learn estimator.")
    with told("fitting failed", code):
        estimator.fit(X, y)
    with told("its classes_ cannot be used", code):
        return CodeModel(estimator, _classes(estimator, y, n_classes), n_classes, code=code)


def load_module(code: str) -> ModuleType:
    """The module that `code` is the text of; the same text gives the same module."""
    import cloudpickle

    name = f"candidate_{digest(code)[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    file = f"{name}.py"
    # Where tracebacks and `inspect` look for the lines of a file that is none.
    linecache.cache[file] = (len(code), None, code.splitlines(keepends=True), file)
    module = sys.modules[name] = ModuleType(name)
    module.__file__ = file
    try:
        exec(compile(code, file, "exec", dont_inherit=True), module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    # Processes that joblib starts cannot import it: to them its classes are sent whole.
    cloudpickle.register_pickle_by_value(module)
    return module


def digest(code: str) -> str:
    """SHA-256 of the text, in hexadecimal."""
    return hashlib.sha256(code.encode("utf-8")).hexdigest()


@contextmanager
def told(what: str, code: str) -> Iterator[None]:
    """Turn whatever the candidate raises inside the block into `ToolFailed`, with the traceback from its first own line on.

    Args:
        what: what did not work, in words.
        code: the candidate's text.
    """
    try:
        yield
    except (DeadlineReached, ToolFailed):
        raise
    except (Exception, SystemExit) as error:
        raise ToolFailed(f"{what}: {_own_traceback(error, f'candidate_{digest(code)[:16]}.py')}") from None


def _own_traceback(error: BaseException, file: str) -> str:
    """The exception in a line, then its traceback without the frames that called the candidate. Long ones lose their middle."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename != file:
        trace = trace.tb_next
    line = "".join(traceback.format_exception_only(error)).strip()
    if trace is None:  # in a library that was handed the estimator, or in the text itself
        return line[-TRACEBACK_CHARS:]
    lines = "".join(traceback.format_exception(type(error), error, trace)).strip()
    if len(lines) > TRACEBACK_CHARS:
        lines = f"{lines[: TRACEBACK_CHARS // 3]}\n…\n{lines[-TRACEBACK_CHARS * 2 // 3 :]}"
    return f"{line.splitlines()[-1][:500]}\n{lines}"


def _restored(code: str, estimator: bytes, classes: Array, n_classes: int) -> CodeModel:
    load_module(code)
    return CodeModel(pickle.loads(estimator), classes, n_classes, code=code)


def _classes(estimator: Any, y: Array, n_classes: int) -> Array:
    """Codes of the classes whose probabilities the estimator gives, in its own order."""
    if n_classes == 0:
        return np.empty(0, dtype=np.int64)
    present = np.unique(y)
    named = np.asarray(getattr(estimator, "classes_", present))
    if named.ndim != 1 or not np.isin(named, np.arange(n_classes)).all() or len(np.unique(named)) != len(named):
        raise ToolFailed(
            f"classes_ of the fitted estimator is {_shown(named)}; expected class codes as they were given: {present.tolist()}."
        )
    return named.astype(np.int64)


def _shaped(values: Any, shape: tuple[int, ...], method: str) -> Array:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim == 2 and array.shape == (*shape, 1):
        array = array[:, 0]
    if array.shape != shape:
        wanted = f"{shape}, a column for each class that the fit was shown" if len(shape) == 2 else f"{shape}"
        raise ToolFailed(f"{method} gave an array of shape {array.shape}; expected {wanted}.")
    return array


def _shown(value: Any) -> str:
    if isinstance(value, type):
        return f"the class {value.__name__} itself"
    return f"an object of type {type(value).__name__}" if not isinstance(value, np.ndarray) else str(value.tolist())[:200]
